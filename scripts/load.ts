/** `./run-load-tests.sh`: the load gate and the soak gate. `./run-load-tests.sh --help` lists what they take. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as z from "zod";
import { DEMO_INSURER_ADDRESS } from "../src/medlink/seed/demo.ts";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { call, summaryOf } from "./lib/http.ts";
import { clinicAt } from "./lib/hub-records.ts";
import { type Clinic, signIn } from "./lib/lifecycle.ts";
import { chartSvg } from "./lib/load/chart.ts";
import { from, judgeGate, quantile, type Sample, type Threshold, type Verdict } from "./lib/load/gate.ts";
import { bucketsOf, observedBetween, type Series, seriesIn, sumOf } from "./lib/load/scrape.ts";
import { type GateName, planOf, readTunables, type Tunables } from "./lib/load/settings.ts";
import { type LoadTarget, startUsers } from "./lib/load/users.ts";
import { makePrinter } from "./lib/print.ts";
import { barOf } from "./lib/progress-bar.ts";
import { type System, startSystem } from "./lib/system.ts";

const USAGE = `./run-load-tests.sh [load] [soak] [--core URL --hub URL]

  load     LOAD_TARGET_VUS (100) virtual users for LOAD_DURATION (5m): load-gate.json, load-gate.svg
  soak     SOAK_VUS (50) for SOAK_DURATION (30m): soak-gate.json, soak-gate.svg
           without either, both are run

  --core URL, --hub URL   a system that runs already; without them one of its own is started and ended. It needs
                          OPERATOR_API_KEY, HUB_OPERATOR_API_KEY, PROVIDER_SIGNATURE_HMAC_SECRET, METRICS_SCRAPE_TOKEN and,
                          of a person who may file claims at the hub, LOAD_EMAIL and LOAD_PASSWORD

Limits: SLO_P95_MAX_MS (400), SLO_P99_MAX_MS (1000), SLO_ERROR_RATE_MAX (0.01), SLO_CHECK_RATE_MIN (0.95),
SLO_MIN_REQUESTS_LOAD (200), SLO_MIN_REQUESTS_SOAK (500), SLO_LIFECYCLE_P95_MAX_MS (2000), SLO_CACHE_HIT_RATE_MIN (0.4),
SLO_RATE_LIMITED_MAX (0.05), SLO_DRAIN_MAX (60s), SCALE_WINDOW (5m). LOAD_VU_CALLS_PER_SECOND (1) is the pace of a user,
LOAD_WARMUP (90s) runs before the gate's time and is not judged, LOAD_OUTPUT_DIR (.local/load) where the results go. Exit 0 only when every gate that was run passes.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean" }, core: { type: "string" }, hub: { type: "string" } },
});
if (values.help === true) {
  console.log(USAGE);
  process.exit(0);
}

/** As often as deployed. */
const CRON_EVERY_MS = 60_000;
const SAMPLES = 120;
const MIN_SAMPLE_MS = 1_000;
const MAX_SAMPLE_MS = 10_000;
/** The steps of claims are counted by the minute's cron. */
const COUNTED_WITHIN_MS = 100_000;
/** What is still in someone's hands. */
const AT_REST = 2;
const KEPT_SAMPLES = 240;

interface Site {
  readonly coreUrl: string;
  readonly hubUrl: string;
  readonly operatorKey: string;
  readonly hubOperatorKey: string;
  readonly providerSecret: string;
  readonly scrapeToken: string;
  readonly clinic: Clinic;
  /** Of the runtime, when it is on this machine and ours. */
  readonly pids?: readonly number[];
}

const printer = makePrinter(process.stdout, process.env);

function required(name: string): string {
  const value = process.env[name] ?? "";
  if (value === "") throw new Failure(`set ${name}: the system that is named needs it`);
  return value;
}

async function siteElsewhere(coreUrl: string, hubUrl: string): Promise<Site> {
  return {
    coreUrl,
    hubUrl,
    operatorKey: required("OPERATOR_API_KEY"),
    hubOperatorKey: required("HUB_OPERATOR_API_KEY"),
    providerSecret: required("PROVIDER_SIGNATURE_HMAC_SECRET"),
    scrapeToken: required("METRICS_SCRAPE_TOKEN"),
    clinic: await clinicAt(hubUrl, { email: required("LOAD_EMAIL"), password: required("LOAD_PASSWORD") }),
  };
}

function siteOf(system: System): Site {
  const { stack, secrets, clinic } = system;
  if (clinic === undefined) throw new Failure("there is no demo clinic to file claims from");
  return {
    coreUrl: stack.urls.core,
    hubUrl: stack.urls.hub,
    operatorKey: secrets.OPERATOR_API_KEY ?? "",
    hubOperatorKey: secrets.HUB_OPERATOR_API_KEY ?? "",
    providerSecret: secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "",
    scrapeToken: secrets.METRICS_SCRAPE_TOKEN ?? "",
    clinic,
    pids: stack.workerdPids(),
  };
}

const keySchema = z.looseObject({ key: z.string() });

/** A tenant of the load's own, so that what it submits calls nobody's MedLink. */
async function prepare(site: Site): Promise<LoadTarget> {
  const headers = { "x-api-key": site.operatorKey };
  const made = await call(`${site.coreUrl}/tenants`, {
    method: "POST",
    headers,
    body: { tenantId: "load", name: "Load tests" },
  });
  if (made.status !== 201 && made.status !== 409) throw new Failure(`core made no tenant: ${summaryOf(made)}`);
  const key = async (body: Readonly<Record<string, unknown>>): Promise<string> => {
    const answer = await call(`${site.coreUrl}/tenants/load/keys`, { method: "POST", headers, body });
    const parsed = keySchema.safeParse(answer.body);
    if (!parsed.success) throw new Failure(`core made no key: ${summaryOf(answer)}`);
    return parsed.data.key;
  };
  const { patientId, providerId, insurerId } = site.clinic;
  return {
    coreUrl: site.coreUrl,
    hubUrl: site.hubUrl,
    submitKey: await key({ surface: "workflow", scopes: ["submit", "read"] }),
    insurerKey: await key({
      surface: "workflow",
      scopes: ["read", "adjudicate"],
      insurerAddress: DEMO_INSURER_ADDRESS,
    }),
    insurerAddress: DEMO_INSURER_ADDRESS,
    providerSecret: site.providerSecret,
    cookie: await signIn(site.clinic),
    operatorKey: site.hubOperatorKey,
    patientId,
    providerId,
    insurerId,
  };
}

interface Look {
  readonly series: readonly Series[];
  readonly outboxPending: number;
  readonly autoSubmitDepth: number;
  readonly deadLetters: number;
}

/** @throws Error when the metrics can not be read. */
async function look(site: Site): Promise<Look> {
  const headers = { authorization: `Bearer ${site.scrapeToken}` };
  const texts = await Promise.all(
    [site.coreUrl, site.hubUrl].map(async (url) => {
      const answer = await call(`${url}/metrics`, { headers, timeoutMs: 30_000 });
      if (answer.status !== 200 || typeof answer.body !== "string")
        throw new Error(`${url}/metrics: ${summaryOf(answer)}`);
      return answer.body;
    }),
  );
  const series = texts.flatMap(seriesIn);
  const waiting = sumOf(series, "itrans_core_outbox_waiting_deliveries");
  return {
    series,
    outboxPending: Math.max(0, sumOf(series, "itrans_core_outbox_pending_deliveries") - waiting),
    autoSubmitDepth: sumOf(series, "medlink_auto_submit_jobs"),
    deadLetters: sumOf(series, "itrans_core_outbox_dead_letters"),
  };
}

const cacheSchema = z.looseObject({ caches: z.array(z.looseObject({ hits: z.number(), misses: z.number() })) });

async function cacheOf(site: Site): Promise<{ readonly hits: number; readonly misses: number } | undefined> {
  const answer = await call(`${site.hubUrl}/api/admin/cache`, { headers: { "x-api-key": site.hubOperatorKey } });
  const parsed = cacheSchema.safeParse(answer.body);
  if (answer.status !== 200 || !parsed.success) return undefined;
  const total = (of: "hits" | "misses"): number => parsed.data.caches.reduce((sum, each) => sum + each[of], 0);
  return { hits: total("hits"), misses: total("misses") };
}

const PAGE_BYTES = 4_096;

function memoryOf(pids: readonly number[] | undefined): number | null {
  if (pids === undefined) return null;
  try {
    const pages = pids.map((pid) => Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]));
    return pages.reduce((sum, each) => sum + each, 0) * PAGE_BYTES;
  } catch {
    return null;
  }
}

const LIFECYCLE = "medlink_claim_callback_seconds";

async function runGate(gate: GateName, site: Site, tunables: Tunables): Promise<Verdict> {
  const plan = planOf(gate, tunables);
  const target = await prepare(site);
  const [before, cacheBefore] = [await look(site), await cacheOf(site)];
  const startedAt = new Date().toISOString();
  const began = performance.now();
  const totalMs = tunables.LOAD_WARMUP + plan.durationMs;
  const users = startUsers(target, {
    users: plan.users,
    durationMs: totalMs,
    callsPerSecond: tunables.LOAD_VU_CALLS_PER_SECOND,
  });
  const samples: Sample[] = [];
  /** The last look before the gate's time. */
  let warm = before;
  let running = true;
  void users.done.finally(() => {
    running = false;
  });
  const everyMs = Math.min(MAX_SAMPLE_MS, Math.max(MIN_SAMPLE_MS, plan.durationMs / SAMPLES));
  let seen = 0;
  const sample = async (): Promise<void> => {
    const now = await look(site);
    const atMs = performance.now() - began;
    const sinceMs = atMs - (samples.at(-1)?.atMs ?? 0);
    if (atMs <= tunables.LOAD_WARMUP) warm = now;
    const fresh = users.calls.slice(seen);
    seen = users.calls.length;
    const times = fresh.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
    samples.push({
      atMs,
      requestsPerSecond: (1_000 * fresh.length) / Math.max(1, sinceMs),
      p95Ms: quantile(times, 0.95),
      outboxPending: now.outboxPending,
      autoSubmitDepth: now.autoSubmitDepth,
      deadLetters: now.deadLetters,
      coreBytes: sumOf(now.series, "itrans_core_database_size_bytes"),
      hubBytes: sumOf(now.series, "medlink_database_size_bytes"),
      claims: users.claimsFiled(),
      memoryBytes: memoryOf(site.pids),
    });
  };
  let interrupted = false;
  const interrupt = (): void => {
    interrupted = true;
    users.stop();
  };
  process.once("SIGINT", interrupt);
  while (running) {
    await sample().catch((error: unknown) => printer.warn(`a look failed: ${messageOf(error)}`));
    progress(gate, totalMs, samples.at(-1), users.calls.length);
    for (let waited = 0; running && waited < everyMs; waited += 200) await sleep(200);
  }
  await users.done;
  process.removeListener("SIGINT", interrupt);
  const endedMs = performance.now();
  if (process.stdout.isTTY) process.stdout.write("\n");

  let drainedAfterMs: number | undefined;
  let after = await look(site);
  while (performance.now() - endedMs < tunables.SLO_DRAIN_MAX) {
    after = await look(site);
    if (after.outboxPending <= before.outboxPending + AT_REST && after.autoSubmitDepth <= before.autoSubmitDepth) {
      drainedAfterMs = performance.now() - endedMs;
      break;
    }
    await sleep(500);
  }
  const cacheAfter = await cacheOf(site);
  const lifecyclesSince = (start: typeof before) =>
    observedBetween(bucketsOf(start.series, LIFECYCLE), bucketsOf(after.series, LIFECYCLE));
  while (lifecyclesSince(before).count < users.claimsFiled() && performance.now() - endedMs < COUNTED_WITHIN_MS) {
    await sleep(2_000);
    after = await look(site);
  }
  const lifecycle = lifecyclesSince(warm);
  const inMs = (seconds: number | null): number | null => (seconds === null ? null : 1_000 * seconds);
  const judged = judgeGate(
    {
      gate,
      calls: from(users.calls, tunables.LOAD_WARMUP),
      samples: from(samples, tunables.LOAD_WARMUP),
      lifecycle: {
        count: lifecycle.count,
        p50Ms: inMs(lifecycle.quantile(0.5)),
        p95Ms: inMs(lifecycle.quantile(0.95)),
      },
      cache:
        cacheBefore === undefined || cacheAfter === undefined
          ? undefined
          : { hits: cacheAfter.hits - cacheBefore.hits, misses: cacheAfter.misses - cacheBefore.misses },
      drainedAfterMs,
    },
    tunables,
  );
  // What was seen until then is shown, and proves nothing of the time that was wanted.
  const verdict = { ...judged, pass: judged.pass && !interrupted };
  const { version, commit } = buildFacts();
  const directory = resolve(projectRoot, tunables.LOAD_OUTPUT_DIR);
  mkdirSync(directory, { recursive: true });
  const every = Math.ceil(samples.length / KEPT_SAMPLES);
  const result = {
    gate,
    pass: verdict.pass,
    interrupted,
    startedAt,
    endedAt: new Date().toISOString(),
    durationMs: plan.durationMs,
    virtualUsers: plan.users,
    target: { core: site.coreUrl, hub: site.hubUrl },
    version,
    commit,
    machine: { cores: availableParallelism(), model: cpus()[0]?.model ?? "unknown", node: process.version },
    tunables,
    figures: verdict.figures,
    thresholds: verdict.thresholds,
    failedThresholds: verdict.failedThresholds,
    notJudged: verdict.notJudged,
    unanswered: Object.fromEntries(users.unanswered),
    samples: samples.filter((_, index) => index % every === 0),
  };
  writeFileSync(join(directory, `${gate}-gate.json`), `${JSON.stringify(result, null, 2)}\n`);
  const title = `${gate} gate, ${plan.users} virtual users, ${new Date(startedAt).toISOString().slice(0, 16)}Z: ${verdict.pass ? "pass" : "fail"}`;
  writeFileSync(join(directory, `${gate}-gate.svg`), chartSvg(title, samples, tunables.SLO_P95_MAX_MS));
  report(gate, verdict, users.unanswered, tunables.LOAD_OUTPUT_DIR);
  if (interrupted) printer.warn("interrupted: this is no result of a gate");
  return verdict;
}

let lastLineMs = 0;
const LINE_EVERY_MS = 10_000;

function progress(gate: GateName, durationMs: number, sample: Sample | undefined, requests: number): void {
  if (sample === undefined) return;
  const { atMs, requestsPerSecond, p95Ms, outboxPending, autoSubmitDepth, deadLetters, claims } = sample;
  const text = `${gate} ${barOf(atMs / durationMs)}  ${requests} calls, ${requestsPerSecond.toFixed(0)}/s, p95 ${p95Ms === null ? "-" : `${p95Ms.toFixed(0)} ms`}, ${claims} claims, outbox ${outboxPending}, queue ${autoSubmitDepth}, dead ${deadLetters}`;
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[2K${text}`);
  else if (lastLineMs === 0 || performance.now() - lastLineMs > LINE_EVERY_MS) {
    lastLineMs = performance.now();
    printer.line(text);
  }
}

function shown({ unit, value, limit }: Threshold): string {
  const text = (number: number | null): string => {
    if (number === null) return "nothing";
    if (unit === "share") return `${(100 * number).toFixed(2)} %`;
    return `${number.toFixed(unit === "ratio" ? 2 : 0)}${unit === "ms" ? " ms" : unit === "ratio" ? "" : ` ${unit}`}`;
  };
  return `${text(value)}, limit ${text(limit)}`;
}

function report(
  gate: GateName,
  { pass, figures, thresholds, notJudged }: Verdict,
  unanswered: ReadonlyMap<string, number>,
  directory: string,
): void {
  printer.line();
  const ms = (value: number | null): string => (value === null ? "-" : value.toFixed(0)).padStart(8);
  printer.line(
    `  ${"".padEnd(16)}${"calls".padStart(8)}${"errors".padStart(8)}${"p50 ms".padStart(8)}${"p95 ms".padStart(8)}${"p99 ms".padStart(8)}`,
  );
  for (const { operation, requests, errors, p50Ms, p95Ms, p99Ms } of figures.byOperation) {
    printer.line(
      `  ${operation.padEnd(16)}${String(requests).padStart(8)}${String(errors).padStart(8)}${ms(p50Ms)}${ms(p95Ms)}${ms(p99Ms)}`,
    );
  }
  printer.line();
  for (const threshold of thresholds) {
    const { name, passed, says } = threshold;
    printer.line(
      `  ${printer.paint(passed ? "green" : "red", passed ? "pass" : "FAIL")}  ${name.padEnd(30)} ${shown(threshold).padEnd(34)} ${printer.paint("dim", says)}`,
    );
  }
  for (const [reason, times] of unanswered) printer.warn(`${times} without an answer: ${reason}`);
  for (const reason of notJudged) printer.line(`  ${printer.paint("yellow", "----")}  not judged: ${reason}`);
  printer.line();
  printer.line(
    `${printer.paint(pass ? "green" : "red", pass ? "pass" : "fail")}  the ${gate} gate; ${directory}/${gate}-gate.json and .svg`,
  );
}

async function withSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  if (values.core !== undefined || values.hub !== undefined) {
    if (values.core === undefined || values.hub === undefined) throw new Failure("--core and --hub go together");
    return work(await siteElsewhere(values.core.replace(/\/+$/, ""), values.hub.replace(/\/+$/, "")));
  }
  const directory = mkdtempSync(join(tmpdir(), "load-"));
  printer.line("starting a system of its own");
  const starting = startSystem({
    dataDir: join(directory, "data"),
    secretsFile: join(directory, "secrets"),
    // What a deployed core allows a key, not what a local run does.
    environment: { LOG_LEVEL: "warn", API_RATE_LIMIT_MAX_REQUESTS: "6000", ...process.env },
    ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
    cronEveryMs: CRON_EVERY_MS,
    hubApart: true,
  });
  try {
    const system = await starting;
    // The demo insurer takes what a load brings; what an insurer takes by default would be measured otherwise.
    await (await system.stack.database("itrans-core"))
      .prepare("UPDATE destinations SET requests_per_minute = 100000")
      .run();
    const died = system.died.then((line) => {
      throw new Failure(line);
    });
    return await Promise.race([work(siteOf(system)), died]);
  } finally {
    await starting.then((system) => system.dispose()).catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<boolean> {
  const gates = positionals.map((name): GateName => {
    if (name !== "load" && name !== "soak") throw new Failure(`${name} is no gate: load, soak`);
    return name;
  });
  const tunables = readTunables(process.env);
  if (!tunables.success) {
    const [issue] = tunables.error.issues;
    throw new Failure(`${issue?.path.join(".") ?? "a tunable"}: ${issue?.message ?? "is wrong"}`);
  }
  return withSite(async (site) => {
    let pass = true;
    for (const gate of gates.length === 0 ? (["load", "soak"] as const) : gates) {
      pass = (await runGate(gate, site, tunables.data)).pass && pass;
    }
    return pass;
  });
}

main().then(
  (pass) => process.exit(pass ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Failure ? `run-load-tests.sh: ${error.message}` : error);
    process.exit(2);
  },
);
