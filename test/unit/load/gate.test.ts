import { describe, expect, it } from "vitest";
import { chartSvg } from "../../../scripts/lib/load/chart.ts";
import {
  type Call,
  from,
  judgeGate,
  quantile,
  type Sample,
  type Seen,
  windowsOver,
} from "../../../scripts/lib/load/gate.ts";
import { bucketsOf, observedBetween, seriesIn, sumOf } from "../../../scripts/lib/load/scrape.ts";
import { durationMs, planOf, readTunables, tunablesSchema } from "../../../scripts/lib/load/settings.ts";

const tunables = tunablesSchema.parse({ LOAD_DURATION: "60s" });

const call = (over: Partial<Call> = {}): Call => ({
  operation: "read",
  atMs: 0,
  durationMs: 20,
  status: 200,
  checked: true,
  ...over,
});

const sample = (n: number, over: Partial<Sample> = {}): Sample => ({
  atMs: 1_000 * n,
  requestsPerSecond: 100,
  p95Ms: 30,
  outboxPending: 5,
  autoSubmitDepth: 2,
  deadLetters: 0,
  coreBytes: 1_000_000 + 4_000 * 10 * n,
  hubBytes: 500_000 + 2_000 * 10 * n,
  claims: 10 * n,
  memoryBytes: 300_000_000,
  ...over,
});

const seen = (over: Partial<Seen> = {}): Seen => ({
  gate: "load",
  calls: Array.from({ length: 1_000 }, (_, n) => call({ atMs: 60 * n })),
  samples: Array.from({ length: 60 }, (_, n) => sample(n)),
  lifecycle: { count: 590, p50Ms: 300, p95Ms: 800 },
  cache: { hits: 80, misses: 20 },
  drainedAfterMs: 1_500,
  ...over,
});

const failed = (over: Partial<Seen>): readonly string[] =>
  judgeGate(seen(over), tunables).failedThresholds.map(({ name }) => name);

describe("a gate", () => {
  it("passes a run that keeps every limit, and judges all of it", () => {
    const verdict = judgeGate(seen(), tunables);
    expect(verdict.failedThresholds).toEqual([]);
    expect(verdict.notJudged).toEqual([]);
    expect(verdict.pass).toBe(true);
    expect(verdict.figures).toMatchObject({
      requests: 1_000,
      p95Ms: 20,
      cacheHitRate: 0.8,
      claims: 590,
      bytesPerClaim: { core: 4_000, hub: 2_000 },
    });
  });

  it.each<readonly [string, Partial<Seen>, readonly string[]]>([
    ["too few requests", { calls: Array.from({ length: 199 }, () => call()) }, ["requests"]],
    [
      "slow answers",
      { calls: Array.from({ length: 1_000 }, (_, n) => call({ durationMs: n < 60 ? 500 : 20 })) },
      ["p95"],
    ],
    [
      "a slow tail",
      { calls: Array.from({ length: 1_000 }, (_, n) => call({ durationMs: n < 20 ? 1_500 : 20 })) },
      ["p99"],
    ],
    [
      "answers of 5xx and none at all",
      { calls: Array.from({ length: 1_000 }, (_, n) => call(n < 11 ? { status: n % 2 === 0 ? 503 : 0 } : {})) },
      ["error-rate"],
    ],
    [
      "answers that are not what was asked for",
      { calls: Array.from({ length: 1_000 }, (_, n) => call({ checked: n >= 60 })) },
      ["check-rate"],
    ],
    [
      "limited callers",
      { calls: Array.from({ length: 1_000 }, (_, n) => call(n < 51 ? { status: 429 } : {})) },
      ["rate-limited"],
    ],
    ["slow claims", { lifecycle: { count: 590, p50Ms: 900, p95Ms: 2_100 } }, ["claim-lifecycle-p95"]],
    [
      "claims of which none was called back",
      { lifecycle: { count: 0, p50Ms: null, p95Ms: null } },
      ["claim-lifecycle-p95"],
    ],
    ["a cache that misses", { cache: { hits: 39, misses: 61 } }, ["cache-hits"]],
    [
      "a queue that grows",
      { samples: Array.from({ length: 60 }, (_, n) => sample(n, { autoSubmitDepth: 4 * n })) },
      ["auto-submit-growth"],
    ],
    [
      "an outbox that grows",
      { samples: Array.from({ length: 60 }, (_, n) => sample(n, { outboxPending: 4 * n })) },
      ["outbox-growth"],
    ],
    [
      "a dead letter",
      { samples: Array.from({ length: 60 }, (_, n) => sample(n, { deadLetters: n > 50 ? 1 : 0 })) },
      ["dead-letters"],
    ],
    [
      "memory that grows",
      { samples: Array.from({ length: 60 }, (_, n) => sample(n, { memoryBytes: 200_000_000 + 5_000_000 * n })) },
      ["memory-growth"],
    ],
    [
      "claims that take more and more room",
      { samples: Array.from({ length: 60 }, (_, n) => sample(n, { coreBytes: 1_000_000 + 1_000 * n * n })) },
      ["core-bytes-per-claim-growth"],
    ],
    ["work that is left behind", { drainedAfterMs: undefined }, ["drain"]],
  ])("fails for %s, and for nothing else", (_, over, names) => {
    expect(failed(over)).toEqual(names);
  });

  it("says what it could not judge", () => {
    const { notJudged, pass } = judgeGate(
      seen({
        cache: undefined,
        samples: [sample(0), sample(1)],
      }),
      tunables,
    );
    expect(pass).toBe(true);
    expect(notJudged).toEqual([expect.stringMatching(/^cache/), expect.stringMatching(/^growth/)]);
  });

  it("does not pass a run in which nothing was asked", () => {
    expect(failed({ calls: [] })).toEqual(expect.arrayContaining(["requests", "p95", "error-rate", "check-rate"]));
  });

  it("asks for more machines after three slow windows in a row, not after three apart", () => {
    const slow = (windows: readonly number[]) =>
      Array.from({ length: 8 }, (_, n) => call({ atMs: n * 300_000, durationMs: windows.includes(n) ? 900 : 20 }));
    expect(windowsOver(slow([1, 2, 3]), 300_000, 400)).toBe(3);
    expect(windowsOver(slow([1, 3, 5]), 300_000, 400)).toBe(1);
    expect(windowsOver([], 300_000, 400)).toBe(0);
    expect(failed({ calls: slow([4, 5, 6]).flatMap((one) => Array.from({ length: 100 }, () => one)) })).toContain(
      "scale-trigger",
    );
  });
});

it("what came before a gate's time is left out, and its clock begins there", () => {
  expect(from([call({ atMs: 9_999 }), call({ atMs: 12_000 })], 10_000)).toEqual([call({ atMs: 2_000 })]);
});

it("a quantile is a value that was there", () => {
  expect(quantile([1, 2, 3, 4], 0.5)).toBe(2);
  expect(quantile([1, 2, 3, 4], 0.95)).toBe(4);
  expect(quantile([], 0.5)).toBeNull();
});

describe("tunables", () => {
  it("have the names and defaults that operators know", () => {
    const parsed = readTunables({});
    expect(parsed.success && parsed.data).toMatchObject({
      LOAD_DURATION: 300_000,
      SOAK_DURATION: 1_800_000,
      LOAD_TARGET_VUS: 100,
      SOAK_VUS: 50,
      SLO_P95_MAX_MS: 400,
      SLO_P99_MAX_MS: 1_000,
      SLO_ERROR_RATE_MAX: 0.01,
      SLO_CHECK_RATE_MIN: 0.95,
      SLO_MIN_REQUESTS_LOAD: 200,
      SLO_MIN_REQUESTS_SOAK: 500,
    });
  });

  it("are read, and refused by name when they are wrong", () => {
    const parsed = readTunables({ LOAD_DURATION: "90s", LOAD_TARGET_VUS: "7", SOAK_VUS: "", HOME: "/" });
    expect(parsed.success && planOf("load", parsed.data)).toEqual({ durationMs: 90_000, users: 7, minRequests: 200 });
    expect(parsed.success && planOf("soak", parsed.data).users).toBe(50);
    expect(readTunables({ SOAK_DURATION: "soon" }).error?.issues[0]?.path).toEqual(["SOAK_DURATION"]);
    expect(["500ms", "2", "1.5m", "1h", "-1s", "x"].map(durationMs)).toEqual([
      500,
      2_000,
      90_000,
      3_600_000,
      undefined,
      undefined,
    ]);
  });
});

describe("the workers' metrics", () => {
  const text = (at: number) =>
    [
      "# HELP x Something.",
      `medlink_claim_callback_seconds_bucket{le="1"} ${at}`,
      `medlink_claim_callback_seconds_bucket{le="2"} ${2 * at}`,
      `medlink_claim_callback_seconds_bucket{le="+Inf"} ${2 * at}`,
      'depth{state="queued"} 3',
      'depth{state="running"} 4',
      "",
    ].join("\n");

  it("are summed over their labels", () => {
    expect(sumOf(seriesIn(text(1)), "depth")).toBe(7);
    expect(sumOf(seriesIn(text(1)), "nothing")).toBe(0);
  });

  it("tell what was observed between two looks", () => {
    const of = (at: number) => bucketsOf(seriesIn(text(at)), "medlink_claim_callback_seconds");
    const between = observedBetween(of(10), of(110));
    expect(between.count).toBe(200);
    expect(between.quantile(0.5)).toBe(1);
    expect(between.quantile(0.95)).toBeCloseTo(1.9);
    expect(observedBetween(of(1), of(1)).quantile(0.5)).toBeNull();
  });
});

it("the chart needs nothing but itself, and draws every sample", () => {
  const svg = chartSvg('load & "soak"', seen().samples, 400);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  expect(svg).toContain("load &amp; &quot;soak&quot;");
  expect(svg).not.toMatch(/href|src=|url\(/);
  expect(svg.match(/<polyline points="([^"]*)"/)?.[1]?.split(" ")).toHaveLength(60);
  expect(chartSvg("nothing", [], 400)).not.toContain("NaN");
});
