/** How each observation and each executed action changes what is stored, and what the database is to be told of it. */
import type { AnchoredEvent, ChainView } from "./chain-view.ts";
import type { MinedAnchor } from "./next-action.ts";
import {
  type AnchorChange,
  type AnchorState,
  type AnchorTransaction,
  type BroadcastResult,
  type ConfirmedAnchor,
  type Doubt,
  type EarlierAnchor,
  type GiveUpReason,
  HALT_QUIET_MS,
  type HaltReason,
  type HoldReason,
  MAX_EARLIER,
  type NoteType,
} from "./state.ts";

/** What an operator asks for. `actor` is the key id; `reason` has the form of OPERATOR_REASON. */
export type AnchorCommand =
  | { readonly type: "retry"; readonly actor: string }
  | { readonly type: "supersede"; readonly actor: string; readonly reason: string };

/** The anchor that a command calls wrong. */
export interface SupersedeTarget {
  readonly size: number;
  readonly root: string;
  readonly nonce?: number | undefined;
  readonly txHash?: string | undefined;
  readonly blockNumber?: number | undefined;
  readonly blockHash?: string | undefined;
  /** One of ours: the database has a row of it. */
  readonly ours: boolean;
}

export interface SeenBlock {
  readonly blockNumber: number;
  readonly blockHash: string;
}

export type AnchorEvent =
  | { readonly type: "doubted"; readonly reason: Doubt }
  | { readonly type: "doubt-lifted" }
  | {
      readonly type: "signed";
      readonly nonce: number;
      readonly transaction: AnchorTransaction;
      readonly reason: string;
    }
  | { readonly type: "broadcast"; readonly hash: string; readonly result: BroadcastResult }
  | { readonly type: "dropped"; readonly hash: string }
  | { readonly type: "seen-mined"; readonly hash: string; readonly block: SeenBlock }
  | { readonly type: "unmined"; readonly hash: string }
  | {
      readonly type: "confirmed";
      readonly transaction: AnchorTransaction;
      readonly nonce: number;
      readonly mined: MinedAnchor;
      /** Anchors confirmed before whose blocks are no longer the chain's. */
      readonly gone: readonly EarlierAnchor[];
    }
  | { readonly type: "adopted"; readonly event: AnchoredEvent }
  | {
      readonly type: "given-up";
      readonly reason: GiveUpReason;
      readonly mined?: (SeenBlock & { readonly hash: string }) | undefined;
    }
  | { readonly type: "reopened"; readonly gone: readonly EarlierAnchor[] }
  | { readonly type: "halted"; readonly reason: HaltReason }
  | { readonly type: "resumed" }
  | { readonly type: "held"; readonly reason: HoldReason }
  | { readonly type: "hold-over" }
  | { readonly type: "balance"; readonly low: boolean }
  | { readonly type: "retry-asked"; readonly actor: string }
  | {
      readonly type: "supersede-asked";
      readonly actor: string;
      readonly reason: string;
      readonly target: SupersedeTarget;
    }
  | { readonly type: "urge-answered" };

export interface Evolved {
  readonly state: AnchorState;
  readonly changes: readonly AnchorChange[];
}

/** Drops and reorganizations, and refusals, recorded of one transaction; a pair of nodes that disagree could go on for ever. */
const MAX_RECORDED_DROPS = 10;

/** @param now epoch ms. */
export function evolveAnchor(state: AnchorState, event: AnchorEvent, now: number): Evolved {
  switch (event.type) {
    case "doubted":
      return { state: { ...state, doubt: { reason: event.reason, since: now } }, changes: [] };
    case "doubt-lifted":
      return { state: { ...state, doubt: undefined }, changes: [] };
    case "signed": {
      const before = state.pending?.nonce === event.nonce ? state.pending.transactions : [];
      const { nonce, transaction, reason } = event;
      return {
        state: {
          ...state,
          doubt: undefined,
          urge: undefined,
          pending: { nonce, transactions: [...before, transaction] },
        },
        changes: [{ type: "submitted", nonce, transaction, reason, at: now, bump: before.length > 0 }],
      };
    }
    case "broadcast":
      return broadcast(state, event.hash, event.result, now);
    case "dropped":
      return lostSight(state, event.hash, "dropped", "not-in-mempool", now);
    case "seen-mined": // recorded with its block by what follows: confirmed, reverted or reorganized
      return { state: withTransaction(state, event.hash, (one) => ({ ...one, minedIn: event.block })), changes: [] };
    case "unmined":
      return lostSight(state, event.hash, "reorganized", "before-confirmation", now);
    case "confirmed": {
      const { transaction, nonce, mined, gone } = event;
      const lost = (state.pending?.transactions ?? []).filter((one) => one.hash !== transaction.hash);
      return withConfirmed(
        state,
        {
          size: transaction.size,
          root: transaction.root,
          previousSize: transaction.previousSize,
          txHash: transaction.hash,
          ...mined,
          confirmedAt: now,
          sent: { nonce, transaction },
        },
        lost.map(({ size, hash }) => ({ size, hash })),
        gone,
      );
    }
    case "adopted":
      return withConfirmed(state, { ...event.event, confirmedAt: now }, [], []);
    case "given-up": {
      const count = (state.failures?.count ?? 0) + 1;
      const transactions = (state.pending?.transactions ?? []).map(({ size, hash }) => ({ size, hash }));
      return {
        state: { ...state, pending: undefined, doubt: undefined, failures: { count, lastAt: now } },
        changes: [
          {
            type: "failed",
            transactions,
            reason: event.reason,
            at: now,
            nonce: state.pending?.nonce,
            mined: event.mined,
          },
        ],
      };
    }
    case "reopened":
      return reopened(state, event.gone, now);
    case "halted": {
      const { halt } = state;
      const quiet = halt?.reason === event.reason && (!halt.over || now - halt.recordedAt < HALT_QUIET_MS);
      if (quiet) return { state, changes: [] };
      return {
        state: { ...state, halt: { reason: event.reason, recordedAt: now, over: false } },
        changes: [note(state, "halted", event.reason, now)],
      };
    }
    case "resumed": {
      const { halt } = state;
      if (halt === undefined || halt.over) return { state, changes: [] };
      return {
        state: { ...state, halt: { ...halt, over: true } },
        changes: [note(state, "resumed", halt.reason, now)],
      };
    }
    case "held": {
      const { now: before, recordedAt = {} } = state.held ?? {};
      if (before === event.reason) return { state, changes: [] };
      const last = recordedAt[event.reason];
      const quiet = last !== undefined && now - last < HALT_QUIET_MS;
      return {
        state: {
          ...state,
          held: { now: event.reason, recordedAt: quiet ? recordedAt : { ...recordedAt, [event.reason]: now } },
        },
        changes: quiet ? [] : [note(state, "held", event.reason, now)],
      };
    }
    case "hold-over":
      if (state.held?.now === undefined) return { state, changes: [] };
      return { state: { ...state, held: { recordedAt: state.held.recordedAt } }, changes: [] };
    case "balance": {
      if (event.low === (state.balanceLow ?? false)) return { state, changes: [] };
      const change: AnchorChange = {
        type: "noted",
        note: event.low ? "balance-low" : "balance-restored",
        reason: event.low ? "below-minimum" : "at-or-above-minimum",
        at: now,
      };
      return { state: { ...state, balanceLow: event.low }, changes: [change] };
    }
    case "retry-asked":
      return {
        state: { ...state, urge: state.urge ?? { type: "retry", at: now } },
        changes: [{ ...note(state, "retried", "operator", now), actor: event.actor }],
      };
    case "supersede-asked": {
      const { target, reason, actor } = event;
      const { superseded } = state;
      const urged: AnchorState = { ...state, urge: { type: "supersede", at: now } };
      if (superseded?.size === target.size && superseded.root === target.root && superseded.reason === reason) {
        return { state: urged, changes: [] };
      }
      const { size, root, nonce, txHash, blockNumber, blockHash } = target;
      const change: AnchorChange = {
        type: "noted",
        note: "superseded",
        reason,
        at: now,
        size: target.ours ? size : undefined,
        root,
        nonce,
        txHash,
        blockNumber,
        blockHash,
        actor,
      };
      return { state: { ...urged, superseded: { size, root, reason } }, changes: [change] };
    }
    case "urge-answered":
      return { state: { ...state, urge: undefined }, changes: [] };
  }
}

/**
 * What a view shows that is worth remembering whatever is done next: transactions that came into a block or fell out of one,
 * and a balance that crossed the minimum. To be evolved in order.
 * @param minBalanceWei undefined: the balance is not watched.
 */
export function observedIn(
  state: AnchorState,
  view: ChainView,
  minBalanceWei: bigint | undefined,
): readonly AnchorEvent[] {
  if (view.type === "unreachable") return [];
  const events: AnchorEvent[] = [];
  if (minBalanceWei !== undefined) {
    const low = view.balanceWei < minBalanceWei;
    if (low !== (state.balanceLow ?? false)) events.push({ type: "balance", low });
  }
  for (const { hash, size, root, minedIn } of state.pending?.transactions ?? []) {
    const seen = view.transactions.get(hash);
    if (seen?.type === "mined") {
      const { blockNumber, blockHash } = seen;
      if (!seen.canonical || view.contradicted.has(blockNumber) || minedIn?.blockHash === blockHash) continue;
      if (minedIn !== undefined) events.push({ type: "unmined", hash });
      events.push({ type: "seen-mined", hash, block: { blockNumber, blockHash } });
    } else if (minedIn !== undefined && view.latestBlock >= minedIn.blockNumber) {
      // A node at that height which has another block there, and no trace of the anchor, is on another chain.
      const held = view.contract.type === "present" && view.contract.size === size && view.contract.root === root;
      const ownBlock = view.blocks.get(minedIn.blockNumber);
      const doubtful = held || ownBlock === minedIn.blockHash || view.contradicted.has(minedIn.blockNumber);
      if (!doubtful) events.push({ type: "unmined", hash });
    }
  }
  return events;
}

type Noted = Extract<AnchorChange, { type: "noted" }>;

/** About the anchor in flight, or about the signer when there is none. */
function note(state: AnchorState, type: NoteType, reason: string, at: number): Noted {
  const newest = state.pending?.transactions.at(-1);
  return {
    type: "noted",
    note: type,
    reason,
    at,
    ...(newest === undefined
      ? {}
      : { size: newest.size, root: newest.root, txHash: newest.hash, nonce: state.pending?.nonce }),
  };
}

function withTransaction(
  state: AnchorState,
  hash: string,
  change: (transaction: AnchorTransaction) => AnchorTransaction,
): AnchorState {
  if (state.pending === undefined) return state;
  const transactions = state.pending.transactions.map((one) => (one.hash === hash ? change(one) : one));
  return { ...state, pending: { ...state.pending, transactions } };
}

const REFUSALS: ReadonlySet<BroadcastResult> = new Set([
  "underpriced",
  "nonce-too-low",
  "insufficient-funds",
  "rejected",
]);

/** A refusal is recorded when the nodes said something else the time before. */
function broadcast(state: AnchorState, hash: string, result: BroadcastResult, now: number): Evolved {
  const sent = state.pending?.transactions.find((one) => one.hash === hash);
  if (sent === undefined) return { state, changes: [] };
  const { size, root, refusals = 0 } = sent;
  const news = REFUSALS.has(result) && sent.broadcast?.result !== result && refusals < MAX_RECORDED_DROPS;
  const change: Noted = {
    type: "noted",
    note: "broadcast-refused",
    reason: result,
    at: now,
    size,
    root,
    txHash: hash,
    nonce: state.pending?.nonce,
  };
  return {
    state: withTransaction(state, hash, (one) => ({
      ...one,
      broadcast: { at: now, result },
      ...(news ? { refusals: refusals + 1 } : {}),
    })),
    changes: news ? [change] : [],
  };
}

/** It was with the nodes or in a block, and is not any more. It counts as never sent, so that it is sent at once. */
function lostSight(
  state: AnchorState,
  hash: string,
  type: "dropped" | "reorganized",
  reason: string,
  now: number,
): Evolved {
  const lost = state.pending?.transactions.find((one) => one.hash === hash);
  if (lost === undefined) return { state, changes: [] };
  const drops = lost.drops ?? 0;
  const { size, root, minedIn } = lost;
  const change: Noted = {
    type: "noted",
    note: type,
    reason,
    at: now,
    size,
    root,
    txHash: hash,
    nonce: state.pending?.nonce,
    ...(type === "reorganized" ? minedIn : {}),
  };
  return {
    state: withTransaction(state, hash, (one) => ({
      ...one,
      minedIn: undefined,
      broadcast: undefined,
      drops: Math.min(drops + 1, MAX_RECORDED_DROPS),
    })),
    changes: drops < MAX_RECORDED_DROPS ? [change] : [],
  };
}

const briefly = ({ size, txHash, blockNumber, blockHash }: EarlierAnchor): EarlierAnchor => ({
  size,
  txHash,
  blockNumber,
  blockHash,
});

const reorganized = (gone: readonly EarlierAnchor[], at: number): readonly AnchorChange[] =>
  gone.length === 0
    ? []
    : [
        {
          type: "failed",
          transactions: gone.map(({ size, txHash }) => ({ size, hash: txHash })),
          reason: "reorganized",
          at,
          lostBlocks: gone.map(briefly),
        },
      ];

function withConfirmed(
  state: AnchorState,
  anchor: ConfirmedAnchor,
  lost: readonly { readonly size: number; readonly hash: string }[],
  gone: readonly EarlierAnchor[],
): Evolved {
  const stands = (one: EarlierAnchor): boolean =>
    one.size !== anchor.size && !gone.some((other) => other.txHash === one.txHash);
  const before = state.confirmed === undefined ? [] : [briefly(state.confirmed)];
  const earlier = [...before, ...(state.earlier ?? [])].filter(stands).slice(0, MAX_EARLIER);
  const { superseded } = state;
  return {
    state: {
      ...state,
      confirmed: anchor,
      pending: undefined,
      failures: undefined,
      doubt: undefined,
      earlier,
      superseded: superseded !== undefined && anchor.size > superseded.size ? undefined : superseded,
    },
    changes: [...reorganized(gone, anchor.confirmedAt), { type: "confirmed", anchor, lost: [...lost] }],
  };
}

/** The newest anchor goes back in flight as it was; what was in flight behind it has lost its nonce's predecessor. */
function reopened(state: AnchorState, gone: readonly EarlierAnchor[], now: number): Evolved {
  const { confirmed } = state;
  if (confirmed === undefined) return { state, changes: [] };
  const behind = (state.pending?.transactions ?? []).map(({ size, hash }) => ({ size, hash }));
  const abandoned: readonly AnchorChange[] =
    behind.length === 0
      ? []
      : [{ type: "failed", transactions: behind, reason: "nonce-gap", at: now, nonce: state.pending?.nonce }];
  const isGone = (one: EarlierAnchor): boolean => gone.some((other) => other.txHash === one.txHash);
  const all = isGone(confirmed) ? gone : [briefly(confirmed), ...gone];
  const rest: AnchorState = {
    ...state,
    confirmed: undefined,
    pending: undefined,
    failures: undefined,
    doubt: undefined,
    earlier: (state.earlier ?? []).filter((one) => !isGone(one)),
  };
  const lost = [...abandoned, ...reorganized(all, now)];
  if (confirmed.sent === undefined) return { state: rest, changes: lost };
  const { nonce } = confirmed.sent;
  const transaction = { ...confirmed.sent.transaction, broadcast: undefined, minedIn: undefined };
  return {
    state: { ...rest, pending: { nonce, transactions: [transaction] } },
    changes: [...lost, { type: "submitted", nonce, transaction, reason: "reorganized", at: now }],
  };
}
