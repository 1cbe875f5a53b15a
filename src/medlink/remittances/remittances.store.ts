import { and, asc, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { formatMoney } from "../../platform/money.ts";
import { nextEventId, writesEvents } from "../claims/claims.store.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { claims, remittanceLines, remittances } from "../schema.ts";
import { MAX_LINES, type PaidClaim, type Remittance, type RemittanceLine } from "./remittance.ts";

/** What the database says when a claim would be paid more than it asks: another remittance was faster. */
export const isOverpaid = (thrown: unknown): boolean =>
  thrown instanceof Error && thrown.message.includes("remittance: more than the claim");

/** The claims of this clinic that are named, and what was paid for each before. */
export async function readPaidClaims(
  db: D1Database,
  clinicId: string,
  claimIds: readonly string[],
): Promise<{ readonly claims: ReadonlyMap<string, PaidClaim>; readonly paidBefore: ReadonlyMap<string, number> }> {
  const named = JSON.stringify(claimIds);
  const [found, paid] = await drizzle(db).batch([
    drizzle(db)
      .select({
        claimId: claims.claimId,
        insurerId: claims.insurerId,
        type: claims.type,
        status: claims.status,
        minor: claims.amountMinor,
        currency: claims.currency,
      })
      .from(claims)
      .where(and(eq(claims.clinicId, clinicId), sql`${claims.claimId} IN (SELECT value FROM json_each(${named}))`)),
    drizzle(db)
      .select({ claimId: remittanceLines.claimId, paidMinor: sql<number>`SUM(${remittanceLines.paidMinor})` })
      .from(remittanceLines)
      .where(
        and(
          eq(remittanceLines.clinicId, clinicId),
          sql`${remittanceLines.claimId} IN (SELECT value FROM json_each(${named}))`,
        ),
      )
      .groupBy(remittanceLines.claimId),
  ]);
  return {
    claims: new Map(
      found.map(({ minor, currency, ...claim }) => [claim.claimId, { ...claim, amount: { minor, currency } }]),
    ),
    paidBefore: new Map(paid.map(({ claimId, paidMinor }) => [claimId, paidMinor])),
  };
}

/** The remittance with all its lines, and a line in the timeline of each claim. */
export function remittanceInsert(db: D1Database, remittance: Remittance): readonly D1PreparedStatement[] {
  const { remittanceId, clinicId, total, createdBy, createdAt } = remittance;
  const lines = JSON.stringify(remittance.lines.map(({ claimId, paidMinor }) => [claimId, paidMinor]));
  return [
    db
      .prepare(
        `INSERT INTO remittances (remittance_id, clinic_id, insurer_id, reference, paid_on, total_minor, currency,
           created_by, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .bind(
        remittanceId,
        clinicId,
        remittance.insurerId,
        remittance.reference,
        remittance.paidOn,
        total.minor,
        total.currency,
        createdBy,
        createdAt,
      ),
    db
      .prepare(
        `INSERT INTO remittance_lines (remittance_id, claim_id, clinic_id, paid_minor)
         SELECT ?1, value ->> 0, ?2, value ->> 1 FROM json_each(?3)`,
      )
      .bind(remittanceId, clinicId, lines),
    writesEvents(
      "remitted",
      db
        .prepare(
          `INSERT INTO claim_events (claim_id, claim_event_id, clinic_id, kind, status, actor, detail, at)
           SELECT claim_id, ${nextEventId("claims.claim_id")}, clinic_id, 'remitted', status, ?2, ?1, ?3 FROM claims
           WHERE claim_id IN (SELECT value ->> 0 FROM json_each(?4))`,
        )
        .bind(remittanceId, createdBy, createdAt, lines),
    ),
  ];
}

type Row = typeof remittances.$inferSelect;

const toRemittance = (row: Row, lines: readonly RemittanceLine[]): Remittance => {
  const { totalMinor, currency, ...rest } = row;
  return { ...rest, total: { minor: totalMinor, currency }, lines };
};

async function withLines(db: D1Database, row: Row | undefined): Promise<Remittance | undefined> {
  if (row === undefined) return undefined;
  const lines = await drizzle(db)
    .select({ claimId: remittanceLines.claimId, paidMinor: remittanceLines.paidMinor })
    .from(remittanceLines)
    .where(eq(remittanceLines.remittanceId, row.remittanceId))
    .orderBy(asc(remittanceLines.claimId))
    .limit(MAX_LINES);
  return toRemittance(row, lines);
}

export async function findRemittance(
  db: D1Database,
  clinicId: string,
  remittanceId: string,
): Promise<Remittance | undefined> {
  const row = await drizzle(db)
    .select()
    .from(remittances)
    .where(and(eq(remittances.remittanceId, remittanceId), eq(remittances.clinicId, clinicId)))
    .get();
  return withLines(db, row);
}

/** The payment that an insurer gave this number. */
export async function findByReference(
  db: D1Database,
  clinicId: string,
  insurerId: string,
  reference: string,
): Promise<Remittance | undefined> {
  const row = await drizzle(db)
    .select()
    .from(remittances)
    .where(
      and(
        eq(remittances.clinicId, clinicId),
        eq(remittances.insurerId, insurerId),
        eq(remittances.reference, reference),
      ),
    )
    .get();
  return withLines(db, row);
}

/** Newest first, without their lines. */
export async function listRemittances(
  db: D1Database,
  clinicId: string,
  query: {
    readonly limit: number;
    readonly after: PageKey | undefined;
    readonly insurerId: string | undefined;
    readonly claimId: string | undefined;
  },
): Promise<Page<Omit<Remittance, "lines">>> {
  const { limit, after, insurerId, claimId } = query;
  const rows = await drizzle(db)
    .select()
    .from(remittances)
    .where(
      and(
        eq(remittances.clinicId, clinicId),
        insurerId === undefined ? undefined : eq(remittances.insurerId, insurerId),
        claimId === undefined
          ? undefined
          : sql`${remittances.remittanceId} IN (SELECT remittance_id FROM remittance_lines WHERE claim_id = ${claimId})`,
        after === undefined
          ? undefined
          : sql`(${remittances.createdAt}, ${remittances.remittanceId}) < (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(desc(remittances.createdAt), desc(remittances.remittanceId))
    .limit(limit + 1);
  const page = cutPage(rows, limit, (row) => ({ createdAt: row.createdAt, id: row.remittanceId }));
  return { ...page, items: page.items.map((row) => toRemittance(row, [])) };
}

/** What was paid for one claim, oldest first. */
export async function findPayments(
  db: D1Database,
  clinicId: string,
  claimId: string,
): Promise<readonly { readonly remittanceId: string; readonly paidOn: string; readonly paid: string }[]> {
  const rows = await drizzle(db)
    .select({
      remittanceId: remittances.remittanceId,
      paidOn: remittances.paidOn,
      minor: remittanceLines.paidMinor,
      currency: remittances.currency,
    })
    .from(remittanceLines)
    .innerJoin(remittances, eq(remittances.remittanceId, remittanceLines.remittanceId))
    .where(and(eq(remittanceLines.claimId, claimId), eq(remittanceLines.clinicId, clinicId)))
    .orderBy(asc(remittances.createdAt))
    .limit(MAX_LINES);
  return rows.map(({ minor, currency, ...row }) => ({ ...row, paid: formatMoney({ minor, currency }) }));
}
