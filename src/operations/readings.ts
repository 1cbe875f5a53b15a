/** Readings of gauges, and measurements of what happened at a known time: rows for the store. */

import type { WorkerName } from "../platform/secrets.ts";
import type { GaugeName } from "./metrics.ts";
import { type MetricRow, MetricsBuffer, minuteOf } from "./metrics-buffer.ts";

export interface Reading {
  readonly name: GaugeName;
  /** Values in the catalogue's order of labels. */
  readonly labels: readonly string[];
  readonly value: number;
}

/** @param now epoch ms. */
export const readingRows = (readings: readonly Reading[], now: number): readonly MetricRow[] =>
  readings.map((reading) => ({ ...reading, minute: minuteOf(now) }));

/** More than a minute's look into the tables can find. */
const MAX_ROWS = 5_000;

/**
 * Rows of what happened at times of its own.
 * @param measure is given the buffer and sets the time, epoch ms, before each measurement.
 */
export function rowsAt(
  worker: WorkerName,
  measure: (buffer: MetricsBuffer, at: (epochMs: number) => void) => void,
): readonly MetricRow[] {
  let time = 0;
  const buffer = new MetricsBuffer(worker, () => time, MAX_ROWS);
  measure(buffer, (epochMs) => {
    time = epochMs;
  });
  return buffer.take();
}
