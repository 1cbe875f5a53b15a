import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runBackupKills } from "./support/backup-kill.ts";
import { temporaryDirectory } from "./support/stack.ts";

const directory = temporaryDirectory();
afterAll(() => directory.remove());

test("a snapshot and a restore that are killed go on or begin again, and nothing half done is taken for whole", async () => {
  const report = await runBackupKills({ seed: 7, rounds: 2, dataDir: join(directory.path, "data") });
  expect(report.faults).toEqual([]);
  const { good: _, ...underWay } = report.snapshots;
  expect(Object.values(underWay).reduce((sum, n) => sum + n, 0)).toBe(2);
  expect(report.restores.cut).toBe(2);
});
