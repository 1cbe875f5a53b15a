/** From what was seen to a verdict: pure. */
import { type GateName, planOf, type Tunables } from "./settings.ts";

/** The system at one moment of a run. */
export interface Sample {
  /** Ms since the load began. */
  readonly atMs: number;
  readonly requestsPerSecond: number;
  /** Of the answers since the last sample; null when there was none. */
  readonly p95Ms: number | null;
  readonly outboxPending: number;
  readonly autoSubmitDepth: number;
  readonly deadLetters: number;
  readonly coreBytes: number;
  readonly hubBytes: number;
  /** Claims filed so far by this run. */
  readonly claims: number;
  /** Resident memory of the runtime; null when it is elsewhere. */
  readonly memoryBytes: number | null;
}

/** One answer, or one that never came. */
export interface Call {
  readonly operation: string;
  /** Ms since the load began. */
  readonly atMs: number;
  readonly durationMs: number;
  /** 0: none. */
  readonly status: number;
  /** It was what the mix expects. */
  readonly checked: boolean;
}

export interface Seen {
  readonly gate: GateName;
  readonly calls: readonly Call[];
  readonly samples: readonly Sample[];
  /** From a claim's first queueing to the application of the first callback. */
  readonly lifecycle: { readonly count: number; readonly p50Ms: number | null; readonly p95Ms: number | null };
  readonly cache: { readonly hits: number; readonly misses: number } | undefined;
  /** How long outbox and queue took to come to rest after the load; undefined: they did not. */
  readonly drainedAfterMs: number | undefined;
}

export interface Threshold {
  readonly name: string;
  readonly value: number | null;
  readonly limit: number;
  readonly unit: "ms" | "share" | "requests" | "rows" | "ratio" | "windows";
  readonly passed: boolean;
  /** What was compared, in words. */
  readonly says: string;
}

export interface OperationFigures {
  readonly operation: string;
  readonly requests: number;
  readonly errors: number;
  /** How many of each; 0: no answer. */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

/** What came before a gate's time is taken off, and its clock begins there. */
export const from = <Timed extends { readonly atMs: number }>(
  all: readonly Timed[],
  beginMs: number,
): readonly Timed[] => all.filter(({ atMs }) => atMs >= beginMs).map((one) => ({ ...one, atMs: one.atMs - beginMs }));

export interface Verdict {
  readonly pass: boolean;
  readonly figures: {
    readonly requests: number;
    readonly requestsPerSecond: number;
    readonly errorRate: number;
    readonly checkRate: number;
    readonly rateLimitedRate: number;
    readonly p50Ms: number | null;
    readonly p95Ms: number | null;
    readonly p99Ms: number | null;
    readonly claims: number;
    readonly lifecycle: Seen["lifecycle"];
    readonly cacheHitRate: number | null;
    readonly drainedAfterMs: number | null;
    readonly bytesPerClaim: { readonly core: number | null; readonly hub: number | null };
    readonly memoryBytes: { readonly first: number | null; readonly last: number | null };
    readonly byOperation: readonly OperationFigures[];
  };
  readonly thresholds: readonly Threshold[];
  readonly failedThresholds: readonly Threshold[];
  /** What could not be judged, and why. */
  readonly notJudged: readonly string[];
}

/** @param sorted rising. */
export function quantile(sorted: readonly number[], q: number): number | null {
  if (sorted.length === 0) return null;
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? null;
}

const rising = (numbers: readonly number[]): readonly number[] => numbers.toSorted((a, b) => a - b);
const mean = (numbers: readonly number[]): number | null =>
  numbers.length === 0 ? null : numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const partOf = <T>(all: readonly T[], from: number, to: number): readonly T[] =>
  all.slice(Math.floor(from * all.length), Math.ceil(to * all.length));

/** Answers that the server is to blame for, and those that never came; 429 is judged by itself. */
const isError = ({ status }: Call): boolean => status === 0 || status >= 500;

/** A rise that is no more than this is work under way. */
const UNDER_WAY = 50;
/** A quarter of a run is compared with the last one: before, caches fill. */
const WARM = 0.25;
const MEMORY_GROWTH_MAX = 1.25;
const BYTES_PER_CLAIM_GROWTH_MAX = 1.25;
const ENOUGH_CLAIMS = 200;
const ENOUGH_SAMPLES = 8;

/** How much higher something stood in the last quarter of a run than in its second. */
function rise(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const early = mean(partOf(samples, WARM, 2 * WARM).map(of)) ?? 0;
  const late = mean(partOf(samples, 1 - WARM, 1).map(of)) ?? 0;
  return late - early;
}

function bytesPerClaim(samples: readonly Sample[], of: (sample: Sample) => number): number | null {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || last.claims - first.claims < ENOUGH_CLAIMS / 2) return null;
  return (of(last) - of(first)) / (last.claims - first.claims);
}

/** How many windows in a row were over the limit, at most. */
export function windowsOver(calls: readonly Call[], windowMs: number, limitMs: number): number {
  const byWindow = Map.groupBy(calls, ({ atMs }) => Math.floor(atMs / windowMs));
  let most = 0;
  let inARow = 0;
  for (let window = 0; window <= Math.max(-1, ...byWindow.keys()); window++) {
    const p95 = quantile(rising((byWindow.get(window) ?? []).map(({ durationMs }) => durationMs)), 0.95);
    inARow = p95 !== null && p95 > limitMs ? inARow + 1 : 0;
    most = Math.max(most, inARow);
  }
  return most;
}

function figuresOf(operation: string, calls: readonly Call[]): OperationFigures {
  const times = rising(calls.filter(({ status }) => status > 0).map(({ durationMs }) => durationMs));
  return {
    operation,
    requests: calls.length,
    errors: calls.filter(isError).length,
    statuses: Object.fromEntries(
      [...Map.groupBy(calls, ({ status }) => status)].map(([status, own]) => [String(status), own.length]),
    ),
    p50Ms: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    p99Ms: quantile(times, 0.99),
  };
}

export function judgeGate(seen: Seen, tunables: Tunables): Verdict {
  const { calls, samples, lifecycle, cache } = seen;
  const plan = planOf(seen.gate, tunables);
  const all = figuresOf("all", calls);
  const shareOf = (count: number): number => (calls.length === 0 ? 0 : count / calls.length);
  const errorRate = calls.length === 0 ? 1 : shareOf(all.errors);
  const checkRate = shareOf(calls.filter(({ checked }) => checked).length);
  const rateLimitedRate = shareOf(calls.filter(({ status }) => status === 429).length);
  const thresholds: Threshold[] = [];
  const notJudged: string[] = [];
  const atMost = (name: string, unit: Threshold["unit"], value: number | null, limit: number, says: string) =>
    thresholds.push({ name, unit, value, limit, says, passed: value !== null && value <= limit });
  const atLeast = (name: string, unit: Threshold["unit"], value: number | null, limit: number, says: string) =>
    thresholds.push({ name, unit, value, limit, says, passed: value !== null && value >= limit });

  atLeast("requests", "requests", calls.length, plan.minRequests, "enough requests to say anything");
  atMost("p95", "ms", all.p95Ms, tunables.SLO_P95_MAX_MS, "95 of 100 answers came within this");
  atMost("p99", "ms", all.p99Ms, tunables.SLO_P99_MAX_MS, "99 of 100 answers came within this");
  atMost("error-rate", "share", errorRate, tunables.SLO_ERROR_RATE_MAX, "answers of 5xx, and none at all");
  atLeast("check-rate", "share", checkRate, tunables.SLO_CHECK_RATE_MIN, "answers that were what the call expects");
  atMost("rate-limited", "share", rateLimitedRate, tunables.SLO_RATE_LIMITED_MAX, "answers of 429");
  if (lifecycle.count === 0 && samples.every(({ claims }) => claims === 0)) {
    notJudged.push("claim lifecycle: no claim was filed");
  } else {
    const limit = tunables.SLO_LIFECYCLE_P95_MAX_MS;
    atMost(
      "claim-lifecycle-p95",
      "ms",
      lifecycle.p95Ms,
      limit,
      "from a claim's queueing to its first callback applied",
    );
  }
  const lookups = cache === undefined ? 0 : cache.hits + cache.misses;
  const cacheHitRate = cache === undefined || lookups === 0 ? null : cache.hits / lookups;
  if (cacheHitRate === null) notJudged.push("cache: the hub's statistics could not be read, or nothing was looked up");
  else atLeast("cache-hits", "share", cacheHitRate, tunables.SLO_CACHE_HIT_RATE_MIN, "lookups that the cache answered");

  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || samples.length < ENOUGH_SAMPLES) {
    notJudged.push(`growth: fewer than ${ENOUGH_SAMPLES} looks at the system`);
  } else {
    const filed = last.claims - first.claims;
    const bound = Math.max(UNDER_WAY, 0.1 * filed);
    atMost(
      "auto-submit-growth",
      "rows",
      rise(samples, (s) => s.autoSubmitDepth),
      bound,
      "the queue's rise over the run",
    );
    atMost(
      "outbox-growth",
      "rows",
      rise(samples, (s) => s.outboxPending),
      bound,
      "the outbox's rise over the run",
    );
    atMost("dead-letters", "rows", last.deadLetters - first.deadLetters, 0, "dead letters that the run left");
    const memory = samples.flatMap(({ memoryBytes }) => (memoryBytes === null ? [] : [memoryBytes]));
    const early = mean(partOf(memory, WARM, 2 * WARM));
    const late = mean(partOf(memory, 1 - WARM, 1));
    if (early === null || late === null) notJudged.push("memory: the runtime is elsewhere");
    else atMost("memory-growth", "ratio", late / early, MEMORY_GROWTH_MAX, "the last quarter over the second");
    const [warm, half] = [partOf(samples, WARM, 0.625), partOf(samples, 0.625, 1)];
    for (const [name, of] of [
      ["core", (s: Sample) => s.coreBytes],
      ["hub", (s: Sample) => s.hubBytes],
    ] as const) {
      const [before, after] = [bytesPerClaim(warm, of), bytesPerClaim(half, of)];
      if (before === null || after === null || before <= 0)
        notJudged.push(`D1 size per claim of ${name}: fewer than ${ENOUGH_CLAIMS} claims were filed`);
      else
        atMost(
          `${name}-bytes-per-claim-growth`,
          "ratio",
          after / before,
          BYTES_PER_CLAIM_GROWTH_MAX,
          "later claims over earlier",
        );
    }
  }
  atMost(
    "drain",
    "ms",
    seen.drainedAfterMs ?? null,
    tunables.SLO_DRAIN_MAX,
    "until queue and outbox came to rest after the load, whatever waits for its anchor apart",
  );
  const over = windowsOver(calls, tunables.SCALE_WINDOW, tunables.SLO_P95_MAX_MS);
  atMost("scale-trigger", "windows", over, 2, "windows in a row whose p95 is over the limit; three mean: scale");

  const failedThresholds = thresholds.filter(({ passed }) => !passed);
  return {
    pass: failedThresholds.length === 0,
    figures: {
      requests: calls.length,
      requestsPerSecond: (1_000 * calls.length) / plan.durationMs,
      errorRate,
      checkRate,
      rateLimitedRate,
      p50Ms: all.p50Ms,
      p95Ms: all.p95Ms,
      p99Ms: all.p99Ms,
      claims: last?.claims ?? 0,
      lifecycle,
      cacheHitRate,
      drainedAfterMs: seen.drainedAfterMs ?? null,
      bytesPerClaim: {
        core: bytesPerClaim(samples, ({ coreBytes }) => coreBytes),
        hub: bytesPerClaim(samples, ({ hubBytes }) => hubBytes),
      },
      memoryBytes: { first: first?.memoryBytes ?? null, last: last?.memoryBytes ?? null },
      byOperation: [...Map.groupBy(calls, ({ operation }) => operation)].map(([name, own]) => figuresOf(name, own)),
    },
    thresholds,
    failedThresholds,
    notJudged,
  };
}
