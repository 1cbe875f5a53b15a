/**
 * `npm run bench -- --only backup`: what a backup of a large ledger costs, the next one with a thousand new entries, and a restore from
 * the archive; and the same of a hub with as many claims as `--claims` says. The snapshot is made by core and hub as they are deployed,
 * whose heap is read from workerd's inspector meanwhile. `--large N` for another size; a drill of 100,000 entries is measured beside it.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { Log, LogLevel, Miniflare } from "miniflare";
import * as z from "zod";
import { writeArchive } from "../scripts/lib/backup/archive.ts";
import { makeBar } from "../scripts/lib/backup/bar.ts";
import { restoreArchive } from "../scripts/lib/backup/restore.ts";
import { type BackupSite, makeSnapshot, type Run, remoteSnapshot } from "../scripts/lib/backup/site.ts";
import { fileTarget } from "../scripts/lib/backup/target.ts";
import { bundleWorker, projectRoot } from "../scripts/lib/bundle.ts";
import { fillHub } from "../scripts/lib/db-fill.ts";
import { applyMigrations } from "../scripts/lib/migrate.ts";
import { hubOperatorOf, operatorOf } from "../scripts/lib/operator.ts";
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
  readonly of: "core" | "hub";
  /** Entries of the ledger, or claims of the hub. */
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
  { entries: large, claims }: { readonly entries: number; readonly claims: number },
  progress: (text: string) => void,
): Promise<BackupFigures> {
  const drills: Drill[] = [];
  for (const size of [...new Set([Math.min(DRILL, large), large])]) {
    drills.push(await drillOf("core", secrets, size, progress));
  }
  const [small] = drills;
  drills.push(await drillOf("hub", secrets, claims, progress));
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

/** Grows the database to this size, from what it has. */
async function grow(of: Drill["of"], file: string, from: number, to: number, progress: (text: string) => void) {
  if (of === "core") {
    await fillLedger(file, to, (entries) => progress(`preparing: ${entries} of ${to} entries`));
    return;
  }
  progress(`preparing: ${to} claims of the hub`);
  const sqlite = new DatabaseSync(file);
  fillHub(sqlite, to, from);
  sqlite.close();
}

async function drillOf(
  of: Drill["of"],
  secrets: Readonly<Record<string, string>>,
  size: number,
  progress: (text: string) => void,
): Promise<Drill> {
  const bar = makeBar(process.stderr);
  const parent = join(projectRoot, ".data", "bench");
  mkdirSync(parent, { recursive: true });
  const dataDir = mkdtempSync(join(parent, `backup-${of}-${size}-`));
  try {
    const made = await start(of, secrets, dataDir);
    const database = await made.miniflare.getD1Database("DB", SITES[of].worker);
    await applyMigrations(database, join(projectRoot, "migrations", SITES[of].migrations));
    await made.miniflare.dispose();
    const file = databaseFile(dataDir, SITES[of].table);
    await grow(of, file, 0, size, progress);
    const first = await snapshot(of, secrets, dataDir, progress);
    await grow(of, file, size, size + NEW_ENTRIES, () => {});
    const running = await start(of, secrets, dataDir);
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
    // Making and fetching a backup are entries of their own.
    const there = (of === "core" ? restored.state.size : restored.rows.claims) ?? 0;
    if (there < size + NEW_ENTRIES) throw new Error(`${there} of ${size + NEW_ENTRIES} were restored`);
    return {
      of,
      entries: size,
      first: first.snapshot,
      second: second.snapshot,
      fetchSeconds,
      archiveMegabytes: statSync(archive).size / 1e6,
      checkSeconds: restored.checkMs / 1_000,
      restoreSeconds: restored.restoreMs / 1_000,
      restoreCpuSeconds: (cpu.user + cpu.system) / 1e6,
      restoredPerSecond: (1_000 * there) / restored.restoreMs,
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const SITES = {
  core: { worker: "itrans-core", migrations: "core", table: "ledger_heads" },
  hub: { worker: "medlink-hub", migrations: "medlink", table: "claim_events" },
} as const;

function databaseFile(dataDir: string, table: string): string {
  const directory = join(dataDir, "d1", "miniflare-D1DatabaseObject");
  const files = readdirSync(directory).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  const found = files
    .map((name) => join(directory, name))
    .filter((path) => {
      const sqlite = new DatabaseSync(path, { readOnly: true });
      const there = sqlite.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").all(table).length > 0;
      sqlite.close();
      return there;
    });
  const [file] = found;
  if (file === undefined || found.length > 1) throw new Error("the file of the database is not to be told");
  return file;
}

interface Running {
  readonly worker: string;
  readonly miniflare: Miniflare;
  readonly site: BackupSite;
}

/** Nobody calls core here; the binding must be there. */
const NO_CORE = "export default { fetch: () => new Response(null, { status: 503 }) };";

async function start(of: Drill["of"], secrets: Readonly<Record<string, string>>, dataDir: string): Promise<Running> {
  const { worker } = SITES[of];
  const site = workerSite(worker);
  const { port } = await claimPorts({ port: 0 });
  const miniflare = new Miniflare({
    workers: [
      {
        ...site.options,
        name: worker,
        modules: [{ type: "ESModule", path: `${of}.js`, contents: await bundleWorker(site.entry) }],
        bindings: { ...site.vars, ...secrets, LOG_LEVEL: "warn", METRICS: "off", BACKUP_TURN_MS: "10000" },
        ...(of === "hub" ? { serviceBindings: { CORE: "no-core" } } : {}),
        unsafeDirectSockets: [{ host: "127.0.0.1", port: port ?? 0 }],
      },
      ...(of === "hub"
        ? [
            {
              name: "no-core",
              compatibilityDate: site.options.compatibilityDate,
              modules: [{ type: "ESModule" as const, path: "core.js", contents: NO_CORE }],
            },
          ]
        : []),
    ],
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
  if (of === "core") {
    const operator = operatorOf({ ITRANS_CORE_URL: url, OPERATOR_API_KEY: secrets.OPERATOR_API_KEY });
    return { worker, miniflare, site: { operator, base: "/operations" } };
  }
  const operator = hubOperatorOf({ MEDLINK_HUB_URL: url, HUB_OPERATOR_API_KEY: secrets.HUB_OPERATOR_API_KEY });
  return { worker, miniflare, site: { operator, base: "/api/operations" } };
}

const targetsSchema = z.array(z.looseObject({ webSocketDebuggerUrl: z.string(), title: z.string() }));
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
async function watchHeap(miniflare: Miniflare, worker: string): Promise<() => Promise<HeapPeak>> {
  const { host } = await miniflare.getInspectorURL();
  const listed = await fetch(`http://${host}/json`);
  const target = targetsSchema.parse(await listed.json()).find(({ title }) => title.includes(worker));
  if (target === undefined) throw new Error(`the inspector does not show ${worker}`);
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

async function measureSnapshot(
  { worker, miniflare, site }: Running,
  progress: (text: string) => void,
): Promise<Measured> {
  const stop = await watchHeap(miniflare, worker);
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
  of: Drill["of"],
  secrets: Readonly<Record<string, string>>,
  dataDir: string,
  progress: (text: string) => void,
): Promise<Measured> {
  const running = await start(of, secrets, dataDir);
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
      const what = drill.of === "core" ? "entries" : "claims of the hub";
      const rate = (seconds: number) => `${seconds.toFixed(1)} s, ${number(entries / seconds)} a second`;
      return [
        `${number(entries)} ${what}`,
        `  first snapshot: ${rate(first.seconds)}, ${first.newFiles} files, ${first.newMegabytes.toFixed(1)} MB, heap peak ${heap(first)}`,
        `  with ${number(NEW_ENTRIES)} new: ${second.seconds.toFixed(1)} s, ${second.newFiles} files, ${second.newMegabytes.toFixed(2)} MB, heap peak ${heap(second)} (under ${BACKUP_MUST.heapMegabytes})`,
        `  archive: fetched in ${drill.fetchSeconds.toFixed(1)} s, ${drill.archiveMegabytes.toFixed(1)} MB`,
        `  restore: checked in ${drill.checkSeconds.toFixed(1)} s, restored in ${rate(drill.restoreSeconds)}, ${drill.restoreCpuSeconds.toFixed(1)} s of CPU${entries === DRILL && drill.of === "core" ? ` (at most ${BACKUP_MUST.drillRestoreSeconds} s in all)` : ""}`,
      ];
    })
    .join("\n");
}
