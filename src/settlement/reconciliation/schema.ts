/** The tables of migration 0010 as drizzle sees them; see src/core/schema.ts. */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { MISMATCH_KINDS } from "./compare.ts";
import { RESOLUTIONS } from "./items.ts";

export const reconciliationRuns = sqliteTable(
  "reconciliation_runs",
  {
    ledgerId: text("ledger_id").notNull(),
    runId: text("run_id").notNull(),
    kind: text("kind", { enum: ["daily", "custom"] }).notNull(),
    fromDay: text("from_day").notNull(),
    toDay: text("to_day").notNull(),
    state: text("state", { enum: ["running", "completed", "failed"] }).notNull(),
    startedBy: text("started_by").notNull(),
    day: text("day").notNull(),
    dayStartedAt: integer("day_started_at").notNull(),
    frontier: text("frontier").notNull(),
    cursor: text("cursor"),
    listEnded: integer("list_ended").notNull(),
    expected: integer("expected").notNull(),
    ours: integer("ours").notNull(),
    theirs: integer("theirs").notNull(),
    agreed: integer("agreed").notNull(),
    inFlight: integer("in_flight").notNull(),
    asked: integer("asked").notNull(),
    mismatches: integer("mismatches").notNull(),
    version: integer("version").notNull(),
    leaseUntil: integer("lease_until").notNull(),
    dueAt: integer("due_at").notNull(),
    failures: integer("failures").notNull(),
    reason: text("reason"),
    startedAt: integer("started_at").notNull(),
    endedAt: integer("ended_at"),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.runId] }),
    index("reconciliation_runs_started").on(table.ledgerId, table.startedAt, table.runId),
    index("reconciliation_runs_running").on(table.ledgerId, table.dueAt).where(sql`state = 'running'`),
  ],
);

export const reconciliationItems = sqliteTable(
  "reconciliation_items",
  {
    itemId: integer("item_id").primaryKey(),
    ledgerId: text("ledger_id").notNull(),
    refId: text("ref_id").notNull(),
    kind: text("kind", { enum: MISMATCH_KINDS }).notNull(),
    day: text("day").notNull(),
    tenantId: text("tenant_id"),
    ours: text("ours"),
    theirs: text("theirs"),
    state: text("state", { enum: ["open", "resolved"] }).notNull(),
    owner: text("owner"),
    resolution: text("resolution", { enum: RESOLUTIONS }),
    reason: text("reason"),
    resolvedBy: text("resolved_by"),
    runId: text("run_id").notNull(),
    foundAt: integer("found_at").notNull(),
    seenAt: integer("seen_at").notNull(),
    resolvedAt: integer("resolved_at"),
  },
  (table) => [
    uniqueIndex("reconciliation_items_open").on(table.ledgerId, table.refId, table.kind).where(sql`state = 'open'`),
    index("reconciliation_items_state").on(table.ledgerId, table.state, table.itemId),
    index("reconciliation_items_day").on(table.ledgerId, table.day, table.itemId),
    index("reconciliation_items_ref").on(table.ledgerId, table.refId),
  ],
);
