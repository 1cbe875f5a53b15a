import { and, asc, eq, isNull, lte, ne } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import { ediSandboxClaims } from "../schema.ts";
import type { ConnectorName } from "./connector.ts";
import type { SandboxClaim } from "./sandbox.ts";

const linesSchema = z.array(z.number().int());

function read(row: typeof ediSandboxClaims.$inferSelect): SandboxClaim {
  const { givenAt: _, ...claim } = row;
  return { ...claim, lines: linesSchema.parse(row.lines) };
}

export async function findSandboxClaim(
  db: D1Database,
  connector: ConnectorName,
  transactionId: string,
): Promise<SandboxClaim | undefined> {
  const row = await drizzle(db)
    .select()
    .from(ediSandboxClaims)
    .where(and(eq(ediSandboxClaims.connector, connector), eq(ediSandboxClaims.transactionId, transactionId)))
    .get();
  return row === undefined ? undefined : read(row);
}

/** The oldest decision of a clinic that was not given out. What was rejected was said at once. */
export async function nextDecision(
  db: D1Database,
  connector: ConnectorName,
  clinicId: string,
  now: number,
): Promise<SandboxClaim | undefined> {
  const row = await drizzle(db)
    .select()
    .from(ediSandboxClaims)
    .where(
      and(
        eq(ediSandboxClaims.connector, connector),
        eq(ediSandboxClaims.clinicId, clinicId),
        isNull(ediSandboxClaims.givenAt),
        lte(ediSandboxClaims.decidedAt, now),
        ne(ediSandboxClaims.decision, "rejected"),
      ),
    )
    .orderBy(asc(ediSandboxClaims.decidedAt), asc(ediSandboxClaims.transactionId))
    .limit(1)
    .get();
  return row === undefined ? undefined : read(row);
}

/** Taken twice is taken once. */
export async function takeSandboxClaim(db: D1Database, claim: SandboxClaim): Promise<void> {
  await db
    .prepare(
      `INSERT INTO edi_sandbox_claims (connector, transaction_id, reference, clinic_id, claim_type, lines, currency,
         carrier_reference, decision, received_at, decided_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    )
    .bind(
      claim.connector,
      claim.transactionId,
      claim.reference,
      claim.clinicId,
      claim.claimType,
      JSON.stringify(claim.lines),
      claim.currency,
      claim.carrierReference,
      claim.decision,
      claim.receivedAt,
      claim.decidedAt,
    )
    .run();
}

export async function markGiven(
  db: D1Database,
  connector: ConnectorName,
  transactionId: string,
  now: number,
): Promise<void> {
  await db
    .prepare("UPDATE edi_sandbox_claims SET given_at = ? WHERE connector = ? AND transaction_id = ?")
    .bind(now, connector, transactionId)
    .run();
}

/**
 * Empties the sandbox: what it took, where its fates stand, and the transactions that wait for it, which nobody would ever
 * answer. @param clinicId undefined: of all clinics. The first two statements' changes are the counts.
 */
export function sandboxReset(
  db: D1Database,
  clinicId: string | undefined,
  now: number,
): readonly [D1PreparedStatement, D1PreparedStatement, D1PreparedStatement] {
  const whose = clinicId ?? null;
  return [
    db.prepare("DELETE FROM edi_sandbox_claims WHERE ?1 IS NULL OR clinic_id = ?1").bind(whose),
    db
      .prepare(
        `UPDATE edi_transactions SET state = 'rejected', outcome = 'sandbox_reset', next_check_at = NULL, lease_until = NULL,
           version = version + 1, updated_at = ?2
         WHERE mode = 'sandbox' AND state NOT IN ('adjudicated', 'rejected') AND (?1 IS NULL OR clinic_id = ?1)`,
      )
      .bind(whose, now),
    db
      .prepare(
        `DELETE FROM edi_counters WHERE (?1 IS NULL AND name LIKE 'sandbox:%')
           OR (?1 IS NOT NULL AND name IN ('sandbox:cdanet:' || ?1, 'sandbox:eclaims:' || ?1, 'sandbox:portal:' || ?1))`,
      )
      .bind(whose),
  ];
}
