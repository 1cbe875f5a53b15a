import { columnsOf } from "../columns.store.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { auditEvents } from "../schema.ts";

/** Who did what, when. Details are closed codes; the row names people and things by opaque id only. */
export interface AuditEvent {
  readonly clinicId: string;
  /** A user id, a token id, `operator`, `auto-submit`, `itrans` or `nobody`. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail?: string | undefined;
  readonly correlationId: string;
  readonly at: number;
}

/** Stands for the clinic in what concerns all of them. */
export const WHOLE_HUB = "hub";

export const auditInsert = (db: D1Database, event: AuditEvent): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO audit_events (clinic_id, actor, action, subject, detail, correlation_id, at)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      event.clinicId,
      event.actor,
      event.action,
      event.subject,
      event.detail ?? null,
      event.correlationId,
      event.at,
    );

/** The same person looking at the same thing within this time is one view: pages ask again and again while they are open. */
const VIEW_MS = 60_000;

/** Notes that somebody looked. @param onlyWithClaim there was nothing to see unless the clinic has this claim. */
export const viewInsert = (db: D1Database, view: AuditEvent, onlyWithClaim?: string): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO audit_events (clinic_id, actor, action, subject, detail, correlation_id, at, is_view)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, 1
       WHERE NOT EXISTS (SELECT 1 FROM audit_events WHERE clinic_id = ?1 AND subject = ?4 AND at > ?7 - ${VIEW_MS}
         AND actor = ?2 AND action = ?3 AND is_view = 1)
         AND (?8 IS NULL OR EXISTS (SELECT 1 FROM claims WHERE claim_id = ?8 AND clinic_id = ?1))`,
    )
    .bind(
      view.clinicId,
      view.actor,
      view.action,
      view.subject,
      view.detail ?? null,
      view.correlationId,
      view.at,
      onlyWithClaim ?? null,
    );

export interface AuditFilter {
  /** A clinic, or WHOLE_HUB. */
  readonly clinicId: string;
  readonly subject: string | undefined;
  /** Leaves views out. */
  readonly changesOnly: boolean;
}

type AuditRow = typeof auditEvents.$inferSelect;

const COLUMNS = columnsOf(auditEvents, "a");

/**
 * The statement of a page. One row more than `limit` tells that there is a next page. Without a subject, changes and views stand
 * in an index each: both are walked at once, and nothing is sorted.
 */
export function auditQuery(
  filter: AuditFilter,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): { readonly sql: string; readonly bound: readonly (string | number)[] } {
  const { after } = page;
  const bound: (string | number)[] = [filter.clinicId, page.limit + 1];
  const place = (value: string | number): string => `?${bound.push(value)}`;
  const before =
    after === undefined
      ? ""
      : ` AND (a.at, a.audit_event_id) < (${place(after.createdAt)}, CAST(${place(Number(after.id))} AS INTEGER))`;
  const subject = filter.subject === undefined ? "" : ` AND a.subject = ${place(filter.subject)}`;
  const list = (which: string): string =>
    `SELECT ${COLUMNS} FROM audit_events AS a WHERE a.clinic_id = ?1${subject}${which}${before}`;
  const lists =
    filter.subject === undefined && !filter.changesOnly
      ? [list(" AND a.is_view = 0"), list(" AND a.is_view = 1")]
      : [list(filter.changesOnly ? " AND a.is_view = 0" : "")];
  return { sql: `${lists.join(" UNION ALL ")} ORDER BY at DESC, auditEventId DESC LIMIT ?2`, bound };
}

/** Newest first. The page key's id is the event's number. */
export async function listAuditEvents(
  db: D1Database,
  filter: AuditFilter,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<AuditRow>> {
  const { sql, bound } = auditQuery(filter, page);
  const { results } = await db
    .prepare(sql)
    .bind(...bound)
    .all<Omit<AuditRow, "isView"> & { readonly isView: 0 | 1 }>();
  const rows = results.map((row) => ({ ...row, isView: row.isView === 1 }));
  return cutPage(rows, page.limit, ({ at, auditEventId }) => ({ createdAt: at, id: String(auditEventId) }));
}

/** Removes a clinic's events from before `before`. @returns how many. */
export async function pruneAuditEvents(
  db: D1Database,
  clinicId: string,
  before: number,
  limit: number,
): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM audit_events WHERE audit_event_id IN
       (SELECT audit_event_id FROM audit_events WHERE clinic_id = ?1 AND is_view = 0 AND at < ?2
        UNION ALL SELECT audit_event_id FROM audit_events WHERE clinic_id = ?1 AND is_view = 1 AND at < ?2 LIMIT ?3)`,
    )
    .bind(clinicId, before, limit)
    .run();
  return result.meta.changes;
}
