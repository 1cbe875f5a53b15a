/**
 * `npm run bench -- --only backup`: what a backup of a large ledger costs, the next one with a thousand new entries, and a restore from
 * the archive. The snapshot is made by core as it is deployed, whose heap is read from workerd's inspector meanwhile.
 * `--large N` for another size; a drill of 100,000 entries is measured beside it.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Log, LogLevel, Miniflare } from "miniflare";
import * as z from "zod";
import { writeArchive } from "../scripts/lib/backup/archive.ts";
import { makeBar } from "../scripts/lib/backup/bar.ts";
import { restoreArchive } from "../scripts/lib/backup/restore.ts";
import { type BackupSite, makeSnapshot, type Run, remoteSnapshot } from "../scripts/lib/backup/site.ts";
import { fileTarget } from "../scripts/lib/backup/target.ts";
import { bundleWorker, projectRoot } from "../scripts/lib/bundle.ts";
import { applyMigrations } from "../scripts/lib/migrate.ts";
import { operatorOf } from "../scripts/lib/operator.ts";
import { claimPorts } from "../scripts/lib/ports.ts";
import { workerSite } from "../scripts/lib/stack.ts";
import { backupKeys } from "../src/backup/sealed-file.ts";
import { fillLedger } from "./prepare.ts";

const DRILL = 100_000;
const NEW_ENTRIES = 1_000;
const HEAP_EVERY_MS = 50;
const LAST_ANSWER_MS = 10_000;

export const BACKUP_MUST = { drillRestoreSeconds: 120, heapMegabytes: 128, secondOverFirst: 0.2 };

interface Snapshot {
  readonly seconds: number;
  readonly newFiles: number;
  readonly newMegabytes: number;
  /** Used heap and the buffers outside it. */
  readonly heapPeakMegabytes: number;
  readonly heapReadings: number;
}

interface Drill {
  readonly entries: number;
  readonly first: Snapshot;
  readonly second: Snapshot;
  readonly fetchSeconds: number;
  readonly archiveMegabytes: number;
  readonly checkSeconds: number;
  readonly restoreSeconds: number;
  /** Of the process, checking included: what it takes on a machine that does nothing else. */
  readonly restoreCpuSeconds: number;
  readonly restoredPerSecond: number;
}

export interface BackupFigures {
  readonly drills: readonly Drill[];
  readonly held: boolean;
}

export async function benchBackup(
  secrets: Readonly<Record<string, string>>,
  large: number,
  progress: (text: string) => void,
): Promise<BackupFigures> {
  const drills: Drill[] = [];
  for (const size of [...new Set([Math.min(DRILL, large), large])]) drills.push(await drillOf(secrets, size, progress));
  const [small] = drills;
  const held =
    small !== undefined &&
    small.checkSeconds + small.restoreSeconds <= (BACKUP_MUST.drillRestoreSeconds * small.entries) / DRILL &&
    drills.every(({ first, second }) =>
      [first, second].every(({ heapPeakMegabytes }) => heapPeakMegabytes < BACKUP_MUST.heapMegabytes),
    ) &&
    drills.every(
      ({ entries, first, second }) =>
        entries < DRILL || second.newMegabytes <= BACKUP_MUST.secondOverFirst * first.newMegabytes,
    );
  return { drills, held };
}

async function drillOf(
  secrets: Readonly<Record<string, string>>,
  size: number,
  progress: (text: string) => void,
): Promise<Drill> {
  const bar = makeBar(process.stderr);
  const parent = join(projectRoot, ".data", "bench");
  mkdirSync(parent, { recursive: true });
  const dataDir = mkdtempSync(join(parent, `backup-${size}-`));
  try {
    const made = await start(secrets, dataDir);
    await applyMigrations(await made.miniflare.getD1Database("DB"), join(projectRoot, "migrations", "core"));
    await made.miniflare.dispose();
    const file = databaseFile(dataDir);
    await fillLedger(file, size, (entries) => progress(`preparing: ${entries} of ${size} entries`));
    const first = await snapshot(secrets, dataDir, progress);
    await fillLedger(file, size + NEW_ENTRIES, () => {});
    const running = await start(secrets, dataDir);
    let second: Measured;
    let archive: string;
    let fetchSeconds: number;
    const archives = join(dataDir, "archives");
    try {
      second = await measureSnapshot(running, progress);
      const fetched = performance.now();
      const source = await remoteSnapshot(running.site, second.run.name);
      ({ archive } = await writeArchive(source, archives, bar.show));
      fetchSeconds = (performance.now() - fetched) / 1_000;
    } finally {
      await running.miniflare.dispose();
    }
    const cpuBefore = process.cpuUsage();
    const restored = await restoreArchive(archive, {
      keys: backupKeys([secrets.BACKUP_ENCRYPTION_KEY ?? ""]),
      promisesFor: async () => ({ logKeys: [], promises: [] }),
      withoutKeys: false,
      targetOf: (manifest) => fileTarget(join(dataDir, "restored.sqlite"), manifest),
      progress: bar.show,
    });
    bar.end();
    const cpu = process.cpuUsage(cpuBefore);
    if (restored.state.size !== size + NEW_ENTRIES) throw new Error(`${restored.state.size} entries were restored`);
    return {
      entries: size,
      first: first.snapshot,
      second: second.snapshot,
      fetchSeconds,
      archiveMegabytes: statSync(archive).size / 1e6,
      checkSeconds: restored.checkMs / 1_000,
      restoreSeconds: restored.restoreMs / 1_000,
      restoreCpuSeconds: (cpu.user + cpu.system) / 1e6,
      restoredPerSecond: (1_000 * restored.state.size) / restored.restoreMs,
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function databaseFile(dataDir: string): string {
  const directory = join(dataDir, "d1", "miniflare-D1DatabaseObject");
  const files = readdirSync(directory).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  const [file] = files;
  if (file === undefined || files.length > 1) throw new Error("the file of the database is not to be told");
  return join(directory, file);
}

interface Running {
  readonly miniflare: Miniflare;
  readonly site: BackupSite;
}

async function start(secrets: Readonly<Record<string, string>>, dataDir: string): Promise<Running> {
  const core = workerSite("itrans-core");
  const { port } = await claimPorts({ port: 0 });
  const miniflare = new Miniflare({
    name: "itrans-core",
    modules: [{ type: "ESModule", path: "core.js", contents: await bundleWorker(core.entry) }],
    ...core.options,
    bindings: { ...core.vars, ...secrets, LOG_LEVEL: "warn", METRICS: "off", BACKUP_TURN_MS: "10000" },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: port ?? 0 }],
    inspectorPort: 0,
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    d1Persist: join(dataDir, "d1"),
    r2Persist: join(dataDir, "r2"),
    durableObjectsPersist: join(dataDir, "do"),
    cachePersist: false,
  });
  await miniflare.ready;
  const url = `http://127.0.0.1:${port}`;
  const operator = operatorOf({ ITRANS_CORE_URL: url, OPERATOR_API_KEY: secrets.OPERATOR_API_KEY });
  return { miniflare, site: { operator, base: "/operations" } };
}

const targetsSchema = z.array(z.looseObject({ webSocketDebuggerUrl: z.string() }));
const usageSchema = z.looseObject({
  id: z.int(),
  result: z.looseObject({
    usedSize: z.number(),
    backingStorageSize: z.number().default(0),
  }),
});

interface HeapPeak {
  readonly bytes: number;
  /** How often the inspector told the heap. It is asked every 50 ms, and answers when the worker waits for something. */
  readonly readings: number;
}

/** Asks the inspector for the heap again and again. @returns what ends it and tells the peak. */
async function watchHeap(miniflare: Miniflare): Promise<() => Promise<HeapPeak>> {
  const { host } = await miniflare.getInspectorURL();
  const listed = await fetch(`http://${host}/json`);
  const [target] = targetsSchema.parse(await listed.json());
  if (target === undefined) throw new Error("the inspector shows no worker");
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error("the inspector does not answer")));
  });
  let [bytes, readings, asked, answered] = [0, 0, 0, 0];
  socket.addEventListener("message", ({ data }) => {
    const parsed = usageSchema.safeParse(JSON.parse(String(data)));
    if (!parsed.success) return;
    const { usedSize, backingStorageSize } = parsed.data.result;
    bytes = Math.max(bytes, usedSize + backingStorageSize);
    readings += 1;
    answered = parsed.data.id;
  });
  const ask = (): void => socket.send(JSON.stringify({ id: ++asked, method: "Runtime.getHeapUsage" }));
  const timer = setInterval(ask, HEAP_EVERY_MS);
  return async () => {
    clearInterval(timer);
    // What was asked while the worker was busy is answered now.
    ask();
    for (const until = performance.now() + LAST_ANSWER_MS; answered < asked && performance.now() < until; )
      await sleep(HEAP_EVERY_MS);
    socket.close();
    if (readings === 0) throw new Error("the inspector told nothing of the heap");
    return { bytes, readings };
  };
}

interface Measured {
  readonly run: Run;
  readonly snapshot: Snapshot;
}

async function measureSnapshot({ miniflare, site }: Running, progress: (text: string) => void): Promise<Measured> {
  const stop = await watchHeap(miniflare);
  const began = performance.now();
  const run = await makeSnapshot(site, undefined, ({ phase, newFiles }) =>
    progress(`snapshot: ${phase}, ${newFiles} files`),
  );
  const seconds = (performance.now() - began) / 1_000;
  const { bytes, readings } = await stop();
  const { newFiles, newBytes } = run;
  const heap = { heapPeakMegabytes: bytes / 1e6, heapReadings: readings };
  return { run, snapshot: { seconds, newFiles, newMegabytes: newBytes / 1e6, ...heap } };
}

async function snapshot(
  secrets: Readonly<Record<string, string>>,
  dataDir: string,
  progress: (text: string) => void,
): Promise<Measured> {
  const running = await start(secrets, dataDir);
  try {
    return await measureSnapshot(running, progress);
  } finally {
    await running.miniflare.dispose();
  }
}

export function backupReport({ drills }: BackupFigures): string {
  const number = (value: number): string => Math.round(value).toLocaleString("en");
  const heap = ({ heapPeakMegabytes, heapReadings }: Snapshot): string =>
    `${heapPeakMegabytes.toFixed(0)} MB in ${heapReadings} readings`;
  return drills
    .flatMap((drill) => {
      const { entries, first, second } = drill;
      const rate = (seconds: number) => `${seconds.toFixed(1)} s, ${number(entries / seconds)} entries/s`;
      return [
        `${number(entries)} entries`,
        `  first snapshot: ${rate(first.seconds)}, ${first.newFiles} files, ${first.newMegabytes.toFixed(1)} MB, heap peak ${heap(first)}`,
        `  with ${number(NEW_ENTRIES)} new: ${second.seconds.toFixed(1)} s, ${second.newFiles} files, ${second.newMegabytes.toFixed(2)} MB, heap peak ${heap(second)} (under ${BACKUP_MUST.heapMegabytes})`,
        `  archive: fetched in ${drill.fetchSeconds.toFixed(1)} s, ${drill.archiveMegabytes.toFixed(1)} MB`,
        `  restore: checked in ${drill.checkSeconds.toFixed(1)} s, restored in ${rate(drill.restoreSeconds)}, ${drill.restoreCpuSeconds.toFixed(1)} s of CPU${entries === DRILL ? ` (at most ${BACKUP_MUST.drillRestoreSeconds} s in all)` : ""}`,
      ];
    })
    .join("\n");
}
