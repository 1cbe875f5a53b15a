/**
 * One tick of the anchor: read, decide, store, act, until there is nothing to do but wait. The order of each step keeps the
 * signer's memory ahead of the chain: a transaction is stored before the node sees it, a confirmation before the database
 * does. Stopped anywhere, the next tick goes on from what is stored.
 */
import type { ChainView } from "./chain-view.ts";
import { type AnchorEvent, evolveAnchor } from "./evolve.ts";
import {
  type AnchorAction,
  type AnchorDraft,
  type AnchorPolicy,
  type LedgerHead,
  nextAnchorAction,
} from "./next-action.ts";
import type { AnchorChange, AnchorState, AnchorTransaction, BroadcastResult } from "./state.ts";

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
}

/** Enough for give-up, submit, confirm and a look afterwards; the next tick does the rest. */
const MAX_STEPS = 8;

export async function tickAnchor(ports: AnchorPorts, policy: AnchorPolicy): Promise<TickResult> {
  for (let step = 1; ; step++) {
    const state = ports.load();
    const head = await ports.readHead();
    const view = await ports.readChain(state);
    const action = nextAnchorAction(state, head, view, policy, ports.now());
    const acted = await execute(ports, state, action);
    if (!acted || step === MAX_STEPS) return { action, view, head, state: ports.load() };
  }
}

/** @returns whether the chain or the state has changed in a way worth another look now. */
async function execute(ports: AnchorPorts, state: AnchorState, action: AnchorAction): Promise<boolean> {
  const save = async (from: AnchorState, event: AnchorEvent): Promise<AnchorState> => {
    const evolved = evolveAnchor(from, event, ports.now());
    await ports.save(evolved.state, evolved.changes);
    return evolved.state;
  };
  const send = async (from: AnchorState, transaction: AnchorTransaction): Promise<void> => {
    const result = await ports.broadcast(transaction.rawTx);
    await save(from, { type: "broadcast", hash: transaction.hash, result });
  };
  const liftDoubt = async (): Promise<AnchorState> =>
    state.doubt === undefined ? state : save(state, { type: "doubt-lifted" });

  switch (action.type) {
    case "idle":
      await liftDoubt();
      return false;
    case "wait":
      if (action.reason !== "in-doubt") await liftDoubt();
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
      const reason = action.type === "submit" ? "grown" : action.reason;
      await send(await save(state, { type: "signed", nonce: draft.nonce, transaction, reason }), transaction);
      return false;
    }
    case "rebroadcast":
      await send(await liftDoubt(), action.transaction);
      return false;
    case "confirm":
      await save(state, {
        type: "confirmed",
        transaction: action.transaction,
        nonce: action.nonce,
        mined: action.mined,
      });
      return true;
    case "adopt":
      await save(state, { type: "adopted", event: action.event });
      return true;
    case "give-up":
      await save(state, { type: "given-up", reason: action.reason });
      return true;
    case "reopen":
      await save(state, { type: "reopened" });
      return true;
  }
}
