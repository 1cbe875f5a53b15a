/**
 * What a call to the operator may be concluded to have done: docs/operator-api.md, row by row. Whatever that page does not promise to
 * be without effect may have had one.
 */
import * as z from "zod";
import { type OperatorAnswer, type OperatorTransaction, SETTLEMENT_TYPES } from "./gateway.ts";
import type { OperatorExpectation, TransactionLookup } from "./records.ts";

export type Exchange =
  | {
      readonly type: "answered";
      readonly status: number;
      /** The value of Retry-After. */
      readonly retryAfter: string | null;
      /** Undefined when it was cut off or longer than we read. */
      readonly body: string | undefined;
    }
  /** A timeout, a broken connection, a refused one: a caller can not tell which of them came after the effect. */
  | { readonly type: "no-answer" };

const statusSchema = z.enum(["ACCEPTED", "COMPLETED", "REJECTED"]);
const STATUS = { ACCEPTED: "accepted", COMPLETED: "completed", REJECTED: "rejected" } as const;

/** Fields that a later version of the operator adds are no reason to lose sight of a transaction. */
const transactionSchema = z.object({
  transactionId: z.string().min(1).max(64),
  operatorTransactionId: z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/),
  type: z.enum(SETTLEMENT_TYPES),
  amountCents: z.int(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  status: statusSchema,
  reason: z.string().nullable().optional(),
  createdAt: z.iso.datetime(),
});

const pageSchema = z.object({
  transactions: z.array(transactionSchema).max(500),
  nextCursor: z.string().min(1).max(500).nullable(),
});

const errorSchema = z.object({ error: z.object({ code: z.string() }) });

/** Reasons and codes become closed codes of ours: they enter entries and logs. */
const CODE = /^[A-Z0-9_-]{1,40}$/;
export const codeOf = (text: string | null | undefined): string => {
  const code = (text ?? "").toUpperCase();
  return CODE.test(code) ? code.replaceAll("_", "-") : "OPERATOR-REJECTED";
};

const DEFAULT_RETRY_AFTER_MS = 5_000;
/** A refused signature or a stale clock does not mend itself; the settlement waits for whoever mends it. */
const MISCONFIGURED_RETRY_MS = 60_000;
const MAX_RETRY_AFTER_S = 86_400;

/** Of a 429: whole seconds, or a date. */
export function retryAfterMsOf(value: string | null, now: number): number {
  if (value === null) return DEFAULT_RETRY_AFTER_MS;
  if (/^\d{1,9}$/.test(value)) return Math.min(Number(value), MAX_RETRY_AFTER_S) * 1_000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? DEFAULT_RETRY_AFTER_MS : Math.min(Math.max(0, at - now), MAX_RETRY_AFTER_S * 1_000);
}

function parsed<Schema extends z.ZodType>(schema: Schema, body: string | undefined): z.output<Schema> | undefined {
  if (body === undefined) return undefined;
  try {
    const result = schema.safeParse(JSON.parse(body));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}

const errorCodeOf = (body: string | undefined): string | undefined => parsed(errorSchema, body)?.error.code;

type Shown = z.output<typeof transactionSchema>;

function answerOf(shown: Shown): OperatorAnswer {
  const { operatorTransactionId } = shown;
  switch (shown.status) {
    case "ACCEPTED":
      return { kind: "accepted", operatorTransactionId };
    case "COMPLETED":
      return { kind: "completed", operatorTransactionId };
    case "REJECTED":
      return { kind: "rejected", reason: codeOf(shown.reason) };
  }
}

const isAbout = (shown: Shown, refId: string, expected: OperatorExpectation): boolean =>
  shown.transactionId === refId &&
  (expected.type === undefined || shown.type === expected.type) &&
  (expected.amountCents === undefined || shown.amountCents === expected.amountCents) &&
  (expected.currency === undefined || shown.currency === expected.currency);

/** Refusals that the page says were made before anything was looked at; undefined for every other answer. */
function refusal(exchange: Exchange, now: number): OperatorAnswer | undefined {
  if (exchange.type === "no-answer") return undefined;
  const { status, retryAfter, body } = exchange;
  if (status === 429) return { kind: "not_sent", retryAfterMs: retryAfterMsOf(retryAfter, now) };
  if (status === 401 && errorCodeOf(body) !== undefined)
    return { kind: "not_sent", retryAfterMs: MISCONFIGURED_RETRY_MS };
  return undefined;
}

/** Of `POST /v2/transactions`. An answer about another amount than was sent is no answer to it. */
export function classifySend(
  exchange: Exchange,
  refId: string,
  sent: OperatorExpectation,
  now: number,
): OperatorAnswer {
  const refused = refusal(exchange, now);
  if (refused !== undefined) return refused;
  if (exchange.type === "no-answer") return { kind: "unknown" };
  const { status, body } = exchange;
  if (status === 200 || status === 201) {
    const shown = parsed(transactionSchema, body);
    return shown !== undefined && isAbout(shown, refId, sent) ? answerOf(shown) : { kind: "unknown" };
  }
  // A page of some proxy on the way has no such code, and proves nothing.
  const code = errorCodeOf(body);
  if ((status === 400 || status === 422) && code !== undefined) return { kind: "rejected", reason: codeOf(code) };
  // 409 is here too: under our id there is something, and only asking tells what.
  return { kind: "unknown" };
}

/** Of `GET /v2/transactions?transactionId=`. */
export function classifyLookup(exchange: Exchange, refId: string, now: number): TransactionLookup {
  const refused = refusal(exchange, now);
  if (refused?.kind === "not_sent") return refused;
  if (exchange.type === "no-answer") return { kind: "unknown" };
  const { status, body } = exchange;
  if (status === 404 && errorCodeOf(body) === "unknown_transaction") return { kind: "unknown_transaction" };
  const shown = status === 200 ? parsed(transactionSchema, body) : undefined;
  if (shown === undefined || shown.transactionId !== refId) return { kind: "unknown" };
  return {
    kind: "found",
    transaction: transactionOf(shown),
    reason: shown.status === "REJECTED" ? codeOf(shown.reason) : null,
  };
}

/** What a lookup says about the transaction that was meant. */
export function answerOfLookup(lookup: TransactionLookup, expected: OperatorExpectation): OperatorAnswer {
  if (lookup.kind !== "found") return lookup;
  const { transaction, reason } = lookup;
  const { type, amountCents, currency } = transaction;
  const differs =
    (expected.type !== undefined && expected.type !== type) ||
    (expected.amountCents !== undefined && expected.amountCents !== amountCents) ||
    (expected.currency !== undefined && expected.currency !== currency);
  if (differs) return { kind: "unknown" };
  const { operatorTransactionId } = transaction;
  switch (transaction.status) {
    case "accepted":
      return { kind: "accepted", operatorTransactionId };
    case "completed":
      return { kind: "completed", operatorTransactionId };
    case "rejected":
      return { kind: "rejected", reason: reason ?? codeOf(null) };
  }
}

const transactionOf = ({ status, reason: _, ...shown }: Shown): OperatorTransaction => ({
  ...shown,
  status: STATUS[status],
});

export type ClassifiedPage =
  | { readonly ok: true; readonly transactions: readonly OperatorTransaction[]; readonly nextCursor: string | null }
  | { readonly ok: false; readonly kind: "not_sent"; readonly retryAfterMs: number }
  | { readonly ok: false; readonly kind: "unknown" };

/** Of the list. A page out of order, or not after the one before, would make transactions look missing: it is no page. */
export function classifyPage(exchange: Exchange, now: number): ClassifiedPage {
  const refused = refusal(exchange, now);
  if (refused?.kind === "not_sent") return { ok: false, ...refused };
  const page = exchange.type === "answered" && exchange.status === 200 ? parsed(pageSchema, exchange.body) : undefined;
  if (page === undefined) return { ok: false, kind: "unknown" };
  const rises = page.transactions.every((one, i, all) => {
    const before = all[i - 1];
    return before === undefined || before.transactionId < one.transactionId;
  });
  // A page that is empty and not the last would be asked for without end.
  if (!rises || (page.transactions.length === 0 && page.nextCursor !== null)) return { ok: false, kind: "unknown" };
  return { ok: true, transactions: page.transactions.map(transactionOf), nextCursor: page.nextCursor };
}

/** Whether the operator failed as such, for its circuit. */
export const isOperatorFailure = (exchange: Exchange): boolean =>
  exchange.type === "no-answer" || exchange.status === 408 || (exchange.status >= 500 && exchange.status <= 599);
