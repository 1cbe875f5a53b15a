/** Commands and states as the edge makes them, with facts that tests choose. */
import { cents } from "../../src/platform/cents.ts";
import type { NewSettlement, SettleClaim } from "../../src/settlement/settlement.ts";
import type { ClaimState, CreateClaim, EraseClaim, FinalizeClaim } from "../../src/workflow/claim.ts";
import type {
  AcknowledgeRequest,
  AdjudicateRequest,
  EraseRequest,
  RequestState,
  SubmitRequest,
} from "../../src/workflow/request.ts";

export const INSURER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/** `0x` and 64 hex, the same for the same text and readable in a failure. */
export const hashOf = (text: string): string => `0x${Buffer.from(text).toString("hex").padStart(64, "0").slice(-64)}`;

export const submitCommand = (requestId: string, over: Partial<SubmitRequest> = {}): SubmitRequest => ({
  type: "SubmitRequest",
  tenantId: "default",
  requestId,
  lookup: requestId,
  requestIdHash: hashOf(`${over.tenantId ?? ""}${requestId}`),
  requestType: "CLAIM",
  insurerAddress: INSURER,
  submitter: "workflow",
  payloadHash: hashOf(`payload ${requestId}`),
  amountMinor: 12_000,
  currency: "CAD",
  payload: { type: "inline", sealed: "c2VhbGVk" },
  wrappedKey: { keyId: "0a0b0c0d", sealed: "d3JhcHBlZA==" },
  correlationId: `correlation-${requestId}`,
  ...over,
});

export const acknowledgeCommand = (requestId: string, over: Partial<AcknowledgeRequest> = {}): AcknowledgeRequest => ({
  type: "AcknowledgeRequest",
  tenantId: "default",
  requestId,
  actor: "insurer-key",
  notes: undefined,
  correlationId: "correlation",
  ...over,
});

export const adjudicateCommand = (requestId: string, over: Partial<AdjudicateRequest> = {}): AdjudicateRequest => ({
  type: "AdjudicateRequest",
  tenantId: "default",
  requestId,
  actor: "insurer-key",
  decision: "APPROVED",
  decisionHash: hashOf("decision"),
  round: 0,
  notes: undefined,
  correlationId: "correlation",
  ...over,
});

export const createClaimCommand = (claimId: string, over: Partial<CreateClaim> = {}): CreateClaim => ({
  type: "CreateClaim",
  tenantId: "default",
  claimId,
  lookup: claimId,
  claimIdHash: hashOf(`claim ${claimId}`),
  submitter: "claims",
  payloadHash: hashOf(`payload ${claimId}`),
  amountMinor: 5_000,
  currency: "CAD",
  payload: { type: "inline", sealed: "c2VhbGVk" },
  wrappedKey: { keyId: "0a0b0c0d", sealed: "d3JhcHBlZA==" },
  correlationId: "correlation",
  ...over,
});

export const finalizeCommand = (claimId: string): FinalizeClaim => ({
  type: "FinalizeClaim",
  tenantId: "default",
  claimId,
  actor: "claims",
  correlationId: "correlation",
});

/** A name as core makes them. */
export const refIdOf = (text: string): string =>
  `stl_${text
    .toUpperCase()
    .replace(/[^0-9A-HJKMNP-TV-Z]/g, "0")
    .padStart(26, "0")
    .slice(-26)}`;

export const newSettlement = (name: string, over: Partial<NewSettlement> = {}): NewSettlement => ({
  refId: refIdOf(name),
  type: "payment",
  amountCents: cents(5_000),
  currency: "CAD",
  reverses: null,
  commitment: hashOf(`terms of ${name}`),
  ...over,
});

export const settleCommand = (claimId: string, over: Partial<NewSettlement> = {}): SettleClaim => ({
  ...finalizeCommand(claimId),
  type: "SettleClaim",
  settlement: newSettlement(`P${claimId}`, over),
});

export const eraseRequestCommand = (requestId: string, over: Partial<EraseRequest> = {}): EraseRequest => ({
  type: "EraseRequest",
  tenantId: "default",
  requestId,
  lookup: requestId,
  actor: "workflow",
  reason: "PATIENT_REQUEST",
  correlationId: "correlation",
  ...over,
});

export const eraseClaimCommand = (claimId: string, over: Partial<EraseClaim> = {}): EraseClaim => ({
  type: "EraseClaim",
  tenantId: "default",
  claimId,
  lookup: claimId,
  actor: "claims",
  reason: "PATIENT_REQUEST",
  correlationId: "correlation",
  ...over,
});

export const requestState = (over: Partial<RequestState> = {}): RequestState => ({
  tenantId: "default",
  requestId: "R",
  requestIdHash: hashOf("R"),
  requestType: "CLAIM",
  insurerAddress: INSURER,
  submitter: "workflow",
  payloadHash: hashOf("payload R"),
  status: "SUBMITTED",
  round: 0,
  decisionHash: undefined,
  submittedSeq: 7,
  acknowledgedSeq: undefined,
  adjudicatedSeq: undefined,
  amountMinor: 12_000,
  currency: "CAD",
  corrects: undefined,
  incidentTicket: undefined,
  supersededBy: undefined,
  erasedSeq: undefined,
  ...over,
});

export const claimState = (over: Partial<ClaimState> = {}): ClaimState => ({
  tenantId: "default",
  claimId: "C",
  claimIdHash: hashOf("claim C"),
  submitter: "claims",
  payloadHash: hashOf("payload C"),
  status: "CREATED",
  createdSeq: 3,
  finalizedSeq: undefined,
  settlementSeq: undefined,
  amountMinor: 5_000,
  currency: "CAD",
  erasedSeq: undefined,
  ...over,
});
