/**
 * `npm run bench -- --only ledger`: what size costs. Appending at a million entries beside a thousand, verification at both, and
 * the scrub of the whole log beside a bare loop of SHA-256 over the same entries. `--large N` seeds fewer.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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

const SMALL = 1_000;
const SEED_STEP = 20_000;
const ROUNDS = 9;
const APPENDS_A_ROUND = 320;
const VERIFICATIONS = 20;

export const LEDGER_MUST = { appendCost: 1.2, verifyMs: 500, scrubOverBare: 0.5 };

export interface LedgerFigures {
  readonly large: number;
  readonly seedSeconds: number;
  readonly publishSeconds: number;
  readonly appendMs: { readonly small: number; readonly large: number };
  readonly verifyMs: { readonly small: number; readonly large: number };
  /** Entries a second: the log (entries, chain, tree), the same with every published file compared, and the bare loops. */
  readonly scrub: {
    readonly withFilesPerSecond: number;
    readonly perSecond: number;
    readonly barePerSecond: number;
    readonly bareWithoutTreePerSecond: number;
  };
  readonly ratios: { readonly appendCost: number; readonly scrubOverBare: number };
  readonly held: boolean;
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

export async function benchLedger(
  settings: Readonly<Record<string, string>>,
  large: number,
  progress: (text: string) => void,
): Promise<LedgerFigures> {
  const core = workerSite("itrans-core");
  const dataDir = mkdtempSync(join(tmpdir(), "bench-ledger-"));
  const sizes = [SMALL, large];
  const names = sizes.flatMap((size) => [`ledger-${size}`, `verify-${size}`]);
  const ports = await claimPorts(Object.fromEntries(names.map((name) => [name, 0])));
  progress("bundling");
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
  const urlOf = (kind: "ledger" | "verify", size: number) => `http://127.0.0.1:${ports[`${kind}-${size}`]}`;
  try {
    await miniflare.ready;
    for (const size of sizes) {
      await applyMigrations(
        await miniflare.getD1Database("DB", `ledger-${size}`),
        join(projectRoot, "migrations", "core"),
      );
    }
    return await measure(urlOf, large, progress);
  } finally {
    await miniflare.dispose();
    rmSync(dataDir, { recursive: true, force: true });
  }
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

async function seed(url: string, size: number, progress: (text: string) => void): Promise<void> {
  let failures = 0;
  for (let seeded = 0; seeded < size; ) {
    try {
      const count = Math.min(SEED_STEP, size - seeded);
      seeded = (await ask(`${url}/seed?count=${count}`, z.object({ size: z.number() }))).size;
      progress(`seeding: ${seeded} of ${size} entries`);
    } catch (error) {
      failures += 1;
      if (failures > 5) throw new Error(`seeding ${size} entries: ${messageOf(error)}`);
    }
  }
}

async function publish(url: string, size: number, progress: (text: string) => void): Promise<void> {
  const status = z.object({
    state: z.string(),
    reason: z.string().nullable(),
    builtSize: z.number(),
    size: z.number().nullable(),
  });
  for (let failures = 0; ; ) {
    try {
      const { state, reason, builtSize, size: published } = await ask(`${url}/publish`, status);
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

/** Milliseconds that one append takes of the sequencer, with many callers at once. */
async function appendMsOf(url: string): Promise<number> {
  const { appended, ms } = await ask(
    `${url}/append?count=${APPENDS_A_ROUND}`,
    z.object({ appended: z.number(), ms: z.number() }),
  );
  return ms / appended;
}

async function measure(
  urlOf: (kind: "ledger" | "verify", size: number) => string,
  large: number,
  progress: (text: string) => void,
): Promise<LedgerFigures> {
  const sizes = [SMALL, large];
  const began = performance.now();
  for (const size of sizes) await seed(urlOf("ledger", size), size, progress);
  const seeded = performance.now();
  for (const size of sizes) await publish(urlOf("ledger", size), size, progress);
  const published = performance.now();

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
  for (let round = 0; round < 2; round++) {
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

  const appends = new Map<number, number[]>(sizes.map((size) => [size, []]));
  for (const size of sizes) await appendMsOf(urlOf("ledger", size));
  for (let round = 0; round < ROUNDS; round++) {
    for (const size of sizes) appends.get(size)?.push(await appendMsOf(urlOf("ledger", size)));
    progress(`appends: round ${round + 1} of ${ROUNDS}`);
  }
  const appendMs = { small: median(appends.get(SMALL) ?? []), large: median(appends.get(large) ?? []) };
  const perSecond = Math.max(...scrubs);
  const barePerSecond = Math.max(...bares);
  const ratios = { appendCost: appendMs.large / appendMs.small, scrubOverBare: perSecond / barePerSecond };
  const slowest = Math.max(verifyMs[SMALL] ?? Number.NaN, verifyMs[large] ?? Number.NaN);
  return {
    large,
    seedSeconds: (seeded - began) / 1_000,
    publishSeconds: (published - seeded) / 1_000,
    appendMs,
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
  const { large, appendMs, verifyMs, scrub, ratios } = figures;
  const round = (value: number) => Math.round(value).toLocaleString("en");
  return [
    `${large.toLocaleString("en")} entries seeded in ${round(figures.seedSeconds)} s, published in ${round(figures.publishSeconds)} s`,
    `append: ${appendMs.small.toFixed(2)} ms at ${SMALL}, ${appendMs.large.toFixed(2)} ms at ${large}: ${ratios.appendCost.toFixed(2)} times (at most ${LEDGER_MUST.appendCost})`,
    `GET /ledger/verify, median: ${round(verifyMs.small)} ms at ${SMALL}, ${round(verifyMs.large)} ms at ${large} (at most ${LEDGER_MUST.verifyMs})`,
    `scrub of the log: ${round(scrub.perSecond)} entries/s (with the published files ${round(scrub.withFilesPerSecond)}/s), bare SHA-256 of the same bytes: ${round(scrub.barePerSecond)}/s (without the tree ${round(scrub.bareWithoutTreePerSecond)}/s): ${ratios.scrubOverBare.toFixed(2)} (at least ${LEDGER_MUST.scrubOverBare})`,
  ].join("\n");
}
