import { and, asc, desc, eq, lte, or } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { ediTransactions } from "../schema.ts";
import type { ConnectorName } from "./connector.ts";
import type { EdiTransaction } from "./transaction.ts";

const read = (row: typeof ediTransactions.$inferSelect): EdiTransaction => ({
  ...row,
  licenceNumber: row.licenceNumber ?? undefined,
  outcome: row.outcome ?? undefined,
  benefitMinor: row.benefitMinor ?? undefined,
  carrierReference: row.carrierReference ?? undefined,
  nextCheckAt: row.nextCheckAt ?? undefined,
  leaseUntil: row.leaseUntil ?? undefined,
});

export async function findTransaction(db: D1Database, transactionId: string): Promise<EdiTransaction | undefined> {
  const where = eq(ediTransactions.transactionId, transactionId);
  const row = await drizzle(db).select().from(ediTransactions).where(where).get();
  return row === undefined ? undefined : read(row);
}

/** Office sequence numbers begin again after 999,999: of several, the newest. */
export async function findByReference(
  db: D1Database,
  connector: ConnectorName,
  reference: number,
): Promise<EdiTransaction | undefined> {
  const row = await drizzle(db)
    .select()
    .from(ediTransactions)
    .where(and(eq(ediTransactions.connector, connector), eq(ediTransactions.reference, reference)))
    .orderBy(desc(ediTransactions.createdAt))
    .limit(1)
    .get();
  return row === undefined ? undefined : read(row);
}

const CLAIM_LIMIT = 50;

/** Newest first; at most 50. */
export async function listOfClaim(
  db: D1Database,
  clinicId: string,
  claimId: string,
): Promise<readonly EdiTransaction[]> {
  const rows = await drizzle(db)
    .select()
    .from(ediTransactions)
    .where(and(eq(ediTransactions.claimId, claimId), eq(ediTransactions.clinicId, clinicId)))
    .orderBy(desc(ediTransactions.createdAt), desc(ediTransactions.transactionId))
    .limit(CLAIM_LIMIT);
  return rows.map(read);
}

/** Those to ask about now, longest due first, crashed sendings among them. */
export async function listDue(
  db: D1Database,
  connector: ConnectorName,
  mode: EdiTransaction["mode"],
  now: number,
  limit: number,
): Promise<readonly EdiTransaction[]> {
  const due = or(
    lte(ediTransactions.nextCheckAt, now),
    and(eq(ediTransactions.state, "sending"), lte(ediTransactions.leaseUntil, now)),
  );
  const rows = await drizzle(db)
    .select()
    .from(ediTransactions)
    .where(and(due, eq(ediTransactions.connector, connector), eq(ediTransactions.mode, mode)))
    .orderBy(asc(ediTransactions.nextCheckAt), asc(ediTransactions.transactionId))
    .limit(limit);
  return rows.map(read);
}

export const transactionInsert = (db: D1Database, transaction: EdiTransaction): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO edi_transactions (transaction_id, clinic_id, claim_id, claim_type, connector, mode, reference,
         licence_number, state, currency, sends, checks, lease_until, correlation_id, sent_by, version, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      transaction.transactionId,
      transaction.clinicId,
      transaction.claimId,
      transaction.claimType,
      transaction.connector,
      transaction.mode,
      transaction.reference,
      transaction.licenceNumber ?? null,
      transaction.state,
      transaction.currency,
      transaction.sends,
      transaction.checks,
      transaction.leaseUntil ?? null,
      transaction.correlationId,
      transaction.sentBy,
      transaction.version,
      transaction.createdAt,
      transaction.updatedAt,
    );

/** The row must still have the version before `transaction.version`, or the batch fails. */
export const transactionUpdate = (db: D1Database, transaction: EdiTransaction): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE edi_transactions SET state = ?, outcome = ?, benefit_minor = ?, carrier_reference = ?, sends = ?, checks = ?,
         next_check_at = ?, lease_until = ?, version = ?, updated_at = ?
       WHERE transaction_id = ?`,
    )
    .bind(
      transaction.state,
      transaction.outcome ?? null,
      transaction.benefitMinor ?? null,
      transaction.carrierReference ?? null,
      transaction.sends,
      transaction.checks,
      transaction.nextCheckAt ?? null,
      transaction.leaseUntil ?? null,
      transaction.version,
      transaction.updatedAt,
      transaction.transactionId,
    );

/** The next number of a series. @param most after it, 1 comes again. */
export async function nextNumber(db: D1Database, name: string, most: number): Promise<number> {
  const row = await db
    .prepare(
      `INSERT INTO edi_counters (name, value) VALUES (?1, 1)
       ON CONFLICT (name) DO UPDATE SET value = value % ?2 + 1 RETURNING value`,
    )
    .bind(name, most)
    .first<{ value: number }>();
  if (row === null) throw new Error("a counter gave no number");
  return row.value;
}
