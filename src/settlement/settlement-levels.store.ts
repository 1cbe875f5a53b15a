/** How settlements and reconciliation stand, for the gauges. */

export interface SettlementLevels {
  readonly pending: number;
  readonly processing: number;
  /** Of both: for longer than they should be. */
  readonly stuck: number;
  readonly openItems: number;
  /** 1: the newest run failed. */
  readonly reconciliationFailed: 0 | 1;
}

/** @param stuckSince epoch ms: unfinished from before it. */
export async function readSettlementLevels(
  db: D1Database,
  ledgerId: string,
  stuckSince: number,
): Promise<SettlementLevels> {
  const row = await db
    .prepare(
      `SELECT
         (SELECT COUNT(*) FROM settlements WHERE ledger_id = ?1 AND status = 'PENDING') AS pending,
         (SELECT COUNT(*) FROM settlements WHERE ledger_id = ?1 AND status = 'PROCESSING') AS processing,
         (SELECT COUNT(*) FROM settlements WHERE ledger_id = ?1 AND status IN ('PENDING', 'PROCESSING')
            AND created_at < CAST(?2 AS INTEGER)) AS stuck,
         (SELECT COUNT(*) FROM reconciliation_items WHERE ledger_id = ?1 AND state = 'open') AS openItems,
         COALESCE((SELECT state = 'failed' FROM reconciliation_runs WHERE ledger_id = ?1
            ORDER BY started_at DESC LIMIT 1), 0) AS reconciliationFailed`,
    )
    .bind(ledgerId, stuckSince)
    .first<SettlementLevels>();
  return row ?? { pending: 0, processing: 0, stuck: 0, openItems: 0, reconciliationFailed: 0 };
}
