/** The tables of migrations 0007_settlements, 0009_idempotency and 0016_idempotency_effects as drizzle sees them. */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { SETTLEMENT_STATUSES, SETTLEMENT_TYPES, SUBJECT_KINDS } from "./settlement.ts";

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
    index("idempotency_keys_effect").on(table.effectId),
  ],
);
