/** Reads of claims. */
import type { SealedValue } from "../platform/keyring.ts";
import type { ClaimState } from "./claim.ts";
import { type ClaimRow, claimFromRow } from "./projection-rows.ts";
import { type KeyColumns, wrappedKeyFrom } from "./subject-rows.ts";

export interface FoundClaim {
  readonly claim: ClaimState;
  /** Undefined when the claim was erased. */
  readonly wrappedKey: SealedValue | undefined;
}

export async function findClaim(
  db: D1Database,
  ledgerId: string,
  tenantId: string,
  claimId: string,
): Promise<FoundClaim | undefined> {
  const row = await db
    .prepare(
      `SELECT c.*, k.master_key_id, k.wrapped FROM claims AS c
       LEFT JOIN payload_keys AS k ON k.ledger_id = c.ledger_id AND k.subject_seq = c.created_seq
       WHERE c.ledger_id = ? AND c.tenant_id = ? AND c.claim_id = ?`,
    )
    .bind(ledgerId, tenantId, claimId)
    .first<ClaimRow & KeyColumns>();
  return row === null ? undefined : { claim: claimFromRow(row), wrappedKey: wrappedKeyFrom(row) };
}
