/**
 * Metrics in D1, the same tables in both databases: added in batches that count once, rolled up by hour, pruned, read as
 * totals and as series.
 *
 * Numbers are bound as doubles, so integers pass through a JSON parameter or a CAST.
 */

import { heartbeatOf, isMetricName, METRIC_NAMES, type MetricName, specOf } from "./metrics.ts";
import type { MetricRow } from "./metrics-buffer.ts";
import type { MetricTotal } from "./metrics-text.ts";
import { assembleSeries, rangesOf, type SeriesAnswer, type SeriesPlan, type SeriesRange, type Slot } from "./series.ts";

/** Cell by cell, whichever of the two is there. */
const sumOf = (table: string): string => `CASE WHEN excluded.buckets IS NULL THEN NULL ELSE (
    SELECT json_group_array(n) FROM (
      SELECT COALESCE(old.value, 0) + new.value AS n FROM json_each(excluded.buckets) AS new
        LEFT JOIN json_each(${table}.buckets) AS old ON old.key = new.key
      ORDER BY new.key)) END`;

const ADD_MINUTES = `INSERT INTO metric_minutes (name, minute, labels, value, buckets)
  SELECT value ->> 'name', value ->> 'minute', value -> 'labels', value ->> 'value', value -> 'buckets'
  FROM json_each(?1) WHERE true
  ON CONFLICT (name, minute, labels) DO UPDATE SET
    value = metric_minutes.value + excluded.value, buckets = ${sumOf("metric_minutes")}`;

const ADD_TOTALS = `INSERT INTO metric_totals (name, labels, value, buckets)
  SELECT value ->> 'name', value -> 'labels', value ->> 'value', value -> 'buckets'
  FROM json_each(?1) WHERE true
  ON CONFLICT (name, labels) DO UPDATE SET
    value = metric_totals.value + excluded.value, buckets = ${sumOf("metric_totals")}`;

const SET_GAUGES = `INSERT INTO metric_minutes (name, minute, labels, value)
  SELECT value ->> 'name', value ->> 'minute', value -> 'labels', value ->> 'value'
  FROM json_each(?1) WHERE true
  ON CONFLICT (name, minute, labels) DO UPDATE SET value = excluded.value`;

/**
 * Adds what counters and histograms rose by, and sets what gauges read: for a batch, which fails as a whole when this id was
 * added before.
 * @param now epoch ms.
 */
export function metricStatements(
  db: D1Database,
  flushId: string,
  rows: readonly MetricRow[],
  now: number,
): readonly D1PreparedStatement[] {
  const isGauge = ({ name }: MetricRow): boolean => specOf(name).type === "gauge";
  const gauges = rows.filter(isGauge);
  const added = rows.filter((row) => !isGauge(row));
  const addedJson = JSON.stringify(added);
  return [
    db.prepare("INSERT INTO metric_flushes (flush_id, flushed_at) VALUES (?1, CAST(?2 AS INTEGER))").bind(flushId, now),
    ...(added.length === 0 ? [] : [ADD_MINUTES, ADD_TOTALS].map((sql) => db.prepare(sql).bind(addedJson))),
    ...(gauges.length === 0 ? [] : [db.prepare(SET_GAUGES).bind(JSON.stringify(gauges))]),
  ];
}

const isKnownFlush = (thrown: unknown): boolean =>
  thrown instanceof Error && thrown.message.includes("metric_flushes.flush_id");

/**
 * Runs a batch that begins with `metricStatements`.
 * @returns false when that id was added before: nothing was written now.
 */
export async function addOnce(db: D1Database, statements: readonly D1PreparedStatement[]): Promise<boolean> {
  try {
    await db.batch([...statements]);
    return true;
  } catch (thrown) {
    if (isKnownFlush(thrown)) return false;
    throw thrown;
  }
}

/** @param now epoch ms. */
export const writeMetrics = (
  db: D1Database,
  flushId: string,
  rows: readonly MetricRow[],
  now: number,
): Promise<boolean> => addOnce(db, metricStatements(db, flushId, rows, now));

/** Sets a mark, for a batch. */
export const markStatement = (db: D1Database, name: string, value: number): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO metric_marks (name, value) VALUES (?1, CAST(?2 AS INTEGER))
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    )
    .bind(name, value);

export async function readMarks(db: D1Database): Promise<ReadonlyMap<string, number>> {
  const { results } = await db
    .prepare("SELECT name, value FROM metric_marks LIMIT 100")
    .all<{ readonly name: string; readonly value: number }>();
  return new Map(results.map(({ name, value }) => [name, value]));
}

interface TotalRow {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
  readonly buckets: string | null;
}

const strings = (text: string): readonly string[] => {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.map(String) : [];
};

const numbers = (text: string): readonly number[] => {
  const parsed: unknown = JSON.parse(text);
  return Array.isArray(parsed) ? parsed.map(Number) : [];
};

/** Label values come from bounded sources; what is beyond this is not shown rather than never answered. */
const MAX_TOTALS = 20_000;

/** Counters and histograms of these names since the first. */
export async function readTotals(db: D1Database, names: readonly MetricName[]): Promise<readonly MetricTotal[]> {
  const { results } = await db
    .prepare(
      `SELECT t.name, t.labels, t.value, t.buckets
       FROM json_each(?1) AS j CROSS JOIN metric_totals AS t ON t.name = j.value
       ORDER BY t.name, t.labels LIMIT ${MAX_TOTALS}`,
    )
    .bind(JSON.stringify(names))
    .all<TotalRow>();
  return results.flatMap(({ name, labels, value, buckets }): MetricTotal[] =>
    isMetricName(name)
      ? [{ name, labels: strings(labels), value, ...(buckets === null ? {} : { buckets: numbers(buckets) }) }]
      : [],
  );
}

/** The names that a table has rows of, by jumping from one to the next. */
const namesIn = (table: "metric_minutes" | "metric_hours"): string => `RECURSIVE names (name) AS (
    SELECT MIN(name) FROM ${table}
    UNION ALL
    SELECT (SELECT MIN(name) FROM ${table} WHERE name > names.name) FROM names WHERE names.name IS NOT NULL)`;

/** Hours rolled up in one run: what a day's absence left is caught up within a few. */
const MAX_HOURS_A_RUN = 6;
/** Late batches still come in this long after an hour; later ones count in minutes and totals only. */
const ROLL_UP_AFTER_MINUTES = 10;

const ROLL_UP = `INSERT INTO metric_hours (name, hour, labels, value, buckets)
  WITH ${namesIn("metric_minutes")}, rows AS MATERIALIZED (
    SELECT m.name, m.labels, m.value, m.buckets
    FROM names CROSS JOIN metric_minutes AS m ON m.name = names.name
      AND m.minute >= CAST(?1 AS INTEGER) * 60 AND m.minute < CAST(?1 AS INTEGER) * 60 + 60
    WHERE names.name IS NOT NULL
  ), cells AS (
    SELECT rows.name, rows.labels, b.key AS position, SUM(b.value) AS n
    FROM rows CROSS JOIN json_each(rows.buckets) AS b WHERE rows.buckets IS NOT NULL GROUP BY 1, 2, 3
  ), histograms AS (
    SELECT name, labels, json_group_array(n ORDER BY position) AS buckets FROM cells GROUP BY name, labels
  )
  SELECT rows.name, CAST(?1 AS INTEGER), rows.labels,
    CASE ?2 ->> rows.name WHEN 'max' THEN MAX(rows.value) WHEN 'min' THEN MIN(rows.value) ELSE SUM(rows.value) END,
    (SELECT h.buckets FROM histograms AS h WHERE h.name = rows.name AND h.labels = rows.labels)
  FROM rows GROUP BY rows.name, rows.labels
  ON CONFLICT (name, hour, labels) DO UPDATE SET value = excluded.value, buckets = excluded.buckets`;

const GAUGES_JSON = JSON.stringify(
  Object.fromEntries(
    METRIC_NAMES.flatMap((name) => {
      const spec = specOf(name);
      return spec.type === "gauge" ? [[name, spec.over]] : [];
    }),
  ),
);

const HOUR_MARK = "rolled-up-to-hour";

/**
 * Rolls up hours that are over, at most MAX_HOURS_A_RUN. Doing one again gives the same.
 * @param now epoch ms. @returns how many.
 */
export async function rollUp(db: D1Database, now: number): Promise<number> {
  const end = Math.floor((Math.floor(now / 60_000) - ROLL_UP_AFTER_MINUTES) / 60);
  const marked = (await readMarks(db)).get(HOUR_MARK);
  const from = marked ?? (await oldestHour(db)) ?? end;
  const hours = Math.max(0, Math.min(end - from, MAX_HOURS_A_RUN));
  for (let hour = from; hour < from + hours; hour++) {
    await db.batch([db.prepare(ROLL_UP).bind(hour, GAUGES_JSON), markStatement(db, HOUR_MARK, hour + 1)]);
  }
  if (marked === undefined && hours === 0) await markStatement(db, HOUR_MARK, from).run();
  return hours;
}

async function oldestHour(db: D1Database): Promise<number | undefined> {
  const row = await db
    .prepare(
      `WITH ${namesIn("metric_minutes")} SELECT MIN((SELECT MIN(minute) FROM metric_minutes AS m WHERE m.name = names.name)) AS minute
       FROM names WHERE names.name IS NOT NULL`,
    )
    .first<{ readonly minute: number | null }>();
  return row === null || row.minute === null ? undefined : Math.floor(row.minute / 60);
}

/** The first hour that is not rolled up yet; undefined before the first roll-up. */
export const rolledUpTo = async (db: D1Database): Promise<number | undefined> => (await readMarks(db)).get(HOUR_MARK);

export const MINUTES_KEPT_DAYS = 30;
export const HOURS_KEPT_DAYS = 366;
const FLUSHES_KEPT_MS = 86_400_000;
/** One minute's rows of a busy system are a few hundred. */
const PRUNE_ROWS = 2_000;

const pruneSql = (table: "metric_minutes" | "metric_hours", unit: "minute" | "hour"): string =>
  `DELETE FROM ${table} WHERE (name, ${unit}, labels) IN (
     WITH ${namesIn(table)}
     SELECT m.name, m.${unit}, m.labels FROM names CROSS JOIN ${table} AS m ON m.name = names.name AND m.${unit} < CAST(?1 AS INTEGER)
     WHERE names.name IS NOT NULL LIMIT ${PRUNE_ROWS})`;

/** Removes what is past its time, a bounded number of rows a call. @param now epoch ms. @returns how many. */
export async function pruneMetrics(db: D1Database, now: number): Promise<number> {
  const minutes = Math.floor(now / 60_000);
  const results = await db.batch([
    db.prepare(pruneSql("metric_minutes", "minute")).bind(minutes - MINUTES_KEPT_DAYS * 1_440),
    db.prepare(pruneSql("metric_hours", "hour")).bind(Math.floor(minutes / 60) - HOURS_KEPT_DAYS * 24),
    db
      .prepare(
        `DELETE FROM metric_flushes WHERE flush_id IN (
           SELECT flush_id FROM metric_flushes WHERE flushed_at < ?1 LIMIT ${PRUNE_ROWS})`,
      )
      .bind(now - FLUSHES_KEPT_MS),
  ]);
  return results.reduce((sum, { meta }) => sum + meta.changes, 0);
}

/** Slots times buckets times series that one answer may come from. */
const MAX_SLOT_ROWS = 60_000;

const TABLES = {
  minutes: { table: "metric_minutes", unit: "minute", seconds: 60 },
  hours: { table: "metric_hours", unit: "hour", seconds: 3_600 },
} as const;

export async function readSeries(db: D1Database, plan: SeriesPlan): Promise<SeriesAnswer> {
  const hoursUntil = plan.hourly ? ((await rolledUpTo(db)) ?? 0) : 0;
  const ranges = rangesOf(plan, hoursUntil);
  const heartbeat = heartbeatOf(plan.spec.worker);
  const own = ranges.flatMap((range) => rangeStatements(db, plan, range));
  const beats = ranges.map((range) => slotsRecorded(db, plan, heartbeat, range));
  const results = await db.batch<Slot>([...own, ...beats]);
  const rows = results.slice(0, own.length).flatMap((result) => result.results);
  const recorded = new Set(results.slice(own.length).flatMap((result) => result.results.map(({ slot }) => slot)));
  return assembleSeries(plan, rows, recorded);
}

const slotOf = (unit: string): string => `CAST((m.${unit} - CAST(?2 AS INTEGER)) / CAST(?3 AS INTEGER) AS INTEGER)`;
const within = (unit: string): string =>
  `m.name = ?1 AND m.${unit} >= CAST(?4 AS INTEGER) AND m.${unit} < CAST(?5 AS INTEGER)`;

const boundsOf = (name: string, plan: SeriesPlan, { table, from, until }: SeriesRange) => {
  const { seconds } = TABLES[table];
  return [name, plan.from / seconds, plan.step / seconds, from, until];
};

function slotsRecorded(db: D1Database, plan: SeriesPlan, heartbeat: MetricName, range: SeriesRange) {
  const { table, unit } = TABLES[range.table];
  return db
    .prepare(`SELECT DISTINCT ${slotOf(unit)} AS slot FROM ${table} AS m WHERE ${within(unit)} LIMIT ${MAX_SLOT_ROWS}`)
    .bind(...boundsOf(heartbeat, plan, range));
}

function rangeStatements(db: D1Database, plan: SeriesPlan, range: SeriesRange): readonly D1PreparedStatement[] {
  const { table, unit } = TABLES[range.table];
  const { spec } = plan;
  const slot = slotOf(unit);
  const series = plan.by === undefined ? "''" : `(m.labels ->> ${Math.trunc(plan.by)})`;
  const matches = plan.match.map(({ position }, i) => `(m.labels ->> ${Math.trunc(position)}) GLOB ?${6 + i}`);
  const where = [within(unit), ...matches].join(" AND ");
  const bound = [...boundsOf(plan.name, plan, range), ...plan.match.map(globOf)];
  const prepare = (sql: string) => db.prepare(`${sql} LIMIT ${MAX_SLOT_ROWS}`).bind(...bound);
  const sums = () =>
    prepare(
      `SELECT ${slot} AS slot, ${series} AS series, SUM(m.value) AS value, NULL AS bucket
       FROM ${table} AS m WHERE ${where} GROUP BY 1, 2`,
    );
  switch (spec.type) {
    case "gauge":
      return [
        prepare(
          `SELECT slot, series, ${spec.across.toUpperCase()}(value) AS value, NULL AS bucket FROM (
             SELECT ${slot} AS slot, ${series} AS series, ${spec.over.toUpperCase()}(m.value) AS value
             FROM ${table} AS m WHERE ${where} GROUP BY 1, 2, m.labels) GROUP BY slot, series`,
        ),
      ];
    case "counter":
      return [sums()];
    case "histogram":
      return [
        sums(),
        prepare(
          `SELECT ${slot} AS slot, ${series} AS series, SUM(b.value) AS value, b.key AS bucket
           FROM ${table} AS m CROSS JOIN json_each(m.buckets) AS b WHERE ${where} GROUP BY 1, 2, 4`,
        ),
      ];
  }
}

/** A class such as 5xx stands for every value that begins so; everything else for itself. */
function globOf({ value }: { readonly value: string }): string {
  return /^[1-5]xx$/.test(value) ? `${value[0]}[0-9x][0-9x]` : value.replace(/[*?[]/g, "[$&]");
}
