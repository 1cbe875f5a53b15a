/**
 * `npm run bench`: what the write path costs beside the least that the platform can do, on workerd's own sockets. Every
 * variant is in one process and one run; they are measured in turn, round by round, so that a slow minute of the machine
 * falls on all of them. `npm run bench -- --rounds 5 --seconds 3`; `--only api`, `ledger`, `delivery`, `isolation`, `hub`, `backup`, `cost` or `metrics` for a part of it.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import autocannon from "autocannon";
import { Log, LogLevel, Miniflare, type WorkerOptions } from "miniflare";
import * as z from "zod";
import { bundleWorker, projectRoot } from "../scripts/lib/bundle.ts";
import { messageOf } from "../scripts/lib/fail.ts";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { applyMigrations } from "../scripts/lib/migrate.ts";
import { claimPorts } from "../scripts/lib/ports.ts";
import { completeSecrets } from "../scripts/lib/secrets-file.ts";
import { workerSite } from "../scripts/lib/stack.ts";
import { signProviderPayload } from "../src/platform/signature.ts";
import { backupReport, benchBackup } from "./backup.ts";
import { benchCost, costReport } from "./cost.ts";
import { benchDelivery, deliveryReport } from "./delivery.ts";
import { benchHub, hubReport } from "./hub.ts";
import { benchIsolation, isolationReport } from "./isolation.ts";
import { benchLedger, ledgerReport } from "./ledger.ts";
import { READABLE_EVERY } from "./seeded.ts";

const CONNECTIONS = 64;
const WARM_SECONDS = 2;
const SMALL = 1_000;
const LARGE = 100_000;
const SEED_STEP = 5_000;

const MUST = { groupOverOneWrite: 4, postOverNoopObject: 0.2, measuredOverUnmeasured: 0.95 };

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    only: { type: "string" },
    large: { type: "string", default: "200000" },
    claims: { type: "string", default: "100000" },
    offered: { type: "string", default: "100" },
    lives: { type: "string", default: "500" },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const large = Number(values.large);
const PARTS = ["api", "ledger", "delivery", "isolation", "hub", "backup", "cost", "metrics"];
const claims = Number(values.claims);
/** Of `cost`: claims filed a second, and how many. */
const offered = Number(values.offered);
const lives = Number(values.lives);
const knownPart = values.only === undefined || PARTS.includes(values.only);
if (
  !Number.isInteger(rounds) ||
  rounds < 1 ||
  !(seconds >= 1) ||
  !knownPart ||
  !Number.isInteger(large) ||
  large < 10_000 ||
  !Number.isInteger(claims) ||
  claims < 1_000 ||
  !(offered > 0) ||
  !Number.isInteger(lives) ||
  lives < 1
) {
  console.error(
    `npm run bench -- [--rounds N] [--seconds S] [--only ${PARTS.join("|")}] [--large ENTRIES] [--claims N] [--offered N --lives N]`,
  );
  process.exit(1);
}

type Load = Pick<autocannon.Options, "method" | "headers" | "body" | "requests">;

interface Variant {
  readonly name: string;
  readonly url: string;
  readonly load?: Load;
  readonly connections?: number;
}

interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function measure(variant: Variant, forSeconds: number): Promise<Measured> {
  const result = await autocannon({
    url: variant.url,
    connections: variant.connections ?? CONNECTIONS,
    duration: forSeconds,
    ...variant.load,
  });
  const bad = result.non2xx + result.errors + result.timeouts;
  if (bad > 0) {
    const [code] = Object.keys(result.statusCodeStats ?? {}).filter((status) => !status.startsWith("2"));
    throw new Error(`${variant.name}: ${bad} of ${result.requests.total} calls failed (${code ?? "no answer"})`);
  }
  await drain(variant);
  return {
    perSecond: result["2xx"] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  };
}

/** What was still under way when the clock stopped must not be paid for by the next variant: one more call waits behind it. */
async function drain(variant: Variant): Promise<void> {
  await autocannon({ url: variant.url, connections: 1, amount: 1, timeout: 60, ...variant.load });
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? (upper + (sorted[middle - 1] ?? Number.NaN)) / 2 : upper;
}

const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  else process.stderr.write(`${text}\n`);
};

const secrets = completeSecrets([{}]);
const core = workerSite("itrans-core");

const coreSettings = {
  ...core.vars,
  PAYLOAD_MASTER_KEY: secrets.PAYLOAD_MASTER_KEY ?? "",
  WORKFLOW_API_KEY: secrets.WORKFLOW_API_KEY ?? "",
  CLAIMS_API_KEY: secrets.CLAIMS_API_KEY ?? "",
  PROVIDER_SIGNATURE_HMAC_SECRET: secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "",
  DESTINATION_WRAPPING_KEY: secrets.DESTINATION_WRAPPING_KEY ?? "",
  EVM_PRIVATE_KEY: secrets.EVM_PRIVATE_KEY ?? "",
  LEDGER_SIGNING_KEY: secrets.LEDGER_SIGNING_KEY ?? "",
  LEDGER_ORIGIN: "bench.invalid/ledger/log",
  LOG_LEVEL: "warn",
  API_RATE_LIMIT_MAX_REQUESTS: "10000000",
  // A destination, so that every append writes its outbox row too; with no relay here nothing is ever sent.
  RELAY_MEDLINK_WEBHOOK_URL: "http://127.0.0.1:9/",
};

interface BenchWorker {
  readonly name: string;
  readonly entry: string;
  /** Its own database, bucket and queue of this name; undefined: none. */
  readonly store?: string;
  readonly objects?: WorkerOptions["durableObjects"];
  readonly settings?: Readonly<Record<string, string>>;
}

const here = (file: string): string => join(import.meta.dirname, "workers", file);
const appending = {
  SEQUENCER: { className: "LedgerSequencer", useSQLite: true },
  PUBLISHER: { className: "LedgerPublisher", useSQLite: true },
};

const WORKERS: readonly BenchWorker[] = [
  { name: "noop", entry: here("noop.ts") },
  { name: "noop-object", entry: here("noop-object.ts"), objects: { NOOP: { className: "Noop", useSQLite: true } } },
  {
    name: "one-write",
    entry: here("append.ts"),
    store: "one-write",
    objects: appending,
    settings: { LEDGER_COMMIT_MAX_COMMANDS: "1", LEDGER_COMMIT_GATHER_MS: "0" },
  },
  { name: "group-commit", entry: here("append.ts"), store: "group-commit", objects: appending },
  { name: "post", entry: core.entry, store: "post", objects: core.options.durableObjects },
  {
    name: "post-unmeasured",
    entry: core.entry,
    store: "post-unmeasured",
    objects: core.options.durableObjects,
    settings: { METRICS: "off" },
  },
  ...[SMALL, LARGE].flatMap((size): BenchWorker[] => [
    { name: `seed-${size}`, entry: here("seed.ts"), store: `read-${size}` },
    {
      name: `read-${size}`,
      entry: core.entry,
      store: `read-${size}`,
      objects: core.options.durableObjects,
      // Each verification is a real one.
      settings: { LEDGER_VERIFY_CACHE_MS: "0" },
    },
  ]),
];

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), "bench-"));
  const ports = await claimPorts(Object.fromEntries(WORKERS.map(({ name }) => [name, 0])));
  const scripts = new Map<string, string>();
  progress("bundling");
  for (const { entry } of WORKERS) if (!scripts.has(entry)) scripts.set(entry, await bundleWorker(entry));

  const miniflare = new Miniflare({
    workers: WORKERS.map(
      ({ name, entry, store, objects, settings }): WorkerOptions => ({
        name,
        compatibilityDate: core.options.compatibilityDate,
        compatibilityFlags: core.options.compatibilityFlags,
        modules: [{ type: "ESModule", path: `${name}.js`, contents: scripts.get(entry) ?? "" }],
        bindings: store === undefined ? {} : { ...coreSettings, ...settings },
        ...(objects === undefined ? {} : { durableObjects: objects }),
        ...(store === undefined
          ? {}
          : {
              d1Databases: { DB: { id: store } },
              r2Buckets: { LEDGER: { id: store } },
              queueProducers: { RELAY_QUEUE: { queueName: store } },
            }),
        unsafeDirectSockets: [{ host: "127.0.0.1", port: ports[name] ?? 0 }],
      }),
    ),
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    d1Persist: join(dataDir, "d1"),
    r2Persist: join(dataDir, "r2"),
    durableObjectsPersist: join(dataDir, "do"),
    cachePersist: false,
  });
  try {
    await miniflare.ready;
    const migrated = new Set<string>();
    for (const { name, store } of WORKERS) {
      if (store === undefined || migrated.has(store)) continue;
      migrated.add(store);
      await applyMigrations(await miniflare.getD1Database("DB", name), join(projectRoot, "migrations", "core"));
    }
    await bench((name) => `http://127.0.0.1:${ports[name]}`);
  } finally {
    await miniflare.dispose();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const POST = "POST /workflow/claims";
const POST_UNMEASURED = "POST, METRICS=off";

interface Row {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rounds: readonly number[];
}

async function inTurns(variants: readonly Variant[], title: string): Promise<readonly Row[]> {
  for (const variant of variants) {
    progress(`${title}: warming ${variant.name}`);
    await measure(variant, WARM_SECONDS);
  }
  const measured = new Map<string, Measured[]>(variants.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const variant of variants) {
      const one = await measure(variant, seconds);
      measured.get(variant.name)?.push(one);
      progress(`${title}: round ${round} of ${rounds}: ${variant.name} ${Math.round(one.perSecond)}/s`);
    }
  }
  return variants.map(({ name }) => {
    const all = measured.get(name) ?? [];
    return {
      name,
      perSecond: median(all.map((one) => one.perSecond)),
      p50Ms: median(all.map((one) => one.p50Ms)),
      p99Ms: median(all.map((one) => one.p99Ms)),
      rounds: all.map((one) => Math.round(one.perSecond)),
    };
  });
}

async function seed(url: string, size: number): Promise<void> {
  let failures = 0;
  for (let seeded = 0; seeded < size; ) {
    try {
      const answer = await call(`${url}/?count=${Math.min(SEED_STEP, size - seeded)}`, { timeoutMs: 120_000 });
      const parsed = z.object({ size: z.number() }).safeParse(answer.body);
      if (!parsed.success) throw new Error(summaryOf(answer));
      seeded = parsed.data.size;
      progress(`seeding: ${seeded} of ${size} entries`);
    } catch (error) {
      // A connection that was cut: what was written stays, and the next call goes on from there.
      failures += 1;
      if (failures > 5) throw new Error(`seeding ${size} entries: ${messageOf(error)}`);
    }
  }
}

async function bench(urlOf: (worker: string) => string): Promise<void> {
  const offchainPayload = {
    patientId: "patient-1",
    providerId: "provider-1",
    services: [{ code: "11101", description: "Scaling", quantity: 1, unitPrice: 120 }],
    totalAmount: 120,
    insurerId: "insurer-1",
    notes: "",
    type: "claim",
  };
  const key = { "x-api-key": coreSettings.WORKFLOW_API_KEY };
  const body = JSON.stringify({
    insurerAddress: "0x00000000000000000000000000000000000000b1",
    offchainPayload,
    providerSignature: signProviderPayload(offchainPayload, coreSettings.PROVIDER_SIGNATURE_HMAC_SECRET),
  });
  const post = (name: string, worker: string): Variant => ({
    name,
    url: `${urlOf(worker)}/workflow/claims`,
    load: { method: "POST", headers: { "content-type": "application/json", ...key }, body },
  });
  const posts = [post(POST, "post"), post(POST_UNMEASURED, "post-unmeasured")];
  if (values.only === "metrics") {
    reportMeasuring(await inTurns(posts, "metrics"));
    return;
  }
  const writes = await inTurns(
    [
      { name: "no-op worker", url: urlOf("noop") },
      { name: "no-op Durable Object call", url: urlOf("noop-object") },
      { name: "one write per append", url: urlOf("one-write"), load: { method: "POST" } },
      { name: "group commit", url: urlOf("group-commit"), load: { method: "POST" } },
      ...posts,
    ],
    "writes",
  );
  for (const size of [SMALL, LARGE]) await seed(urlOf(`seed-${size}`), size);
  const reads = await inTurns(
    [SMALL, LARGE].flatMap((size) => [
      { name: `GET /ledger/verify at ${size} *`, url: `${urlOf(`read-${size}`)}/ledger/verify`, connections: 1 },
      {
        name: `GET a request at ${size}`,
        url: urlOf(`read-${size}`),
        load: {
          requests: Array.from({ length: size / READABLE_EVERY }, (_, i) => ({
            method: "GET" as const,
            path: `/workflow/requests/seed-${i * READABLE_EVERY}`,
            headers: key,
          })),
        },
      },
    ]),
    "reads",
  );
  report(writes, reads);
}

/** What measuring costs: the same calls with and without, round by round. */
function measuredOverUnmeasured(rows: readonly Row[]): number {
  const rounds = (name: string): readonly number[] => rows.find((row) => row.name === name)?.rounds ?? [];
  const without = rounds(POST_UNMEASURED);
  return median(rounds(POST).map((one, round) => one / (without[round] ?? Number.NaN)));
}

const measuringLine = (ratio: number): string =>
  `POST /workflow/claims with metrics of without: ${(100 * ratio).toFixed(1)} % (at least ${100 * MUST.measuredOverUnmeasured} %)`;

function reportMeasuring(rows: readonly Row[]): void {
  if (process.stderr.isTTY) progress("");
  for (const row of rows) console.log(`${row.name.padEnd(24)}${Math.round(row.perSecond)}/s  ${row.rounds.join(" ")}`);
  const ratio = measuredOverUnmeasured(rows);
  console.log(measuringLine(ratio));
  if (!(ratio >= MUST.measuredOverUnmeasured)) process.exitCode = 1;
}

function report(writes: readonly Row[], reads: readonly Row[]): void {
  if (process.stderr.isTTY) progress("");
  const rate = (name: string): number => writes.find((row) => row.name === name)?.perSecond ?? Number.NaN;
  const object = rate("no-op Durable Object call");
  const header = `${"".padEnd(30)}${"per second".padStart(12)}${"p50 ms".padStart(9)}${"p99 ms".padStart(9)}${"of no-op DO".padStart(13)}`;
  const table = (rows: readonly Row[]) =>
    rows
      .map(
        (row) =>
          `${row.name.padEnd(30)}${Math.round(row.perSecond).toLocaleString("en").padStart(12)}${row.p50Ms.toFixed(1).padStart(9)}${row.p99Ms.toFixed(1).padStart(9)}${`${((100 * row.perSecond) / object).toFixed(1)} %`.padStart(13)}`,
      )
      .join("\n");
  const groupOverOneWrite = rate("group commit") / rate("one write per append");
  const postOverNoopObject = rate("POST /workflow/claims") / object;
  const measuring = measuredOverUnmeasured(writes);
  const held =
    groupOverOneWrite >= MUST.groupOverOneWrite &&
    postOverNoopObject >= MUST.postOverNoopObject &&
    measuring >= MUST.measuredOverUnmeasured;
  console.log(`${CONNECTIONS} connections, median of ${rounds} rounds of ${seconds} s, ${cpus().length} cores\n`);
  console.log(`${header}\n${table(writes)}\n${table(reads)}`);
  console.log(
    `group commit over one write per append: ${groupOverOneWrite.toFixed(1)} (at least ${MUST.groupOverOneWrite})`,
  );
  console.log(
    `POST /workflow/claims of the no-op call: ${(100 * postOverNoopObject).toFixed(0)} % (at least ${100 * MUST.postOverNoopObject} %)`,
  );
  console.log(measuringLine(measuring));
  const ratios = { groupOverOneWrite, postOverNoopObject, measuredOverUnmeasured: measuring };
  keep({ connections: CONNECTIONS, rounds, seconds, writes, reads, ratios, held });
  if (!held) {
    console.log("a ratio that must hold does not");
    process.exitCode = 1;
  }
}

/** Writes a part's figures into the file of the day, beside those of the other parts. */
function keep(part: Readonly<Record<string, unknown>>): void {
  const now = new Date().toISOString();
  const directory = join(import.meta.dirname, "results");
  const path = join(directory, `${now.slice(0, 10)}.json`);
  mkdirSync(directory, { recursive: true });
  const others = existsSync(path)
    ? z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(path, "utf8")))
    : {};
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? "unknown", node: process.version };
  writeFileSync(path, `${JSON.stringify({ ...others, at: now, machine, ...part }, null, 2)}\n`);
  console.log(`written to bench/results/${now.slice(0, 10)}.json`);
}

async function delivery(): Promise<void> {
  const figures = await benchDelivery(rounds, progress);
  if (process.stderr.isTTY) progress("");
  console.log(deliveryReport(figures));
  keep({ delivery: { at: new Date().toISOString(), ...figures } });
  if (!figures.held) {
    console.log("the relay delivers too little of what a bare loop does");
    process.exitCode = 1;
  }
}

async function isolation(): Promise<void> {
  const figures = await benchIsolation(progress);
  if (process.stderr.isTTY) progress("");
  console.log(isolationReport(figures));
  keep({ isolation: { at: new Date().toISOString(), ...figures } });
  if (!figures.held) {
    console.log("a dead destination slows the others");
    process.exitCode = 1;
  }
}

async function ledger(): Promise<void> {
  const figures = await benchLedger(coreSettings, large, progress);
  if (process.stderr.isTTY) progress("");
  console.log(ledgerReport(figures));
  const now = new Date().toISOString();
  const path = join(import.meta.dirname, "results", `ledger-${now.slice(0, 10)}.json`);
  mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? "unknown", node: process.version };
  writeFileSync(path, `${JSON.stringify({ at: now, machine, ...figures }, null, 2)}\n`);
  if (!figures.held) {
    console.log("a ratio of the ledger that must hold does not");
    process.exitCode = 1;
  }
}

/** Long enough for hundreds of calls of each kind. */
const HUB_SECONDS = 20;

async function hub(): Promise<void> {
  const figures = await benchHub(secrets, { claims, seconds: Math.max(seconds, HUB_SECONDS) }, progress);
  if (process.stderr.isTTY) progress("");
  console.log(hubReport(figures));
  const now = new Date().toISOString();
  const path = join(import.meta.dirname, "results", `hub-${now.slice(0, 10)}.json`);
  mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? "unknown", node: process.version };
  writeFileSync(path, `${JSON.stringify({ at: now, machine, ...figures }, null, 2)}\n`);
  if (!figures.held) {
    console.log("a list or a claim of the hub takes too long");
    process.exitCode = 1;
  }
}

async function backup(): Promise<void> {
  const figures = await benchBackup(secrets, { entries: large, claims }, progress);
  if (process.stderr.isTTY) progress("");
  console.log(backupReport(figures));
  const now = new Date().toISOString();
  const path = join(import.meta.dirname, "results", `backup-${now.slice(0, 10)}.json`);
  mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? "unknown", node: process.version };
  writeFileSync(path, `${JSON.stringify({ at: now, machine, ...figures }, null, 2)}\n`);
  if (!figures.held) {
    console.log("a backup or a restore takes too much");
    process.exitCode = 1;
  }
}

async function cost(): Promise<void> {
  const figures = await benchCost({ claims: lives, perSecond: offered }, progress);
  if (process.stderr.isTTY) progress("");
  console.log(costReport(figures));
  const now = new Date().toISOString();
  const path = join(import.meta.dirname, "results", `cost-${now.slice(0, 10)}.json`);
  mkdirSync(join(import.meta.dirname, "results"), { recursive: true });
  const machine = { cores: cpus().length, model: cpus()[0]?.model ?? "unknown", node: process.version };
  writeFileSync(path, `${JSON.stringify({ at: now, machine, ...figures }, null, 2)}\n`);
  if (!figures.held) {
    console.log("a claim costs more than it may");
    process.exitCode = 1;
  }
}

async function run(): Promise<void> {
  const runs = { api: main, delivery, isolation, ledger, hub, backup, cost };
  // What measuring costs alone is a part of `api`.
  if (values.only === "metrics") return main();
  for (const [part, measurePart] of Object.entries(runs)) {
    if (values.only === undefined || values.only === part) await measurePart();
  }
}

run().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
