/** A ledger is lost with money on its way: what the restored one knows of it, and what it does next. */
import { afterEach, beforeEach, expect, test } from "vitest";
import * as z from "zod";
import { insertRows } from "../../../src/backup/restore.store.ts";
import {
  IDEMPOTENCY_KEYS_OF_RANGE,
  OPERATOR_ACTIONS_OF_RANGE,
  SETTLEMENTS_OF_RANGE,
} from "../../../src/backup/source.store.ts";
import { writeTail } from "../../../src/backup/tail.edge.ts";
import { backupWorld, restoreSnapshot, rowsOfTable, takeSnapshot } from "../../support/backups.ts";
import { migratedCoreSqlite } from "../../support/d1-sqlite.ts";
import { Isolate, repeatsAt, type SettlingWorld, settlingWorld } from "../../support/settle-killed.ts";

const CALM = { callsPerMinute: 1_000_000, timeoutMs: 1 };
const whole = () => new Isolate(() => undefined);
/** Ends before it can record what the operator answered. */
const endsAfterTheCall = (world: SettlingWorld): Isolate => {
  const before = world.calls.length;
  return new Isolate(() => (world.calls.length > before ? "after" : undefined));
};

let world: SettlingWorld;
beforeEach(async () => {
  world = await settlingWorld(3);
  world.simulator.behave(CALM);
});
afterEach(() => world.close());

async function payment(): Promise<string> {
  const refId = await world.settle(await world.claim(), "payment", 12_000);
  if (refId === undefined) throw new Error("the ledger refused a payment");
  return refId;
}

test("a restored ledger asks about each settlement under way before it sends anything, and no money moves twice", async () => {
  const backups = backupWorld(world.db);
  const completed = await payment();
  await world.drain(whole(), 1);
  const sentBefore = await payment();
  await world.drain(endsAfterTheCall(world), 1);
  const pending = await payment();
  const manifest = await takeSnapshot(backups);

  // Since the snapshot: only the tail has it, the amount included.
  const pendingSince = await payment();
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  // Since the tail: the entries are lost, what the operator did is not.
  await world.drain(whole(), 6);
  expect(world.simulator.books.count()).toBe(4);

  const restored = await restoreSnapshot(backups, manifest, { now: () => 1 });
  const after = world.moved(restored);
  expect([completed, sentBefore, pending, pendingSince].map(after.statusOf)).toEqual([
    "COMPLETED",
    "PROCESSING",
    "PENDING",
    "PENDING",
  ]);
  expect(restored.state.counts.askedAgain).toBe(3);
  expect(await after.finish()).toBe(true);
  expect(after.check()).toEqual([]);
  expect(await repeatsAt(after)).toBe(0);
  for (const refId of [sentBefore, pending, pendingSince]) {
    expect(after.calls.find((call) => call.endsWith(refId))).toBe(`ask ${refId}`);
  }
  expect(after.calls.some((call) => call.endsWith(completed))).toBe(false);
  expect(await after.reconciled()).toMatchObject({ agreed: 4, mismatches: 0 });
});

test("what is paid since the snapshot counts in the restored ledger: it can not be paid again", async () => {
  const backups = backupWorld(world.db);
  await world.claim();
  const manifest = await takeSnapshot(backups);
  const subject = await world.claim();
  expect(await world.settle(subject, "payment", 12_000)).toBeDefined();
  await world.drain(whole(), 1);
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const restored = await restoreSnapshot(backups, manifest, { now: () => 1 });
  const after = world.moved(restored);
  expect(await after.settle(subject, "payment", 1)).toBeUndefined();
  expect(after.check()).toEqual([]);
});

test("the key under which a settlement was asked for since the snapshot is known to the restored ledger", async () => {
  const backups = backupWorld(world.db);
  await world.claim();
  const manifest = await takeSnapshot(backups);
  const refId = await payment();
  await world.db
    .prepare(
      `INSERT INTO idempotency_keys (key_id, scope, tenant_id, fingerprint, state, effect_id, token, busy_until, correlation_id,
         created_at, updated_at, expires_at) VALUES ('k', 's', 'clinic-a', 'f', 'PROCESSING', ?, 1, 0, 'c', 1, 1, 9)`,
    )
    .bind(refId)
    .run();
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const restored = await restoreSnapshot(backups, manifest, { now: () => 1 });
  expect(rowsOfTable(restored.sqlite, "idempotency_keys")).toHaveLength(1);
  expect(rowsOfTable(restored.sqlite, "idempotency_keys")[0]).toContain(refId);
});

test("what operators did since the snapshot is told by the restored ledger, however often its rows are written", async () => {
  const backups = backupWorld(world.db);
  await world.claim();
  const manifest = await takeSnapshot(backups);
  await world.claim();
  await world.db
    .prepare(
      `INSERT INTO operator_actions (ledger_id, subject, seq, action, actor, details, salt)
       SELECT ledger_id, 'act', MAX(seq), 'RELAY_PAUSE', 'key', '{}', '00' FROM ledger_entries`,
    )
    .run();
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const restored = await restoreSnapshot(backups, manifest, { now: () => 1 });
  const written = rowsOfTable(restored.sqlite, "operator_actions");
  expect(written).toEqual([expect.stringContaining('"action":"RELAY_PAUSE"')]);
  const again = z.record(z.string(), z.unknown()).parse(JSON.parse(written[0] ?? ""));
  expect(await insertRows(restored.db, "operator_actions", Object.keys(again), [Object.values(again)])).toBe(0);
});

test("the tail finds its settlements, their keys and operators' actions by index", () => {
  const sqlite = migratedCoreSqlite();
  for (const sql of [SETTLEMENTS_OF_RANGE, IDEMPOTENCY_KEYS_OF_RANGE, OPERATOR_ACTIONS_OF_RANGE]) {
    const plan = sqlite.prepare(`EXPLAIN QUERY PLAN ${sql}`).all("main", 1, 2);
    expect(plan.map(({ detail }) => String(detail)).join(" ")).not.toContain("SCAN");
  }
});
