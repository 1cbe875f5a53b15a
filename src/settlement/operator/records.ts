/** The operator's books as they are compared with ours: what reconciliation asks beyond what the driver does. */
import type { OperatorAnswer, OperatorGateway, OperatorTransaction, PageAnswer, PageQuery } from "./gateway.ts";
import type { Priority } from "./permits.ts";

/** What is known of the transaction that is asked for; an answer about another one is `unknown`. */
export interface OperatorExpectation {
  readonly type?: string;
  readonly amountCents?: number;
  readonly currency?: string;
}

export type TransactionLookup =
  | {
      readonly kind: "found";
      readonly transaction: OperatorTransaction;
      /** Of a rejection; a closed code. */
      readonly reason: string | null;
    }
  | Extract<OperatorAnswer, { readonly kind: "unknown_transaction" | "not_sent" | "unknown" }>;

export interface CallTerms {
  readonly correlationId: string;
  /** Opaque; permits go round the clinics. Without it, the questions of all count as one clinic's. */
  readonly clinicKey?: string;
  readonly priority?: Priority;
}

export interface OperatorBooks {
  lookUp(refId: string, terms: CallTerms): Promise<TransactionLookup>;
  page(query: PageQuery & { readonly correlationId?: string }): Promise<PageAnswer>;
}

/** The gateway as it is made: what the driver needs, with terms that it may give, and the books. */
export interface PayersOperator extends OperatorGateway, OperatorBooks {
  find(
    refId: string,
    correlationId: string,
    expected?: OperatorExpectation & { readonly clinicKey?: string },
  ): Promise<OperatorAnswer>;
  send(transaction: Parameters<OperatorGateway["send"]>[0], priority?: Priority): Promise<OperatorAnswer>;
  page(query: PageQuery & { readonly correlationId?: string }): Promise<PageAnswer>;
}
