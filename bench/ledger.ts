/**
 * `npm run bench -- --only ledger`: what size costs. Appending at a million entries beside a thousand, verification at both, and
 * the scrub of the whole log beside a bare loop of SHA-256 over the same entries. `--large N` for fewer.
 *
 * The ledgers are prepared and published once and kept under .data/bench, by the version of what made them; a run works on a copy.
 * On two quiet cores 200,000 entries are prepared in about two minutes and measured in two more; a million take five times that.
 */
import { createHash } from "node:crypto";
import { constants, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import autocannon from "autocannon";
import { Log, LogLevel, Miniflare, type WorkerOptions } from "miniflare";
import * as z from "zod";
import { bundleWorker, projectRoot } from "../scripts/lib/bundle.ts";
import { messageOf } from "../scripts/lib/fail.ts";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { applyMigrations } from "../scripts/lib/migrate.ts";
import { claimPorts } from "../scripts/lib/ports.ts";
import { workerSite } from "../scripts/lib/stack.ts";
import { entriesIn, fillLedger, pagesPerAppend, preparedVersion } from "./prepare.ts";

const SMALL = 1_000;
const ROUNDS = 15;
const VERIFICATIONS = 20;
const SCRUBS = 3;

/** A round of appends: how many, and by how many callers at once. Few enough that a thousand entries stay a few thousand. */
const SINGLE = { count: 24, callers: 1 };
const GROUPED = { count: 128, callers: 64 };

export const LEDGER_MUST = { appendCost: 1.2, verifyMs: 500, scrubOverBare: 0.5 };

interface BySize {
  readonly small: number;
  readonly large: number;
}

export interface LedgerFigures {
  readonly large: number;
  /** Null: it was there already. */
  readonly preparedInSeconds: number | null;
  /** Milliseconds until one append is answered, one caller after the other; medians of rounds. */
  readonly appendMs: BySize;
  /** Milliseconds of the sequencer's for each append, with 64 callers at once. */
  readonly groupedAppendMs: BySize;
  /** Milliseconds of a round of publishing after each of those rounds of appends. */
  readonly publishMs: BySize;
  /** Pages of the database written for each append: by itself, and in groups of 64. */
  readonly appendPages: BySize;
  readonly groupedAppendPages: BySize;
  readonly verifyMs: BySize;
  /** Entries a second: the log (entries, chain, tree), the same with every published file compared, and the bare loops. */
  readonly scrub: {
    readonly withFilesPerSecond: number;
    readonly perSecond: number;
    readonly barePerSecond: number;
    readonly bareWithoutTreePerSecond: number;
  };
  readonly ratios: {
    readonly appendCost: number;
    readonly groupedAppendCost: number;
    readonly publishCost: number;
    readonly appendPages: number;
    readonly groupedAppendPages: number;
    readonly scrubOverBare: number;
  };
  readonly held: boolean;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

export async function benchLedger(
  settings: Readonly<Record<string, string>>,
  large: number,
  progress: (text: string) => void,
): Promise<LedgerFigures> {
  const prepared = join(projectRoot, ".data", "bench", `ledger-${large}-${preparedVersion()}`);
  const began = performance.now();
  const isNew = !existsSync(prepared);
  if (isNew) await prepare(settings, large, prepared, progress);
  const preparedInSeconds = isNew ? (performance.now() - began) / 1_000 : null;
  const dataDir = mkdtempSync(`${prepared}-run-`);
  try {
    progress("copying the prepared ledgers");
    cpSync(prepared, dataDir, { recursive: true, mode: constants.COPYFILE_FICLONE });
    const { urlOf, stop } = await start(settings, large, dataDir);
    let timed: Timed;
    try {
      timed = await measure(urlOf, large, progress);
    } finally {
      await stop();
    }
    progress("counting pages");
    const appendPages = await pagesBySize(dataDir, large, SINGLE.callers);
    const groupedAppendPages = await pagesBySize(dataDir, large, GROUPED.callers);
    const pageRatios = {
      appendPages: appendPages.large / appendPages.small,
      groupedAppendPages: groupedAppendPages.large / groupedAppendPages.small,
    };
    return {
      ...timed,
      appendPages,
      groupedAppendPages,
      ratios: { ...timed.ratios, ...pageRatios },
      held: timed.held && pageRatios.appendPages <= LEDGER_MUST.appendCost,
      preparedInSeconds,
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

const databaseFiles = (dataDir: string): readonly string[] => {
  const directory = join(dataDir, "d1", "miniflare-D1DatabaseObject");
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory).filter((name) => name.endsWith(".sqlite") && name !== "metadata.sqlite");
  return files.map((name) => join(directory, name));
};

async function pagesBySize(dataDir: string, large: number, group: number): Promise<BySize> {
  const pagesAt = async (isThis: (entries: number) => boolean): Promise<number> => {
    const file = databaseFiles(dataDir).find((path) => isThis(entriesIn(path)));
    if (file === undefined) throw new Error("the file of a ledger is not to be found");
    return pagesPerAppend(file, group);
  };
  return { small: await pagesAt((entries) => entries < large), large: await pagesAt((entries) => entries >= large) };
}

/** Fills and publishes both ledgers; the directory has its name only when everything is in it. */
async function prepare(
  settings: Readonly<Record<string, string>>,
  large: number,
  prepared: string,
  progress: (text: string) => void,
): Promise<void> {
  const dataDir = `${prepared}-unfinished`;
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { recursive: true });
  const files = new Map<number, string>();
  const empty = await start(settings, large, dataDir);
  try {
    for (const size of [SMALL, large]) {
      const before = new Set(databaseFiles(dataDir));
      await applyMigrations(await empty.database(size), join(projectRoot, "migrations", "core"));
      const made = databaseFiles(dataDir).filter((file) => !before.has(file));
      if (made.length !== 1 || made[0] === undefined) throw new Error("the file of a new database is not to be told");
      files.set(size, made[0]);
    }
  } finally {
    await empty.stop();
  }
  for (const [size, file] of files) {
    await fillLedger(file, size, (entries) => progress(`preparing: ${entries} of ${size} entries`));
  }
  const filled = await start(settings, large, dataDir);
  try {
    for (const size of [SMALL, large]) await publish(filled.urlOf("ledger", size), size, progress);
  } finally {
    await filled.stop();
  }
  renameSync(dataDir, prepared);
}

interface Running {
  readonly urlOf: (kind: "ledger" | "verify", size: number) => string;
  database(size: number): ReturnType<Miniflare["getD1Database"]>;
  stop(): Promise<void>;
}

async function start(secrets: Readonly<Record<string, string>>, large: number, dataDir: string): Promise<Running> {
  // Made for each version, so that what was signed while preparing is signed with the key of every run.
  const signingKey = createHash("sha256").update(`bench ${preparedVersion()}`).digest("base64url");
  const settings = { ...secrets, LEDGER_SIGNING_KEY: signingKey };
  const core = workerSite("itrans-core");
  const sizes = [SMALL, large];
  const names = sizes.flatMap((size) => [`ledger-${size}`, `verify-${size}`]);
  const ports = await claimPorts(Object.fromEntries(names.map((name) => [name, 0])));
  const [driver, served] = await Promise.all([
    bundleWorker(join(import.meta.dirname, "workers", "ledger.ts")),
    bundleWorker(core.entry),
  ]);
  const objects = { SEQUENCER: "LedgerSequencer", PUBLISHER: "LedgerPublisher" };
  const worker = (name: string, script: string, size: number, over: Partial<WorkerOptions>): WorkerOptions => ({
    name,
    compatibilityDate: core.options.compatibilityDate,
    compatibilityFlags: core.options.compatibilityFlags,
    modules: [{ type: "ESModule", path: `${name}.js`, contents: script }],
    bindings: { ...settings, LEDGER_VERIFY_CACHE_MS: "0" },
    d1Databases: { DB: { id: `ledger-${size}` } },
    r2Buckets: { LEDGER: { id: `ledger-${size}` } },
    queueProducers: { RELAY_QUEUE: { queueName: `ledger-${size}` } },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: ports[name] ?? 0 }],
    ...over,
  });
  const miniflare = new Miniflare({
    workers: sizes.flatMap((size) => [
      worker(`ledger-${size}`, driver, size, {
        durableObjects: Object.fromEntries(
          Object.entries(objects).map(([binding, className]) => [binding, { className, useSQLite: true }]),
        ),
      }),
      worker(`verify-${size}`, served, size, {
        durableObjects: {
          ...Object.fromEntries(Object.entries(core.options.durableObjects ?? {})),
          // The publisher that made the tiles, not one of this worker's own.
          PUBLISHER: { className: "LedgerPublisher", scriptName: `ledger-${size}`, useSQLite: true },
        },
      }),
    ]),
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
  return {
    urlOf: (kind, size) => `http://127.0.0.1:${ports[`${kind}-${size}`]}`,
    database: (size) => miniflare.getD1Database("DB", `ledger-${size}`),
    stop: () => miniflare.dispose(),
  };
}

async function ask<Schema extends z.ZodType>(
  url: string,
  schema: Schema,
  timeoutMs = 600_000,
): Promise<z.output<Schema>> {
  const answer = await call(url, { timeoutMs });
  const parsed = schema.safeParse(answer.body);
  if (!parsed.success) throw new Error(summaryOf(answer));
  return parsed.data;
}

const publishedSchema = z.object({
  state: z.string(),
  reason: z.string().nullable(),
  builtSize: z.number(),
  size: z.number().nullable(),
  ms: z.number(),
});

async function publish(url: string, size: number, progress: (text: string) => void): Promise<void> {
  for (let failures = 0; ; ) {
    try {
      const { state, reason, builtSize, size: published } = await ask(`${url}/publish`, publishedSchema);
      progress(`publishing: ${builtSize} of ${size} entries`);
      if (published !== null && published >= size) return;
      if (state === "refused" || state === "failing") throw new Error(`${state}: ${reason}`);
    } catch (error) {
      failures += 1;
      if (failures > 5) throw new Error(`publishing ${size} entries: ${messageOf(error)}`);
    }
  }
}

async function latency(url: string, method: "GET" | "POST", amount: number): Promise<number> {
  const result = await autocannon({ url, method, connections: 1, amount, timeout: 60 });
  if (result.non2xx + result.errors + result.timeouts > 0) throw new Error(`${url}: ${result.non2xx} calls failed`);
  return result.latency.p50;
}

/** Milliseconds of the sequencer's for each of some appends. */
async function appendMsOf(url: string, { count, callers }: typeof SINGLE): Promise<number> {
  const { appended, ms } = await ask(
    `${url}/append?count=${count}&callers=${callers}`,
    z.object({ appended: z.number(), ms: z.number() }),
  );
  return ms / appended;
}

/** Milliseconds of publishing what was appended, which no append waits for. */
async function publishMsOf(url: string): Promise<number> {
  const { state, reason, ms } = await ask(`${url}/publish`, publishedSchema);
  if (state !== "current") throw new Error(`publishing: ${state}, ${reason}`);
  return ms;
}

/** In turns and after a warm-up of each, so that a slow minute of the machine falls on both sizes. */
async function appendMsBySize(
  urlOf: Running["urlOf"],
  large: number,
  appends: typeof SINGLE,
  progress: (text: string) => void,
): Promise<{ readonly appendMs: BySize; readonly publishMs: BySize }> {
  const turn = async (size: number) => ({
    append: await appendMsOf(urlOf("ledger", size), appends),
    publish: await publishMsOf(urlOf("ledger", size)),
  });
  const turns = { small: [await turn(SMALL)], large: [await turn(large)] };
  for (let round = 1; round <= ROUNDS; round++) {
    const [small, other] = [await turn(SMALL), await turn(large)];
    turns.small.push(small);
    turns.large.push(other);
    const each = `${small.append.toFixed(2)} and ${other.append.toFixed(2)} ms`;
    progress(`${appends.callers} at once: round ${round} of ${ROUNDS}: ${each}`);
  }
  const medianOf = (what: "append" | "publish"): BySize => ({
    small: median(turns.small.slice(1).map((one) => one[what])),
    large: median(turns.large.slice(1).map((one) => one[what])),
  });
  return { appendMs: medianOf("append"), publishMs: medianOf("publish") };
}

type Timed = Omit<LedgerFigures, "preparedInSeconds" | "appendPages" | "groupedAppendPages" | "ratios"> & {
  readonly ratios: Omit<LedgerFigures["ratios"], "appendPages" | "groupedAppendPages">;
};

async function measure(urlOf: Running["urlOf"], large: number, progress: (text: string) => void): Promise<Timed> {
  const sizes = [SMALL, large];
  const verifyMs: Record<number, number> = {};
  for (const size of sizes) {
    await latency(`${urlOf("verify", size)}/ledger/verify`, "GET", 3);
    verifyMs[size] = await latency(`${urlOf("verify", size)}/ledger/verify`, "GET", VERIFICATIONS);
    progress(`verify at ${size}: ${verifyMs[size]} ms`);
  }

  // In turns, so that a slow minute of the machine falls on both.
  const through = z.object({
    entries: z.number(),
    ms: z.number(),
    findings: z.number().default(0),
    entriesOnlyMs: z.number().default(0),
  });
  const scrubs: number[] = [];
  const withFiles: number[] = [];
  const bares: number[] = [];
  const entriesOnly: number[] = [];
  for (let round = 0; round < SCRUBS; round++) {
    const bare = await ask(`${urlOf("ledger", large)}/bare?count=${large}`, through);
    bares.push((1_000 * bare.entries) / bare.ms);
    entriesOnly.push((1_000 * bare.entries) / bare.entriesOnlyMs);
    for (const [files, speeds] of [
      [false, scrubs],
      [true, withFiles],
    ] as const) {
      const scrub = await ask(`${urlOf("ledger", large)}/scrub?files=${files}`, through);
      if (scrub.findings > 0) throw new Error(`the scrub found ${scrub.findings} things wrong`);
      speeds.push((1_000 * scrub.entries) / scrub.ms);
    }
    progress(`scrub: ${Math.round(scrubs.at(-1) ?? 0)}/s, bare loop: ${Math.round(bares.at(-1) ?? 0)}/s`);
  }

  const { appendMs } = await appendMsBySize(urlOf, large, SINGLE, progress);
  const { appendMs: groupedAppendMs, publishMs } = await appendMsBySize(urlOf, large, GROUPED, progress);
  const perSecond = Math.max(...scrubs);
  const barePerSecond = Math.max(...bares);
  const ratios = {
    appendCost: appendMs.large / appendMs.small,
    groupedAppendCost: groupedAppendMs.large / groupedAppendMs.small,
    publishCost: publishMs.large / publishMs.small,
    // Of each round by itself: its two run one after the other, on the same machine as busy as it is then.
    scrubOverBare: median(scrubs.map((speed, round) => speed / (bares[round] ?? Number.NaN))),
  };
  const slowest = Math.max(verifyMs[SMALL] ?? Number.NaN, verifyMs[large] ?? Number.NaN);
  return {
    large,
    appendMs,
    groupedAppendMs,
    publishMs,
    verifyMs: { small: verifyMs[SMALL] ?? Number.NaN, large: verifyMs[large] ?? Number.NaN },
    scrub: {
      perSecond,
      withFilesPerSecond: Math.max(...withFiles),
      barePerSecond,
      bareWithoutTreePerSecond: Math.max(...entriesOnly),
    },
    ratios,
    held:
      ratios.appendCost <= LEDGER_MUST.appendCost &&
      slowest <= LEDGER_MUST.verifyMs &&
      ratios.scrubOverBare >= LEDGER_MUST.scrubOverBare,
  };
}

export function ledgerReport(figures: LedgerFigures): string {
  const { large, preparedInSeconds, verifyMs, scrub, ratios } = figures;
  const round = (value: number) => Math.round(value).toLocaleString("en");
  const times = (what: string, unit: string, bySize: BySize, ratio: number): string =>
    `${what}: ${bySize.small.toFixed(2)} ${unit} at ${SMALL}, ${bySize.large.toFixed(2)} at ${large}: ${ratio.toFixed(2)} times`;
  const cost = (...parts: Parameters<typeof times>): string =>
    `${times(...parts)} (at most ${LEDGER_MUST.appendCost}: ${parts[3] <= LEDGER_MUST.appendCost ? "holds" : "does not hold"})`;
  const grouped = `append, ${GROUPED.callers} callers at once`;
  return [
    preparedInSeconds === null
      ? `${large.toLocaleString("en")} entries, prepared by an earlier run`
      : `${large.toLocaleString("en")} entries, prepared and published in ${round(preparedInSeconds)} s`,
    cost("append by itself", "ms", figures.appendMs, ratios.appendCost),
    cost("append by itself", "pages", figures.appendPages, ratios.appendPages),
    cost(grouped, "ms each", figures.groupedAppendMs, ratios.groupedAppendCost),
    `${times(grouped, "pages each", figures.groupedAppendPages, ratios.groupedAppendPages)} (told, not judged: docs/architecture.md)`,
    `publishing ${GROUPED.count} entries, beside the appends: ${figures.publishMs.small.toFixed(0)} ms at ${SMALL}, ${figures.publishMs.large.toFixed(0)} ms at ${large}: ${ratios.publishCost.toFixed(2)} times`,
    `GET /ledger/verify, median: ${round(verifyMs.small)} ms at ${SMALL}, ${round(verifyMs.large)} ms at ${large} (at most ${LEDGER_MUST.verifyMs})`,
    `scrub of the log: ${round(scrub.perSecond)} entries/s (with the published files ${round(scrub.withFilesPerSecond)}/s), bare SHA-256 of the same bytes: ${round(scrub.barePerSecond)}/s (without the tree ${round(scrub.bareWithoutTreePerSecond)}/s): ${ratios.scrubOverBare.toFixed(2)} (at least ${LEDGER_MUST.scrubOverBare})`,
  ].join("\n");
}
