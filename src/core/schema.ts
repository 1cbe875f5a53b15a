/**
 * The tables of migrations/core as drizzle sees them, for typed single-row and list reads. The migrations are the truth (guards,
 * WITHOUT ROWID and checks live only there); a test compares names, types, nullability, defaults, keys and indexes with them.
 */
import { sql } from "drizzle-orm";
import { customType, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { ANCHOR_EVENT_TYPES } from "../anchor/history.ts";
import { EVENT_TYPES } from "../relay/event-type.ts";
import { SETTLEMENT_STATUSES, SETTLEMENT_TYPES, SUBJECT_KINDS } from "../settlement/settlement.ts";

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
    uniqueIndex("ledger_entries_hash").on(table.ledgerId, table.entryHash),
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
});

export const apiKeys = sqliteTable("api_keys", {
  keyHash: text("key_hash").notNull().primaryKey(),
  keyId: text("key_id").notNull().unique(),
  tenantId: text("tenant_id")
    .notNull()
    .references(() => tenants.tenantId),
  surface: text("surface", { enum: ["claims", "workflow"] }).notNull(),
  scopes: text("scopes").notNull(),
  insurerAddress: textNoCase("insurer_address"),
  requestsPerMinute: integer("requests_per_minute"),
  createdAt: integer("created_at").notNull(),
  revokedAt: integer("revoked_at"),
});

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
  },
  (table) => [
    uniqueIndex("outbox_event").on(table.eventId, table.destinationId),
    index("outbox_lane")
      .on(table.destinationId, table.subject, table.outboxId)
      .where(sql`${table.state} NOT IN ('delivered', 'discarded')`),
    index("outbox_due").on(table.destinationId, table.dueAt).where(sql`${table.state} IN ('due', 'leased')`),
    index("outbox_waiting").on(table.ledgerId, table.seq).where(sql`${table.state} = 'waiting'`),
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

export const settlements = sqliteTable(
  "settlements",
  {
    ledgerId: text("ledger_id").notNull(),
    refId: text("ref_id").notNull(),
    tenantId: text("tenant_id").notNull(),
    subject: text("subject").notNull(),
    subjectKind: text("subject_kind", { enum: SUBJECT_KINDS }).notNull(),
    type: text("type", { enum: SETTLEMENT_TYPES }).notNull(),
    amountCents: integer("amount_cents").notNull(),
    currency: text("currency").notNull(),
    reverses: text("reverses"),
    status: text("status", { enum: SETTLEMENT_STATUSES }).notNull(),
    reason: text("reason"),
    operatorTransactionId: text("operator_transaction_id"),
    round: integer("round").notNull(),
    createdSeq: integer("created_seq").notNull(),
    startedSeq: integer("started_seq"),
    endedSeq: integer("ended_seq"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.refId] }),
    index("settlements_subject").on(table.ledgerId, table.subject),
    index("settlements_seq").on(table.ledgerId, table.createdSeq),
    index("settlements_tenant").on(table.ledgerId, table.tenantId, table.createdSeq),
    index("settlements_status").on(table.ledgerId, table.status, table.createdSeq),
    index("settlements_created").on(table.ledgerId, table.createdAt, table.refId),
  ],
);

export const settlementDrives = sqliteTable(
  "settlement_drives",
  {
    ledgerId: text("ledger_id").notNull(),
    refId: text("ref_id").notNull(),
    tenantId: text("tenant_id").notNull(),
    correlationId: text("correlation_id").notNull(),
    dueAt: integer("due_at"),
    leaseToken: integer("lease_token").notNull().default(0),
    inDoubt: integer("in_doubt").notNull().default(0),
    sends: integer("sends").notNull().default(0),
    waits: integer("waits").notNull().default(0),
    lastAnswer: text("last_answer"),
    askedAt: integer("asked_at"),
  },
  (table) => [
    primaryKey({ columns: [table.ledgerId, table.refId] }),
    index("settlement_drives_due")
      .on(table.ledgerId, table.tenantId, table.dueAt)
      .where(sql`${table.dueAt} IS NOT NULL`),
  ],
);

export const idempotencyKeys = sqliteTable(
  "idempotency_keys",
  {
    keyId: text("key_id").notNull().primaryKey(),
    scope: text("scope").notNull(),
    tenantId: text("tenant_id").notNull(),
    fingerprint: text("fingerprint").notNull(),
    state: text("state", { enum: ["PROCESSING", "COMPLETED"] }).notNull(),
    effectId: text("effect_id").notNull(),
    token: integer("token").notNull(),
    busyUntil: integer("busy_until").notNull(),
    status: integer("status"),
    answerKeyId: text("answer_key_id"),
    answerSealed: text("answer_sealed"),
    correlationId: text("correlation_id").notNull(),
    resolvedBy: text("resolved_by"),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
    expiresAt: integer("expires_at").notNull(),
  },
  (table) => [
    index("idempotency_keys_expiry").on(table.expiresAt),
    index("idempotency_keys_busy").on(table.busyUntil).where(sql`${table.state} = 'PROCESSING'`),
    index("idempotency_keys_created").on(table.createdAt, table.keyId),
  ],
);

export const maintenance = sqliteTable("maintenance", {
  singleton: integer("singleton").primaryKey(),
  startedAt: integer("started_at"),
  until: integer("until"),
  reason: text("reason"),
  actor: text("actor"),
});
