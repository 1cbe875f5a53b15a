import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { temporaryDirectory } from "./support/stack.ts";
import { killMigrations, killRenewals } from "./support/work-kill.ts";

const directory = temporaryDirectory();
afterAll(() => directory.remove());

const total = (met: Readonly<Record<string, number>>): number => Object.values(met).reduce((sum, n) => sum + n, 0);

test("migrations that are killed are there with their records or not at all, and go on", async () => {
  const { faults, met } = await killMigrations({ seed: 5, rounds: 2, dataDir: join(directory.path, "migrations") });
  expect(faults).toEqual([]);
  expect(total(met)).toBe(2);
  expect(met.between).toBeGreaterThan(0);
}, 300_000);

test("keys and fields whose renewal is killed open under the key that they name, and the renewal goes on to its end", async () => {
  const { faults, met } = await killRenewals({ seed: 3, rounds: 2, dataDir: join(directory.path, "keys") });
  expect(faults).toEqual([]);
  expect(met).toMatchObject({ "keys between": 1, "fields between": 1 });
}, 300_000);
