/**
 * One call to the operator from permit to conclusion: a permit, a fresh signature, the exchange, what it says about the circuit,
 * and what it lets us conclude. Clock and network are ports, so that the whole of it runs in simulations.
 */
import {
  answerOfLookup,
  classifyLookup,
  classifyPage,
  classifySend,
  type Exchange,
  isOperatorFailure,
  retryAfterMsOf,
} from "./classify.ts";
import { JITTER_MS, type Priority } from "./permits.ts";
import type { PayersOperator } from "./records.ts";

/** The limiter's answer; `heldMs` is how long it kept the call. */
export type PermitAnswer =
  | { readonly type: "permit"; readonly heldMs: number }
  | { readonly type: "refused"; readonly reason: string; readonly retryAfterMs: number };

export interface OperatorCall {
  readonly method: "GET" | "POST";
  /** From the base URL on, with its query. */
  readonly path: string;
  /** Empty for a GET. */
  readonly body: string;
  readonly correlationId: string;
}

export interface OperatorPorts {
  readonly acquire: (request: { readonly clinicKey: string; readonly priority: Priority }) => Promise<PermitAnswer>;
  readonly report: (report: {
    readonly failed: boolean;
    readonly key: string;
    readonly retryAfterMs?: number;
  }) => Promise<void>;
  /** Signs and sends; never throws. */
  readonly exchange: (call: OperatorCall) => Promise<Exchange>;
  readonly now: () => number;
  readonly noted: (event: CallNote) => void;
}

/** For the log: nothing in it names a person. */
export type CallResult = "2xx" | "429" | "4xx" | "5xx" | "other" | "no-answer" | "not-sent";

export interface CallNote {
  readonly correlationId: string;
  /** What was asked, in one word, and how it ended. */
  readonly operation: "send" | "find" | "page";
  readonly outcome: string;
  readonly result: CallResult;
  readonly status: number | undefined;
  readonly durationMs: number;
}

/** Questions that name no clinic share one place among the clinics, and so do those of reconciliation. */
const NO_CLINIC = "-";
const PAGE_LIMIT = 200;
const MAX_STALE_PERMITS = 3;
const STALE_RETRY_MS = 1_000;

type Attempt =
  | { readonly type: "exchanged"; readonly exchange: Exchange; readonly durationMs: number }
  | { readonly type: "stopped"; readonly retryAfterMs: number };

export function operatorOver(ports: OperatorPorts): PayersOperator {
  const { now } = ports;

  /** A permit that was long on its way is thrown away: its slot has passed, and the call would meet those of later slots. */
  async function permitted(clinicKey: string, priority: Priority): Promise<number | undefined> {
    for (let tries = 0; tries < MAX_STALE_PERMITS; tries++) {
      const askedAt = now();
      const permit = await ports.acquire({ clinicKey, priority });
      if (permit.type === "refused") return permit.retryAfterMs;
      if (now() - askedAt - permit.heldMs <= JITTER_MS.permit) return undefined;
    }
    return STALE_RETRY_MS;
  }

  async function attempt(call: OperatorCall, key: string, clinicKey: string, priority: Priority): Promise<Attempt> {
    const retryAfterMs = await permitted(clinicKey, priority);
    if (retryAfterMs !== undefined) return { type: "stopped", retryAfterMs: Math.max(1, Math.ceil(retryAfterMs)) };
    const startedAt = now();
    const exchange = await ports.exchange(call);
    const endedAt = now();
    const throttled = exchange.type === "answered" && exchange.status === 429;
    await ports.report({
      key,
      failed: isOperatorFailure(exchange),
      ...(throttled ? { retryAfterMs: retryAfterMsOf(exchange.retryAfter, endedAt) } : {}),
    });
    return { type: "exchanged", exchange, durationMs: endedAt - startedAt };
  }

  const note = (
    operation: CallNote["operation"],
    { correlationId }: OperatorCall,
    made: Attempt,
    outcome: string,
  ): void =>
    ports.noted({
      operation,
      correlationId,
      outcome,
      result: resultOf(made),
      status: made.type === "exchanged" && made.exchange.type === "answered" ? made.exchange.status : undefined,
      durationMs: made.type === "exchanged" ? made.durationMs : 0,
    });

  const lookUp: PayersOperator["lookUp"] = async (
    refId,
    { correlationId, clinicKey = NO_CLINIC, priority = "urgent" },
  ) => {
    const path = `/v2/transactions?transactionId=${encodeURIComponent(refId)}`;
    const call = { method: "GET", path, body: "", correlationId } as const;
    const made = await attempt(call, refId, clinicKey, priority);
    const lookup =
      made.type === "stopped"
        ? ({ kind: "not_sent", retryAfterMs: made.retryAfterMs } as const)
        : classifyLookup(made.exchange, refId, now());
    note("find", call, made, lookup.kind === "found" ? lookup.transaction.status : lookup.kind);
    return lookup;
  };

  return {
    lookUp,

    async send({ refId, type, amountCents, currency, reverses, correlationId, clinicKey }, priority = "normal") {
      const body = JSON.stringify({ transactionId: refId, type, amountCents, currency, reverses });
      const call = { method: "POST", path: "/v2/transactions", body, correlationId } as const;
      const made = await attempt(call, refId, clinicKey, priority);
      const answer =
        made.type === "stopped"
          ? ({ kind: "not_sent", retryAfterMs: made.retryAfterMs } as const)
          : classifySend(made.exchange, refId, { type, amountCents, currency }, now());
      note("send", call, made, answer.kind);
      return answer;
    },

    async find(refId, correlationId, { clinicKey, ...expected } = {}) {
      const lookup = await lookUp(refId, { correlationId, ...(clinicKey === undefined ? {} : { clinicKey }) });
      return answerOfLookup(lookup, expected);
    },

    async page({ from, to, cursor, correlationId = "reconciliation" }) {
      const query = new URLSearchParams({
        from,
        to,
        limit: String(PAGE_LIMIT),
        ...(cursor === null ? {} : { cursor }),
      });
      const call = { method: "GET", path: `/v2/transactions?${query}`, body: "", correlationId } as const;
      const made = await attempt(call, "page", NO_CLINIC, "bulk");
      const page =
        made.type === "stopped"
          ? ({ ok: false, kind: "not_sent", retryAfterMs: made.retryAfterMs } as const)
          : classifyPage(made.exchange, now());
      note("page", call, made, page.ok ? "listed" : page.kind);
      return page;
    },
  };
}

function resultOf(made: Attempt): CallResult {
  if (made.type === "stopped") return "not-sent";
  if (made.exchange.type === "no-answer") return "no-answer";
  const { status } = made.exchange;
  if (status === 429) return "429";
  const classes = { 2: "2xx", 4: "4xx", 5: "5xx" } as const;
  const hundreds = Math.floor(status / 100);
  return hundreds === 2 || hundreds === 4 || hundreds === 5 ? classes[hundreds] : "other";
}
