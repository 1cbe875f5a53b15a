/** The tables that both databases have, of metrics and of maintenance, as drizzle sees them; the migrations are the truth. */
import { index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const metricMinutes = sqliteTable(
  "metric_minutes",
  {
    name: text("name").notNull(),
    minute: integer("minute").notNull(),
    labels: text("labels").notNull(),
    value: real("value").notNull(),
    buckets: text("buckets"),
  },
  (table) => [primaryKey({ columns: [table.name, table.minute, table.labels] })],
);

export const metricHours = sqliteTable(
  "metric_hours",
  {
    name: text("name").notNull(),
    hour: integer("hour").notNull(),
    labels: text("labels").notNull(),
    value: real("value").notNull(),
    buckets: text("buckets"),
  },
  (table) => [primaryKey({ columns: [table.name, table.hour, table.labels] })],
);

export const metricTotals = sqliteTable(
  "metric_totals",
  {
    name: text("name").notNull(),
    labels: text("labels").notNull(),
    value: real("value").notNull(),
    buckets: text("buckets"),
  },
  (table) => [primaryKey({ columns: [table.name, table.labels] })],
);

export const metricFlushes = sqliteTable(
  "metric_flushes",
  {
    flushId: text("flush_id").notNull().primaryKey(),
    flushedAt: integer("flushed_at").notNull(),
  },
  (table) => [index("metric_flushes_at").on(table.flushedAt)],
);

export const metricMarks = sqliteTable("metric_marks", {
  name: text("name").notNull().primaryKey(),
  value: integer("value").notNull(),
});

export const maintenance = sqliteTable("maintenance", {
  singleton: integer("singleton").primaryKey(),
  startedAt: integer("started_at"),
  until: integer("until"),
  reason: text("reason"),
  actor: text("actor"),
});

export const bucketCounts = sqliteTable("bucket_counts", {
  bucket: text("bucket").notNull().primaryKey(),
  countingSince: integer("counting_since"),
  afterKey: text("after_key").notNull().default(""),
  bytesSoFar: integer("bytes_so_far").notNull().default(0),
  objectsSoFar: integer("objects_so_far").notNull().default(0),
  countedAt: integer("counted_at"),
  sizeBytes: integer("size_bytes").notNull().default(0),
  objects: integer("objects").notNull().default(0),
});
