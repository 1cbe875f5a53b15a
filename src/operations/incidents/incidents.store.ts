/** The incident register's rows. */
import type { Incident, IncidentNote, Severity } from "./incident.ts";

export interface NewIncident {
  /** undefined: INC-<its number>. */
  readonly ticket: string | undefined;
  readonly severity: Severity;
  readonly summary: string;
  readonly alert: string | undefined;
  readonly detectedAt: number;
  readonly at: number;
  readonly actor: string;
}

const COLUMNS = `incident_id AS incidentId, ticket, severity, summary, alert, detected_at AS detectedAt, opened_at AS openedAt,
  opened_by AS openedBy, closed_at AS closedAt, closed_by AS closedBy, root_cause AS rootCause, prevention`;

type IncidentRow = Omit<Incident, "notes"> & { readonly incidentId: number };
type NoteRow = IncidentNote & { readonly incidentId: number };

/** @returns its ticket; undefined when there is one of that name already. */
export async function openIncident(db: D1Database, given: NewIncident): Promise<string | undefined> {
  const { ticket, severity, summary, alert, detectedAt, at, actor } = given;
  const row = await db
    .prepare(
      `INSERT INTO incidents (ticket, severity, summary, alert, detected_at, opened_at, opened_by)
       SELECT COALESCE(?1, 'INC-' || (1 + COALESCE((SELECT MAX(incident_id) FROM incidents), 0))), ?2, ?3, ?4, CAST(?5 AS INTEGER), CAST(?6 AS INTEGER), ?7
       WHERE true ON CONFLICT (ticket) DO NOTHING RETURNING ticket`,
    )
    .bind(ticket ?? null, severity, summary, alert ?? null, detectedAt, at, actor)
    .first<{ readonly ticket: string }>();
  return row?.ticket;
}

const withNotes = (row: IncidentRow, notes: readonly NoteRow[]): Incident => {
  const { incidentId, ...incident } = row;
  return {
    ...incident,
    notes: notes.flatMap((note) =>
      note.incidentId === incidentId ? [{ at: note.at, actor: note.actor, note: note.note }] : [],
    ),
  };
};

/** Newest first, each with its last notes, oldest first. */
export async function listIncidents(
  db: D1Database,
  filter: { readonly state: "open" | "closed" | undefined; readonly since: number | undefined },
  limit: number,
): Promise<readonly Incident[]> {
  const { results } = await db
    .prepare(
      `SELECT ${COLUMNS} FROM incidents INDEXED BY incidents_opened
       WHERE opened_at >= CAST(?1 AS INTEGER) AND (?2 IS NULL OR (closed_at IS NULL) = (?2 = 'open'))
       ORDER BY opened_at DESC, incident_id DESC LIMIT ?3`,
    )
    .bind(filter.since ?? 0, filter.state ?? null, limit)
    .all<IncidentRow>();
  const notes = await notesOf(
    db,
    results.map(({ incidentId }) => incidentId),
  );
  return results.map((row) => withNotes(row, notes));
}

export const MAX_NOTES = 200;

async function notesOf(db: D1Database, ids: readonly number[]): Promise<readonly NoteRow[]> {
  if (ids.length === 0) return [];
  const { results } = await db
    .prepare(
      `SELECT n.incident_id AS incidentId, n.at, n.actor, n.note
       FROM json_each(?1) AS wanted JOIN incident_notes AS n ON n.incident_id = wanted.value
       ORDER BY n.incident_id, n.note_id`,
    )
    .bind(JSON.stringify(ids))
    .all<NoteRow>();
  return results;
}

export async function findIncident(db: D1Database, ticket: string): Promise<Incident | undefined> {
  const row = await db.prepare(`SELECT ${COLUMNS} FROM incidents WHERE ticket = ?1`).bind(ticket).first<IncidentRow>();
  return row === null ? undefined : withNotes(row, await notesOf(db, [row.incidentId]));
}

/** @returns false when it has as many notes as are kept, or there is no such incident. */
export async function noteIncident(db: D1Database, ticket: string, note: IncidentNote): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO incident_notes (incident_id, at, actor, note)
       SELECT i.incident_id, CAST(?2 AS INTEGER), ?3, ?4 FROM incidents AS i WHERE i.ticket = ?1
         AND (SELECT COUNT(*) FROM incident_notes WHERE incident_id = i.incident_id) < ${MAX_NOTES}`,
    )
    .bind(ticket, note.at, note.actor, note.note)
    .run();
  return meta.changes > 0;
}

/** @returns false when it is closed already, or not there. */
export async function closeIncident(
  db: D1Database,
  ticket: string,
  closed: { readonly at: number; readonly actor: string; readonly rootCause: string; readonly prevention: string },
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE incidents SET closed_at = CAST(?2 AS INTEGER), closed_by = ?3, root_cause = ?4, prevention = ?5
       WHERE ticket = ?1 AND closed_at IS NULL`,
    )
    .bind(ticket, closed.at, closed.actor, closed.rootCause, closed.prevention)
    .run();
  return meta.changes > 0;
}
