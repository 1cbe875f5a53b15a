/** The incident register as drizzle sees it; migrations/core is the truth. */
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const incidents = sqliteTable(
  "incidents",
  {
    incidentId: integer("incident_id").primaryKey(),
    ticket: text("ticket").notNull().unique(),
    severity: text("severity", { enum: ["S1", "S2", "S3", "S4"] }).notNull(),
    summary: text("summary").notNull(),
    alert: text("alert"),
    detectedAt: integer("detected_at").notNull(),
    openedAt: integer("opened_at").notNull(),
    openedBy: text("opened_by").notNull(),
    closedAt: integer("closed_at"),
    closedBy: text("closed_by"),
    rootCause: text("root_cause"),
    prevention: text("prevention"),
  },
  (table) => [index("incidents_opened").on(table.openedAt)],
);

export const incidentNotes = sqliteTable(
  "incident_notes",
  {
    noteId: integer("note_id").primaryKey(),
    incidentId: integer("incident_id")
      .notNull()
      .references(() => incidents.incidentId),
    at: integer("at").notNull(),
    actor: text("actor").notNull(),
    note: text("note").notNull(),
  },
  (table) => [index("incident_notes_incident").on(table.incidentId, table.noteId)],
);
