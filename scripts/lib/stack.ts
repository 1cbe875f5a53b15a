/**
 * The three workers on workerd's own sockets, with D1, R2, queues and Durable Objects embedded. What each worker is bound to
 * comes from its wrangler configuration alone, so what runs here is what is deployed.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Log, LogLevel, Miniflare, type MiniflareOptions, type WorkerOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions as miniflareOptionsOf, unstable_readConfig as readConfig } from "wrangler";
import * as z from "zod";
import { type SecretSpec, secretsOf, type WorkerName } from "../../src/platform/secrets.ts";
import { type BuildFacts, buildFacts, bundleWorker, projectRoot } from "./bundle.ts";
import { Failure, messageOf } from "./fail.ts";
import { applyMigrations, type Database } from "./migrate.ts";
import { claimPorts } from "./ports.ts";

export interface WorkerSite {
  readonly config: string;
  readonly portName: PortName;
}

export type PortName = "core" | "hub" | "relay";

export const WORKERS: Readonly<Record<WorkerName, WorkerSite>> = {
  "itrans-core": { config: "wrangler.toml", portName: "core" },
  "itrans-relay": { config: "wrangler.relay.toml", portName: "relay" },
  "medlink-hub": { config: "wrangler.medlink.toml", portName: "hub" },
};

export const DEFAULT_PORTS: Readonly<Record<PortName, number>> = { core: 3002, hub: 5000, relay: 3003 };

export interface StackOptions {
  /** Where D1, R2 and Durable Objects are kept. */
  readonly dataDir: string;
  /** 0: any free port. */
  readonly ports?: Readonly<Partial<Record<PortName, number>>>;
  readonly workers?: readonly WorkerName[];
  /** Values of each worker's secrets, by name; a worker is given those that src/platform/secrets.ts lists for it. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Settings for each worker, over the `vars` of its configuration. */
  readonly settings?: (ports: Readonly<Record<PortName, number>>) => Readonly<Partial<Record<WorkerName, Settings>>>;
  /** How often core's and the hub's crons are triggered; 0: never. A trigger waits for the last one to end. */
  readonly cronEveryMs?: number;
  /** A line that a worker logged. */
  readonly onLog?: (line: string) => void;
  /** A workerd process was started: the first, and another with each reload. */
  readonly onWorkerd?: (pid: number) => void;
  /** A worker's script, when it is not what its configuration's entry bundles to. */
  readonly script?: (worker: WorkerName, entry: string, facts: BuildFacts) => Promise<string>;
}

export type Settings = Readonly<Record<string, string>>;

const workerdPackage = z.object({ default: z.string() });

const objectsSchema = z.record(z.string(), z.union([z.string(), z.looseObject({ className: z.string() })]));

/** Looked for before it is started: the runtime's own start waits for ever for a binary that is not there. */
function requireWorkerd(named = process.env.MINIFLARE_WORKERD_PATH): void {
  let binary = named;
  try {
    const requireOfMiniflare = createRequire(createRequire(import.meta.url).resolve("miniflare"));
    binary ??= workerdPackage.parse(requireOfMiniflare("workerd")).default;
  } catch {
    // Said below.
  }
  if (binary !== undefined && existsSync(binary)) return;
  const where = binary === undefined ? " for this platform" : ` at ${binary}`;
  throw new Failure(`there is no workerd binary${where}: run npm ci, with optional packages allowed`);
}

/** Second versions beside those that serve: over the same data, on ports of their own. Objects and queues stay with the first. */
export type Candidates = Readonly<Partial<Record<WorkerName, { readonly script: string; readonly port: number }>>>;

export interface Stack {
  readonly ports: Readonly<Record<PortName, number>>;
  readonly urls: Readonly<Record<PortName, string>>;
  /** The process to kill in a test of what survives. */
  workerdPid(): number;
  /** Of every process that its workers run in. */
  workerdPids(): readonly number[];
  /** Resolves, with one line, when workerd ends without having been asked to. The stack is then only good to dispose. */
  readonly died: Promise<string>;
  database(worker: WorkerName): Promise<Database>;
  /** An R2 bucket of a worker, by its binding. */
  bucket(worker: WorkerName, binding: string): ReturnType<Miniflare["getR2Bucket"]>;
  /** Triggers a worker's cron now. */
  scheduled(worker: WorkerName): Promise<void>;
  /** Bundles again and restarts the workers over the same data. @throws when a bundle fails; the old ones run on. */
  reload(scripts?: Readonly<Partial<Record<WorkerName, string>>>, candidates?: Candidates): Promise<void>;
  /** Migrations applied at this start, by worker. */
  readonly migrated: Readonly<Partial<Record<WorkerName, readonly string[]>>>;
  dispose(): Promise<void>;
}

/** Miniflare does not tell which process it started, so it is overheard: the one spawned in a stack's own async context. */
const spawnedBy = new AsyncLocalStorage<(child: ChildProcess) => void>();
let overhearing = false;

function overhear(): void {
  if (overhearing) return;
  overhearing = true;
  subscribe("child_process", (message) => {
    const heard = spawnedBy.getStore();
    if (heard === undefined || typeof message !== "object" || message === null || !("process" in message)) return;
    if (isChildProcess(message.process)) heard(message.process);
  });
}

const isChildProcess = (value: unknown): value is ChildProcess =>
  typeof value === "object" && value !== null && "kill" in value && "once" in value;

export async function startStack(options: StackOptions): Promise<Stack> {
  const names = options.workers ?? (["itrans-core", "itrans-relay", "medlink-hub"] as const);
  const onLog = options.onLog ?? (() => {});
  const wanted: Partial<Record<PortName, number>> = {};
  for (const name of names) {
    const { portName } = WORKERS[name];
    wanted[portName] = options.ports?.[portName] ?? DEFAULT_PORTS[portName];
  }
  const claimed = await claimPorts(wanted);
  const ports = { ...DEFAULT_PORTS, ...claimed };
  const settings = options.settings?.(ports) ?? {};
  mkdirSync(options.dataDir, { recursive: true });

  const facts = buildFacts();
  const scriptOf = options.script ?? ((_worker, entry, current) => bundleWorker(entry, current));
  const sites = names.map((name) => ({ name, ...workerSite(name) }));
  const scripts = new Map<WorkerName, string>();
  await Promise.all(sites.map(async (site) => scripts.set(site.name, await scriptOf(site.name, site.entry, facts))));

  const isHere = (bound: unknown): boolean => {
    const name = typeof bound === "object" && bound !== null && "name" in bound ? bound.name : bound;
    return typeof name !== "string" || names.some((worker) => worker === name);
  };

  let candidates: Candidates = {};
  const workerOf = (site: (typeof sites)[number], name: string, contents: string, port: number): WorkerOptions => ({
    ...site.options,
    // A worker may run without the others: what it is bound to and is not here, it finds by its settings.
    serviceBindings: Object.fromEntries(
      Object.entries(site.options.serviceBindings ?? {}).filter(([, bound]) => isHere(bound)),
    ),
    name,
    modules: [{ type: "ESModule", path: `${name}.js`, contents }],
    bindings: {
      ...site.vars,
      ...secretValues(secretsOf(site.name), options.secrets),
      ...settings[site.name],
    },
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  });
  const candidateOf = (site: (typeof sites)[number]): WorkerOptions[] => {
    const candidate = candidates[site.name];
    if (candidate === undefined) return [];
    const objects = objectsSchema.parse(site.options.durableObjects ?? {});
    const ofFirst = Object.entries(objects).map(([binding, object]) => [
      binding,
      { ...(typeof object === "string" ? { className: object } : object), scriptName: site.name },
    ]);
    const { queueConsumers: _, ...own } = workerOf(site, `${site.name}-candidate`, candidate.script, candidate.port);
    return [{ ...own, durableObjects: Object.fromEntries(ofFirst) }];
  };
  const workersNow = (): WorkerOptions[] =>
    sites.flatMap((site) => [
      workerOf(site, site.name, scripts.get(site.name) ?? "", ports[WORKERS[site.name].portName]),
      ...candidateOf(site),
    ]);
  const optionsNow = (): MiniflareOptions => ({
    workers: workersNow(),
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    d1Persist: join(options.dataDir, "d1"),
    r2Persist: join(options.dataDir, "r2"),
    durableObjectsPersist: join(options.dataDir, "do"),
    cachePersist: false,
    handleRuntimeStdio(stdout: Readable, stderr: Readable) {
      createInterface(stdout).on("line", onLog);
      createInterface(stderr).on("line", onLog);
    },
  });

  overhear();
  let workerd: ChildProcess | undefined;
  let disposed = false;
  let reportDeath: (line: string) => void = () => {};
  const died = new Promise<string>((resolve) => {
    reportDeath = resolve;
  });
  let miniflare: Miniflare | undefined;
  const heard = (child: ChildProcess) => {
    child.once("spawn", () => {
      workerd = child;
      if (child.pid !== undefined) options.onWorkerd?.(child.pid);
    });
    child.once("exit", (code, signal) => {
      // Miniflare ends its own process to reload and to stop; `killed` tells that from a stranger's kill. It would start a
      // new one after a crash, over data that a test is about to look at: disposing forbids that.
      if (disposed || child.killed || workerd !== child || !started) return;
      disposed = true;
      void miniflare?.dispose().catch(() => {});
      reportDeath(`workerd (process ${child.pid}) ended: ${signal ?? `exit ${code}`}`);
    });
  };
  let started = false;
  requireWorkerd();
  const mf = await spawnedBy.run(heard, async () => {
    const listenersBefore = signalListeners();
    const created = new Miniflare(optionsNow());
    // Its listeners end the process at the first signal, before anything here could be stopped in order.
    removeSignalListeners(listenersBefore);
    try {
      await created.ready;
    } catch (error) {
      await created.dispose().catch(() => {});
      throw error instanceof Error && "code" in error && error.code === "ERR_ADDRESS_IN_USE"
        ? new Failure(error.message)
        : error;
    }
    return created;
  });
  miniflare = mf;
  started = true;

  const database = (name: WorkerName): Promise<Database> => mf.getD1Database("DB", name);
  const migrated: Partial<Record<WorkerName, readonly string[]>> = {};
  try {
    for (const site of sites) {
      if (site.migrationsDir !== undefined && existsSync(site.migrationsDir)) {
        migrated[site.name] = await applyMigrations(await database(site.name), site.migrationsDir);
      }
    }
  } catch (error) {
    disposed = true;
    await mf.dispose();
    throw error;
  }

  const scheduled = async (name: WorkerName): Promise<void> => {
    const worker = await mf.getWorker(name);
    const [cron] = sites.find((site) => site.name === name)?.crons ?? [];
    const result = await worker.scheduled({ scheduledTime: new Date(), ...(cron === undefined ? {} : { cron }) });
    if (result.outcome !== "ok") throw new Error(`the cron of ${name} ended with ${result.outcome}`);
  };
  const stopCrons = (options.cronEveryMs ?? 0) > 0 ? startCrons(options.cronEveryMs ?? 0) : () => {};

  function startCrons(everyMs: number): () => void {
    const busy = new Set<WorkerName>();
    const withCrons = sites.filter((site) => site.crons.length > 0).map((site) => site.name);
    const timer = setInterval(() => {
      for (const name of withCrons) {
        if (busy.has(name) || disposed || reloading) continue;
        busy.add(name);
        scheduled(name)
          .catch((error: unknown) => {
            if (!disposed && !reloading) onLog(`cron of ${name}: ${messageOf(error)}`);
          })
          .finally(() => busy.delete(name));
      }
    }, everyMs);
    return () => clearInterval(timer);
  }

  let reloading = false;
  return {
    ports,
    urls: {
      core: `http://127.0.0.1:${ports.core}`,
      hub: `http://127.0.0.1:${ports.hub}`,
      relay: `http://127.0.0.1:${ports.relay}`,
    },
    workerdPid() {
      if (workerd?.pid === undefined) throw new Error("workerd is not running");
      return workerd.pid;
    },
    workerdPids: () => (workerd?.pid === undefined ? [] : [workerd.pid]),
    died,
    database,
    bucket: (name, binding) => mf.getR2Bucket(binding, name),
    scheduled,
    migrated,
    async reload(replacements, beside) {
      const next = await Promise.all(
        sites.map(async (site) => ({
          name: site.name,
          script: replacements?.[site.name] ?? (await scriptOf(site.name, site.entry, buildFacts())),
        })),
      );
      for (const { name, script } of next) scripts.set(name, script);
      candidates = beside ?? candidates;
      reloading = true;
      try {
        await spawnedBy.run(heard, () => mf.setOptions(optionsNow()));
      } finally {
        reloading = false;
      }
    },
    async dispose() {
      stopCrons();
      if (disposed) return;
      disposed = true;
      await mf.dispose();
    },
  };
}

/** What a worker's configuration says of it. */
export function workerSite(name: WorkerName) {
  process.env.WRANGLER_LOG ??= "error"; // else it says for each worker that it found .dev.vars
  const path = join(projectRoot, WORKERS[name].config);
  const config = readConfig({ config: path });
  // The drill by cron is for what is deployed: here `npm run restore:drill` does it, and each worker has one database in one file.
  const d1_databases = config.d1_databases.filter(({ binding }: { readonly binding: string }) => binding !== "SCRATCH");
  const { workerOptions, main } = miniflareOptionsOf({ ...config, d1_databases });
  if (main === undefined) throw new Failure(`${WORKERS[name].config} names no entry`);
  const migrationsDir = config.d1_databases[0]?.migrations_dir;
  // Bindings are set anew: wrangler would add every line of .dev.vars, and a worker gets only its own secrets.
  return {
    entry: main,
    crons: config.triggers.crons ?? [],
    vars: Object.fromEntries(Object.entries(config.vars).map(([key, value]) => [key, String(value)])),
    migrationsDir: migrationsDir === undefined ? undefined : join(projectRoot, migrationsDir),
    options: {
      compatibilityDate: workerOptions.compatibilityDate,
      // Receivers of a local run, and core where ITRANS_API_URL says so, are on this machine, which that flag forbids.
      compatibilityFlags: (config.compatibility_flags ?? []).filter(
        (flag: string) => flag !== "global_fetch_strictly_public",
      ),
      d1Databases: workerOptions.d1Databases,
      r2Buckets: workerOptions.r2Buckets,
      kvNamespaces: workerOptions.kvNamespaces,
      queueProducers: workerOptions.queueProducers,
      queueConsumers: workerOptions.queueConsumers,
      durableObjects: workerOptions.durableObjects,
      serviceBindings: workerOptions.serviceBindings,
    },
  };
}

function secretValues(specs: readonly SecretSpec[], values: Settings): Record<string, string> {
  const bound: Record<string, string> = {};
  for (const { name } of specs) {
    for (const key of [name, `${name}_PREVIOUS`]) {
      const value = values[key];
      if (value !== undefined) bound[key] = value;
    }
  }
  return bound;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const signalListeners = () => SIGNALS.map((signal) => new Set(process.listeners(signal)));

function removeSignalListeners(before: ReturnType<typeof signalListeners>): void {
  for (const [index, signal] of SIGNALS.entries()) {
    for (const listener of process.listeners(signal)) {
      if (!before[index]?.has(listener)) process.removeListener(signal, listener);
    }
  }
}
