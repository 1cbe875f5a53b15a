/** The payer's operator as the settlement hub sees it: what may be asked of it, and what an answer tells. */

export const SETTLEMENT_TYPES = ["payment", "reversal", "adjustment"] as const;
export type SettlementType = (typeof SETTLEMENT_TYPES)[number];

/** A transaction on its way to the operator. Nothing in it names a person. */
export interface OutgoingTransaction {
  /** Made by core, unique over all tenants; the operator's `transactionId` for us. */
  readonly refId: string;
  readonly type: SettlementType;
  /** Integer minor units of `currency`; only an adjustment may be negative. */
  readonly amountCents: number;
  readonly currency: string;
  /** refId of the transaction that this one reverses. */
  readonly reverses: string | null;
  readonly correlationId: string;
  /** Opaque: what permits are shared fairly by. */
  readonly clinicKey: string;
}

/** What one call told. `not_sent` and `rejected` surely had no effect; `unknown` may have had one. */
export type OperatorAnswer =
  /** The operator has it, and its money has not moved yet. */
  | { readonly kind: "accepted"; readonly operatorTransactionId: string }
  | { readonly kind: "completed"; readonly operatorTransactionId: string }
  /** A rule of the operator refused it, for good. The reason is a closed code. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** Asked about a transaction that the operator never had. */
  | { readonly kind: "unknown_transaction" }
  /** Refused before sending (limiter, breaker), or by the operator before it looked (429). */
  | { readonly kind: "not_sent"; readonly retryAfterMs: number }
  /** Timeout, 5xx, or the answer was lost. */
  | { readonly kind: "unknown" };

/** A transaction as the operator lists it. */
export interface OperatorTransaction {
  /** Our refId. */
  readonly transactionId: string;
  readonly operatorTransactionId: string;
  readonly type: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly status: "accepted" | "completed" | "rejected";
  /** RFC 3339, when the operator recorded it. */
  readonly createdAt: string;
}

export interface PageQuery {
  /** RFC 3339, inclusive. */
  readonly from: string;
  /** RFC 3339, exclusive. */
  readonly to: string;
  readonly cursor: string | null;
}

export type PageAnswer =
  | {
      readonly ok: true;
      readonly transactions: readonly OperatorTransaction[];
      /** Null: this was the last page. */
      readonly nextCursor: string | null;
    }
  | { readonly ok: false; readonly kind: "not_sent"; readonly retryAfterMs: number }
  | { readonly ok: false; readonly kind: "unknown" };

/** Every call takes its permit of the operator's limit by itself, questions included. */
export interface OperatorGateway {
  /** Only for a transaction that the operator surely does not have: after `unknown`, `find` comes first. */
  send(transaction: OutgoingTransaction): Promise<OperatorAnswer>;
  find(refId: string, correlationId: string): Promise<OperatorAnswer>;
  page(query: PageQuery): Promise<PageAnswer>;
}
