import { expect, test } from "vitest";
import { backUp } from "../../../src/backup/backup.cron.ts";
import { listRuns } from "../../../src/backup/backup.store.ts";
import { listApart } from "../../../src/backup/backup-service.edge.ts";
import { advanceDrill, type DrillParts } from "../../../src/backup/drill.edge.ts";
import { beginDrill, listDrills, takeDrill } from "../../../src/backup/drill.store.ts";
import { limitsAreDue } from "../../../src/backup/nightly.ts";
import { beginSnapshot } from "../../../src/backup/snapshot.edge.ts";
import { writeTail } from "../../../src/backup/tail.edge.ts";
import type { LogFields } from "../../../src/platform/log.ts";
import { type BackupWorld, backupWorld, DatedBucket, takeSnapshot } from "../../support/backups.ts";
import { grownWorld, LedgerWorld } from "../../support/ledger-world.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LIMITS = { hourUtc: 2, turnMs: 15_000 };

/** Takes nothing under `objects/`: what a snapshot writes fails, what the tail writes does not. */
class FailingBucket extends DatedBucket {
  failing = true;

  override async put(...args: Parameters<DatedBucket["put"]>) {
    if (this.failing && args[0].includes("/objects/")) throw new Error("the bucket does not answer");
    return super.put(...args);
  }
}

function failingWorld(world: LedgerWorld, from: BackupWorld): BackupWorld & { readonly bucket: FailingBucket } {
  const bucket = new FailingBucket(from.bucket.objects);
  bucket.time = from.bucket.time;
  const { parts } = backupWorld(world.db, world.bucket, { bucket: bucket.r2, now: () => bucket.time });
  return {
    parts,
    bucket,
    later: (ms) => {
      bucket.time += ms;
    },
  };
}

function recorder() {
  const lines: { readonly event: string; readonly fields: LogFields }[] = [];
  return { lines, log: (_level: string, event: string, fields: LogFields = {}) => void lines.push({ event, fields }) };
}

test("a snapshot that fails holds up no tail: the minutes go on into the bucket, and the failure is told", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(20);
  const first = backupWorld(world.db, world.bucket);
  await takeSnapshot(first);
  const backups = failingWorld(world, first);
  backups.later(DAY);
  await world.addEntries(3);
  const { lines, log } = recorder();
  await expect(backUp(backups.parts, LIMITS, log)).rejects.toThrow("the bucket does not answer");
  const tails = () => [...backups.bucket.objects.keys()].filter((key) => key.startsWith("core/main/tail/"));
  expect(tails()).toHaveLength(1);
  await world.addEntries(2);
  backups.later(60_000);
  await expect(backUp(backups.parts, LIMITS, log)).rejects.toThrow("the bucket does not answer");
  expect(tails()).toHaveLength(2);
  expect(lines.map(({ event, fields }) => [event, fields.code])).toEqual([
    ["backup.job-failed", "snapshot"],
    ["backup.job-failed", "snapshot"],
  ]);
});

test("a run that does not end within a day is given up, and the next night's begins", async () => {
  const world = await LedgerWorld.make();
  await world.addEntries(20);
  const backups = failingWorld(world, backupWorld(world.db, world.bucket));
  const stuck = (await beginSnapshot(backups.parts, "command", "stuck")) ?? "";
  backups.later(DAY + 60_000);
  await expect(backUp(backups.parts, LIMITS, () => {})).rejects.toThrow();
  const states = async () =>
    new Map((await listRuns(world.db, 10)).map(({ name, state, reason }) => [name, [state, reason]]));
  expect((await states()).get(stuck)).toEqual(["failed", "it did not end within a day"]);
  expect((await states()).size).toBe(2);
  backups.bucket.failing = false;
  backups.later(60_000);
  expect(await backUp(backups.parts, LIMITS, () => {})).toMatchObject({ type: "good" });
});

test("a drill that does not end within a day is given up, and another begins", async () => {
  const world = await grownWorld(6);
  const backups = backupWorld(world.db, world.bucket);
  await beginDrill(world.db, "2026-11-01T02-00-00Z", "{}", backups.bucket.time - DAY - 1);
  await takeDrill(world.db, backups.bucket.time - DAY, 1);
  const parts: DrillParts = { ...backups.parts, scratch: world.db, logKeys: [] };
  await advanceDrill(parts, 0);
  expect((await listDrills(world.db, 10)).map(({ state, reason }) => [state, reason])).toEqual([
    ["failed", "it did not end within a day"],
  ]);
});

test("wrapped keys and the tail go after 30 days also while no snapshot succeeds", async () => {
  const world = await grownWorld(12);
  const first = backupWorld(world.db, world.bucket);
  await takeSnapshot(first);
  await world.addSubject("request", 1);
  await writeTail(first.parts, Number.POSITIVE_INFINITY);
  const backups = failingWorld(world, first);
  for (const key of backups.bucket.objects.keys()) backups.bucket.touch(key, first.bucket.time);
  const apart = async () => {
    const { keys, tail } = await listApart(backups.parts);
    return [keys.length > 0, tail.length > 0];
  };
  expect(await apart()).toEqual([true, true]);
  backups.later(30 * DAY - HOUR);
  await backUp(backups.parts, LIMITS, () => {}).catch(() => undefined);
  expect(await apart()).toEqual([true, true]);
  backups.later(2 * HOUR);
  await backUp(backups.parts, LIMITS, () => {}).catch(() => undefined);
  expect(await apart()).toEqual([false, false]);
});

test("a manifest that can not be read keeps objects, and neither keys nor the tail", async () => {
  const world = await grownWorld(12);
  const backups = backupWorld(world.db, world.bucket);
  await takeSnapshot(backups);
  await world.addSubject("request", 1);
  await writeTail(backups.parts, Number.POSITIVE_INFINITY);
  const old = [...backups.bucket.objects.keys()].filter((key) => /\/(?:keys|tail)\//.test(key));
  const left = () => old.filter((key) => backups.bucket.objects.has(key));
  expect(old.length).toBeGreaterThan(1);
  const { lines, log } = recorder();
  let broken = "";
  for (let day = 0; day < 29; day++) {
    backups.later(DAY);
    await world.addEntries(1);
    const { name } = await takeSnapshot(backups);
    if (day === 20) {
      broken = `core/main/snapshots/${name}/manifest.json`;
      await backups.bucket.put(broken, "{");
    }
  }
  const tail = old.find((key) => key.includes("/tail/")) ?? "";
  await backups.bucket.put(tail, "younger than two days");
  for (let day = 0; day < 5; day++) {
    backups.later(DAY);
    await world.addEntries(1);
    // The night's own, which cleans up; what is gone by then is no longer in its way.
    for (let turn = 0; turn < 3; turn++) await backUp(backups.parts, LIMITS, log);
  }
  expect(left()).toEqual([]);
  const reasons = lines.filter(({ event }) => event === "backup.unused-kept").map(({ fields }) => fields.reason ?? "");
  expect(reasons.length).toBeGreaterThan(0);
  for (const reason of reasons) expect(reason).toContain(broken.split("/")[3]);
});

test("the limits are seen to every hour, also by a cron that comes some minutes late", () => {
  expect(limitsAreDue(5 * DAY)).toBe(true);
  expect(limitsAreDue(5 * DAY + 2 * 60_000)).toBe(true);
  expect(limitsAreDue(5 * DAY + 3 * 60_000)).toBe(false);
  expect(limitsAreDue(5 * DAY + HOUR)).toBe(true);
});
