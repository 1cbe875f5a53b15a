import { and, desc, eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { ediExchanges } from "../schema.ts";
import type { ConnectorName } from "./connector.ts";
import type { EdiExchange, StoredExchange } from "./exchange.ts";

export const exchangeInsert = (db: D1Database, exchange: EdiExchange): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO edi_exchanges (connector, mode, clinic_id, claim_id, transaction_id, direction, kind, message_type,
         outcome, ok, status, duration_ms, size_bytes, message_hash, correlation_id, at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      exchange.connector,
      exchange.mode,
      exchange.clinicId,
      exchange.claimId ?? null,
      exchange.transactionId ?? null,
      exchange.direction,
      exchange.kind,
      exchange.messageType,
      exchange.outcome,
      exchange.ok ? 1 : 0,
      exchange.status ?? null,
      exchange.durationMs ?? null,
      exchange.sizeBytes,
      exchange.messageHash ?? null,
      exchange.correlationId,
      exchange.at,
    );

/** Newest first. @param filter.clinicId undefined: of all clinics. */
export async function listExchanges(
  db: D1Database,
  filter: {
    readonly clinicId: string | undefined;
    readonly connector: ConnectorName | undefined;
    readonly claimId: string | undefined;
  },
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<StoredExchange>> {
  const { limit, after } = page;
  const rows = await drizzle(db)
    .select()
    .from(ediExchanges)
    .where(
      and(
        filter.clinicId === undefined ? undefined : eq(ediExchanges.clinicId, filter.clinicId),
        filter.connector === undefined ? undefined : eq(ediExchanges.connector, filter.connector),
        filter.claimId === undefined ? undefined : eq(ediExchanges.claimId, filter.claimId),
        after === undefined
          ? undefined
          : sql`(${ediExchanges.at}, ${ediExchanges.exchangeId}) < (${after.createdAt}, ${Number(after.id)})`,
      ),
    )
    .orderBy(desc(ediExchanges.at), desc(ediExchanges.exchangeId))
    .limit(limit + 1);
  return cutPage(rows, limit, (row) => ({ createdAt: row.at, id: String(row.exchangeId) }));
}

export interface ConnectorHealth {
  readonly lastExchangeAt: number | undefined;
  /** Whether the newest answer, or its absence, was in order. */
  readonly lastOk: boolean | undefined;
  /** Answers in an hour, and those not in order. */
  readonly answers: number;
  readonly errors: number;
}

/** @param clinicId undefined: of all clinics. */
export async function readHealth(
  db: D1Database,
  connector: ConnectorName,
  clinicId: string | undefined,
  since: number,
): Promise<ConnectorHealth> {
  const row = await db
    .prepare(
      `SELECT COUNT(*) AS answers, COALESCE(SUM(ok = 0), 0) AS errors,
         (SELECT at FROM edi_exchanges WHERE connector = ?1 AND direction = 'in' AND (?2 IS NULL OR clinic_id = ?2)
          ORDER BY at DESC, exchange_id DESC LIMIT 1) AS lastAt,
         (SELECT ok FROM edi_exchanges WHERE connector = ?1 AND direction = 'in' AND (?2 IS NULL OR clinic_id = ?2)
          ORDER BY at DESC, exchange_id DESC LIMIT 1) AS lastOk
       FROM edi_exchanges
       WHERE connector = ?1 AND direction = 'in' AND at >= ?3 AND (?2 IS NULL OR clinic_id = ?2)`,
    )
    .bind(connector, clinicId ?? null, since)
    .first<{ answers: number; errors: number; lastAt: number | null; lastOk: number | null }>();
  return {
    lastExchangeAt: row?.lastAt ?? undefined,
    lastOk: row?.lastOk === null || row?.lastOk === undefined ? undefined : row.lastOk === 1,
    answers: row?.answers ?? 0,
    errors: row?.errors ?? 0,
  };
}

/** Removes exchanges from before `before`. @returns how many. */
export async function pruneExchanges(db: D1Database, before: number, limit: number): Promise<number> {
  const result = await db
    .prepare(
      `DELETE FROM edi_exchanges WHERE exchange_id IN
       (SELECT exchange_id FROM edi_exchanges WHERE at < ? ORDER BY at LIMIT ?)`,
    )
    .bind(before, limit)
    .run();
  return result.meta.changes;
}
