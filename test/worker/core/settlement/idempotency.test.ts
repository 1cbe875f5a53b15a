/** Idempotency-Key: one effect and one answer for each, whatever breaks on the way. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sweepKeys } from "../../../../src/settlement/idempotency.cron.ts";
import { Fault, faultyDatabase, type When } from "../faults/faulty.ts";
import { call, callWith, migrate, testEnv } from "../support.ts";
import { ask, entryTypes, finalClaim, newKey, OPERATOR } from "./support.ts";

const WHENS: readonly When[] = ["failed", "failed, but persisted"];

let claimId = "";
let subject = "";

beforeAll(migrate);
beforeEach(async () => {
  ({ claimId, claimIdHash: subject } = await finalClaim());
});

const payment = (over: Readonly<Record<string, unknown>> = {}) => ({
  claimId,
  type: "payment",
  amountCents: 100,
  ...over,
});
const made = async () => (await entryTypes(subject)).filter((type) => type === "SETTLEMENT_CREATED").length;
const keyRow = async (effectId: string) =>
  testEnv.DB.prepare("SELECT * FROM idempotency_keys WHERE effect_id = ?").bind(effectId).first();

describe("a resend", () => {
  it("has the first answer, byte for byte, and no second effect", async () => {
    const idempotencyKey = newKey();
    const first = await ask(payment(), { idempotencyKey });
    const again = await ask(payment(), { idempotencyKey });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.text).toBe(first.text);
    expect([first, again].map(({ headers }) => headers.get("idempotent-replayed"))).toEqual([null, "true"]);
    expect(await made()).toBe(1);
  });

  it("in another order of fields, or with the key quoted, is the same request", async () => {
    const first = await ask(payment(), { idempotencyKey: "quoted" });
    const again = await ask({ amountCents: 100, type: "payment", claimId }, { idempotencyKey: '"quoted"' });
    expect(again.json.refId).toBe(first.json.refId);
  });

  it("at the same moment is 409 with Retry-After, or the same answer; ten at once make one", async () => {
    const idempotencyKey = newKey();
    const all = await Promise.all(Array.from({ length: 10 }, () => ask(payment(), { idempotencyKey })));
    for (const { status, headers } of all) {
      expect([201, 409]).toContain(status);
      if (status === 409) expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect(new Set(all.flatMap(({ json }) => json.refId ?? [])).size).toBe(1);
    expect(await made()).toBe(1);
  });

  it("with another body is 422; with another key it is another request", async () => {
    const idempotencyKey = newKey();
    await ask(payment(), { idempotencyKey });
    expect(await ask(payment({ amountCents: 101 }), { idempotencyKey })).toMatchObject({
      status: 422,
      json: { code: "key_reused" },
    });
    expect((await ask(payment())).status).toBe(201);
    expect(await made()).toBe(2);
  });

  it("of what was refused is refused the same way, though it could be done by now", async () => {
    const idempotencyKey = newKey();
    const first = await ask(payment({ amountCents: 99_999 }), { idempotencyKey });
    const again = await ask(payment({ amountCents: 99_999 }), { idempotencyKey });
    expect(first.status).toBe(422);
    expect(again.text).toBe(first.text);
  });

  it.each([undefined, "", "x".repeat(300)])("without a key (%s) is 400", async (key) => {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    const answered = await call("/settlements", { method: "POST", key: OPERATOR, body: payment(), headers });
    expect(answered).toMatchObject({ status: 400, json: { code: "invalid_body" } });
  });
});

describe("what is kept of a key", () => {
  it("has neither the key, nor the body, nor the answer in plain text", async () => {
    const idempotencyKey = "claim-4711-of-anna";
    const { json } = await ask(payment(), { idempotencyKey });
    const row = JSON.stringify(await keyRow(json.refId));
    for (const secret of [idempotencyKey, "anna", claimId]) expect(row).not.toContain(secret);
  });
});

describe("a request that breaks", () => {
  interface Row {
    readonly step: string;
    readonly call: string;
    readonly times?: number;
  }
  const STEPS: readonly Row[] = [
    { step: "looking the key up", call: "SELECT * FROM idempotency_keys WHERE key_id" },
    { step: "claiming the key", call: "INSERT INTO idempotency_keys" },
    { step: "finding the claim", call: "SELECT c.*, k.master_key_id" },
    { step: "reading the row for the answer", call: "SELECT s.*, COALESCE" },
    { step: "keeping the answer", call: "SET state = 'COMPLETED'" },
  ];
  for (const when of WHENS) {
    it.each(STEPS)(`$step ${when}: the resend finishes it, once`, async ({ call: part, times }) => {
      const idempotencyKey = newKey();
      const fault = new Fault(part, when, times);
      const broken = await callWith({ DB: faultyDatabase(testEnv.DB, fault) }, "/settlements", {
        method: "POST",
        key: OPERATOR,
        body: payment(),
        headers: { "idempotency-key": idempotencyKey },
      });
      expect(fault.hits, "the step was reached").toBe(1);
      expect(broken.status).toBe(500);
      const atOnce = await ask(payment(), { idempotencyKey });
      expect([201, 409]).toContain(atOnce.status);
      await testEnv.DB.prepare("UPDATE idempotency_keys SET busy_until = 0 WHERE state = 'PROCESSING'").run();
      const later = await ask(payment(), { idempotencyKey });
      expect(later.status).toBe(201);
      if (atOnce.status === 201) expect(later.json.refId).toBe(atOnce.json.refId);
      expect(await made()).toBe(1);
    });
  }

  it("with 503 leaves the key to the next try, which needs not wait", async () => {
    const idempotencyKey = newKey();
    const SEQUENCER = { getByName: () => ({ append: async () => ({ type: "unavailable" }) }) };
    const options = { method: "POST", key: OPERATOR, body: payment(), headers: { "idempotency-key": idempotencyKey } };
    expect((await callWith({ SEQUENCER }, "/settlements", options)).status).toBe(503);
    expect((await ask(payment(), { idempotencyKey })).status).toBe(201);
    expect(await made()).toBe(1);
  });

  it("after its effect is answered by what happened, though the key says that it runs", async () => {
    const idempotencyKey = newKey();
    const { json } = await ask(payment(), { idempotencyKey });
    await testEnv.DB.prepare(
      "UPDATE idempotency_keys SET state = 'PROCESSING', status = NULL, answer_key_id = NULL, answer_sealed = NULL, busy_until = ? WHERE effect_id = ?",
    )
      .bind(Date.now() + 60_000, json.refId)
      .run();
    expect(await ask(payment(), { idempotencyKey })).toMatchObject({ status: 201, json: { refId: json.refId } });
    expect(await made()).toBe(1);
  });
});

describe("clean-up", () => {
  /** As a request that is gone leaves its key. */
  const leave = (refId: string, busyUntil: number, effectId = refId) =>
    testEnv.DB.prepare(
      "UPDATE idempotency_keys SET state = 'PROCESSING', busy_until = ?, effect_id = ? WHERE effect_id = ?",
    )
      .bind(busyUntil, effectId, refId)
      .run();

  it("completes what the ledger has, releases what it has not, and deletes what expired", async () => {
    await testEnv.DB.prepare("DELETE FROM idempotency_keys").run();
    const [done, lost, old] = [newKey(), newKey(), newKey()];
    const refIds: string[] = [];
    for (const idempotencyKey of [done, lost, old]) {
      refIds.push((await ask(payment({ amountCents: 1 }), { idempotencyKey })).json.refId);
    }
    const past = Date.now() - 3_600_000;
    await leave(refIds[0] ?? "", past);
    await leave(refIds[1] ?? "", past, `stl_${"0".repeat(26)}`);
    await testEnv.DB.prepare("UPDATE idempotency_keys SET expires_at = 1 WHERE effect_id = ?")
      .bind(refIds[2] ?? "")
      .run();
    expect(await sweepKeys(testEnv, "main", Date.now())).toEqual({ completed: 1, released: 1, pruned: 1 });
    const again = await ask(payment({ amountCents: 1 }), { idempotencyKey: done });
    expect(again).toMatchObject({ status: 201, json: { refId: refIds[0] } });
    expect(await sweepKeys(testEnv, "main", Date.now())).toEqual({ completed: 0, released: 0, pruned: 0 });
  });

  it("by hand: operators list keys and resolve one; one that runs is left alone", async () => {
    await testEnv.DB.prepare("DELETE FROM idempotency_keys").run();
    const { json } = await ask(payment());
    await leave(json.refId, Date.now() + 60_000, `stl_${"1".repeat(26)}`);
    const list = async () => (await call("/operations/idempotency-keys?state=PROCESSING", { key: OPERATOR })).json;
    const { keys } = await list();
    expect(keys).toMatchObject([{ scope: "settlements", tenantId: "default", state: "PROCESSING" }]);
    const resolve = (key: string = OPERATOR) =>
      call(`/operations/idempotency-keys/${keys[0].keyId}/resolve`, { method: "POST", key, rawBody: "" });
    expect((await resolve("nobody")).status).toBe(401);
    expect(await resolve()).toMatchObject({ status: 409, json: { code: "in_progress" } });
    await testEnv.DB.prepare("UPDATE idempotency_keys SET busy_until = 0").run();
    expect(await resolve()).toMatchObject({ status: 200, json: { outcome: "released" } });
    expect((await resolve()).status).toBe(404);
    expect((await list()).count).toBe(0);
  });
});
