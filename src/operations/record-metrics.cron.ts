/** The cron's part of core's metrics: gauges, what the tables tell since the last look, roll-up and retention. */
import type { CoreEnv } from "../core/env.ts";
import { scrubberOf } from "../ledger/scrub.cron.ts";
import { newUuid, systemNow } from "../platform/clock.edge.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { STUCK_AFTER_MS } from "../settlement/sweep.cron.ts";
import { anchorEventsAfter, anchoredAfter, readCoreGauges } from "./core-readings.store.ts";
import { flushNow, holdForAnalytics, isMeasured, metricSink } from "./meter.edge.ts";
import {
  addOnce,
  markStatement,
  metricStatements,
  pruneMetrics,
  readMarks,
  rollUp,
  writeMetrics,
} from "./metrics.store.ts";
import { minuteOf } from "./metrics-buffer.ts";
import { type Reading, readingRows, rowsAt } from "./readings.ts";

/** Gauges as they stand now; the scrub's time is left out while its object does not answer. */
export async function coreGauges(
  env: CoreEnv,
  settings: Pick<CoreSettings, "LEDGER_ID" | "ALERT_TIME_SCALE">,
  now: number,
): Promise<readonly Reading[]> {
  const [readings, verifiedAt] = await Promise.all([
    readCoreGauges(env.DB, settings.LEDGER_ID, now, STUCK_AFTER_MS / settings.ALERT_TIME_SCALE),
    scrubberOf(env, settings)
      .status()
      .then(({ lastCompletedAt }) => lastCompletedAt)
      .catch(() => null),
  ]);
  if (verifiedAt === null) return readings;
  return [...readings, { name: "itrans_core_ledger_verified_timestamp_seconds", labels: [], value: verifiedAt / 1000 }];
}

const ANCHOR_EVENT_MARK = "anchor-event";
const ANCHORED_MARK = "anchored-size";

/** Counts what the tables gained since the marks. Two crons at once have the same marks, so one of their batches fails. */
async function countLifecycle(env: CoreEnv, ledgerId: string, now: number): Promise<void> {
  const marks = await readMarks(env.DB);
  const lastEvent = marks.get(ANCHOR_EVENT_MARK) ?? 0;
  const lastSize = marks.get(ANCHORED_MARK) ?? 0;
  const [events, anchored] = await Promise.all([
    anchorEventsAfter(env.DB, ledgerId, lastEvent),
    anchoredAfter(env.DB, ledgerId, lastSize),
  ]);
  const newestEvent = events.at(-1)?.eventId ?? lastEvent;
  if (newestEvent === lastEvent && anchored.size === lastSize) return;
  const rows = rowsAt("itrans-core", (measure, at) => {
    for (const { type, at: happenedAt, submittedAt } of events) {
      at(happenedAt);
      measure.add("itrans_core_anchor_events_total", { type });
      if (type === "confirmed" && submittedAt !== null) {
        measure.observe("itrans_core_anchor_confirmation_seconds", {}, (happenedAt - submittedAt) / 1000);
      }
    }
    for (const { committedAt, confirmedAt } of anchored.requests) {
      at(confirmedAt);
      const latency = (confirmedAt - committedAt) / 1000;
      for (let i = 0; i < anchored.weight; i++) measure.observe("itrans_core_anchor_latency_seconds", {}, latency);
    }
  });
  await addOnce(env.DB, [
    ...metricStatements(env.DB, `lifecycle:${lastEvent}:${lastSize}`, rows, now),
    markStatement(env.DB, ANCHOR_EVENT_MARK, newestEvent),
    markStatement(env.DB, ANCHORED_MARK, anchored.size),
  ]);
}

let recordedMinute = 0;

/**
 * Once a minute, however often it is called.
 * @param latenessMs how much later than scheduled this cron began.
 */
export async function recordCoreMetrics(
  env: CoreEnv,
  settings: Pick<CoreSettings, "LEDGER_ID" | "ALERT_TIME_SCALE">,
  latenessMs: number,
): Promise<void> {
  const now = systemNow();
  if (!isMeasured(env) || minuteOf(now) === recordedMinute) return;
  recordedMinute = minuteOf(now);
  const lateness: Reading = {
    name: "itrans_core_cron_lateness_seconds",
    labels: [],
    value: Math.max(0, latenessMs) / 1000,
  };
  const readings = readingRows([...(await coreGauges(env, settings, now)), lateness], now);
  await writeMetrics(env.DB, newUuid(), readings, now);
  holdForAnalytics(env.ANALYTICS, readings);
  await countLifecycle(env, settings.LEDGER_ID, now);
  await flushNow("itrans-core", env, metricSink(env));
  await rollUp(env.DB, now);
  await pruneMetrics(env.DB, now);
}
