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
