/** What a list of claims is narrowed by, and which index walks it: one index per list, never the whole table. */
import type { ClaimStatus, ClaimType } from "./claim.ts";

/** What a claim is and whose, as lists of claims are narrowed by. */
export interface ClaimTraits {
  readonly status?: ClaimStatus | undefined;
  readonly type?: ClaimType | undefined;
  readonly patientId?: string | undefined;
  readonly providerId?: string | undefined;
  readonly insurerId?: string | undefined;
}

export interface ClaimFilter extends ClaimTraits {
  /** Filed at this time or later, and before `to`: milliseconds since the epoch. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly named?: NamedClaims | undefined;
}

/** Claims whose id, or whose hash at core, lies in `[from, to)`. */
export interface NamedClaims {
  readonly by: "claimId" | "requestIdHash";
  readonly from: string;
  readonly to: string;
}

/** Fewer signs would name too many claims to sort. */
const MIN_SIGNS = 6;
/** After every sign of an id or hash in byte order. */
const AFTER = "~";

/** @param q a claim's id or its hash at core, or the beginning of one. @returns undefined when it can be neither. */
export function namedBy(q: string): NamedClaims | undefined {
  const text = q.trim().toLowerCase();
  const id = /^clm_[a-z0-9_]*$/.test(text) ? text : undefined;
  const hex = /^(?:0x)?([0-9a-f]{1,64})$/.exec(text)?.[1];
  if (id !== undefined && id.length >= "clm_".length + MIN_SIGNS) {
    return { by: "claimId", from: id, to: `${id}${AFTER}` };
  }
  if (hex !== undefined && hex.length >= MIN_SIGNS) {
    return { by: "requestIdHash", from: `0x${hex}`, to: `0x${hex}${AFTER}` };
  }
  return undefined;
}

export type ClaimIndex =
  | "claims_clinic"
  | "claims_type"
  | "claims_insurer"
  | "claims_provider"
  | "claims_status"
  | "claims_patient"
  | "claims_request_hash"
  | "primary key";

/**
 * The index to walk. A patient has few claims, whatever else is asked; the others keep the columns of the remaining filters
 * beside the key, so that what does not match is passed over within the index. Without statistics, which D1 does not keep by
 * itself, the planner would guess.
 */
export function indexFor(filter: ClaimFilter): ClaimIndex {
  if (filter.named !== undefined) return filter.named.by === "claimId" ? "primary key" : "claims_request_hash";
  if (filter.patientId !== undefined) return "claims_patient";
  if (filter.status !== undefined) return "claims_status";
  if (filter.providerId !== undefined) return "claims_provider";
  if (filter.insurerId !== undefined) return "claims_insurer";
  return filter.type === undefined ? "claims_clinic" : "claims_type";
}
