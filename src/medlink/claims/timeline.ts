/**
 * Everything that happened to a claim, in order: what the hub knows of itself, and what the ledger says of its request. An event
 * that both know is one event, with the ledger's time and place.
 */
import { REQUEST_EVENT_TYPES } from "../../relay/event-type.ts";
import type { ClaimStatus } from "./claim.ts";
import { type Decision, statusOfEvent } from "./claim-state.ts";

export interface HubEvent {
  readonly kind: string;
  readonly status: ClaimStatus;
  readonly actor: string;
  readonly detail: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly ledgerSeq: number | null;
  readonly entryHash: string | null;
}

export interface LedgerFact {
  readonly type: string;
  readonly at: number;
  readonly seq: number;
  /** 64 hex digits. */
  readonly entryHash: string;
  readonly decision: Decision | undefined;
}

/** How far an anchor on the chain reaches: every entry before `size`. */
export interface AnchorFact {
  readonly size: number;
  readonly txHash: string;
}

export interface LedgerPlace {
  readonly seq: number;
  readonly entryHash: string;
  /** null: not known, core did not say. */
  readonly anchored: boolean | null;
  readonly txHash: string | null;
}

export interface TimelineEvent {
  readonly kind: string;
  readonly status: ClaimStatus;
  readonly actor: string;
  readonly detail: string | null;
  readonly at: number;
  readonly ledger: LedgerPlace | null;
}

/** The smallest anchor that holds the entry, which is the one that held it first. */
const anchorOf = (seq: number, anchors: readonly AnchorFact[]): AnchorFact | undefined =>
  anchors.filter(({ size }) => size > seq).toSorted((a, b) => a.size - b.size)[0];

/**
 * @param ledger undefined: core did not answer. The hub's own events are then all there is, and anchors are not known.
 * @param anchors those that core named for any of these entries.
 */
export function mergeTimeline(
  own: readonly HubEvent[],
  ledger: readonly LedgerFact[] | undefined,
  anchors: readonly AnchorFact[],
): readonly TimelineEvent[] {
  const facts = new Map((ledger ?? []).map((fact) => [fact.seq, fact]));
  const place = (seq: number, entryHash: string): LedgerPlace => {
    const anchor = anchorOf(seq, anchors);
    return {
      seq,
      entryHash,
      anchored: anchor !== undefined ? true : ledger === undefined ? null : false,
      txHash: anchor?.txHash ?? null,
    };
  };
  const seen = new Set<number>();
  const events: (Omit<TimelineEvent, "status"> & { readonly status: ClaimStatus | undefined })[] = own.map((event) => {
    const { kind, status, actor, detail } = event;
    if (event.ledgerSeq === null || event.entryHash === null) {
      return { kind, status, actor, detail, at: event.at, ledger: null };
    }
    seen.add(event.ledgerSeq);
    const at = facts.get(event.ledgerSeq)?.at ?? event.at;
    return { kind, status, actor, detail, at, ledger: place(event.ledgerSeq, event.entryHash) };
  });
  for (const { type, at, seq, entryHash, decision } of facts.values()) {
    if (seen.has(seq)) continue;
    const known = REQUEST_EVENT_TYPES.find((eventType) => eventType === type);
    const status = known === undefined ? undefined : statusOfEvent(known, decision);
    events.push({ kind: type, status, actor: "itrans", detail: null, at, ledger: place(seq, entryHash) });
  }
  let last: ClaimStatus = "draft";
  return inOrder(events).map((event) => {
    last = event.status ?? last;
    return { ...event, status: last };
  });
}

/** By time; the ledger's own order stands between its entries, whatever the clocks said. */
function inOrder<Event extends { readonly at: number; readonly ledger: LedgerPlace | null }>(
  events: readonly Event[],
): readonly Event[] {
  const ordered = events.toSorted((a, b) => a.at - b.at);
  const entries = ordered.filter(({ ledger }) => ledger !== null);
  const bySeq = entries.toSorted((a, b) => (a.ledger?.seq ?? 0) - (b.ledger?.seq ?? 0));
  let next = 0;
  return ordered.map((event) => (event.ledger === null ? event : (bySeq[next++] ?? event)));
}
