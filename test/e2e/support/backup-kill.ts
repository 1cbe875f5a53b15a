/**
 * SIGKILL while a snapshot is made, and while one is restored. What was cut off goes on or begins again; nothing half done is ever taken
 * for whole: a snapshot has a manifest and every file of it, or no manifest; a restored database has its name when it is complete.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { fillLedger } from "../../../bench/prepare.ts";
import { writeArchive } from "../../../scripts/lib/backup/archive.ts";
import { type BackupSite, remoteSnapshot } from "../../../scripts/lib/backup/site.ts";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { messageOf } from "../../../scripts/lib/fail.ts";
import { call } from "../../../scripts/lib/http.ts";
import { operatorOf } from "../../../scripts/lib/operator.ts";
import { type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { seededRandom } from "./random.ts";
import { ANY_PORT, bundledOnce, KEYS, secrets } from "./stack.ts";

export interface BackupKillReport {
  readonly faults: readonly string[];
  /** What the kill met: the phase of the snapshot, `good` when it came too late, `begun` when nothing was recorded. */
  readonly snapshots: Readonly<Record<string, number>>;
  /** `cut`: nothing had its name yet; `late`: the restore was complete. */
  readonly restores: Readonly<Record<string, number>>;
}

const FIRST_ENTRIES = 4_500;
/** More than a segment, so that each round has one to seal. */
const MORE_ENTRIES = 4_200;
const LEASE_MS = 300;

const runSchema = z.object({
  name: z.string(),
  state: z.string(),
  phase: z.string().nullable(),
  reason: z.string().nullable(),
});

const coveredSchema = z.looseObject({ covered: z.number() });

const script = bundledOnce();

async function startCore(dataDir: string): Promise<{ readonly stack: Stack; readonly site: BackupSite }> {
  const stack = await startStack({
    dataDir,
    ports: ANY_PORT,
    workers: ["itrans-core"],
    secrets,
    script,
    settings: () => ({
      "itrans-core": { BACKUP_LEASE_MS: String(LEASE_MS), BACKUP_TURN_MS: "60000", METRICS: "off", LOG_LEVEL: "error" },
    }),
  });
  const operator = operatorOf({ ITRANS_CORE_URL: stack.urls.core, OPERATOR_API_KEY: KEYS.operator });
  return { stack, site: { operator, base: "/operations" } };
}

function databaseFile(dataDir: string): string {
  const directory = join(dataDir, "d1", "miniflare-D1DatabaseObject");
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".sqlite") && file !== "metadata.sqlite")) {
    return join(directory, name);
  }
  throw new Error("there is no database");
}

/** For each kill that is to meet something under way: what is over sooner than thought is tried again. */
const MOST_TRIES = 6;

export async function runBackupKills(options: {
  readonly seed: number;
  readonly rounds: number;
  readonly dataDir: string;
  readonly say?: (text: string) => void;
}): Promise<BackupKillReport> {
  const { rounds, dataDir, say = () => {} } = options;
  const random = seededRandom(options.seed);
  const faults: string[] = [];
  const snapshots: Record<string, number> = {};
  mkdirSync(dataDir, { recursive: true });
  const first = await startCore(dataDir);
  await first.stack.dispose();
  let size = FIRST_ENTRIES;
  await fillLedger(databaseFile(dataDir), size, () => {});
  let { stack, site } = await startCore(dataDir);
  /** What a snapshot takes here, as far as it is known: a kill that came too late says that it is less. */
  let wholeMs = 2_500;
  let round = 0;
  let archive: { readonly path: string; readonly size: number } | undefined;
  try {
    for (let tries = 0; round < rounds && tries < MOST_TRIES * rounds; tries++) {
      const begun = runSchema.parse(await site.operator.ask(`${site.base}/backups`, { method: "POST", body: {} }));
      const advancing = call(`${stack.urls.core}/operations/backups/${begun.name}/advance`, {
        method: "POST",
        headers: { "x-api-key": KEYS.operator },
        timeoutMs: 60_000,
      }).catch(() => undefined);
      const after = Math.floor(random.next() * wholeMs);
      await sleep(after);
      process.kill(stack.workerdPid(), "SIGKILL");
      await Promise.all([advancing, stack.died]);
      await stack.dispose();
      size += MORE_ENTRIES;
      await fillLedger(databaseFile(dataDir), size, () => {});
      ({ stack, site } = await startCore(dataDir));

      const met = runSchema.parse(await site.operator.ask(`${site.base}/backups/${begun.name}`));
      const key = met.state === "running" ? (met.phase ?? "begun") : met.state;
      snapshots[key] = (snapshots[key] ?? 0) + 1;
      if (met.state === "running") {
        round += 1;
        wholeMs = Math.min(2_500, wholeMs * 1.1);
      } else wholeMs = Math.max(200, Math.min(wholeMs * 0.9, after));
      const manifest = await call(`${stack.urls.core}/operations/backups/${begun.name}/manifest`, {
        headers: { "x-api-key": KEYS.operator },
      });
      // The manifest may be there an instant before the row says so; with it everything else is.
      if (met.state === "good" && manifest.status !== 200) faults.push(`${begun.name} is good without a manifest`);
      if (manifest.status === 200) await fetchWhole(site, begun.name, join(dataDir, "looked"), faults);
      await sleep(LEASE_MS);
      const resumedAt = performance.now();
      let run = met;
      for (let turn = 0; run.state === "running" && turn < 200; turn++) {
        run = runSchema.parse(
          await site.operator.ask(`${site.base}/backups/${begun.name}/advance`, { method: "POST" }),
        );
        if (run.state === "running") await sleep(50);
      }
      if (run.state !== "good") faults.push(`${begun.name} did not go on: ${run.state} ${run.reason}`);
      else {
        const path = await fetchWhole(site, begun.name, join(dataDir, "archives"), faults);
        // What was fetched reaches the export's own entry, by the tail that was written for it.
        const { covered } = coveredSchema.parse(await site.operator.ask(`${site.base}/backups`));
        if (path !== undefined) archive = { path, size: covered };
      }
      say(
        `snapshot ${round} of ${rounds}: killed after ${after} ms in ${key}, ended in ${Math.round(performance.now() - resumedAt)} ms`,
      );
    }
  } finally {
    await stack.dispose();
  }
  if (round < rounds) faults.push(`only ${round} of ${rounds} kills met a snapshot under way`);
  if (archive === undefined) return { faults: [...faults, "there is no archive to restore"], snapshots, restores: {} };
  const restores = await killRestores(archive, { rounds, dataDir, random, say, faults });
  return { faults, snapshots, restores };
}

/** Every file of a snapshot is what its manifest says. */
async function fetchWhole(
  site: BackupSite,
  name: string,
  directory: string,
  faults: string[],
): Promise<string | undefined> {
  rmSync(directory, { recursive: true, force: true });
  try {
    return (await writeArchive(await remoteSnapshot(site, name), directory, () => {})).archive;
  } catch (error) {
    faults.push(`${name} is not whole: ${messageOf(error)}`);
    return undefined;
  }
}

/** @returns the exit code; null when it was killed. */
function restoreOnce(archive: string, into: string, killAfterMs: number | undefined): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      join(projectRoot, "node_modules/.bin/node"),
      // There is no core to ask by then.
      [join(projectRoot, "scripts/restore.ts"), archive, "--into", into, "--unverified"],
      { stdio: "ignore", env: { PATH: process.env.PATH, BACKUP_ENCRYPTION_KEY: secrets.BACKUP_ENCRYPTION_KEY } },
    );
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMs);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

function sizeOf(path: string): number {
  const sqlite = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(sqlite.prepare("SELECT COUNT(*) AS n FROM ledger_entries").get()?.n);
  } finally {
    sqlite.close();
  }
}

async function killRestores(
  archive: { readonly path: string; readonly size: number },
  options: {
    readonly rounds: number;
    readonly dataDir: string;
    readonly random: { next(): number };
    readonly say: (text: string) => void;
    readonly faults: string[];
  },
): Promise<Readonly<Record<string, number>>> {
  const { rounds, dataDir, random, say, faults } = options;
  const restores: Record<string, number> = { cut: 0, late: 0 };
  const into = join(dataDir, "restored.sqlite");
  const clear = () => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${into}${suffix}`, { force: true });
  };
  const began = performance.now();
  if ((await restoreOnce(archive.path, into, undefined)) !== 0) return { refused: 1 };
  const wholeMs = performance.now() - began;
  clear();
  for (let tries = 0; (restores.cut ?? 0) < rounds && tries < MOST_TRIES * rounds; tries++) {
    const after = Math.floor(random.next() * wholeMs);
    const code = await restoreOnce(archive.path, into, after);
    const late = code === 0;
    if (!late && existsSync(into) && sizeOf(into) !== archive.size)
      faults.push(`a restore cut off after ${after} ms has its name`);
    restores[late ? "late" : "cut"] = (restores[late ? "late" : "cut"] ?? 0) + 1;
    if (!existsSync(into)) {
      const again = await restoreOnce(archive.path, into, undefined);
      if (again !== 0) faults.push(`a restore after one that was cut off at ${after} ms ends with ${again}`);
    }
    if (!existsSync(into) || sizeOf(into) !== archive.size) faults.push(`the restore after ${after} ms is not whole`);
    clear();
    say(`restore ${restores.cut} of ${rounds}: ${late ? "complete before" : "killed after"} ${after} ms`);
  }
  if ((restores.cut ?? 0) < rounds) faults.push(`only ${restores.cut} of ${rounds} kills met a restore under way`);
  return restores;
}
