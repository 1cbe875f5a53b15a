/** What an operator may do about an item. Nothing is sent again before the operator said that it does not have it. */
import {
  type OperatorAnswer,
  type OperatorTransaction,
  SETTLEMENT_TYPES,
  type SettlementType,
} from "../operator/gateway.ts";
import type { TransactionLookup } from "../operator/records.ts";
import { compareBoth, compareOurs, compareTheirs, type MismatchKind, type OurSettlement } from "./compare.ts";
import { type Item, type OurSide, ourSide, type Resolution, type TheirSide, theirSide } from "./items.ts";

export type Decision = { readonly action: "ask" | "replay" } | { readonly action: "accept"; readonly reason: string };

export type Resolved =
  | { readonly type: "resolved"; readonly resolution: Resolution; readonly reason: string | null }
  | { readonly type: "differs" | "refused"; readonly ours: OurSide | null; readonly theirs: TheirSide | null }
  | { readonly type: "not_replayable"; readonly detail: string }
  | { readonly type: "no_answer" }
  | { readonly type: "not_sent"; readonly retryAfterMs: number };

export interface ResolvePorts {
  readonly ours: () => Promise<OurSettlement | undefined>;
  readonly lookUp: () => Promise<TransactionLookup>;
  readonly send: (ours: OurSettlement & { readonly type: SettlementType }) => Promise<OperatorAnswer>;
  readonly now: () => number;
}

export async function resolveBy(
  decision: Decision,
  item: Item,
  toleranceMs: number,
  ports: ResolvePorts,
): Promise<Resolved> {
  if (decision.action === "accept") return { type: "resolved", resolution: "accepted", reason: decision.reason };
  const ours = await ports.ours();
  if (decision.action === "replay") {
    const fault = replayFault(item, ours);
    if (fault !== undefined) return { type: "not_replayable", detail: fault };
  }
  const lookup = await ports.lookUp();
  if (lookup.kind === "unknown") return { type: "no_answer" };
  if (lookup.kind === "not_sent") return { type: "not_sent", retryAfterMs: lookup.retryAfterMs };
  if (decision.action === "replay" && lookup.kind === "unknown_transaction" && ours !== undefined && hasType(ours)) {
    return replay(ours, ports);
  }
  const theirs = lookup.kind === "found" ? lookup.transaction : undefined;
  const kinds = differences(ours, theirs, toleranceMs, ports.now());
  if (!kinds.includes(item.kind)) return { type: "resolved", resolution: "agreed", reason: null };
  return {
    type: "differs",
    ours: ours === undefined ? null : ourSide(ours),
    theirs: theirs === undefined ? null : theirSide(theirs),
  };
}

function differences(
  ours: OurSettlement | undefined,
  theirs: OperatorTransaction | undefined,
  toleranceMs: number,
  now: number,
): readonly MismatchKind[] {
  if (ours !== undefined && theirs !== undefined) return compareBoth(ours, theirs, toleranceMs, now).kinds;
  if (ours !== undefined) return compareOurs(ours, true, toleranceMs, now).kinds;
  return theirs === undefined ? [] : compareTheirs(theirs, toleranceMs, now).kinds;
}

const hasType = (ours: OurSettlement): ours is OurSettlement & { readonly type: SettlementType } =>
  SETTLEMENT_TYPES.some((type) => type === ours.type);

function replayFault(item: Item, ours: OurSettlement | undefined): string | undefined {
  if (item.kind !== "missing_at_operator" || ours === undefined) {
    return "Only what is here and missing at the operator can be sent again.";
  }
  return ours.status === "COMPLETED"
    ? undefined
    : "This settlement is not completed: it is driven, and replayed, by its own routes.";
}

async function replay(
  ours: OurSettlement & { readonly type: SettlementType },
  { send }: ResolvePorts,
): Promise<Resolved> {
  const answer = await send(ours);
  switch (answer.kind) {
    case "accepted":
    case "completed":
      return { type: "resolved", resolution: "replayed", reason: null };
    case "rejected":
      return { type: "refused", ours: ourSide(ours), theirs: null };
    case "not_sent":
      return { type: "not_sent", retryAfterMs: answer.retryAfterMs };
    case "unknown":
    case "unknown_transaction":
      return { type: "no_answer" };
  }
}
