import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { advanceDrill, type DrillParts } from "../../../src/backup/drill.edge.ts";
import { listDrills } from "../../../src/backup/drill.store.ts";
import { drillIsDue } from "../../../src/backup/nightly.ts";
import { writeTail } from "../../../src/backup/tail.edge.ts";
import { type BackupWorld, backupWorld, rowsOfTable, takeSnapshot } from "../../support/backups.ts";
import { d1On } from "../../support/d1-sqlite.ts";
import { grownWorld, type LedgerWorld } from "../../support/ledger-world.ts";

const DAY = 86_400_000;

async function drillToItsEnd(backups: BackupWorld, parts: DrillParts) {
  for (let turns = 0; turns < 200; turns++) {
    const turn = await advanceDrill(parts, 0);
    if (turn.type !== "running") return turn;
  }
  throw new Error(`the drill does not end: ${backups.bucket.time}`);
}

test("the drill restores the newest snapshot and its tail into the scratch database, once in four weeks", async () => {
  const world = await grownWorld(30);
  const backups = backupWorld(world.db, world.bucket);
  await takeSnapshot(backups);
  await world.addSubject("request", 2);
  await world.erase();
  await world.publish();
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const scratch = new DatabaseSync(":memory:");
  const parts: DrillParts = { ...backups.parts, scratch: d1On(scratch), logKeys: [world.signer.key] };
  expect(await drillToItsEnd(backups, parts)).toEqual({ type: "good" });
  const count = (sqlite: DatabaseSync) => sqlite.prepare("SELECT COUNT(*) AS n FROM ledger_entries").get();
  expect(count(scratch)).toEqual(count(world.sqlite));
  expect(scratch.prepare("SELECT * FROM payload_keys ORDER BY subject").all()).toEqual(
    world.sqlite.prepare("SELECT * FROM payload_keys ORDER BY subject").all(),
  );
  expect(await advanceDrill(parts, 0)).toEqual({ type: "idle" });

  backups.later(29 * DAY);
  expect(await drillToItsEnd(backups, parts)).toEqual({ type: "good" });
  const drills = await listDrills(world.db, 10);
  expect(drills.map(({ state }) => state)).toEqual(["good", "good"]);
});

test("a tail that stands still fails the drill: the newest checkpoint and anchor are out of its reach", async () => {
  const promised = {
    checkpoint: (world: LedgerWorld) => world.publish(),
    anchor: (world: LedgerWorld) => world.anchor("confirmed"),
  };
  for (const [what, promise] of Object.entries(promised)) {
    const world = await grownWorld(10);
    const backups = backupWorld(world.db, world.bucket);
    const { ledger } = await takeSnapshot(backups);
    await world.addSubject("request", 2);
    await promise(world);
    const at = (table: string, column: string) =>
      Number(world.sqlite.prepare(`SELECT MAX(${column}) AS at FROM ${table}`).get()?.at);
    const size = at(`${what}s`, "size");
    expect(size).toBeGreaterThan(ledger?.size ?? 0);
    backups.bucket.time = at(`${what}s`, what === "anchor" ? "confirmed_at" : "signed_at") + 60_000;
    const parts = (): DrillParts => ({
      ...backups.parts,
      scratch: d1On(new DatabaseSync(":memory:")),
      logKeys: [world.signer.key],
    });
    // A minute old: the tail may still be on its way. It is told, and not failed.
    expect(await drillToItsEnd(backups, parts())).toEqual({ type: "good" });
    if (what === "checkpoint") {
      const [drill] = await listDrills(world.db, 1);
      expect(JSON.parse(drill?.report ?? "{}")).toMatchObject({ newestCheckpoint: size });
      expect(JSON.parse(drill?.report ?? "{}").promised).toBeLessThanOrEqual(ledger?.size ?? 0);
    }
    backups.later(29 * DAY);
    expect(await drillToItsEnd(backups, parts())).toEqual({
      type: "failed",
      reason: `the newest ${what} promises ${size} entries, this backup reaches ${ledger?.size}`,
    });
  }
});

test("a drill over a file that was changed fails and says which", async () => {
  const world = await grownWorld(10);
  const backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const [file] = manifest.files.filter(({ kind }) => kind === "payloads");
  const bytes = backups.bucket.objects.get(`core/main/${file?.path}`);
  if (bytes === undefined) throw new Error("there is a file of payloads");
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  const parts: DrillParts = { ...backups.parts, scratch: d1On(new DatabaseSync(":memory:")), logKeys: [] };
  expect(await drillToItsEnd(backups, parts)).toEqual({
    type: "failed",
    reason: `${file?.path} has other bytes than were written`,
  });
});

test("a drill is due after four weeks, and a day after one that failed", () => {
  const now = 1_000 * DAY;
  expect(drillIsDue([], now)).toBe(true);
  expect(drillIsDue([{ state: "good", startedAt: now - 27 * DAY }], now)).toBe(false);
  expect(drillIsDue([{ state: "good", startedAt: now - 28 * DAY }], now)).toBe(true);
  expect(drillIsDue([{ state: "failed", startedAt: now - DAY / 2 }], now)).toBe(false);
  expect(drillIsDue([{ state: "running", startedAt: now - 90 * DAY }], now)).toBe(false);
});

test("a database with tables that no drill made is left as it is", async () => {
  const world = await grownWorld(4);
  const backups = backupWorld(world.db, world.bucket);
  await takeSnapshot(backups);
  const before = rowsOfTable(world.sqlite, "ledger_entries");
  const parts: DrillParts = { ...backups.parts, scratch: world.db, logKeys: [] };
  expect(await drillToItsEnd(backups, parts)).toEqual({
    type: "failed",
    reason: "SCRATCH has tables that no drill made: bind an empty database",
  });
  expect(rowsOfTable(world.sqlite, "ledger_entries")).toEqual(before);
});
