/** Rows of `settlements` for tests that need some without the commands that make them. */
import type { OurStatus } from "../../src/settlement/reconciliation/compare.ts";

export interface SettlementSeed {
  readonly refId: string;
  readonly type?: string;
  readonly amountCents?: number;
  readonly currency?: string;
  readonly status?: OurStatus;
  readonly reverses?: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly updatedAt?: number;
}

const VALUES = `ledger_id, ref_id, tenant_id, subject, subject_kind, type, amount_cents, currency, reverses, status, round,
  created_seq, created_at, updated_at`;

/** Many at once; a row that is there is written anew. */
export const seedSettlements = (
  db: D1Database,
  seeds: readonly SettlementSeed[],
  tenantId = "clinic-a",
): Promise<unknown> =>
  db
    .prepare(
      `INSERT OR REPLACE INTO settlements (${VALUES})
       SELECT 'main', value ->> 'refId', ?2, 'subject', 'claim', value ->> 'type', value ->> 'amountCents', value ->> 'currency',
         value ->> 'reverses', value ->> 'status', 0, 1, value ->> 'createdAt', value ->> 'updatedAt' FROM json_each(?1)`,
    )
    .bind(
      JSON.stringify(
        seeds.map(({ createdAt, ...seed }) => ({
          type: "payment",
          amountCents: 12_000,
          currency: "CAD",
          status: "COMPLETED",
          reverses: null,
          createdAt,
          updatedAt: createdAt,
          ...seed,
        })),
      ),
      tenantId,
    )
    .run();

/** For a database without that migration. */
export const SETTLEMENTS_TABLE = `CREATE TABLE IF NOT EXISTS settlements (
  ledger_id TEXT NOT NULL, ref_id TEXT NOT NULL, tenant_id TEXT NOT NULL, subject TEXT NOT NULL, subject_kind TEXT NOT NULL,
  type TEXT NOT NULL, amount_cents INTEGER NOT NULL, currency TEXT NOT NULL, reverses TEXT, status TEXT NOT NULL, reason TEXT,
  operator_transaction_id TEXT, round INTEGER NOT NULL, created_seq INTEGER NOT NULL, started_seq INTEGER, ended_seq INTEGER,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (ledger_id, ref_id))`;
