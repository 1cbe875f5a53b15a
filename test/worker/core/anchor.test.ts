import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { LedgerAnchor } from "../../../durable-objects/ledger-anchor.ts";
import { anchorFor, recordStatements } from "../../../src/anchor/anchor.store.ts";
import type { CoreEnv } from "../../../src/core/env.ts";
import { findDelivery } from "../../../src/relay/deliveries.store.ts";
import type { RelayHint } from "../../../src/relay/port.ts";
import type { AnvilContext } from "../../support/anvil-context.ts";
import { call, KEYS, migrate, testEnv } from "./support.ts";

const LEDGER_ID = "main";
const provided = (name: AnvilContext): string => inject(name);
const CHAIN = { EVM_RPC_URL: provided("anvilUrl"), ANCHOR_CONTRACT_ADDRESS: provided("anvilContract") };
const root = (size: number): string => size.toString(16).padStart(64, "0");
const hints: RelayHint[] = [];

async function rpc(method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(CHAIN.EVM_RPC_URL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return JSON.parse(await response.text()).result;
}

/** Core's environment with a chain, one block enough, and a queue that keeps what it is sent. */
function chainEnv(over: Readonly<Record<string, unknown>> = {}): CoreEnv {
  const queue = new Proxy(testEnv.RELAY_QUEUE, {
    get: (target, name) =>
      name === "send" ? async (hint: RelayHint) => void hints.push(hint) : Reflect.get(target, name),
  });
  const env = {
    ...testEnv,
    RELAY_QUEUE: queue,
    ...CHAIN,
    ANCHOR_CONFIRMATIONS: "1",
    ANCHOR_POLL_MS: "600000", // the tests tick by hand
    ...over,
  };
  return env;
}

/** A new instance over the object's own storage: what a restart leaves. */
const started = <Result>(env: CoreEnv, run: (anchor: LedgerAnchor, state: DurableObjectState) => Promise<Result>) =>
  runInDurableObject(testEnv.ANCHOR.getByName("under-test"), (_instance, state) =>
    run(new LedgerAnchor(state, env), state),
  );

const grow = (size: number) =>
  testEnv.DB.prepare(`UPDATE ledger_heads SET version = version + 1, size = ?1, root_hash = ?2 WHERE ledger_id = ?3`)
    .bind(size, root(size), LEDGER_ID)
    .run();

const waitFor = (outboxId: number, seq: number) =>
  testEnv.DB.prepare(
    `INSERT INTO outbox (outbox_id, event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at,
       body, correlation_id, created_at)
     VALUES (?1, ?2, 'REQUEST_SUBMITTED', ?3, ?4, ?2, 'default', 'insurer', 'waiting', 0,
       '{"eventId":"e","chainId":null,"contractAddress":null,"blockNumber":null,"blockHash":null,"txHash":null,"logIndex":null,"occurredAt":1}',
       'c', 0)`,
  )
    .bind(outboxId, `event-${outboxId}`, LEDGER_ID, seq)
    .run();

const outboxRow = async (outboxId: number) => {
  const found = await findDelivery(testEnv.DB, outboxId, undefined);
  return found === undefined ? undefined : { state: found.state, body: found.body };
};

beforeAll(async () => {
  await migrate();
  await testEnv.DB.prepare(
    `INSERT INTO ledger_heads (ledger_id, version, size, head_hash, root_hash, frontier, last_at)
     VALUES (?1, 0, 0, ?2, ?2, '[]', '')`,
  )
    .bind(LEDGER_ID, root(0))
    .run();
});

describe("the owner of the signer", () => {
  it("is disabled, with the reason, while no node or no contract is configured", async () => {
    expect(await testEnv.ANCHOR.getByName("unset").tick()).toEqual({
      state: "disabled",
      reason: "EVM_RPC_URL is not set.",
    });
    const status = await started(chainEnv({ ANCHOR_CONTRACT_ADDRESS: "" }), (anchor) => anchor.tick());
    expect(status).toEqual({ state: "disabled", reason: "ANCHOR_CONTRACT_ADDRESS is not set." });
  });

  it("anchors nothing while the ledger is empty", async () => {
    const status = await started(chainEnv(), (anchor) => anchor.tick());
    expect(status).toMatchObject({ state: "idle", reason: "empty-ledger", confirmed: null, pending: null });
  });

  it("anchors the head, records the confirmation, with which exactly the rows below it are due", async () => {
    await grow(3);
    await waitFor(1, 2);
    await waitFor(2, 3);
    await started(chainEnv(), async (anchor, state) => {
      expect(await anchor.tick()).toMatchObject({ state: "pending", pending: { size: 3, transactions: 1 } });
      expect(await anchorFor(testEnv.DB, LEDGER_ID, 2)).toMatchObject({ state: "submitted", size: 3 });
      expect(await state.storage.getAlarm()).not.toBeNull();
      expect(await anchor.tick()).toMatchObject({
        state: "idle",
        confirmed: { size: 3, root: root(3) },
        unrecorded: 0,
      });
    });
    const anchor = await anchorFor(testEnv.DB, LEDGER_ID, 2);
    if (anchor.state !== "confirmed") throw new Error(`the anchor is ${anchor.state}`);
    expect((await outboxRow(1))?.state).toBe("due");
    expect((await outboxRow(2))?.state).toBe("waiting");
    expect(await anchorFor(testEnv.DB, LEDGER_ID, 3)).toEqual({ state: "none" });
    expect(hints).toEqual([{ outboxIds: [] }]);
  });

  it("signs once for twenty ticks at the same time", async () => {
    await grow(4);
    const before = Number(await rpc("eth_blockNumber"));
    const transactions = await started(chainEnv(), async (anchor) => {
      const statuses = await Promise.all(Array.from({ length: 20 }, () => anchor.tick()));
      return statuses.map((status) => (status.state === "disabled" ? 0 : status.pending?.transactions));
    });
    expect(new Set(transactions)).toEqual(new Set([1]));
    expect(Number(await rpc("eth_blockNumber"))).toBe(before + 1);
    await started(chainEnv(), (anchor) => anchor.tick());
  });

  it("keeps a confirmation that the database did not take, and records it at the next tick", async () => {
    await grow(6);
    await waitFor(3, 5);
    let failures = 1;
    const DB = new Proxy(testEnv.DB, {
      get(target, name) {
        if (name === "batch" && failures > 0) {
          return async () => {
            failures--;
            throw new Error("database is away");
          };
        }
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
    await started(chainEnv(), (anchor) => anchor.tick());
    await started(chainEnv({ DB }), async (anchor, state) => {
      await state.storage.deleteAlarm();
      expect(await anchor.tick()).toMatchObject({ confirmed: { size: 6 }, unrecorded: 1 });
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
    expect((await outboxRow(3))?.state).toBe("waiting");
    expect(await started(chainEnv(), (anchor) => anchor.tick())).toMatchObject({ state: "idle", unrecorded: 0 });
    expect((await outboxRow(3))?.state).toBe("due");
    expect(await anchorFor(testEnv.DB, LEDGER_ID, 4)).toMatchObject({ state: "confirmed", size: 6 });
  });

  it("goes on with the stored transaction after a restart, and raises its fee under the same nonce", async () => {
    await grow(8);
    await rpc("evm_setAutomine", [false]);
    const first = await started(chainEnv(), (anchor) => anchor.tick());
    await grow(9);
    const env = chainEnv({ ANCHOR_STUCK_AFTER_MS: "1000" });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const second = await started(env, (anchor) => anchor.tick());
    if (first.state === "disabled" || second.state === "disabled") throw new Error("disabled");
    expect(second.pending).toMatchObject({ size: 9, transactions: 2, nonce: first.pending?.nonce });
    await rpc("evm_mine");
    await rpc("evm_setAutomine", [true]);
    expect(await started(env, (anchor) => anchor.tick())).toMatchObject({ state: "idle", confirmed: { size: 9 } });
    const { results } = await testEnv.DB.prepare(
      `SELECT size, state, reason FROM anchors WHERE size >= 8 ORDER BY size`,
    ).all();
    expect(results).toEqual([
      { size: 8, state: "failed", reason: "replaced" },
      { size: 9, state: "confirmed", reason: null },
    ]);
  });

  it("reports a node that is away, and keeps its alarm set", async () => {
    await started(chainEnv({ EVM_RPC_URL: "http://127.0.0.1:9" }), async (anchor, state) => {
      await state.storage.deleteAlarm();
      expect(await anchor.tick()).toMatchObject({
        state: "halted",
        reason: "node-unreachable",
        confirmed: { size: 9 },
      });
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
  });

  it("tells of an anchor that is reorganized after confirmation, and shows the one that stands", async () => {
    await grow(12);
    await waitFor(4, 11);
    await started(chainEnv(), async (anchor) => {
      await anchor.tick();
      await anchor.tick();
    });
    const first = await anchorFor(testEnv.DB, LEDGER_ID, 11);
    if (first.state !== "confirmed") throw new Error(`the anchor is ${first.state}`);
    await testEnv.DB.prepare(`UPDATE outbox SET state = 'delivered' WHERE outbox_id = 4`).run();
    const delivered = await outboxRow(4);
    await grow(13);
    await waitFor(5, 12);
    await started(chainEnv(), async (anchor) => {
      await anchor.tick();
      await anchor.tick();
    });

    await rpc("anvil_reorg", [2, []]);
    await rpc("evm_setAutomine", [false]);
    const env = chainEnv({ ANCHOR_POLL_MS: "100" });
    const tick = () => started(env, (anchor) => anchor.tick());
    const ticksUntil = async (state: string) => {
      for (let i = 0; i < 40; i++) {
        await tick();
        if ((await anchorFor(testEnv.DB, LEDGER_ID, 11)).state === state) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error(`never ${state}`);
    };
    await ticksUntil("submitted");
    expect(await anchorFor(testEnv.DB, LEDGER_ID, 11)).toMatchObject({ size: 13 });
    await rpc("evm_setAutomine", [true]);
    await ticksUntil("confirmed");
    await started(env, async (_anchor, state) => state.storage.deleteAlarm());

    const second = await anchorFor(testEnv.DB, LEDGER_ID, 11);
    expect(second).toMatchObject({ state: "confirmed", size: 13 });
    const { json } = await call("/ledger/anchors?limit=2");
    expect(json.anchors.map((one: { size: number; state: string }) => [one.size, one.state])).toEqual([
      [13, "confirmed"],
      [12, "failed"],
    ]);
    const [newest, lost] = json.anchors;
    const story = (one: { events: { type: string; blockHash: string | null }[] }) => one.events.map(({ type }) => type);
    expect(story(lost)).toEqual(["submitted", "confirmed", "reorganized"]);
    expect(lost.events[2]).toMatchObject({ blockHash: first.blockHash, reason: "after-confirmation" });
    expect(story(newest).slice(0, 4)).toEqual(["submitted", "confirmed", "reorganized", "submitted"]);
    expect(story(newest).at(-1)).toBe("confirmed");
    // What was delivered stays as it was sent; what the receiver asks for now is the anchor that stands.
    expect(await outboxRow(4)).toEqual(delivered);
    expect((await outboxRow(5))?.state).toBe("due");
  });

  it("carries out an operator's commands, and records who asked and why", async () => {
    await grow(20);
    await rpc("evm_setAutomine", [false]);
    const env = chainEnv({ ANCHOR_INTERVAL_MS: "86400000" });
    const waiting = await started(env, (anchor) => anchor.tick());
    expect(waiting).toMatchObject({ reason: "interval", pending: null });
    const retry = { type: "retry", actor: "operator" } as const;
    const first = await started(env, (anchor) => anchor.command(retry));
    expect(first).toMatchObject({ outcome: "taken", action: "submit", status: { pending: { size: 20 } } });
    await grow(21);
    const supersede = { type: "supersede", actor: "operator", reason: "INC-2041" } as const;
    const second = await started(env, (anchor) => anchor.command(supersede));
    if (first.status.state === "disabled" || second.status.state === "disabled") throw new Error("disabled");
    expect(second.status.pending).toMatchObject({ size: 21, nonce: first.status.pending?.nonce, transactions: 2 });
    await rpc("evm_mine");
    await rpc("evm_setAutomine", [true]);
    expect(await started(env, (anchor) => anchor.tick())).toMatchObject({ confirmed: { size: 21 }, superseded: null });
    const { json } = await call("/ledger/anchors/20");
    expect(json).toMatchObject({ state: "failed", reason: "replaced" });
    expect(json.events).toMatchObject([
      { type: "submitted", reason: "retry" },
      { type: "superseded", reason: "INC-2041", actor: "operator" },
      { type: "replaced" },
    ]);
    expect((await call("/ledger/anchors?limit=1")).json.signerEvents[0]).toMatchObject({ type: "retried" });
  });

  it("serves a command that comes during a tick after it, in its own", async () => {
    await grow(23);
    const [status, answer] = await started(chainEnv(), (anchor) =>
      Promise.all([anchor.tick(), anchor.command({ type: "retry", actor: "operator" })]),
    );
    expect(answer.outcome).toBe("taken");
    expect(status.state).toBe("pending");
    expect(answer.status).toMatchObject({ state: "idle", confirmed: { size: 23 }, urged: null });
  });

  it("warns in its status while the balance is below the minimum", async () => {
    const env = chainEnv({ ANCHOR_MIN_BALANCE_WEI: "9".repeat(30) });
    expect(await started(env, (anchor) => anchor.tick())).toMatchObject({
      balanceLow: true,
      minBalanceWei: "9".repeat(30),
    });
    expect(await started(chainEnv(), (anchor) => anchor.tick())).toMatchObject({ minBalanceWei: null });
  });

  it("records a change twice as one event", async () => {
    const count = () => testEnv.DB.prepare(`SELECT COUNT(*) AS n FROM anchor_events`).first<number>("n");
    const target = { ledgerId: LEDGER_ID, chainId: 31_337, contractAddress: CHAIN.ANCHOR_CONTRACT_ADDRESS };
    const change = { type: "noted", note: "retried", reason: "operator", at: 77, actor: "operator" } as const;
    const before = (await count()) ?? 0;
    for (let i = 0; i < 2; i++) await testEnv.DB.batch([...recordStatements(testEnv.DB, target, change)]);
    expect(await count()).toBe(before + 1);
  });

  it("keeps events from being changed, deleted or written over", async () => {
    const statements = [
      `UPDATE anchor_events SET reason = 'X'`,
      `DELETE FROM anchor_events`,
      `INSERT OR REPLACE INTO anchor_events SELECT * FROM anchor_events LIMIT 1`,
    ];
    for (const statement of statements) {
      await expect(testEnv.DB.prepare(statement).run()).rejects.toThrow("anchor event");
    }
  });

  it("rests when nothing is under way", async () => {
    await started(chainEnv(), async (anchor, state) => {
      await state.storage.deleteAlarm();
      expect(await anchor.tick()).toMatchObject({ state: "idle", reason: "nothing-new" });
      expect(await state.storage.getAlarm()).toBeNull();
    });
  });
});

describe("the record of anchors over HTTP", () => {
  const operator = KEYS.OPERATOR_API_KEY;

  it("is read in pages, newest first", async () => {
    const sizes: number[] = [];
    let path = "/ledger/anchors?limit=3";
    for (let page = 0; page < 10; page++) {
      const { status, json } = await call(path, { key: page % 2 === 0 ? operator : KEYS.CLAIMS_API_KEY });
      expect(status).toBe(200);
      sizes.push(...json.anchors.map((one: { size: number }) => one.size));
      if (json.nextBefore === null) break;
      path = `/ledger/anchors?limit=3&before=${json.nextBefore}`;
    }
    const { results } = await testEnv.DB.prepare(`SELECT size FROM anchors ORDER BY size DESC`).all<{ size: number }>();
    expect(sizes).toEqual(results.map(({ size }) => size));
    expect(sizes.length).toBeGreaterThan(6);
  });

  it("shows the signer's state with the page", async () => {
    const { json } = await call("/ledger/anchors");
    expect(json.signer).toEqual({ state: "disabled", reason: "EVM_RPC_URL is not set." });
  });

  it.each([
    [22, "covers it", null],
    [24, "No chain is configured", "3600"],
  ])("answers 404 for size %d with the reason, and when to come back", async (size, why, retryAfter) => {
    const { status, json, headers } = await call(`/ledger/anchors/${size}`);
    expect(status).toBe(404);
    expect(json.detail).toContain(why);
    expect(headers.get("retry-after")).toBe(retryAfter);
  });

  it.each(["/ledger/anchors/retry", "/ledger/anchors/supersede"])("leaves %s to the operator", async (path) => {
    const body = { reason: "INC-1" };
    expect((await call(path, { method: "POST", body, key: "" })).status).toBe(401);
    expect((await call(path, { method: "POST", body, key: KEYS.WORKFLOW_API_KEY })).status).toBe(403);
    const answer = await call(path, { method: "POST", body, key: operator });
    expect(answer.status).toBe(409);
    expect(answer.json.detail).toContain("EVM_RPC_URL is not set");
  });

  it.each(["", "inc-1", "A B", "A".repeat(41), 7])("refuses %j as a reason", async (reason) => {
    const answer = await call("/ledger/anchors/supersede", { method: "POST", body: { reason }, key: operator });
    expect(answer.status).toBe(400);
  });
});
