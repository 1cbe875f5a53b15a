/** What `/operations/series` is asked and answers: the range it may span, and rows of the store as points. */
import * as z from "zod";
import type { Problem } from "../platform/problem.ts";
import type { WorkerName } from "../platform/secrets.ts";
import { isMetricName, type MetricName, type MetricSpec, specOf } from "./metrics.ts";
import { quantileOf } from "./quantile.ts";

export const MAX_POINTS = 2_000;
const HOUR_S = 3_600;
/** Minutes are read over this much at most; longer ranges are read from hours. */
const MAX_MINUTE_RANGE_S = 3 * 86_400;
export const MINUTES_KEPT_S = 30 * 86_400;
export const HOURS_KEPT_S = 366 * 86_400;
const MAX_SERIES = 50;
const MAX_MATCHES = 4;

/** Epoch seconds, or RFC 3339. */
const instant = z
  .string()
  .max(40)
  .transform((text, context) => {
    const seconds = /^\d{1,11}$/.test(text) ? Number(text) : Math.floor(Date.parse(text) / 1000);
    if (Number.isFinite(seconds) && seconds >= 0) return seconds;
    context.addIssue({ code: "custom", message: "is neither epoch seconds nor RFC 3339" });
    return z.NEVER;
  });

export const seriesQuerySchema = z.object({
  name: z.string().max(120),
  from: instant.optional(),
  to: instant.optional(),
  step: z.coerce.number().int().optional(),
  match: z.string().max(600).optional(),
  by: z.string().max(40).optional(),
  quantile: z.coerce.number().gt(0).lt(1).optional(),
});

export type SeriesQuery = z.output<typeof seriesQuerySchema>;

export interface SeriesPlan {
  readonly name: MetricName;
  readonly spec: MetricSpec;
  /** What a point is: the metric's own value, or the number of a histogram's observations. */
  readonly of: "value" | "count";
  /** Epoch seconds; whole steps. */
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly match: readonly { readonly position: number; readonly value: string }[];
  readonly by: number | undefined;
  readonly quantile: number | undefined;
  /** Read from hours as far as they are rolled up. */
  readonly hourly: boolean;
}

type Planned = { readonly ok: true; readonly plan: SeriesPlan } | { readonly ok: false; readonly problem: Problem };

const refuse = (path: string, message: string): Planned => ({
  ok: false,
  problem: {
    code: "invalid_query",
    detail: `The series can not be given: ${path} ${message}.`,
    issues: [{ path, message }],
  },
});

/** A histogram's name with `_count` is a name too: its observations, as a counter. */
function resolveName(name: string): { readonly name: MetricName; readonly of: "value" | "count" } | undefined {
  if (isMetricName(name)) return { name, of: "value" };
  const base = name.replace(/_count$/, "");
  return base !== name && isMetricName(base) && specOf(base).type === "histogram"
    ? { name: base, of: "count" }
    : undefined;
}

/** The least of these that keeps a range within 360 points, when no step is given. */
const STEPS = [60, 120, 300, 600, 1_200, 1_800, HOUR_S, 2 * HOUR_S, 6 * HOUR_S, 24 * HOUR_S] as const;

/** @param now epoch ms. */
export function planSeries(query: SeriesQuery, now: number): Planned {
  const resolved = resolveName(query.name);
  if (resolved === undefined) {
    return {
      ok: false,
      problem: { code: "not_found", detail: "There is no metric of this name; docs/metrics.md lists them." },
    };
  }
  const spec = specOf(resolved.name);
  const nowS = Math.floor(now / 1000);
  const wantedTo = Math.min(query.to ?? nowS, nowS + 60);
  const wantedFrom = query.from ?? wantedTo - HOUR_S;
  if (wantedFrom >= wantedTo) return refuse("from", "is not before to");
  if (wantedFrom < nowS - HOURS_KEPT_S)
    return refuse("from", "is more than a year ago, which is how long metrics are kept");
  const range = wantedTo - wantedFrom;
  const fine = range <= MAX_MINUTE_RANGE_S && wantedFrom >= nowS - MINUTES_KEPT_S;
  const step = query.step ?? STEPS.find((each) => range / each <= 360 && (fine || each >= HOUR_S)) ?? 24 * HOUR_S;
  if (step < 60 || step % 60 !== 0) return refuse("step", "is in seconds, a multiple of 60");
  const hourly = step % HOUR_S === 0;
  if (!hourly && range > MAX_MINUTE_RANGE_S) return refuse("step", "is a multiple of 3600 for more than three days");
  if (!hourly && !fine)
    return refuse("step", "is a multiple of 3600 beyond 30 days ago, which is how long minutes are kept");
  const from = Math.floor(wantedFrom / step) * step;
  const to = Math.ceil(wantedTo / step) * step;
  if ((to - from) / step > MAX_POINTS) return refuse("step", `makes more than ${MAX_POINTS} points; take a larger one`);

  const labels = Object.keys(spec.labels);
  const match: { position: number; value: string }[] = [];
  for (const term of query.match === undefined || query.match === "" ? [] : query.match.split(",")) {
    const at = term.indexOf(":");
    const position = labels.indexOf(term.slice(0, Math.max(0, at)));
    if (position === -1) return refuse("match", `is label:value pairs, of the labels ${labels.join(", ") || "(none)"}`);
    match.push({ position, value: term.slice(at + 1) });
  }
  if (match.length > MAX_MATCHES) return refuse("match", `has at most ${MAX_MATCHES} pairs`);
  const by = query.by === undefined || query.by === "" ? undefined : labels.indexOf(query.by);
  if (by === -1) return refuse("by", `is one of the labels ${labels.join(", ") || "(none)"}`);
  if (query.quantile !== undefined && (spec.type !== "histogram" || resolved.of === "count")) {
    return refuse("quantile", "is for histograms");
  }
  return { ok: true, plan: { ...resolved, spec, from, to, step, match, by, quantile: query.quantile, hourly } };
}

/** One piece of a plan's range, in one table; `until` is not in it. */
export interface SeriesRange {
  readonly table: "minutes" | "hours";
  /** Since the epoch, in the table's unit. */
  readonly from: number;
  readonly until: number;
}

/** Where a plan's rows are. @param hoursUntil the first hour not rolled up. */
export function rangesOf(plan: SeriesPlan, hoursUntil: number): readonly SeriesRange[] {
  if (!plan.hourly) return [{ table: "minutes", from: plan.from / 60, until: plan.to / 60 }];
  const first = plan.from / HOUR_S;
  const end = plan.to / HOUR_S;
  const turn = Math.min(Math.max(hoursUntil, first), end);
  return [
    ...(turn > first ? [{ table: "hours" as const, from: first, until: turn }] : []),
    ...(turn < end ? [{ table: "minutes" as const, from: turn * 60, until: end * 60 }] : []),
  ];
}

const points = z.array(z.tuple([z.number(), z.number().nullable()]).readonly()).readonly();
const quantiles = z.object({ p50: points, p95: points, p99: points });

/**
 * A point is the time its step begins, epoch seconds, and: what a counter rose by in it, a gauge's worst reading, the mean of
 * what a histogram observed, or the quantile asked for. Null: not known.
 */
export const seriesAnswerSchema = z.object({
  name: z.string(),
  type: z.enum(["counter", "gauge", "histogram"]),
  unit: z.string(),
  help: z.string(),
  /** Seconds. */
  step: z.number(),
  points,
  /** Of a histogram. */
  quantiles: quantiles.optional(),
  /** With `by`: each value of that label alone. */
  series: z
    .array(z.object({ label: z.string(), points, quantiles: quantiles.optional() }))
    .readonly()
    .optional(),
});

export type SeriesAnswer = z.output<typeof seriesAnswerSchema>;
export type Point = SeriesAnswer["points"][number];
type Quantiles = NonNullable<SeriesAnswer["quantiles"]>;

export interface Slot {
  readonly slot: number;
  readonly series: string;
  readonly value: number;
  readonly bucket: number | null;
}

interface Cell {
  value: number | undefined;
  readonly counts: number[];
}

/**
 * @param rows of the plan's own metric. @param recorded slots in which anything was recorded at all: there a counter without
 *   a row rose by 0, elsewhere nothing is known.
 */
export function assembleSeries(plan: SeriesPlan, rows: readonly Slot[], recorded: ReadonlySet<number>): SeriesAnswer {
  const { spec } = plan;
  // Hours and minutes may meet in one slot: they join over time, before series join with each other.
  const cells = new Map<string, Map<number, Cell>>();
  for (const { series, slot, value, bucket } of rows) {
    const own = cells.get(series) ?? new Map<number, Cell>();
    cells.set(series, own);
    const cell = own.get(slot) ?? { value: undefined, counts: [] };
    own.set(slot, cell);
    if (bucket === null) cell.value = joined(cell.value, value, spec.type === "gauge" ? spec.over : "sum");
    else cell.counts[bucket] = (cell.counts[bucket] ?? 0) + value;
  }
  const counted = plan.of === "count";
  return {
    name: counted ? `${plan.name}_count` : plan.name,
    type: counted ? "counter" : spec.type,
    unit: counted ? "none" : spec.unit,
    help: spec.help,
    step: plan.step,
    ...curveOf(plan, across(spec, [...cells.values()]), recorded),
    ...(plan.by === undefined
      ? {}
      : {
          series: [...cells]
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .slice(0, MAX_SERIES)
            .map(([label, own]) => ({ label, ...curveOf(plan, own, recorded) })),
        }),
  };
}

function across(spec: MetricSpec, series: readonly ReadonlyMap<number, Cell>[]): ReadonlyMap<number, Cell> {
  const all = new Map<number, Cell>();
  for (const own of series) {
    for (const [slot, { value, counts }] of own) {
      const cell = all.get(slot) ?? { value: undefined, counts: [] };
      all.set(slot, cell);
      if (value !== undefined) cell.value = joined(cell.value, value, spec.type === "gauge" ? spec.across : "sum");
      for (const [bucket, count] of counts.entries()) cell.counts[bucket] = (cell.counts[bucket] ?? 0) + (count ?? 0);
    }
  }
  return all;
}

function curveOf(
  plan: SeriesPlan,
  cells: ReadonlyMap<number, Cell>,
  recorded: ReadonlySet<number>,
): { readonly points: readonly Point[]; readonly quantiles?: Quantiles } {
  const slots = (plan.to - plan.from) / plan.step;
  const curve = (read: (cell: Cell | undefined, slot: number) => number | null): readonly Point[] =>
    Array.from({ length: slots }, (_, slot): Point => [plan.from + slot * plan.step, read(cells.get(slot), slot)]);
  const nothing = (slot: number): number | null => (recorded.has(slot) ? 0 : null);
  const { spec } = plan;
  switch (spec.type) {
    case "gauge":
      return { points: curve((cell) => cell?.value ?? null) };
    case "counter":
      return { points: curve((cell, slot) => cell?.value ?? nothing(slot)) };
    case "histogram": {
      if (plan.of === "count") return { points: curve((cell, slot) => (cell ? total(cell) : nothing(slot))) };
      const at = (q: number) => curve((cell) => quantileOf(spec.buckets, filled(spec.buckets.length + 1, cell), q));
      const quantiles = { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
      return { points: plan.quantile === undefined ? curve(mean) : at(plan.quantile), quantiles };
    }
  }
}

const filled = (length: number, cell: Cell | undefined): readonly number[] =>
  Array.from({ length }, (_, i) => cell?.counts[i] ?? 0);

const total = (cell: Cell): number => cell.counts.reduce((sum, count) => sum + (count ?? 0), 0);

function mean(cell: Cell | undefined): number | null {
  const observations = cell === undefined ? 0 : total(cell);
  return cell?.value === undefined || observations === 0 ? null : cell.value / observations;
}

function joined(before: number | undefined, value: number, how: "sum" | "max" | "min"): number {
  if (before === undefined) return value;
  switch (how) {
    case "sum":
      return before + value;
    case "max":
      return Math.max(before, value);
    case "min":
      return Math.min(before, value);
  }
}

/** The worker that a series' name belongs to; undefined: there is no such name. */
export function workerOfSeries(name: string): WorkerName | undefined {
  const resolved = resolveName(name);
  return resolved === undefined ? undefined : specOf(resolved.name).worker;
}
