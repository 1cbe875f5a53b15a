/** A measured row as a data point of Workers Analytics Engine. Its columns are in docs/metrics.md. */
import { isMetricName, specOf } from "./metrics.ts";
import type { MetricRow } from "./metrics-buffer.ts";

/** What the platform takes: of one point, and of all points of one invocation. */
export const ANALYTICS_LIMITS = { blobs: 20, blobBytes: 16_000, doubles: 20, indexBytes: 96, points: 250 } as const;

/** Behind minute, value and count. */
const BUCKET_COLUMNS = ANALYTICS_LIMITS.doubles - 3;

export interface AnalyticsPoint {
  readonly indexes: string[];
  readonly blobs: string[];
  readonly doubles: number[];
}

/** Of a binding, what is used. */
export interface AnalyticsDataset {
  writeDataPoint(point: AnalyticsPoint): void;
}

/** The columns of a histogram's buckets; what has no column of its own is added up in the last. */
function bucketColumns(buckets: readonly number[]): readonly number[] {
  if (buckets.length <= BUCKET_COLUMNS) return buckets;
  const own = buckets.slice(0, BUCKET_COLUMNS - 1);
  return [...own, buckets.slice(BUCKET_COLUMNS - 1).reduce((sum, n) => sum + n, 0)];
}

/** @returns undefined for a metric that the catalogue does not have. */
export function analyticsPointOf({ name, minute, labels, value, buckets = [] }: MetricRow): AnalyticsPoint | undefined {
  if (!isMetricName(name)) return undefined;
  const count = buckets.reduce((sum, n) => sum + n, 0);
  return {
    indexes: [name],
    blobs: [specOf(name).worker, ...labels].slice(0, ANALYTICS_LIMITS.blobs),
    doubles: [minute * 60, value, count, ...bucketColumns(buckets)],
  };
}

/**
 * Points on their way to a dataset: one invocation writes as many as it may, and the rest wait for the next one. What finds no
 * room among those that wait is lost, the oldest first; the database has it all the same.
 */
export class AnalyticsWriter {
  readonly #maxWaiting: number;
  #waiting: AnalyticsPoint[] = [];

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting;
  }

  /** For the next `write` of the same invocation: one invocation has one limit. */
  hold(rows: readonly MetricRow[]): void {
    this.#waiting = [...this.#waiting, ...rows.flatMap((row) => analyticsPointOf(row) ?? [])].slice(-this.#maxWaiting);
  }

  /** Never throws: measuring must not fail what is measured. */
  write(dataset: AnalyticsDataset, rows: readonly MetricRow[]): void {
    const points = [...this.#waiting, ...rows.flatMap((row) => analyticsPointOf(row) ?? [])];
    this.#waiting = points.slice(ANALYTICS_LIMITS.points).slice(-this.#maxWaiting);
    try {
      for (const point of points.slice(0, ANALYTICS_LIMITS.points)) dataset.writeDataPoint(point);
    } catch {
      // The platform refuses the rest of this invocation's points; the database has them.
    }
  }
}
