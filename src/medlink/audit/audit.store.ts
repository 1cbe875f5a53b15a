import { and, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
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

/** Newest first. The page key's id is the event's number. */
export async function listAuditEvents(
  db: D1Database,
  filter: AuditFilter,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<typeof auditEvents.$inferSelect>> {
  const { after } = page;
  const rows = await drizzle(db)
    .select()
    .from(auditEvents)
    .where(
      and(
        eq(auditEvents.clinicId, filter.clinicId),
        filter.subject === undefined ? undefined : eq(auditEvents.subject, filter.subject),
        filter.changesOnly ? sql`is_view = 0` : undefined,
        after === undefined
          ? undefined
          : sql`(${auditEvents.at}, ${auditEvents.auditEventId}) < (${after.createdAt}, ${Number(after.id)})`,
      ),
    )
    .orderBy(desc(auditEvents.at), desc(auditEvents.auditEventId))
    .limit(page.limit + 1);
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
       (SELECT audit_event_id FROM audit_events WHERE clinic_id = ? AND at < ? ORDER BY at LIMIT ?)`,
    )
    .bind(clinicId, before, limit)
    .run();
  return result.meta.changes;
}
