/** The tables of D1 `medlink` as drizzle sees them; the truth is migrations/medlink. */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { HUB_ACTIONS } from "../audit/operator-action.ts";
import { ERASURE_REASONS } from "../workflow/erasure.ts";
import { ACCOUNT_ROLES, LOCALES } from "./accounts/user.ts";
import { ATTACHMENT_TYPES } from "./attachments/attachment.ts";
import { JOB_STATES } from "./auto-submit/job.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "./claims/claim.ts";
import { CONNECTORS, MESSAGE_KINDS } from "./edi/connector.ts";
import { TRANSACTION_STATES } from "./edi/transaction.ts";
import { FILED_KINDS } from "./keys/filed-sources.store.ts";

export * from "../operations/schema.ts";

export const clinics = sqliteTable("clinics", {
  clinicId: text("clinic_id").primaryKey(),
  name: text("name").notNull(),
  createdAt: integer("created_at").notNull(),
  locale: text("locale", { enum: LOCALES }).notNull(),
  retentionYears: integer("retention_years").notNull(),
});

export const users = sqliteTable("users", {
  userId: text("user_id").primaryKey(),
  clinicId: text("clinic_id"),
  role: text("role", { enum: ACCOUNT_ROLES }).notNull(),
  emailHash: text("email_hash").notNull(),
  profileSealed: text("profile_sealed").notNull(),
  passwordHash: text("password_hash").notNull(),
  locale: text("locale", { enum: LOCALES }).notNull(),
  timeZone: text("time_zone").notNull(),
  disabledAt: integer("disabled_at"),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const sessions = sqliteTable("sessions", {
  sessionHash: text("session_hash").primaryKey(),
  sessionId: text("session_id").notNull(),
  userId: text("user_id").notNull(),
  secondFactor: integer("second_factor", { mode: "boolean" }).notNull(),
  device: text("device").notNull(),
  createdAt: integer("created_at").notNull(),
  lastSeenAt: integer("last_seen_at").notNull(),
});

export const pendingSignIns = sqliteTable("pending_sign_ins", {
  pendingHash: text("pending_hash").primaryKey(),
  userId: text("user_id").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const secondFactors = sqliteTable("second_factors", {
  userId: text("user_id").primaryKey(),
  secretSealed: text("secret_sealed").notNull(),
  enabledAt: integer("enabled_at"),
  lastStep: integer("last_step").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const invitations = sqliteTable("invitations", {
  invitationId: text("invitation_id").primaryKey(),
  tokenHash: text("token_hash").notNull(),
  clinicId: text("clinic_id"),
  role: text("role", { enum: ACCOUNT_ROLES }).notNull(),
  emailHash: text("email_hash").notNull(),
  profileSealed: text("profile_sealed").notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
});

export const passwordResets = sqliteTable("password_resets", {
  userId: text("user_id").primaryKey(),
  tokenHash: text("token_hash").notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
});

export const apiTokens = sqliteTable("api_tokens", {
  tokenId: text("token_id").primaryKey(),
  tokenHash: text("token_hash").notNull(),
  clinicId: text("clinic_id").notNull(),
  name: text("name").notNull(),
  canRead: integer("can_read", { mode: "boolean" }).notNull(),
  canWrite: integer("can_write", { mode: "boolean" }).notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at").notNull(),
  lastUsedAt: integer("last_used_at"),
  revokedAt: integer("revoked_at"),
});

export const flags = sqliteTable("flags", {
  name: text("name").primaryKey(),
  enabled: integer("enabled", { mode: "boolean" }).notNull(),
  percentage: integer("percentage").notNull(),
  updatedBy: text("updated_by").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const patients = sqliteTable("patients", {
  patientId: text("patient_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  personalSealed: text("personal_sealed").notNull(),
  healthNumberHash: text("health_number_hash"),
  nameHash: text("name_hash").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
  erasingAt: integer("erasing_at"),
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
  correctsClaimId: text("corrects_claim_id"),
  correctsHash: text("corrects_hash"),
  incidentTicket: text("incident_ticket"),
});

export const claimEvents = sqliteTable(
  "claim_events",
  {
    claimId: text("claim_id").notNull(),
    claimEventId: integer("claim_event_id")
      .notNull()
      .default(sql`CAST(unixepoch('subsec') * 1000 AS INTEGER) * 4096 + (random() & 4095)`),
    clinicId: text("clinic_id").notNull(),
    kind: text("kind").notNull(),
    status: text("status", { enum: CLAIM_STATUSES }).notNull(),
    actor: text("actor").notNull(),
    detail: text("detail"),
    eventId: text("event_id"),
    ledgerSeq: integer("ledger_seq"),
    entryHash: text("entry_hash"),
    at: integer("at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.claimId, table.claimEventId] })],
);

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
  isView: integer("is_view", { mode: "boolean" }).notNull(),
});

export const operatorActions = sqliteTable(
  "operator_actions",
  {
    actionId: text("action_id").notNull().primaryKey(),
    salt: text("salt").notNull(),
    action: text("action", { enum: HUB_ACTIONS }).notNull(),
    target: text("target").notNull(),
    actor: text("actor").notNull(),
    correlationId: text("correlation_id").notNull(),
    at: integer("at").notNull(),
    sentAt: integer("sent_at"),
  },
  (table) => [index("operator_actions_waiting").on(table.at, table.actionId).where(sql`sent_at IS NULL`)],
);

export const attachments = sqliteTable("attachments", {
  attachmentId: text("attachment_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  claimId: text("claim_id").notNull(),
  nameSealed: text("name_sealed").notNull(),
  contentType: text("content_type", { enum: ATTACHMENT_TYPES }).notNull(),
  size: integer("size").notNull(),
  sha256: text("sha256"),
  state: text("state", { enum: ["receiving", "stored", "deleting"] }).notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const remittances = sqliteTable("remittances", {
  remittanceId: text("remittance_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  insurerId: text("insurer_id").notNull(),
  reference: text("reference").notNull(),
  paidOn: text("paid_on").notNull(),
  totalMinor: integer("total_minor").notNull(),
  currency: text("currency").notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const remittanceLines = sqliteTable(
  "remittance_lines",
  {
    remittanceId: text("remittance_id").notNull(),
    claimId: text("claim_id").notNull(),
    clinicId: text("clinic_id").notNull(),
    paidMinor: integer("paid_minor").notNull(),
  },
  (table) => [primaryKey({ columns: [table.remittanceId, table.claimId] })],
);

export const bulkRows = sqliteTable(
  "bulk_rows",
  {
    clinicId: text("clinic_id").notNull(),
    rowKey: text("row_key").notNull(),
    contentHash: text("content_hash").notNull(),
    claimId: text("claim_id").notNull(),
    createdAt: integer("created_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.clinicId, table.rowKey] })],
);

export const erasures = sqliteTable("erasures", {
  patientId: text("patient_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  reason: text("reason", { enum: ERASURE_REASONS }).notNull(),
  state: text("state", { enum: ["running", "complete"] }).notNull(),
  claimsErased: integer("claims_erased").notNull(),
  lastError: text("last_error"),
  requestedBy: text("requested_by").notNull(),
  correlationId: text("correlation_id").notNull(),
  requestedAt: integer("requested_at").notNull(),
  nextAttemptAt: integer("next_attempt_at"),
  completedAt: integer("completed_at"),
  completeEverywhereAt: integer("complete_everywhere_at"),
});

export const ediTransactions = sqliteTable("edi_transactions", {
  transactionId: text("transaction_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  claimId: text("claim_id").notNull(),
  claimType: text("claim_type", { enum: CLAIM_TYPES }).notNull(),
  connector: text("connector", { enum: CONNECTORS }).notNull(),
  mode: text("mode", { enum: ["sandbox", "production"] }).notNull(),
  reference: integer("reference").notNull(),
  licenceNumber: text("licence_number"),
  state: text("state", { enum: TRANSACTION_STATES }).notNull(),
  outcome: text("outcome"),
  benefitMinor: integer("benefit_minor"),
  currency: text("currency").notNull(),
  carrierReference: text("carrier_reference"),
  sends: integer("sends").notNull(),
  checks: integer("checks").notNull(),
  nextCheckAt: integer("next_check_at"),
  leaseUntil: integer("lease_until"),
  correlationId: text("correlation_id").notNull(),
  sentBy: text("sent_by").notNull(),
  version: integer("version").notNull(),
  createdAt: integer("created_at").notNull(),
  updatedAt: integer("updated_at").notNull(),
});

export const ediExchanges = sqliteTable("edi_exchanges", {
  exchangeId: integer("exchange_id").primaryKey(),
  connector: text("connector", { enum: CONNECTORS }).notNull(),
  mode: text("mode").notNull(),
  clinicId: text("clinic_id").notNull(),
  claimId: text("claim_id"),
  transactionId: text("transaction_id"),
  direction: text("direction", { enum: ["out", "in"] }).notNull(),
  kind: text("kind", { enum: MESSAGE_KINDS }).notNull(),
  messageType: text("message_type").notNull(),
  outcome: text("outcome").notNull(),
  ok: integer("ok", { mode: "boolean" }).notNull(),
  status: integer("status"),
  durationMs: integer("duration_ms"),
  sizeBytes: integer("size_bytes").notNull(),
  messageHash: text("message_hash"),
  correlationId: text("correlation_id").notNull(),
  at: integer("at").notNull(),
});

export const ediSandboxClaims = sqliteTable(
  "edi_sandbox_claims",
  {
    connector: text("connector", { enum: CONNECTORS }).notNull(),
    transactionId: text("transaction_id").notNull(),
    reference: integer("reference").notNull(),
    clinicId: text("clinic_id").notNull(),
    claimType: text("claim_type", { enum: CLAIM_TYPES }).notNull(),
    lines: text("lines", { mode: "json" }).notNull(),
    currency: text("currency").notNull(),
    carrierReference: text("carrier_reference").notNull(),
    decision: text("decision", { enum: ["approved", "partial", "denied", "needs_info", "rejected"] }).notNull(),
    receivedAt: integer("received_at").notNull(),
    decidedAt: integer("decided_at").notNull(),
    givenAt: integer("given_at"),
  },
  (table) => [primaryKey({ columns: [table.connector, table.transactionId] })],
);

export const fhirClaims = sqliteTable("fhir_claims", {
  claimId: text("claim_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  identifierHash: text("identifier_hash").notNull(),
  contentHash: text("content_hash").notNull(),
  createdAt: integer("created_at").notNull(),
});

export const filedSources = sqliteTable("filed_sources", {
  claimId: text("claim_id").primaryKey(),
  clinicId: text("clinic_id").notNull(),
  kind: text("kind", { enum: FILED_KINDS }).notNull(),
  sourceSealed: text("source_sealed").notNull(),
});

export const backupRuns = sqliteTable(
  "backup_runs",
  {
    name: text("name").notNull().primaryKey(),
    kind: text("kind", { enum: ["nightly", "command"] }).notNull(),
    state: text("state", { enum: ["running", "good", "failed", "expired"] }).notNull(),
    fence: integer("fence").notNull(),
    leaseUntil: integer("lease_until").notNull(),
    cursor: text("cursor").notNull(),
    size: integer("size").notNull(),
    startedAt: integer("started_at").notNull(),
    finishedAt: integer("finished_at"),
    files: integer("files").notNull().default(0),
    bytes: integer("bytes").notNull().default(0),
    newFiles: integer("new_files").notNull().default(0),
    newBytes: integer("new_bytes").notNull().default(0),
    manifestSha256: text("manifest_sha256"),
    reason: text("reason"),
  },
  (table) => [index("backup_runs_state").on(table.state, table.startedAt)],
);

export const backupObjects = sqliteTable(
  "backup_objects",
  {
    path: text("path").notNull().primaryKey(),
    kind: text("kind", { enum: ["entries", "payloads", "keys", "table", "attachment"] }).notNull(),
    tableName: text("table_name"),
    fromSeq: integer("from_seq"),
    toSeq: integer("to_seq"),
    sealed: integer("sealed").notNull(),
    rows: integer("rows").notNull(),
    bytes: integer("bytes").notNull(),
    sha256: text("sha256").notNull(),
    masterKeyId: text("master_key_id"),
    writtenAt: integer("written_at").notNull(),
    checkedAt: integer("checked_at").notNull(),
  },
  (table) => [
    index("backup_objects_range").on(table.kind, table.fromSeq),
    index("backup_objects_checked").on(table.checkedAt),
  ],
);

export const backupFiles = sqliteTable(
  "backup_files",
  { name: text("name").notNull(), place: integer("place").notNull(), path: text("path").notNull() },
  (table) => [primaryKey({ columns: [table.name, table.place] }), index("backup_files_path").on(table.path)],
);

export const backupProgress = sqliteTable("backup_progress", {
  singleton: integer("singleton").notNull().primaryKey(),
  sealedTo: integer("sealed_to").notNull(),
  position: text("position").notNull(),
  tailTo: integer("tail_to").notNull(),
  tailOutbox: integer("tail_outbox").notNull(),
  damaged: integer("damaged").notNull(),
});

export const backupDrills = sqliteTable(
  "backup_drills",
  {
    drillId: integer("drill_id").primaryKey(),
    source: text("source", { enum: ["cron", "command"] }).notNull(),
    snapshot: text("snapshot").notNull(),
    state: text("state", { enum: ["running", "good", "failed"] }).notNull(),
    fence: integer("fence").notNull().default(0),
    leaseUntil: integer("lease_until").notNull().default(0),
    cursor: text("cursor").notNull().default(""),
    startedAt: integer("started_at").notNull(),
    finishedAt: integer("finished_at"),
    entries: integer("entries").notNull().default(0),
    report: text("report").notNull().default("{}"),
    reason: text("reason"),
  },
  (table) => [index("backup_drills_state").on(table.state, table.startedAt)],
);
