/** Projection rows as the database returns them, and the states they stand for. */
import type { ClaimState, ClaimStatus } from "./claim.ts";
import type { RequestState, RequestStatus, RequestType } from "./request.ts";

export interface RequestRow {
  readonly tenant_id: string;
  readonly request_id: string;
  readonly request_id_hash: string;
  readonly request_type: RequestType;
  readonly insurer_address: string;
  readonly submitter: string;
  readonly payload_hash: string;
  readonly state: RequestStatus;
  readonly round: number;
  readonly decision_hash: string | null;
  readonly submitted_seq: number;
  readonly acknowledged_seq: number | null;
  readonly adjudicated_seq: number | null;
  readonly amount_minor: number;
  readonly currency: string;
  readonly corrects: string | null;
  readonly incident_ticket: string | null;
  readonly superseded_by: string | null;
  readonly erased_seq: number | null;
}

export const requestFromRow = (row: RequestRow): RequestState => ({
  tenantId: row.tenant_id,
  requestId: row.request_id,
  requestIdHash: row.request_id_hash,
  requestType: row.request_type,
  insurerAddress: row.insurer_address,
  submitter: row.submitter,
  payloadHash: row.payload_hash,
  status: row.state,
  round: row.round,
  decisionHash: row.decision_hash ?? undefined,
  submittedSeq: row.submitted_seq,
  acknowledgedSeq: row.acknowledged_seq ?? undefined,
  adjudicatedSeq: row.adjudicated_seq ?? undefined,
  amountMinor: row.amount_minor,
  currency: row.currency,
  corrects: row.corrects ?? undefined,
  incidentTicket: row.incident_ticket ?? undefined,
  supersededBy: row.superseded_by ?? undefined,
  erasedSeq: row.erased_seq ?? undefined,
});

export interface ClaimRow {
  readonly tenant_id: string;
  readonly claim_id: string;
  readonly claim_id_hash: string;
  readonly submitter: string;
  readonly payload_hash: string;
  readonly state: ClaimStatus;
  readonly created_seq: number;
  readonly finalized_seq: number | null;
  readonly settlement_seq: number | null;
  readonly amount_minor: number;
  readonly currency: string;
  readonly erased_seq: number | null;
}

export const claimFromRow = (row: ClaimRow): ClaimState => ({
  tenantId: row.tenant_id,
  claimId: row.claim_id,
  claimIdHash: row.claim_id_hash,
  submitter: row.submitter,
  payloadHash: row.payload_hash,
  status: row.state,
  createdSeq: row.created_seq,
  finalizedSeq: row.finalized_seq ?? undefined,
  settlementSeq: row.settlement_seq ?? undefined,
  amountMinor: row.amount_minor,
  currency: row.currency,
  erasedSeq: row.erased_seq ?? undefined,
});
