/**
 * Measuring, in an isolate: one buffer for everything that runs in it, handed on as one additive batch a few seconds after its
 * first measurement. What an isolate has not handed on when it ends is lost; what it handed on counts exactly once.
 *
 * A buffer holds plain data only: promises and timers belong to the invocation that made them, and die with it.
 */
import { newUuid, systemNow } from "../platform/clock.edge.ts";
import type { WorkerName } from "../platform/secrets.ts";
import { metricsSettingsSchema } from "../platform/settings.ts";
import { type AnalyticsDataset, AnalyticsWriter } from "./analytics.ts";
import { writeMetrics } from "./metrics.store.ts";
import { type Measure, type MetricRow, MetricsBuffer, NO_MEASURE } from "./metrics-buffer.ts";

/** Series in a buffer; a busy core has about two hundred in a minute. */
const MAX_ROWS = 2_000;
/** A flush whose invocation was cut off is taken for lost after this. */
const FLUSH_LOST_MS = 30_000;

/** Takes a batch: true or false, it counts once; throwing leaves it to be sent again under the same id. */
export type MetricSink = (flushId: string, rows: readonly MetricRow[]) => Promise<unknown>;

export const databaseSink =
  (db: D1Database): MetricSink =>
  (flushId, rows) =>
    writeMetrics(db, flushId, rows, systemNow());

const analytics = new AnalyticsWriter(MAX_ROWS);

/** Goes to the dataset with the next flush. @param dataset undefined: the deployment has none. */
export function holdForAnalytics(dataset: AnalyticsDataset | undefined, rows: readonly MetricRow[]): void {
  if (dataset !== undefined) analytics.hold(rows);
}

/** A batch goes to the dataset once its first home has it: so it is written there once, however often it was sent. */
export const withAnalytics = (sink: MetricSink, dataset: AnalyticsDataset | undefined): MetricSink =>
  dataset === undefined
    ? sink
    : async (flushId, rows) => {
        await sink(flushId, rows);
        analytics.write(dataset, rows);
      };

/** Where core and the hub hand their measurements on to. */
export const metricSink = (env: { readonly DB: D1Database; readonly ANALYTICS?: AnalyticsDataset }): MetricSink =>
  withAnalytics(databaseSink(env.DB), env.ANALYTICS);

export class Meter {
  readonly #now: () => number;
  readonly #newId: () => string;
  readonly buffer: MetricsBuffer;
  /** A batch on its way, or whose outcome is unknown. */
  #sent: { readonly flushId: string; readonly rows: readonly MetricRow[] } | undefined;
  #busyUntil = 0;
  #scheduledUntil = 0;
  #flushedAt = 0;

  constructor(worker: WorkerName, now: () => number, newId: () => string) {
    this.#now = now;
    this.#newId = newId;
    this.buffer = new MetricsBuffer(worker, now, MAX_ROWS);
  }

  /** Hands on what is there; one flush at a time. Never throws: measuring must not fail what is measured. */
  async flush(sink: MetricSink): Promise<void> {
    const now = this.#now();
    if (now < this.#busyUntil) return;
    if (this.#sent === undefined) {
      if (this.buffer.size === 0) return;
      this.#sent = { flushId: this.#newId(), rows: this.buffer.take() };
    }
    const { flushId, rows } = this.#sent;
    this.#busyUntil = now + FLUSH_LOST_MS;
    this.#flushedAt = now;
    try {
      await sink(flushId, rows);
      if (this.#sent?.flushId === flushId) this.#sent = undefined;
    } catch {
      // It stays, to be sent again with the next flush.
    } finally {
      this.#busyUntil = 0;
    }
  }

  async flushIfDue(sink: MetricSink, everyMs: number): Promise<void> {
    if (this.#now() - this.#flushedAt >= everyMs) await this.flush(sink);
  }

  /** Arranges one flush for everything that is measured within the next `afterMs`. */
  flushLater(sink: MetricSink, afterMs: number, sleep: (ms: number) => Promise<unknown>, waitUntil: WaitUntil): void {
    if ((this.buffer.size === 0 && this.#sent === undefined) || this.#now() < this.#scheduledUntil) return;
    // An invocation that is cut off takes its timer with it.
    this.#scheduledUntil = this.#now() + afterMs + FLUSH_LOST_MS;
    waitUntil(
      sleep(afterMs).then(() => {
        this.#scheduledUntil = 0;
        return this.flush(sink);
      }),
    );
  }
}

type WaitUntil = (work: Promise<unknown>) => void;

interface MeteredEnv {
  readonly METRICS?: string;
  readonly METRICS_FLUSH_MS?: string;
}

const meters = new Map<WorkerName, Meter>();

function meterOf(worker: WorkerName): Meter {
  const held = meters.get(worker);
  if (held !== undefined) return held;
  const made = new Meter(worker, systemNow, newUuid);
  meters.set(worker, made);
  return made;
}

interface MeterSettings {
  readonly on: boolean;
  readonly flushMs: number;
}

const settingsByEnv = new WeakMap<MeteredEnv, MeterSettings>();

/** Settings that do not parse switch measuring off: the worker itself says what is wrong with them. */
function meterSettings(env: MeteredEnv): MeterSettings {
  const held = settingsByEnv.get(env);
  if (held !== undefined) return held;
  const parsed = metricsSettingsSchema.safeParse(env);
  const made = parsed.success
    ? { on: parsed.data.METRICS, flushMs: parsed.data.METRICS_FLUSH_MS }
    : { on: false, flushMs: 0 };
  settingsByEnv.set(env, made);
  return made;
}

export const isMeasured = (env: MeteredEnv): boolean => meterSettings(env).on;

/** What code of this worker measures with; nothing is kept while METRICS is off. */
export const measureOf = (worker: WorkerName, env: MeteredEnv): Measure =>
  meterSettings(env).on ? meterOf(worker).buffer : NO_MEASURE;

/** After an invocation measured something: its measurements are handed on a few seconds later, with those of others. */
export function flushLater(worker: WorkerName, env: MeteredEnv, sink: MetricSink, waitUntil: WaitUntil): void {
  const { on, flushMs } = meterSettings(env);
  if (on) meterOf(worker).flushLater(sink, flushMs, (ms) => scheduler.wait(ms), waitUntil);
}

/** For invocations that nothing should outlast: queue batches and crons. At most once every METRICS_FLUSH_MS. */
export async function flushIfDue(worker: WorkerName, env: MeteredEnv, sink: MetricSink): Promise<void> {
  const { on, flushMs } = meterSettings(env);
  if (on) await meterOf(worker).flushIfDue(sink, flushMs);
}

export async function flushNow(worker: WorkerName, env: MeteredEnv, sink: MetricSink): Promise<void> {
  if (meterSettings(env).on) await meterOf(worker).flush(sink);
}
