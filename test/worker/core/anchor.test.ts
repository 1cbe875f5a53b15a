import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { LedgerAnchor } from "../../../durable-objects/ledger-anchor.ts";
import { anchorFor } from "../../../src/anchor/anchor.store.ts";
import type { CoreEnv } from "../../../src/core/env.ts";
import type { RelayHint } from "../../../src/relay/port.ts";
import type { AnvilContext } from "../../support/anvil-context.ts";
import { migrate, testEnv } from "./support.ts";

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

const outboxRow = (outboxId: number) =>
  testEnv.DB.prepare(`SELECT state, body FROM outbox WHERE outbox_id = ?`)
    .bind(outboxId)
    .first<{ state: string; body: string }>();

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

  it("anchors the head, records the confirmation and releases exactly the rows below it", async () => {
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
    const released = await outboxRow(1);
    expect(released?.state).toBe("due");
    expect(JSON.parse(released?.body ?? "")).toEqual({
      eventId: "e",
      chainId: 31_337,
      contractAddress: CHAIN.ANCHOR_CONTRACT_ADDRESS,
      blockNumber: anchor.blockNumber,
      blockHash: anchor.blockHash,
      txHash: anchor.txHash,
      logIndex: anchor.logIndex,
      occurredAt: 1,
    });
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

  it("rests when nothing is under way", async () => {
    await started(chainEnv(), async (anchor, state) => {
      await state.storage.deleteAlarm();
      expect(await anchor.tick()).toMatchObject({ state: "idle", reason: "nothing-new" });
      expect(await state.storage.getAlarm()).toBeNull();
    });
  });
});
