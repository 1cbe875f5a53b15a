/** Mismatches as things to be dealt with: each has a state, may have an owner, and ends with a resolution. */
import type { OperatorTransaction } from "../operator/gateway.ts";
import type { MismatchKind, OurSettlement } from "./compare.ts";

export const RESOLUTIONS = ["agreed", "gone", "replayed", "accepted"] as const;
/** `agreed`: asked again, both sides say the same. `gone`: a later run no longer saw it. `accepted`: somebody said why it may stand. */
export type Resolution = (typeof RESOLUTIONS)[number];

export interface OurSide {
  readonly type: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly status: string;
}

export interface TheirSide extends OurSide {
  readonly operatorTransactionId: string;
}

/** A mismatch as a comparison finds it. */
export interface Finding {
  readonly refId: string;
  readonly kind: MismatchKind;
  readonly day: string;
  readonly tenantId: string | null;
  readonly ours: OurSide | null;
  readonly theirs: TheirSide | null;
}

export interface Item extends Finding {
  readonly itemId: number;
  readonly state: "open" | "resolved";
  readonly owner: string | null;
  readonly resolution: Resolution | null;
  readonly reason: string | null;
  readonly resolvedBy: string | null;
  readonly runId: string;
  /** Epoch ms. */
  readonly foundAt: number;
  readonly seenAt: number;
  readonly resolvedAt: number | null;
}

export const ourSide = ({ type, amountCents, currency, status }: OurSettlement): OurSide => ({
  type,
  amountCents,
  currency,
  status,
});

export const theirSide = ({
  type,
  amountCents,
  currency,
  status,
  operatorTransactionId,
}: OperatorTransaction): TheirSide => ({
  type,
  amountCents,
  currency,
  status: status.toUpperCase(),
  operatorTransactionId,
});

/** The reason of an item that a run closes. */
export const NOT_SEEN_AGAIN = "NOT-SEEN-AGAIN";
