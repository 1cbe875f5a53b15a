/** The tables of D1 `medlink` as drizzle sees them; the truth is migrations/medlink. */
import { integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { ROLES } from "./accounts/user.ts";
import { JOB_STATES } from "./auto-submit/job.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "./claims/claim.ts";

export const clinics = sqliteTable("clinics", {
  clinicId: text("clinic_id").primaryKey(),
  name: text("name").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const users = sqliteTable("users", {
  userId: text("user_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  role: text("role", { enum: ROLES }).notNull(),
  emailHash: text("email_hash").notNull(),
  profileSealed: text("profile_sealed").notNull(),
  passwordHash: text("password_hash").notNull(),
  disabledAt: integer("disabled_at"),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const sessions = sqliteTable("sessions", {
  sessionHash: text("session_hash").primaryKey(),
  userId: text("user_id").notNull(),
  createdAt: integer("created_at").notNull(),
  lastSeenAt: integer("last_seen_at").notNull(),
});

export const patients = sqliteTable("patients", {
  patientId: text("patient_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  personalSealed: text("personal_sealed").notNull(),
  healthNumberHash: text("health_number_hash"),
  nameHash: text("name_hash").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const providers = sqliteTable("providers", {
  providerId: text("provider_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  name: text("name").notNull(),
  licenceNumber: text("licence_number"),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const insurers = sqliteTable("insurers", {
  insurerId: text("insurer_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  name: text("name").notNull(),
  insurerAddress: text("insurer_address").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const claims = sqliteTable("claims", {
  claimId: text("claim_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  patientId: text("patient_id").notNull(),
  providerId: text("provider_id").notNull(),
  insurerId: text("insurer_id").notNull(),
  type: text("type", { enum: CLAIM_TYPES }).notNull(),
  status: text("status", { enum: CLAIM_STATUSES }).notNull(),
  amountMinor: integer("amount_minor").notNull(),
  currency: text("currency").notNull(),
  detailsSealed: text("details_sealed").notNull(),
  requestId: text("request_id"),
  requestIdHash: text("request_id_hash"),
  eventStatus: text("event_status", { enum: CLAIM_STATUSES }),
  eventLedgerId: text("event_ledger_id"),
  eventSeq: integer("event_seq"),
  eventOccurredAt: integer("event_occurred_at"),
  createdBy: text("created_by").notNull(),
  version: integer("version").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const claimEvents = sqliteTable("claim_events", {
  claimEventId: integer("claim_event_id").primaryKey(),
  claimId: text("claim_id").notNull(),
  clinicId: text("clinic_id").notNull(),
  kind: text("kind").notNull(),
  status: text("status", { enum: CLAIM_STATUSES }).notNull(),
  actor: text("actor").notNull(),
  detail: text("detail"),
  eventId: text("event_id"),
  ledgerSeq: integer("ledger_seq"),
  entryHash: text("entry_hash"),
  at: integer("at").notNull(),
});

export const autoSubmitJobs = sqliteTable("auto_submit_jobs", {
  jobId: text("job_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  claimId: text("claim_id").notNull(),
  claimType: text("claim_type", { enum: CLAIM_TYPES }).notNull(),
  state: text("state", { enum: JOB_STATES }).notNull(),
  attempt: integer("attempt").notNull(),
  maxAttempts: integer("max_attempts").notNull(),
  nextAttemptAt: integer("next_attempt_at"),
  leaseUntil: integer("lease_until"),
  lastError: text("last_error"),
  lastUpstreamStatus: integer("last_upstream_status"),
  requestId: text("request_id"),
  requestIdHash: text("request_id_hash"),
  correlationId: text("correlation_id").notNull(),
  requestedBy: text("requested_by").notNull(),
  version: integer("version").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  startedAt: integer("started_at"),
  turn: integer("turn"),
  deferrals: integer("deferrals").notNull(),
});

export const breakers = sqliteTable("breakers", {
  name: text("name").primaryKey(),
  state: text("state").notNull(),
  version: integer("version").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const bridgeRequests = sqliteTable(
  "bridge_requests",
  {
    coreId: text("core_id").notNull(),
    clinicId: text("clinic_id").notNull(),
    kind: text("kind", { enum: ["claim", "workflow"] }).notNull(),
    requestIdHash: text("request_id_hash"),
    createdBy: text("created_by").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.coreId] })],
);

export const settings = sqliteTable(
  "settings",
  {
    clinicId: text("clinic_id").notNull(),
    key: text("key").notNull(),
    value: text("value").notNull(),
    updatedBy: text("updated_by").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.clinicId, table.key] })],
);

export const hubSettings = sqliteTable("hub_settings", {
  key: text("key").primaryKey(),
  value: text("value").notNull(),
  updatedBy: text("updated_by").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const webhookEvents = sqliteTable("webhook_events", {
  eventId: text("event_id").primaryKey(),
  eventType: text("event_type").notNull(),
  clinicId: text("clinic_id").notNull(),
  claimId: text("claim_id").notNull(),
  requestIdHash: text("request_id_hash").notNull(),
  effect: text("effect", { enum: ["moved", "superseded", "recorded"] }).notNull(),
  receivedAt: integer("received_at").notNull(),
});

export const auditEvents = sqliteTable("audit_events", {
  auditEventId: integer("audit_event_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  actor: text("actor").notNull(),
  action: text("action").notNull(),
  subject: text("subject").notNull(),
  detail: text("detail"),
  correlationId: text("correlation_id").notNull(),
  at: integer("at").notNull(),
});

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

export const metricFlushes = sqliteTable("metric_flushes", {
  flushId: text("flush_id").primaryKey(),
  flushedAt: integer("flushed_at").notNull(),
});

export const metricMarks = sqliteTable("metric_marks", {
  name: text("name").primaryKey(),
  value: integer("value").notNull(),
});
