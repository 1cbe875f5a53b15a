/** Rows of `settlements` as the database returns them, and the states they stand for. */
import { cents } from "../platform/cents.ts";
import type { SettlementState, SettlementStatus, SettlementType, SubjectKind } from "./settlement.ts";

export interface SettlementRow {
  readonly ref_id: string;
  readonly tenant_id: string;
  readonly subject: string;
  readonly subject_kind: SubjectKind;
  readonly type: SettlementType;
  readonly amount_cents: number;
  readonly currency: string;
  readonly reverses: string | null;
  readonly status: SettlementStatus;
  readonly reason: string | null;
  readonly operator_transaction_id: string | null;
  readonly round: number;
  readonly created_seq: number;
  readonly started_seq: number | null;
  readonly ended_seq: number | null;
  readonly created_at: number;
  readonly updated_at: number;
}

/** @throws RangeError for an amount that is no whole number: the database was changed from outside. */
export const settlementFromRow = (row: SettlementRow): SettlementState => ({
  refId: row.ref_id,
  tenantId: row.tenant_id,
  subject: row.subject,
  subjectKind: row.subject_kind,
  type: row.type,
  amountCents: cents(row.amount_cents),
  currency: row.currency,
  reverses: row.reverses,
  status: row.status,
  reason: row.reason ?? undefined,
  operatorTransactionId: row.operator_transaction_id ?? undefined,
  round: row.round,
  createdSeq: row.created_seq,
  startedSeq: row.started_seq ?? undefined,
  endedSeq: row.ended_seq ?? undefined,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** In the order of `UPSERT_SETTLEMENTS`. */
export const settlementColumns = (one: SettlementState): readonly unknown[] => [
  one.refId,
  one.tenantId,
  one.subject,
  one.subjectKind,
  one.type,
  one.amountCents,
  one.currency,
  one.reverses,
  one.status,
  one.reason ?? null,
  one.operatorTransactionId ?? null,
  one.round,
  one.createdSeq,
  one.startedSeq ?? null,
  one.endedSeq ?? null,
  one.createdAt,
  one.updatedAt,
];
