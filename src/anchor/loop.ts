/**
 * One tick of the anchor: read, decide, store, act, until there is nothing to do but wait. The order of each step keeps the
 * signer's memory ahead of the chain: a transaction is stored before the node sees it, a confirmation before the database
 * does. Stopped anywhere, the next tick goes on from what is stored.
 */
import type { ChainView, ReachableChain } from "./chain-view.ts";
import { type AnchorCommand, type AnchorEvent, evolveAnchor, observedIn, type SupersedeTarget } from "./evolve.ts";
import {
  type AnchorAction,
  type AnchorDraft,
  type AnchorPolicy,
  type LedgerHead,
  nextAnchorAction,
} from "./next-action.ts";
import {
  type AnchorChange,
  type AnchorState,
  type AnchorTransaction,
  type BroadcastResult,
  HOLD_REASONS,
} from "./state.ts";

export interface AnchorPorts {
  /** @throws when the storage or its content cannot be read: nothing is decided on a guess. */
  load(): AnchorState;
  /** State and changes together, durable before this resolves. */
  save(state: AnchorState, changes: readonly AnchorChange[]): Promise<void>;
  readHead(): Promise<LedgerHead | undefined>;
  readChain(state: AnchorState): Promise<ChainView>;
  sign(draft: AnchorDraft): { readonly hash: string; readonly rawTx: string };
  broadcast(rawTx: string): Promise<BroadcastResult>;
  now(): number;
}

export interface TickResult {
  /** The last action decided: idle, wait or halt, unless the steps ran out. */
  readonly action: AnchorAction;
  readonly view: ChainView;
  readonly head: LedgerHead | undefined;
  readonly state: AnchorState;
  /** What became of the operator's command; undefined when there was none. */
  readonly command: CommandOutcome | undefined;
}

export type CommandOutcome = "taken" | "chain-out-of-reach" | "nothing-to-supersede";

/** Enough for give-up, submit, confirm and a look afterwards; the next tick does the rest. */
const MAX_STEPS = 8;

export async function tickAnchor(
  ports: AnchorPorts,
  policy: AnchorPolicy,
  command?: AnchorCommand,
): Promise<TickResult> {
  let outcome: CommandOutcome | undefined;
  for (let step = 1; ; step++) {
    const loaded = ports.load();
    const head = await ports.readHead();
    const view = await ports.readChain(loaded);
    let state = await saveAll(ports, loaded, observedIn(loaded, view, policy.minBalanceWei));
    if (command !== undefined && step === 1) {
      const asked = askedOf(command, state, view);
      outcome = asked.outcome;
      state = await saveAll(ports, state, asked.events);
    }
    const action = nextAnchorAction(state, head, view, policy, ports.now());
    state = await saveAll(ports, state, [
      action.type === "halt" ? { type: "halted", reason: action.reason } : { type: "resumed" },
      holdOf(action),
    ]);
    const acted = await execute(ports, state, action);
    if (!acted || step === MAX_STEPS) return { action, view, head, state: ports.load(), command: outcome };
  }
}

function holdOf(action: AnchorAction): AnchorEvent {
  const reason = action.type === "wait" ? HOLD_REASONS.find((one) => one === action.reason) : undefined;
  return reason === undefined ? { type: "hold-over" } : { type: "held", reason };
}

/** Stores what each event changes; nothing is written for events that change nothing. */
async function saveAll(ports: AnchorPorts, from: AnchorState, events: readonly AnchorEvent[]): Promise<AnchorState> {
  let state = from;
  const changes: AnchorChange[] = [];
  for (const event of events) {
    const evolved = evolveAnchor(state, event, ports.now());
    state = evolved.state;
    changes.push(...evolved.changes);
  }
  if (state !== from) await ports.save(state, changes);
  return state;
}

interface Asked {
  readonly outcome: CommandOutcome;
  readonly events: readonly AnchorEvent[];
}

function askedOf(command: AnchorCommand, state: AnchorState, view: ChainView): Asked {
  if (view.type === "unreachable") return { outcome: "chain-out-of-reach", events: [] };
  const { actor } = command;
  if (command.type === "retry") return { outcome: "taken", events: [{ type: "retry-asked", actor }] };
  const target = supersedeTarget(state, view);
  if (target === undefined) return { outcome: "nothing-to-supersede", events: [] };
  return { outcome: "taken", events: [{ type: "supersede-asked", actor, reason: command.reason, target }] };
}

/** The anchor in flight, else the one that the contract holds. */
function supersedeTarget({ pending, confirmed }: AnchorState, view: ReachableChain): SupersedeTarget | undefined {
  const newest = pending?.transactions.at(-1);
  if (pending !== undefined && newest !== undefined) {
    return { size: newest.size, root: newest.root, nonce: pending.nonce, txHash: newest.hash, ours: true };
  }
  const { contract, newestEvent } = view;
  if (contract.type === "missing" || contract.size === 0) return undefined;
  const { size, root } = contract;
  const known = confirmed?.size === size ? confirmed : newestEvent;
  const { txHash, blockNumber, blockHash } = known ?? {};
  return {
    size,
    root,
    ours: confirmed?.size === size,
    nonce: confirmed?.size === size ? confirmed.sent?.nonce : undefined,
    txHash,
    blockNumber,
    blockHash,
  };
}

/** @returns whether the chain or the state has changed in a way worth another look now. */
async function execute(ports: AnchorPorts, state: AnchorState, action: AnchorAction): Promise<boolean> {
  const save = (from: AnchorState, event: AnchorEvent): Promise<AnchorState> => saveAll(ports, from, [event]);
  const send = async (from: AnchorState, transaction: AnchorTransaction): Promise<void> => {
    const result = await ports.broadcast(transaction.rawTx);
    await save(from, { type: "broadcast", hash: transaction.hash, result });
  };
  const liftDoubt = async (): Promise<AnchorState> =>
    state.doubt === undefined ? state : save(state, { type: "doubt-lifted" });

  switch (action.type) {
    case "idle": {
      const certain = await liftDoubt();
      if (certain.urge !== undefined) await save(certain, { type: "urge-answered" }); // all is anchored
      return false;
    }
    case "wait":
      if (action.reason !== "in-doubt" && action.reason !== "node-behind") await liftDoubt();
      return false;
    case "halt":
      return false;
    case "doubt":
      await save(state, { type: "doubted", reason: action.reason });
      return false;
    case "submit":
    case "replace": {
      const { draft } = action;
      const { hash, rawTx } = ports.sign(draft);
      const transaction: AnchorTransaction = {
        hash,
        rawTx,
        size: draft.size,
        root: draft.root,
        previousSize: draft.previousSize,
        fees: draft.fees,
        signedAt: ports.now(),
      };
      const reason = action.type === "submit" ? submitReason(state) : action.reason;
      await send(await save(state, { type: "signed", nonce: draft.nonce, transaction, reason }), transaction);
      return false;
    }
    case "rebroadcast": {
      const certain = await liftDoubt();
      const { hash, broadcast } = action.transaction;
      const hadIt = broadcast?.result === "accepted" || broadcast?.result === "already-known";
      await send(hadIt ? await save(certain, { type: "dropped", hash }) : certain, action.transaction);
      return false;
    }
    case "confirm":
      await save(state, {
        type: "confirmed",
        transaction: action.transaction,
        nonce: action.nonce,
        mined: action.mined,
        gone: action.gone,
      });
      return true;
    case "adopt":
      await save(state, { type: "adopted", event: action.event });
      return true;
    case "give-up":
      await save(state, { type: "given-up", reason: action.reason, mined: action.mined });
      return true;
    case "reopen":
      await save(state, { type: "reopened", gone: action.gone });
      return true;
  }
}

const submitReason = ({ urge, failures }: AnchorState): string =>
  urge?.type ?? (failures === undefined ? "grown" : "after-failure");
