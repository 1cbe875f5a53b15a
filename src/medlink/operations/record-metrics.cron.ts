/** The cron's part of the hub's metrics: gauges, what the tables tell since the last look, roll-up and retention. */
import { databaseSink, flushNow, holdForAnalytics, isMeasured, withAnalytics } from "../../operations/meter.edge.ts";
import {
  addOnce,
  markStatement,
  metricStatements,
  pruneMetrics,
  readMarks,
  rollUp,
  writeMetrics,
} from "../../operations/metrics.store.ts";
import { ediConnectorLabel, ediKindLabel } from "../../operations/metrics.ts";
import { minuteOf } from "../../operations/metrics-buffer.ts";
import { type Reading, readingRows, rowsAt } from "../../operations/readings.ts";
import type { HubEnv } from "../env.ts";
import type { Hub } from "../hub.edge.ts";
import { exchangesAfter, readHubGauges, signInsAfter } from "./hub-readings.store.ts";

const AUDIT_EVENT_MARK = "audit-event";
const EXCHANGE_MARK = "edi-exchange";
/** Looks in one run; more is counted by the next ones. */
export const MAX_LOOKS = 10;

/**
 * Counts what the tables gained since the marks. Two crons at once have the same marks, so one of their batches fails.
 * @returns whether there was anything.
 */
export async function countLifecycle(db: D1Database, now: number): Promise<boolean> {
  const marks = await readMarks(db);
  const lastAuditEvent = marks.get(AUDIT_EVENT_MARK) ?? 0;
  const lastExchange = marks.get(EXCHANGE_MARK) ?? 0;
  const [{ upTo, signIns }, exchanges] = await Promise.all([
    signInsAfter(db, lastAuditEvent),
    exchangesAfter(db, lastExchange),
  ]);
  const newestExchange = exchanges.at(-1)?.exchangeId ?? lastExchange;
  if (upTo === lastAuditEvent && newestExchange === lastExchange) return false;
  const rows = rowsAt("medlink-hub", (measure, at) => {
    for (const exchange of exchanges) {
      at(exchange.at);
      measure.add("medlink_edi_transactions_total", {
        connector: ediConnectorLabel(exchange.connector),
        kind: ediKindLabel(exchange.kind),
        outcome: exchange.ok === 1 ? "ok" : "failed",
      });
    }
    for (const { minute, count } of signIns) {
      at(minute * 60_000);
      measure.add("medlink_logins_total", {}, count);
    }
  });
  return addOnce(db, [
    ...metricStatements(db, `lifecycle:${lastAuditEvent}:${lastExchange}`, rows, now),
    markStatement(db, AUDIT_EVENT_MARK, upTo),
    markStatement(db, EXCHANGE_MARK, newestExchange),
  ]);
}

let recordedMinute = 0;

/**
 * Once a minute, however often it is called.
 * @param latenessMs how much later than scheduled this cron began.
 */
export async function recordHubMetrics(hub: Hub, env: HubEnv, latenessMs: number): Promise<void> {
  const now = hub.now();
  if (!isMeasured(env) || minuteOf(now) === recordedMinute) return;
  recordedMinute = minuteOf(now);
  const lateness: Reading = {
    name: "medlink_cron_lateness_seconds",
    labels: [],
    value: Math.max(0, latenessMs) / 1_000,
  };
  const readings = readingRows([...(await readHubGauges(hub.db, now)), lateness], now);
  await writeMetrics(hub.db, hub.newUuid(), readings, now);
  holdForAnalytics(env.ANALYTICS, readings);
  for (let look = 0; look < MAX_LOOKS; look++) if (!(await countLifecycle(hub.db, now))) break;
  await flushNow("medlink-hub", env, withAnalytics(databaseSink(hub.db), env.ANALYTICS));
  await rollUp(hub.db, now);
  await pruneMetrics(hub.db, now);
}
