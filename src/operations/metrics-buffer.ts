/** What an isolate has counted and not yet handed on: additive, bounded, keyed by metric, minute and labels. */

import type { WorkerName } from "../platform/secrets.ts";
import {
  type CounterName,
  droppedCounterOf,
  type HistogramName,
  type LabelsOf,
  type MetricName,
  type MetricSpec,
  specOf,
} from "./metrics.ts";

/** What is added to one series in one minute, or a gauge's reading there; as it travels and as it is stored. */
export interface MetricRow {
  readonly name: MetricName;
  /** Minutes since the epoch. */
  readonly minute: number;
  /** Values in the catalogue's order of labels. */
  readonly labels: readonly string[];
  /** Counter: the increase. Gauge: the reading. Histogram: the sum of what was observed. */
  readonly value: number;
  /** Histogram: observations of each bucket alone, the one without bound last. */
  readonly buckets?: readonly number[];
}

/** What code measures with. */
export interface Measure {
  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, amount?: number): void;
  /** @param value in the metric's unit: seconds, not milliseconds. */
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void;
}

export const NO_MEASURE: Measure = { add() {}, observe() {} };

/** Label values come from lists, templates and ids of ours; a longer one is cut. */
const MAX_LABEL_CHARS = 120;

export const minuteOf = (epochMs: number): number => Math.floor(epochMs / 60_000);

/** @returns the values in the catalogue's order. */
export function labelValues(spec: MetricSpec, labels: Readonly<Record<string, string>>): readonly string[] {
  return Object.keys(spec.labels).map((label) => (labels[label] ?? "").slice(0, MAX_LABEL_CHARS));
}

/** @returns the index of the bucket that a value falls into; the one without bound is the last. */
export function bucketOf(bounds: readonly number[], value: number): number {
  const index = bounds.findIndex((bound) => value <= bound);
  return index === -1 ? bounds.length : index;
}

interface Cell {
  readonly name: MetricName;
  readonly minute: number;
  readonly labels: readonly string[];
  value: number;
  readonly buckets: number[] | undefined;
}

export class MetricsBuffer implements Measure {
  readonly #worker: WorkerName;
  readonly #now: () => number;
  readonly #maxRows: number;
  readonly #cells = new Map<string, Cell>();

  /** @param maxRows beyond it, what would be a new row is counted as dropped. */
  constructor(worker: WorkerName, now: () => number, maxRows: number) {
    this.#worker = worker;
    this.#now = now;
    this.#maxRows = maxRows;
  }

  get size(): number {
    return this.#cells.size;
  }

  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, amount = 1): void {
    // A counter never falls.
    if (!(amount > 0) || !Number.isFinite(amount)) return;
    const cell = this.#cell(name, labels);
    if (cell !== undefined) cell.value += amount;
  }

  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    if (!Number.isFinite(value)) return;
    const cell = this.#cell(name, labels);
    const spec = specOf(name);
    if (cell?.buckets === undefined || spec.type !== "histogram") return;
    const counted = Math.max(0, value);
    const index = bucketOf(spec.buckets, counted);
    cell.value += counted;
    cell.buckets[index] = (cell.buckets[index] ?? 0) + 1;
  }

  /** Empties the buffer. */
  take(): readonly MetricRow[] {
    const rows = [...this.#cells.values()].map(
      ({ buckets, ...row }): MetricRow => (buckets === undefined ? row : { ...row, buckets }),
    );
    this.#cells.clear();
    return rows;
  }

  #cell(name: MetricName, labels: Readonly<Record<string, string>>): Cell | undefined {
    const spec = specOf(name);
    const values = labelValues(spec, labels);
    const minute = minuteOf(this.#now());
    const key = `${name}\n${minute}\n${values.join("\n")}`;
    const found = this.#cells.get(key);
    if (found !== undefined) return found;
    const dropped = droppedCounterOf(this.#worker);
    // The row that counts what is dropped has a place of its own.
    if (this.#cells.size >= this.#maxRows && name !== dropped) {
      const counter = this.#cell(dropped, {});
      if (counter !== undefined) counter.value += 1;
      return undefined;
    }
    const buckets = spec.type === "histogram" ? new Array<number>(spec.buckets.length + 1).fill(0) : undefined;
    const cell: Cell = { name, minute, labels: values, value: 0, buckets };
    this.#cells.set(key, cell);
    return cell;
  }
}
