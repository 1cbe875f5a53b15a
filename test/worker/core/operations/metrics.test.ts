import { createExecutionContext, createScheduledController, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import type { CoreEnv } from "../../../../src/core/env.ts";
import worker from "../../../../src/core/worker.ts";
import type { AnalyticsPoint } from "../../../../src/operations/analytics.ts";
import { databaseSink, Meter, withAnalytics } from "../../../../src/operations/meter.edge.ts";
import { readTotals } from "../../../../src/operations/metrics.store.ts";
import { RelayPort } from "../../../../src/relay/port.edge.ts";
import { readExposition, type Sample } from "../../../support/prometheus.ts";
import { callWith, KEYS, migrate, payloadOf, signed, testEnv } from "../support.ts";

const ON = { METRICS: "on", METRICS_FLUSH_MS: "0" };
const TOKEN = KEYS.METRICS_SCRAPE_TOKEN;

/** Bindings whose objects measure too are not to be had here: an object has the worker's own environment. */
const measured = { ...testEnv, ...ON } satisfies CoreEnv;

beforeAll(migrate);

const scrape = (headers: Readonly<Record<string, string>> = { authorization: `Bearer ${TOKEN}` }, over = {}) =>
  callWith({ ...ON, ...over }, "/metrics", { key: "", headers });

async function samples(): Promise<readonly Sample[]> {
  const { status, text } = await scrape();
  expect(status).toBe(200);
  return readExposition(text).flatMap((family) => family.samples);
}

const sumOf = (all: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number =>
  all
    .filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);

const runCron = (env: CoreEnv) =>
  worker.scheduled(createScheduledController({ scheduledTime: new Date(Date.now() - 2_000) }), env);

test("the buffers of two isolates add up, and a batch whose answer was lost counts once", async () => {
  const name = "itrans_core_ledger_commits_total";
  const totalOf = async () => (await readTotals(testEnv.DB, [name]))[0]?.value;
  const isolates = [1, 2].map((i) => {
    let flushes = 0;
    return new Meter(
      "itrans-core",
      () => 1_800_000_000_000,
      () => `isolate-${i}-${++flushes}`,
    );
  });
  const sink = databaseSink(testEnv.DB);
  for (const { buffer } of isolates) buffer.add(name, { outcome: "committed" }, 5);
  await Promise.all(isolates.map((meter) => meter.flush(sink)));
  expect(await totalOf()).toBe(10);

  const [first] = isolates;
  if (first === undefined) throw new Error("no isolate");
  first.buffer.add(name, { outcome: "committed" }, 3);
  await first.flush(async (flushId, rows) => {
    await sink(flushId, rows);
    throw new Error("the answer was lost");
  });
  first.buffer.add(name, { outcome: "committed" }, 1);
  await first.flush(sink);
  expect(await totalOf()).toBe(13);
  await first.flush(sink);
  expect(await totalOf()).toBe(14);
});

test("a flush that fails keeps what was measured for the next one", async () => {
  const name = "itrans_core_ledger_appends_total";
  const meter = new Meter(
    "itrans-core",
    () => 1_800_000_000_000,
    () => "kept",
  );
  meter.buffer.add(name, { type: "ERASED" }, 2);
  await meter.flush(() => Promise.reject(new Error("the database is away")));
  await meter.flush(databaseSink(testEnv.DB));
  expect(await readTotals(testEnv.DB, [name])).toEqual([{ name, labels: ["ERASED"], value: 2 }]);
});

test("one flush is arranged for all that is measured within its time, and again once that was lost", async () => {
  let now = 1_800_000_000_000;
  let ids = 0;
  const meter = new Meter(
    "itrans-core",
    () => now,
    () => `later-${++ids}`,
  );
  const sent: number[] = [];
  const arranged: Promise<unknown>[] = [];
  const wakers: (() => void)[] = [];
  const later = () =>
    meter.flushLater(
      async (_, rows) => sent.push(rows.length),
      10_000,
      () => new Promise<void>((resolve) => wakers.push(resolve)),
      (work) => arranged.push(work),
    );
  later();
  expect(arranged).toHaveLength(0); // nothing was measured
  meter.buffer.add("itrans_core_ledger_commits_total", { outcome: "committed" });
  later();
  meter.buffer.add("itrans_core_ledger_commits_total", { outcome: "uncertain" });
  later();
  expect(arranged).toHaveLength(1);
  now += 60_000; // its invocation was cut off, and the timer with it
  later();
  expect(arranged).toHaveLength(2);
  wakers[1]?.();
  await arranged[1];
  expect(sent).toEqual([2]);
});

test("where a dataset is bound, what is measured is written there as well, once, and its refusal fails no request", async () => {
  const points: AnalyticsPoint[] = [];
  const ANALYTICS = { writeDataPoint: (point: AnalyticsPoint) => points.push(point) };
  const written = () =>
    points.filter(({ indexes, blobs }) => indexes[0] === "itrans_core_http_requests_total" && blobs[2] === "/metrics");
  await scrape(undefined, { ANALYTICS });
  await scrape(undefined, { ANALYTICS });
  expect(written().map(({ blobs }) => blobs[0])).toContain("itrans-core");
  const before = written().reduce((sum, { doubles }) => sum + (doubles[1] ?? 0), 0);
  const total = async () => sumOf(await samples(), "itrans_core_http_requests_total", { route: "/metrics" });
  const counted = await total();
  await scrape(undefined, { ANALYTICS });
  const after = written().reduce((sum, { doubles }) => sum + (doubles[1] ?? 0), 0);
  expect(after - before).toBeLessThanOrEqual((await total()) - counted);
  expect(after).toBeGreaterThan(before);

  const refusing = {
    writeDataPoint() {
      throw new Error("no more points");
    },
  };
  expect((await scrape(undefined, { ANALYTICS: refusing })).status).toBe(200);
});

test("a batch whose answer was lost is written to the dataset once", async () => {
  const points: AnalyticsPoint[] = [];
  const meter = new Meter(
    "itrans-core",
    () => 1_800_000_000_000,
    () => "analytics",
  );
  let lost = true;
  const sink = withAnalytics(
    async (flushId, rows) => {
      await databaseSink(testEnv.DB)(flushId, rows);
      if (lost) throw new Error("the answer was lost");
    },
    { writeDataPoint: (point) => points.push(point) },
  );
  meter.buffer.add("itrans_core_ledger_commits_total", { outcome: "uncertain" }, 4);
  await meter.flush(sink);
  expect(points).toEqual([]);
  lost = false;
  await meter.flush(sink);
  await meter.flush(sink);
  expect(points.map(({ doubles }) => doubles[1])).toEqual([4]);
});

test("/metrics is for the scrape token alone, and closed while there is none", async () => {
  for (const headers of [{}, { authorization: "Bearer wrong" }, { "x-api-key": TOKEN }, { authorization: TOKEN }]) {
    const { status, json } = await scrape(headers);
    expect([status, json.code]).toEqual([401, "unauthenticated"]);
  }
  expect((await scrape(undefined, { METRICS_SCRAPE_TOKEN: undefined })).status).toBe(401);
  expect((await callWith(ON, "/metrics", { key: KEYS.OPERATOR_API_KEY })).status).toBe(401);
  const { status, headers } = await scrape();
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("requests are counted by route template and status, and no counter falls between scrapes", async () => {
  const before = await samples();
  const id = "PLANTED-4711";
  expect((await callWith(ON, `/workflow/requests/${id}`)).status).toBe(404);
  expect((await callWith(ON, `/workflow/requests/${id}`, { key: "wrong" })).status).toBe(401);
  expect((await callWith(ON, `/nowhere/${id}`)).status).toBe(404);
  expect((await callWith(ON, "/workflow/claims", { method: "POST", body: signed(payloadOf()) })).status).toBe(201);
  const after = await samples();
  const gained = (labels: Readonly<Record<string, string>>, name = "itrans_core_http_requests_total"): number =>
    sumOf(after, name, labels) - sumOf(before, name, labels);
  expect(gained({ route: "/workflow/requests/:requestId", status: "404" })).toBe(1);
  expect(gained({ route: "/workflow/requests/:requestId", status: "401" })).toBe(1);
  expect(gained({ route: "unmatched", status: "404" })).toBe(1);
  expect(gained({ method: "POST", route: "/workflow/claims", status: "201" })).toBe(1);
  expect(gained({ route: "/workflow/requests/:requestId" }, "itrans_core_http_request_duration_seconds_count")).toBe(2);
  expect((await scrape()).text).not.toContain("PLANTED");
  for (const { name, labels, value } of before) {
    if (/_total$|_count$|_bucket$/.test(name)) expect(sumOf(after, name, labels), name).toBeGreaterThanOrEqual(value);
  }
});

test("with METRICS off nothing is written, and gauges are still read", async () => {
  const rows = async () =>
    (await testEnv.DB.prepare("SELECT COUNT(*) AS n FROM metric_flushes").first<{ n: number }>())?.n;
  const before = await rows();
  await callWith({ METRICS: "off" }, "/workflow/requests/none");
  await runCron({ ...testEnv, METRICS: "off" });
  const { text } = await callWith({ METRICS: "off" }, "/metrics", { headers: { authorization: `Bearer ${TOKEN}` } });
  expect(text).toMatch(/^itrans_core_ledger_size_entries \d+$/m);
  expect(await rows()).toBe(before);
});

test("the cron writes gauges, its own runs and lateness, and what its tables tell, once", async () => {
  const { DB } = testEnv;
  const now = Date.now();
  await DB.batch([
    DB.prepare(
      `INSERT INTO anchors (ledger_id, size, root_hash, previous_size, state, chain_id, contract_address, nonce, tx_hash, submitted_at, confirmed_at)
       VALUES ('main', 1, 'r', 0, 'confirmed', 31337, '0x', 0, '0x', ?1, ?2)`,
    ).bind(now - 40_000, now),
    DB.prepare(
      `INSERT INTO anchor_events (ledger_id, event_key, size, type, reason, at, chain_id, contract_address)
       VALUES ('main', 'k', 1, 'confirmed', 'final', ?1, 31337, '0x')`,
    ).bind(now),
  ]);
  await runCron(measured);
  await runCron(measured);
  const all = await samples();
  expect(sumOf(all, "itrans_core_anchor_events_total", { type: "confirmed" })).toBe(1);
  expect(sumOf(all, "itrans_core_anchor_confirmation_seconds_sum")).toBeCloseTo(40, 1);
  expect(sumOf(all, "itrans_core_anchor_latency_seconds_count")).toBe(1);
  expect(sumOf(all, "itrans_core_anchored_entries")).toBe(1);
  expect(sumOf(all, "itrans_core_ledger_size_entries")).toBe(1);
  expect(sumOf(all, "itrans_core_cron_runs_total", { job: "sweep", outcome: "ok" })).toBe(2);
  const lateness = await callWith(ON, "/operations/series?name=itrans_core_cron_lateness_seconds", {
    key: KEYS.OPERATOR_API_KEY,
  });
  expect(lateness.status).toBe(200);
  expect(lateness.json.points.at(-1)[1] ?? lateness.json.points.at(-2)[1]).toBeGreaterThanOrEqual(2);
});

test("an outcome is counted when its row changes, with the receiver's answer and the callback's latency", async () => {
  const { DB } = testEnv;
  await DB.batch([
    DB.prepare(
      `INSERT INTO destinations (destination_id, tenant_id, kind, url, deliver_after, event_types, requests_per_minute, timeout_ms, state, created_at, updated_at)
       VALUES ('clinic', 'default', 'MEDLINK', 'https://clinic.test/', 'commit', '[]', 600, 1000, 'active', 0, 0)`,
    ),
    DB.prepare(
      `INSERT INTO outbox (outbox_id, event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at, body, correlation_id, created_at)
       VALUES (900, 'e900', 'REQUEST_SUBMITTED', 'main', 0, 's900', 'default', 'clinic', 'due', 0, '{}', 'c', ?1)`,
    ).bind(Date.now() - 700),
  ]);
  const ctx = createExecutionContext();
  const port = new RelayPort(ctx, measured);
  const { deliveries } = await port.lease(10, []);
  const outcomes = deliveries.map(({ outboxId, leaseToken }) => ({
    outboxId,
    leaseToken,
    type: "posted" as const,
    result: { type: "answered" as const, status: 204, retryAfter: undefined, retryable: false },
    startedAt: Date.now(),
    durationMs: 30,
  }));
  expect(await port.record(outcomes)).toMatchObject({ recorded: 1 });
  expect(await port.record(outcomes)).toMatchObject({ recorded: 0 });
  await waitOnExecutionContext(ctx);
  const all = await samples();
  const delivered = { destination: "clinic", outcome: "delivered" };
  expect(sumOf(all, "itrans_core_delivery_attempts_total", delivered)).toBe(1);
  expect(sumOf(all, "itrans_core_delivery_latency_seconds_count", { event: "REQUEST_SUBMITTED" })).toBe(1);
  expect(sumOf(all, "itrans_core_delivery_latency_seconds_sum")).toBeGreaterThanOrEqual(0.7);
  const relay = readExposition(await port.metrics()).flatMap((family) => family.samples);
  expect(sumOf(relay, "itrans_relay_posts_total", { result: "2xx" })).toBe(1);
  expect(sumOf(relay, "itrans_relay_post_duration_seconds_sum", { destination: "clinic" })).toBeCloseTo(0.03);
});

test("the relay's own measurements are added once, and nothing but the relay's is taken from it", async () => {
  const port = new RelayPort(createExecutionContext(), measured);
  const row = { name: "itrans_relay_hints_total", minute: 30_000_000, labels: ["relay"], value: 4 } as const;
  const foreign = {
    name: "itrans_core_ledger_commits_total",
    minute: 30_000_000,
    labels: ["committed"],
    value: 9,
  } as const;
  const committed = async () => sumOf(await samples(), foreign.name, { outcome: "committed" });
  const before = await committed();
  await port.measure("relay-1", [row, foreign]);
  await port.measure("relay-1", [row, foreign]);
  const relay = readExposition(await port.metrics()).flatMap((family) => family.samples);
  expect(sumOf(relay, row.name, { queue: "relay" })).toBe(4);
  expect(await committed()).toBe(before);
});

test("a series is for operators, and says what is wrong with a question", async () => {
  const series = (query: string, key: string = KEYS.OPERATOR_API_KEY) =>
    callWith(ON, `/operations/series?${query}`, { key });
  const name = "itrans_core_http_requests_total";
  expect((await series(`name=${name}`, KEYS.WORKFLOW_API_KEY)).status).toBe(403);
  expect((await series(`name=${name}`, "nobody's")).status).toBe(401);
  expect(await series("name=nothing")).toMatchObject({ status: 404 });
  expect(await series("")).toMatchObject({ status: 400, json: { issues: [{ path: "name" }] } });
  expect(await series(`name=${name}&from=yesterday`)).toMatchObject({
    status: 400,
    json: { issues: [{ path: "from" }] },
  });
  expect(await series(`name=${name}&step=7`)).toMatchObject({ status: 400, json: { issues: [{ path: "step" }] } });
  const { status, json } = await series(`name=${name}&by=route`);
  expect(status).toBe(200);
  expect(json).toMatchObject({ name, type: "counter", unit: "requests", step: 60 });
  expect(
    json.points.reduce((sum: number, [, value]: [number, number | null]) => sum + (value ?? 0), 0),
  ).toBeGreaterThan(3);
  expect(json.series.map(({ label }: { label: string }) => label)).toContain("/workflow/requests/:requestId");
  const openapi = await callWith(ON, "/openapi.json");
  expect(
    openapi.json.paths["/operations/series"].get.parameters.map(({ name: each }: { name: string }) => each),
  ).toContain("step");
});
