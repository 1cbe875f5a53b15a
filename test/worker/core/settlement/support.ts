/** What tests of settlements share: subjects to settle, an operator in memory, and the driver over it. */
import { createExecutionContext } from "cloudflare:test";
import { expect } from "vitest";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { type DriveParts, drainSettlements } from "../../../../src/settlement/drive.edge.ts";
import type {
  OperatorAnswer,
  OperatorGateway,
  OutgoingTransaction,
} from "../../../../src/settlement/operator/gateway.ts";
import { sequence } from "../../../../src/workflow/sequencer.client.ts";
import { call, EMPTY, KEYS, payloadOf, signed, submit, testEnv } from "../support.ts";

export const CLAIMS = KEYS.CLAIMS_API_KEY;
export const OPERATOR = KEYS.OPERATOR_API_KEY;

let named = 0;

/** A final claim. @returns its id and hash. */
export async function finalClaim(over: Readonly<Record<string, unknown>> = {}) {
  const { json } = await call("/claims", { method: "POST", key: CLAIMS, body: signed(payloadOf(over)) });
  await call(`/claims/${json.claimId}/finalize`, { ...EMPTY, key: CLAIMS });
  return { claimId: String(json.claimId), claimIdHash: String(json.claimIdHash) };
}

/** An approved request. */
export async function approvedRequest(over: Readonly<Record<string, unknown>> = {}, path = "/workflow/claims") {
  named += 1;
  const requestId = `STL-${named}`;
  const { json } = await submit(signed(payloadOf(over), { externalRequestId: requestId }), path);
  await call(`/workflow/requests/${requestId}/adjudicate`, { method: "POST", body: { decision: "APPROVED" } });
  return { requestId, requestIdHash: String(json.requestIdHash) };
}

export const newKey = (): string => `key-${crypto.randomUUID()}`;

/** POST /settlements under a key of its own, unless one is given. */
export const ask = (body: unknown, options: { readonly key?: string; readonly idempotencyKey?: string } = {}) =>
  call("/settlements", {
    method: "POST",
    key: options.key ?? OPERATOR,
    body,
    headers: { "idempotency-key": options.idempotencyKey ?? newKey() },
  });

export const shown = (refId: string, key: string = OPERATOR) => call(`/settlements/${refId}`, { key });

export const entryTypes = async (subject: string): Promise<readonly string[]> => {
  const { results } = await testEnv.DB.prepare(
    "SELECT body ->> 'type' AS type FROM ledger_entries WHERE subject = ? ORDER BY seq",
  )
    .bind(subject)
    .all<{ type: string }>();
  return results.map(({ type }) => type);
};

export type Behaviour = "completed" | "accepted" | "rejected" | "lost" | "lost, but done" | "not_sent";

/** An operator that remembers what it did, and what it was told. */
export class MemoryOperator implements Pick<OperatorGateway, "send" | "find"> {
  readonly done = new Map<string, OutgoingTransaction>();
  readonly sends: string[] = [];
  readonly asks: string[] = [];
  /** Of the next sends; then "completed". */
  next: Behaviour[] = [];
  /** Of the next questions: lost or refused. */
  nextAsks: ("lost" | "not_sent")[] = [];
  /** Whether what was accepted is completed by now. */
  completes = true;

  idOf = (refId: string): string => `op:${refId.slice(4)}`;

  async send(transaction: OutgoingTransaction): Promise<OperatorAnswer> {
    const { refId } = transaction;
    this.sends.push(refId);
    const behaviour = this.next.shift() ?? "completed";
    if (behaviour === "not_sent") return { kind: "not_sent", retryAfterMs: 5 };
    if (behaviour === "lost") return { kind: "unknown" };
    if (behaviour === "rejected") return { kind: "rejected", reason: "account_closed" };
    if (this.done.has(refId)) throw new Error(`${refId} was sent twice`);
    this.done.set(refId, transaction);
    if (behaviour === "lost, but done") return { kind: "unknown" };
    return { kind: behaviour, operatorTransactionId: this.idOf(refId) };
  }

  async find(refId: string): Promise<OperatorAnswer> {
    this.asks.push(refId);
    const behaviour = this.nextAsks.shift();
    if (behaviour === "lost") return { kind: "unknown" };
    if (behaviour === "not_sent") return { kind: "not_sent", retryAfterMs: 5 };
    if (!this.done.has(refId)) return { kind: "unknown_transaction" };
    return { kind: this.completes ? "completed" : "accepted", operatorTransactionId: this.idOf(refId) };
  }
}

/** A clock that tests move: what waits for minutes need not be waited for. */
export const clock = { aheadMs: 0, now: () => Date.now() + clock.aheadMs };

export const parts = (gateway: DriveParts["gateway"], env: CoreEnv = testEnv): DriveParts => ({
  db: env.DB,
  ledgerId: "main",
  gateway,
  append: (command) => sequence(env, "main", command),
  now: clock.now,
  sleep: async (ms) => {
    clock.aheadMs += ms;
  },
  random: () => 0,
  log: () => {},
});

export const LIMITS = { slots: 6, invocationMs: 20_000, idleMs: 0 };

/** What the minutes bring: drains, minute after minute. */
export async function drive(gateway: DriveParts["gateway"], minutes = 1, env: CoreEnv = testEnv): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    await drainSettlements(parts(gateway, env), LIMITS);
    if (minute < minutes - 1) clock.aheadMs += 60_000;
  }
}

export const context = createExecutionContext;

export async function expectValid(): Promise<void> {
  expect(await call("/ledger/verify", { key: "" })).toMatchObject({ status: 200, json: { valid: true } });
}
