/**
 * What the rest of core asks of the payer's operator, and what it may conclude from an answer. The seam between the driver, which
 * decides when to call, and the gateway, which makes one call: a permit, a signature, a bound on time and size, a classification.
 */

export const OPERATOR_TRANSACTION_TYPES = ["payment", "reversal", "adjustment"] as const;
export type OperatorTransactionType = (typeof OPERATOR_TRANSACTION_TYPES)[number];

/** In the operator's words; see docs/operator-api.md. */
export const OPERATOR_STATUSES = ["ACCEPTED", "COMPLETED", "REJECTED"] as const;
export type OperatorStatus = (typeof OPERATOR_STATUSES)[number];

/** A transaction as the operator shows it. */
export interface OperatorTransaction {
  /** Our refId. */
  readonly transactionId: string;
  readonly operatorTransactionId: string;
  readonly type: OperatorTransactionType;
  /** Minor units; negative for an adjustment downwards. */
  readonly amountCents: number;
  readonly currency: string;
  readonly status: OperatorStatus;
  /** Of a rejection; a closed code. */
  readonly reason: string | null;
  /** Epoch ms, by the operator's clock. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What an answer lets us conclude about one transaction. */
export type OperatorAnswer =
  /** `accepted`: taken and not yet carried out. */
  | { readonly kind: "accepted" | "completed"; readonly operatorTransactionId: string }
  /** Refused by a business rule: surely no effect, and the same again would be refused again. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** Asked for, and the operator has no such transaction. */
  | { readonly kind: "unknown_transaction" }
  /** Surely no effect: no permit, an open circuit, or refused before it was looked at. */
  | { readonly kind: "not_sent"; readonly retryAfterMs: number }
  /** It may have taken effect: ask before anything is sent again. */
  | { readonly kind: "unknown" };

export interface OperatorSend {
  readonly refId: string;
  readonly type: OperatorTransactionType;
  readonly amountCents: number;
  readonly currency: string;
  /** refId of what a reversal reverses. */
  readonly reverses: string | null;
  readonly correlationId: string;
  /** Opaque (the tenant's id): permits go round the clinics. */
  readonly clinicKey: string;
}

/** What is known of the transaction that is asked for. An answer about another amount or currency is `unknown`. */
export interface OperatorExpectation {
  readonly clinicKey?: string;
  readonly amountCents?: number;
  readonly currency?: string;
}

export interface OperatorPageQuery {
  /** YYYY-MM-DD, UTC, both included. */
  readonly from: string;
  readonly to: string;
  readonly cursor: string | null;
  readonly correlationId?: string;
}

export type OperatorPage =
  /** In rising order of transactionId. */
  | { readonly ok: true; readonly transactions: readonly OperatorTransaction[]; readonly nextCursor: string | null }
  | { readonly ok: false; readonly retryAfterMs: number; readonly reason: string };

export interface OperatorGateway {
  send(transaction: OperatorSend): Promise<OperatorAnswer>;
  find(refId: string, correlationId: string, expected?: OperatorExpectation): Promise<OperatorAnswer>;
  page(query: OperatorPageQuery): Promise<OperatorPage>;
}
