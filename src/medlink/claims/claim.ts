/** A claim or pre-authorization as the clinic keeps it. */
import type { Money } from "../../platform/money.ts";

export const CLAIM_TYPES = ["claim", "preauth"] as const;
export type ClaimType = (typeof CLAIM_TYPES)[number];

export const CLAIM_STATUSES = ["draft", "submitted", "pending", "infoRequested", "paid", "denied"] as const;
export type ClaimStatus = (typeof CLAIM_STATUSES)[number];

/** One procedure: its code alone, or with what is known of it. `unitPrice` is a decimal string of major units. */
export type ProcedureCode =
  | string
  | {
      readonly code: string;
      readonly description?: string | undefined;
      readonly quantity?: number | undefined;
      readonly unitPrice?: string | undefined;
    };

/** HL7's kinds of claim. */
export const CLAIM_CATEGORIES = ["institutional", "oral", "pharmacy", "professional", "vision"] as const;

export interface Diagnosis {
  /** URI of the code system. */
  readonly system?: string | undefined;
  readonly code: string;
  readonly display?: string | undefined;
}

/** The claim's name in the system that it came from. */
export interface ExternalIdentifier {
  readonly system?: string | undefined;
  readonly value: string;
}

/** What a claim says beside its parties and its amount. Stored sealed. */
export interface ClaimDetails {
  readonly codes: readonly ProcedureCode[];
  readonly notes: string;
  readonly diagnoses?: readonly Diagnosis[] | undefined;
  readonly identifiers?: readonly ExternalIdentifier[] | undefined;
  /** undefined: oral. */
  readonly category?: (typeof CLAIM_CATEGORIES)[number] | undefined;
  /** `YYYY-MM-DD`; undefined: the day it was filed. */
  readonly serviceDate?: string | undefined;
}

/** The newest webhook event applied to a claim. */
export interface AppliedEvent {
  readonly status: ClaimStatus;
  readonly ledgerId: string | undefined;
  readonly seq: number | undefined;
  /** Epoch seconds. */
  readonly occurredAt: number;
}

/** The claim that a corrective one supersedes. */
export interface Corrects {
  readonly claimId: string;
  /** Its requestIdHash at core. */
  readonly requestIdHash: string;
  readonly incidentTicket: string | undefined;
}

export interface Claim {
  readonly claimId: string;
  readonly clinicId: string;
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
  readonly type: ClaimType;
  readonly status: ClaimStatus;
  readonly amount: Money;
  readonly details: ClaimDetails;
  /** Both set once core has taken the claim. */
  readonly requestId: string | undefined;
  readonly requestIdHash: string | undefined;
  readonly lastEvent: AppliedEvent | undefined;
  readonly corrects?: Corrects | undefined;
  readonly createdBy: string;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}
