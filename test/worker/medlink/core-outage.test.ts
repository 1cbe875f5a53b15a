import { env } from "cloudflare:workers";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dueJobIds } from "../../../src/medlink/auto-submit/jobs.store.ts";
import { queueStatements } from "../../../src/medlink/auto-submit/submit.edge.ts";
import type { Claim } from "../../../src/medlink/claims/claim.ts";
import { claimInsert } from "../../../src/medlink/claims/claims.store.ts";
import { newId } from "../../../src/medlink/ids.ts";
import { patientUpsert } from "../../../src/medlink/records/patients.store.ts";
import { clinicUpsert, insurerUpsert, providerUpsert } from "../../../src/medlink/records/records.store.ts";
import { type CoreStub, forgetClaims, hashFor, INSURER_ADDRESS, migrate, TestHub } from "./harness.ts";

const CLINICS = ["cln_a", "cln_b", "cln_c"] as const;
const PACE = 10;
const WINDOW = 8;
const HOUR_MS = 3_600_000;
const START = 1_700_000_000_000;

let hub: TestHub;
let nextHash = 1_000_000;

/** What core saw of each call, at its beginning. */
interface Seen {
  readonly claimId: string;
  readonly at: number;
  readonly underWay: number;
  readonly answeredBefore: number;
}
let seen: Seen[] = [];
let underWay = 0;
let mostUnderWay = 0;
let answered = 0;
const clinicOf = new Map<string, string>();

beforeAll(async () => {
  await migrate();
  const { db, fields } = await new TestHub().hub();
  for (const clinicId of CLINICS) {
    await db.batch([
      clinicUpsert(db, clinicId, clinicId, 1),
      ...(await patientUpsert(
        db,
        fields,
        { clinicId, patientId: `pat_${clinicId}`, details: { firstName: "A", lastName: "B", birthDate: "2000-01-01" } },
        1,
      )),
      providerUpsert(db, { clinicId, providerId: `prv_${clinicId}`, name: "P", licenceNumber: undefined }, 1),
      insurerUpsert(db, { clinicId, insurerId: `ins_${clinicId}`, name: "I", insurerAddress: INSURER_ADDRESS }, 1),
    ]);
  }
});

const accept: CoreStub = async (request) => {
  const { externalRequestId: claimId } = await request.json<{ externalRequestId: string }>();
  seen.push({ claimId, at: hub.now(), underWay: underWay + 1, answeredBefore: answered });
  mostUnderWay = Math.max(mostUnderWay, ++underWay);
  await sleep(2);
  underWay--;
  answered++;
  return Response.json({ requestId: claimId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
};

beforeEach(async () => {
  await forgetClaims();
  hub = new TestHub({
    ITRANS_AUTO_SUBMIT_STARTS_PER_SECOND: String(PACE),
    ITRANS_AUTO_SUBMIT_CONCURRENCY: String(WINDOW),
  });
  hub.clock = START;
  hub.answer = accept;
  seen = [];
  underWay = mostUnderWay = answered = 0;
});

/** Files and queues claims as `POST /api/claims` does. */
async function queueClaims(clinicId: string, count: number, hints = true): Promise<void> {
  const made = await hub.hub();
  const statements: D1PreparedStatement[] = [];
  for (let i = 0; i < count; i++) {
    const now = hub.now();
    const claim: Claim = {
      claimId: newId("clm", made.random),
      clinicId,
      patientId: `pat_${clinicId}`,
      providerId: `prv_${clinicId}`,
      insurerId: `ins_${clinicId}`,
      type: "claim",
      status: "draft",
      amount: { minor: 100, currency: "CAD" },
      details: { codes: [], notes: "" },
      requestId: undefined,
      requestIdHash: undefined,
      lastEvent: undefined,
      createdBy: "usr_x",
      version: 0,
      createdAt: now,
      updatedAt: now,
    };
    clinicOf.set(claim.claimId, clinicId);
    const { job, statements: queued } = queueStatements(made, claim, { userId: "usr_x", correlationId: "c" });
    statements.push(await claimInsert(made.db, made.fields, claim), ...queued);
    if (hints) hub.hints.push({ jobId: job.jobId, delaySeconds: 0, sentAt: now });
  }
  await made.db.batch(statements);
}

const jobs = async () => {
  const { results } = await env.DB.prepare("SELECT state, attempt, last_error AS error FROM auto_submit_jobs").all<{
    state: string;
    attempt: number;
    error: string | null;
  }>();
  return results;
};
const states = async () => [...new Set((await jobs()).map(({ state, attempt }) => `${state} ${attempt}`))];
const inState = async (state: string) => (await jobs()).filter((job) => job.state === state).length;
const mostInASecond = (): number =>
  Math.max(...seen.map(({ at }) => seen.filter((other) => other.at >= at && other.at < at + 1_000).length));

describe("an outage of core", () => {
  it("of an hour costs no attempt and drains afterwards: one probe, a widening window, a bounded pace, fair between clinics", async () => {
    let outageCalls = 0;
    const down: CoreStub = async () => {
      outageCalls++;
      return outageCalls % 2 === 0 ? new Response("", { status: 503 }) : Promise.reject(new Error("refused"));
    };
    hub.answer = down;
    await queueClaims("cln_a", 36);
    await hub.live(HOUR_MS / 2);
    await queueClaims("cln_b", 6);
    await queueClaims("cln_c", 6);
    await hub.live(HOUR_MS / 2);
    expect(await states()).toEqual(["queued 0"]);
    // The jobs that opened the breaker, those under way with them, and about one probe a minute.
    expect(outageCalls).toBeGreaterThan(50);
    expect(outageCalls).toBeLessThan(90);

    hub.answer = accept;
    const backAt = hub.now();
    await hub.live(300_000, () => seen.length === 48 && underWay === 0);
    expect(await states()).toEqual(["succeeded 1"]);
    expect(new Set(seen.map(({ claimId }) => claimId)).size).toBe(48);
    expect(seen).toHaveLength(48);
    expect((seen[0]?.at ?? 0) - backAt).toBeLessThanOrEqual(60_000);
    expect(seen[0]).toMatchObject({ underWay: 1 });
    for (const call of seen) expect(call.underWay).toBeLessThanOrEqual(call.answeredBefore + 1);
    expect(mostUnderWay).toBeGreaterThan(1);
    expect(mostUnderWay).toBeLessThanOrEqual(WINDOW);
    expect(mostInASecond()).toBeLessThanOrEqual(PACE);
    const early = seen.slice(0, 18).map(({ claimId }) => clinicOf.get(claimId));
    for (const clinicId of CLINICS) {
      const share = early.filter((each) => each === clinicId).length;
      expect(share, clinicId).toBeGreaterThanOrEqual(5);
      expect(share, clinicId).toBeLessThanOrEqual(7);
    }
  });

  it("is probed by one job, however many consumers wake at once", async () => {
    await queueClaims("cln_a", 12, false);
    hub.answer = () => new Response("", { status: 504 });
    hub.clock = hub.now() + 6_000;
    await hub.sweep();
    await hub.live(100);
    const opened = hub.calls.length;
    const hint = hub.hints.splice(0).at(-1);
    expect(hint?.delaySeconds).toBe(5);
    hub.clock = hub.now() + 5_000;
    await Promise.all(Array.from({ length: 5 }, () => hub.deliver([{ jobId: hint?.jobId ?? "" }])));
    expect(hub.calls.length - opened).toBe(1);
  });

  it("lets no claim that core never answers hold up the others", async () => {
    await queueClaims("cln_a", 1);
    const poison = [...clinicOf.keys()].at(-1);
    await queueClaims("cln_a", 30);
    hub.answer = async (request) => {
      const { externalRequestId } = await request.clone().json<{ externalRequestId: string }>();
      return externalRequestId === poison ? new Response("", { status: 504 }) : accept(request);
    };
    await hub.live(120_000);
    expect(await inState("succeeded")).toBe(30);
    expect((await jobs()).find(({ state }) => state !== "succeeded")).toMatchObject({
      state: "queued",
      attempt: 0,
      error: "upstream_504",
    });
  });
});

describe("the queue", () => {
  it("wiped while jobs wait loses none: the sweep brings all back", async () => {
    for (const clinicId of CLINICS) await queueClaims(clinicId, 25, false);
    hub.hints.length = 0;
    await hub.live(300_000, () => seen.length === 75 && underWay === 0);
    expect(seen).toHaveLength(75);
    expect(await states()).toEqual(["succeeded 1"]);
  });

  it("may double and reorder its hints: each claim is sent once", async () => {
    for (const clinicId of CLINICS) await queueClaims(clinicId, 10);
    const hints = hub.hints.splice(0);
    const shuffled = [...hints, ...hints, ...hints].map((hint, i) => ({ hint, key: (i * 7_919) % 90 }));
    shuffled.sort((a, b) => a.key - b.key);
    const batches = [0, 1, 2, 3].map((n) => shuffled.filter((_, i) => i % 4 === n).map(({ hint }) => hint));
    for (let round = 0; round < 6; round++) {
      await Promise.all(batches.map((batch) => hub.deliver(batch)));
      hub.clock = hub.now() + 1_000;
    }
    expect(seen).toHaveLength(30);
    expect(new Set(seen.map(({ claimId }) => claimId)).size).toBe(30);
    expect(mostUnderWay).toBeLessThanOrEqual(WINDOW);
    expect(mostInASecond()).toBeLessThanOrEqual(PACE);
    expect(await states()).toEqual(["succeeded 1"]);
  });

  it("gives the next turn to the clinic that waited longest, however much another has queued", async () => {
    await queueClaims("cln_a", 30);
    hub.clock = hub.now() + 1_000;
    await queueClaims("cln_b", 2);
    await hub.live(60_000, () => seen.length >= 8);
    const first = seen.slice(0, 4).map(({ claimId }) => clinicOf.get(claimId));
    expect(first.filter((clinicId) => clinicId === "cln_b")).toHaveLength(2);
  });

  it("is read by index, whatever its length", async () => {
    const { results } = await env.DB.prepare(
      "EXPLAIN QUERY PLAN SELECT job_id FROM auto_submit_jobs WHERE clinic_id = 'a' AND state IN ('queued', 'retrying') AND next_attempt_at <= 5 ORDER BY next_attempt_at, job_id LIMIT 1",
    ).all<{ detail: string }>();
    expect(results.map(({ detail }) => detail).join()).toContain("auto_submit_jobs_waiting");
    expect(await dueJobIds(env.DB, START, 5)).toEqual([]);
  });
});

describe("the hub's switch", () => {
  const OPERATOR = { "x-api-key": "hub-operator-for-tests-c6e1937fb02d44a8", "content-type": "application/json" };
  const turn = async (enabled: boolean): Promise<void> => {
    const response = await hub.fetch("/api/itrans/auto-submit/settings", {
      method: "PUT",
      headers: OPERATOR,
      body: JSON.stringify({ enabled }),
    });
    expect(await response.json()).toEqual({ enabled, heldByOperator: !enabled });
  };

  it("turned off while jobs run lets those end, holds the rest without counting, and on again lets them go", async () => {
    await queueClaims("cln_a", 40);
    let calls = 0;
    hub.answer = async (request) => {
      if (new URL(request.url).pathname === "/operations/actions") return new Response(null, { status: 204 });
      if (++calls === 5) await turn(false);
      return accept(request);
    };
    await hub.live(600_000);
    const done = seen.length;
    expect(done).toBeGreaterThanOrEqual(5);
    expect(done).toBeLessThanOrEqual(5 + WINDOW);
    expect(await inState("succeeded")).toBe(done);
    expect(await inState("queued")).toBe(40 - done);
    expect(await inState("running")).toBe(0);
    hub.hints.length = 0;
    hub.clock = Math.max(hub.now(), Date.now());
    await turn(true);
    expect(hub.hints.length).toBeGreaterThan(0);
    await hub.live(300_000, () => seen.length === 40 && underWay === 0);
    expect(await states()).toEqual(["succeeded 1"]);
  });
});
