/**
 * The tables of migrations/core as drizzle sees them, for typed single-row and list reads. The migrations are the truth (guards,
 * WITHOUT ROWID and checks live only there); a test compares names, types, nullability, defaults, keys and indexes with them.
 */

import { sql } from "drizzle-orm";
import { customType, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { ANCHOR_EVENT_TYPES } from "../anchor/history.ts";
import { OPERATOR_ACTIONS } from "../audit/operator-action.ts";
import { EVENT_TYPES } from "../relay/event-type.ts";
import { SURFACES } from "../tenants/principal.ts";

export * from "../operations/incidents/schema.ts";
export * from "../operations/schema.ts";
export * from "../settlement/reconciliation/schema.ts";
export * from "../settlement/schema.ts";

/** Text that compares without regard to case: EVM addresses, which clients write in either case. */
const textNoCase = customType<{ data: string; driverData: string }>({ dataType: () => "text collate nocase" });

export const ledgerHeads = sqliteTable("ledger_heads", {
  ledgerId: text("ledger_id").notNull().primaryKey(),
  version: integer("version").notNull(),
  size: integer("size").notNull(),
  headHash: text("head_hash").notNull(),
  rootHash: text("root_hash").notNull(),
  frontier: text("frontier").notNull(),
  lastAt: text("last_at").notNull(),
});

export const ledgerEntries = sqliteTable(
  "ledger_entries",
  {
    ledgerId: text("ledger_id").notNull(),
    seq: integer("seq").notNull(),
    entryHash: text("entry_hash").notNull(),
    prev: text("prev").notNull(),
    subject: text("subject").notNull(),
    commandId: text("command_id").notNull(),
    commandIndex: integer("command_index").notNull(),
    body: text("body").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.seq] }),
    uniqueIndex("ledger_entries_command").on(table.ledgerId, table.commandId, table.commandIndex),
    index("ledger_entries_subject").on(table.ledgerId, table.subject),
  ],
);

export const requests = sqliteTable(
  "requests",
  {
    ledgerId: text("ledger_id").notNull(),
    tenantId: text("tenant_id").notNull(),
    requestId: text("request_id").notNull(),
    requestIdHash: text("request_id_hash").notNull(),
    requestType: text("request_type", { enum: ["CLAIM", "PREAUTH"] }).notNull(),
    insurerAddress: textNoCase("insurer_address").notNull(),
    submitter: text("submitter").notNull(),
    payloadHash: text("payload_hash").notNull(),
    state: text("state", { enum: ["SUBMITTED", "ACKNOWLEDGED", "APPROVED", "DENIED", "NEEDS_INFO"] }).notNull(),
    round: integer("round").notNull(),
    decisionHash: text("decision_hash"),
    submittedSeq: integer("submitted_seq").notNull(),
    acknowledgedSeq: integer("acknowledged_seq"),
    adjudicatedSeq: integer("adjudicated_seq"),
    amountMinor: integer("amount_minor").notNull(),
    currency: text("currency").notNull(),
    corrects: text("corrects"),
    incidentTicket: text("incident_ticket"),
    supersededBy: text("superseded_by"),
    erasedSeq: integer("erased_seq"),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.submittedSeq] }),
    uniqueIndex("requests_id").on(table.ledgerId, table.tenantId, table.requestId),
    uniqueIndex("requests_corrects").on(table.ledgerId, table.corrects).where(sql`${table.corrects} IS NOT NULL`),
  ],
);

export const claims = sqliteTable(
  "claims",
  {
    ledgerId: text("ledger_id").notNull(),
    tenantId: text("tenant_id").notNull(),
    claimId: text("claim_id").notNull(),
    claimIdHash: text("claim_id_hash").notNull(),
    submitter: text("submitter").notNull(),
    payloadHash: text("payload_hash").notNull(),
    state: text("state", { enum: ["CREATED", "FINALIZED", "SETTLEMENT_PENDING", "SETTLED"] }).notNull(),
    createdSeq: integer("created_seq").notNull(),
    finalizedSeq: integer("finalized_seq"),
    settlementSeq: integer("settlement_seq"),
    amountMinor: integer("amount_minor").notNull(),
    currency: text("currency").notNull(),
    erasedSeq: integer("erased_seq"),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.createdSeq] }),
    uniqueIndex("claims_id").on(table.ledgerId, table.tenantId, table.claimId),
  ],
);

export const payloads = sqliteTable(
  "payloads",
  {
    ledgerId: text("ledger_id").notNull(),
    subjectSeq: integer("subject_seq").notNull(),
    subject: text("subject").notNull(),
    part: text("part").notNull(),
    ciphertext: text("ciphertext"),
    r2Key: text("r2_key"),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.subjectSeq, table.part] })],
);

export const payloadKeys = sqliteTable(
  "payload_keys",
  {
    ledgerId: text("ledger_id").notNull(),
    subjectSeq: integer("subject_seq").notNull(),
    subject: text("subject").notNull(),
    masterKeyId: text("master_key_id").notNull(),
    wrapped: text("wrapped").notNull(),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.subjectSeq] })],
);

export const tenants = sqliteTable("tenants", {
  tenantId: text("tenant_id").notNull().primaryKey(),
  name: text("name").notNull(),
  createdAt: integer("created_at").notNull(),
  closedAt: integer("closed_at"),
  closedBy: text("closed_by"),
});

export const apiKeys = sqliteTable(
  "api_keys",
  {
    keyHash: text("key_hash").notNull().primaryKey(),
    keyId: text("key_id").notNull().unique(),
    tenantId: text("tenant_id")
      .notNull()
      .references(() => tenants.tenantId),
    surface: text("surface", { enum: SURFACES }).notNull(),
    scopes: text("scopes").notNull(),
    insurerAddress: textNoCase("insurer_address"),
    requestsPerMinute: integer("requests_per_minute"),
    createdAt: integer("created_at").notNull(),
    revokedAt: integer("revoked_at"),
    label: text("label"),
    createdBy: text("created_by"),
    revokedBy: text("revoked_by"),
    lastUsedAt: integer("last_used_at"),
  },
  (table) => [index("api_keys_tenant").on(table.tenantId, table.createdAt)],
);

export const destinations = sqliteTable(
  "destinations",
  {
    destinationId: text("destination_id").notNull().primaryKey(),
    tenantId: text("tenant_id")
      .notNull()
      .references(() => tenants.tenantId),
    kind: text("kind", { enum: ["MEDLINK", "INSURER"] }).notNull(),
    insurerAddress: textNoCase("insurer_address"),
    url: text("url").notNull(),
    secretWrapped: text("secret_wrapped"),
    wrappingKeyId: text("wrapping_key_id"),
    deliverAfter: text("deliver_after", { enum: ["commit", "anchor"] }).notNull(),
    eventTypes: text("event_types").notNull(),
    requestsPerMinute: integer("requests_per_minute").notNull(),
    timeoutMs: integer("timeout_ms").notNull(),
    state: text("state", { enum: ["active", "paused"] }).notNull(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    previousSecretWrapped: text("previous_secret_wrapped"),
    previousWrappingKeyId: text("previous_wrapping_key_id"),
    previousExpiresAt: integer("previous_expires_at"),
    secretRotatedAt: integer("secret_rotated_at"),
    itransSignature: text("itrans_signature", { enum: ["current", "previous"] })
      .notNull()
      .default("current"),
    headerNames: text("header_names").notNull().default("[]"),
    headersWrapped: text("headers_wrapped"),
    headersWrappingKeyId: text("headers_wrapping_key_id"),
    pingEvents: integer("ping_events").notNull().default(0),
  },
  (table) => [
    uniqueIndex("destinations_insurer")
      .on(table.tenantId, table.insurerAddress)
      .where(sql`${table.insurerAddress} IS NOT NULL`),
    uniqueIndex("destinations_medlink").on(table.tenantId).where(sql`${table.kind} = 'MEDLINK'`),
  ],
);

export const outbox = sqliteTable(
  "outbox",
  {
    outboxId: integer("outbox_id").primaryKey(),
    eventId: text("event_id").notNull(),
    eventType: text("event_type", {
      enum: EVENT_TYPES,
    }).notNull(),
    ledgerId: text("ledger_id").notNull(),
    seq: integer("seq").notNull(),
    subject: text("subject").notNull(),
    tenantId: text("tenant_id").notNull(),
    destinationId: text("destination_id").notNull(),
    state: text("state", { enum: ["waiting", "due", "leased", "delivered", "dead", "discarded"] }).notNull(),
    dueAt: integer("due_at").notNull(),
    body: text("body").notNull(),
    correlationId: text("correlation_id").notNull(),
    attempts: integer("attempts").notNull().default(0),
    leaseToken: integer("lease_token").notNull().default(0),
    notYetKnownSince: integer("not_yet_known_since"),
    lastStatus: integer("last_status"),
    lastError: text("last_error"),
    createdAt: integer("created_at").notNull(),
    settledAt: integer("settled_at"),
    expiredLeases: integer("expired_leases").notNull().default(0),
    replays: integer("replays").notNull().default(0),
    discardReason: text("discard_reason"),
    discardedBy: text("discarded_by"),
    open: integer("open").notNull().default(1),
    leasedUntil: integer("leased_until").notNull().default(0),
    postedAt: integer("posted_at"),
    postMs: integer("post_ms"),
  },
  (table) => [
    index("outbox_lane").on(table.destinationId, table.subject, table.outboxId).where(sql`${table.open} = 1`),
    index("outbox_due").on(table.destinationId, table.dueAt).where(sql`${table.open} = 1`),
    index("outbox_dead").on(table.settledAt).where(sql`${table.state} = 'dead'`),
  ],
);

export const deliveryAttempts = sqliteTable(
  "delivery_attempts",
  {
    outboxId: integer("outbox_id").notNull(),
    leaseToken: integer("lease_token").notNull(),
    startedAt: integer("started_at").notNull(),
    durationMs: integer("duration_ms").notNull(),
    outcome: text("outcome", { enum: ["delivered", "retry", "dead"] }).notNull(),
    status: integer("status"),
    error: text("error"),
    answer: text("answer"),
  },
  (table) => [primaryKey({ columns: [table.outboxId, table.leaseToken] })],
);

export const relayCounters = sqliteTable("relay_counters", {
  destinationId: text("destination_id").notNull().primaryKey(),
  delivered: integer("delivered").notNull(),
  windowStartedAt: integer("window_started_at").notNull().default(0),
  windowCalls: integer("window_calls").notNull().default(0),
  windowFailures: integer("window_failures").notNull().default(0),
  windowEvidence: integer("window_evidence").notNull().default(0),
  breaker: text("breaker", { enum: ["closed", "open", "half-open"] })
    .notNull()
    .default("closed"),
  breakerUntil: integer("breaker_until").notNull().default(0),
  breakerOpens: integer("breaker_opens").notNull().default(0),
  lastPostedAt: integer("last_posted_at"),
});

export const relayPings = sqliteTable("relay_pings", {
  destinationId: text("destination_id").notNull().primaryKey(),
  pingId: text("ping_id").notNull(),
  requestedAt: integer("requested_at").notNull(),
  answeredAt: integer("answered_at"),
  reachable: integer("reachable"),
  status: integer("status"),
  error: text("error"),
  durationMs: integer("duration_ms"),
});

export const anchors = sqliteTable(
  "anchors",
  {
    ledgerId: text("ledger_id").notNull(),
    size: integer("size").notNull(),
    rootHash: text("root_hash").notNull(),
    previousSize: integer("previous_size").notNull(),
    state: text("state", { enum: ["submitted", "confirmed", "failed"] }).notNull(),
    reason: text("reason"),
    chainId: integer("chain_id").notNull(),
    contractAddress: text("contract_address").notNull(),
    nonce: integer("nonce").notNull(),
    txHash: text("tx_hash").notNull(),
    blockNumber: integer("block_number"),
    blockHash: text("block_hash"),
    logIndex: integer("log_index"),
    submittedAt: integer("submitted_at").notNull(),
    confirmedAt: integer("confirmed_at"),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.size] }),
    index("anchors_state").on(table.ledgerId, table.state, table.size),
  ],
);

export const anchorEvents = sqliteTable(
  "anchor_events",
  {
    eventId: integer("event_id").primaryKey(),
    ledgerId: text("ledger_id").notNull(),
    eventKey: text("event_key").notNull(),
    size: integer("size"),
    rootHash: text("root_hash"),
    type: text("type", { enum: ANCHOR_EVENT_TYPES }).notNull(),
    reason: text("reason").notNull(),
    at: integer("at").notNull(),
    chainId: integer("chain_id").notNull(),
    contractAddress: text("contract_address").notNull(),
    txHash: text("tx_hash"),
    nonce: integer("nonce"),
    feePerGasWei: text("fee_per_gas_wei"),
    blockNumber: integer("block_number"),
    blockHash: text("block_hash"),
    actor: text("actor"),
  },
  (table) => [
    uniqueIndex("anchor_events_key").on(table.ledgerId, table.eventKey),
    index("anchor_events_size").on(table.ledgerId, table.size, table.eventId),
  ],
);

export const relayLeases = sqliteTable("relay_leases", {
  singleton: integer("singleton").notNull().primaryKey(),
  lastToken: integer("last_token").notNull(),
  wakeAt: integer("wake_at").notNull(),
  pausedAt: integer("paused_at"),
  prunedTo: integer("pruned_to").notNull().default(0),
  leasedAt: integer("leased_at").notNull().default(0),
  handed: text("handed").notNull().default("[]"),
});

export const relayRates = sqliteTable("relay_rates", {
  destinationId: text("destination_id").notNull().primaryKey(),
  drainedAtUs: integer("drained_at_us").notNull(),
});

export const checkpoints = sqliteTable(
  "checkpoints",
  {
    ledgerId: text("ledger_id").notNull(),
    size: integer("size").notNull(),
    rootHash: text("root_hash").notNull(),
    note: text("note").notNull(),
    signedAt: integer("signed_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.size] })],
);

export const idLookupKeys = sqliteTable("id_lookup_keys", {
  ledgerId: text("ledger_id").notNull().primaryKey(),
  masterKeyId: text("master_key_id").notNull(),
  wrapped: text("wrapped").notNull(),
});

export const erasedIds = sqliteTable(
  "erased_ids",
  {
    ledgerId: text("ledger_id").notNull(),
    lookup: text("lookup").notNull(),
    subject: text("subject").notNull(),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.lookup] })],
);

export const pendingErasures = sqliteTable(
  "pending_erasures",
  {
    ledgerId: text("ledger_id").notNull(),
    subject: text("subject").notNull(),
    erasedAt: integer("erased_at").notNull(),
    dueAt: integer("due_at").notNull(),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.subject] }), index("pending_erasures_due").on(table.dueAt)],
);

export const operatorActions = sqliteTable(
  "operator_actions",
  {
    ledgerId: text("ledger_id").notNull(),
    subject: text("subject").notNull(),
    seq: integer("seq").notNull(),
    action: text("action", { enum: OPERATOR_ACTIONS }).notNull(),
    actor: text("actor").notNull(),
    reason: text("reason"),
    details: text("details").notNull(),
    salt: text("salt").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.subject] }),
    index("operator_actions_seq").on(table.ledgerId, table.seq),
  ],
);

export const operatorActionsWaiting = sqliteTable(
  "operator_actions_waiting",
  {
    ledgerId: text("ledger_id").notNull(),
    subject: text("subject").notNull(),
    command: text("command").notNull(),
    waitingSince: integer("waiting_since").notNull(),
  },
  (table) => [primaryKey({ columns: [table.ledgerId, table.subject] })],
);

export const secretSightings = sqliteTable(
  "secret_sightings",
  {
    worker: text("worker", { enum: ["itrans-core", "itrans-relay", "medlink-hub"] }).notNull(),
    name: text("name").notNull(),
    fingerprint: text("fingerprint").notNull(),
    since: integer("since").notNull(),
    seenAt: integer("seen_at").notNull(),
    previousUsedAt: integer("previous_used_at"),
  },
  (table) => [primaryKey({ columns: [table.worker, table.name] })],
);

export const rewraps = sqliteTable("rewraps", {
  kind: text("kind", { enum: ["payload-keys", "destinations"] })
    .notNull()
    .primaryKey(),
  toKeyId: text("to_key_id").notNull(),
  cursor: text("cursor").notNull(),
  examined: integer("examined").notNull(),
  rewrapped: integer("rewrapped").notNull(),
  unreadable: integer("unreadable").notNull(),
  startedAt: integer("started_at").notNull(),
  advancedAt: integer("advanced_at").notNull(),
  finishedAt: integer("finished_at"),
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
