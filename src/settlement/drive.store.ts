/** The rows that say what is to be done at the operator: leased with fencing, so that two isolates never hold one at once. */
import { DRIVE_ANSWERS, type Drive } from "./drive.ts";
import type { SettlementState } from "./settlement.ts";
import { type SettlementRow, settlementFromRow } from "./settlement-row.ts";

/** Longer than any call to the operator takes, its wait for a permit included, by more than that call may come late. */
export const LEASE_MS = 240_000;

export interface LeasedDrive {
  readonly drive: Drive;
  readonly settlement: SettlementState;
}

interface DriveRow {
  readonly ref_id: string;
  readonly tenant_id: string;
  readonly correlation_id: string;
  readonly lease_token: number;
  readonly in_doubt: number;
  readonly sends: number;
  readonly waits: number;
  readonly last_answer: string | null;
}

const driveFromRow = (row: DriveRow): Drive => ({
  refId: row.ref_id,
  tenantId: row.tenant_id,
  correlationId: row.correlation_id,
  token: row.lease_token,
  inDoubt: row.in_doubt === 1,
  sends: row.sends,
  waits: row.waits,
  lastAnswer: DRIVE_ANSWERS.find((answer) => answer === row.last_answer),
});

// Each clinic's longest due, one of each after the other: a clinic with thousands does not hold up one with a few.
const PICK = `SELECT picked.ref_id FROM (
    SELECT d.ref_id, d.due_at, ROW_NUMBER() OVER (PARTITION BY d.tenant_id ORDER BY d.due_at, d.ref_id) AS turn
    FROM tenants AS t CROSS JOIN settlement_drives AS d ON d.ledger_id = ?1 AND d.ref_id IN (
      SELECT own.ref_id FROM settlement_drives AS own INDEXED BY settlement_drives_due
      WHERE own.ledger_id = ?1 AND own.tenant_id = t.tenant_id AND own.due_at <= ?2 ORDER BY own.due_at LIMIT ?3)
  ) AS picked ORDER BY picked.turn, picked.due_at LIMIT ?3`;

/**
 * Leases what is due, fairly between clinics, at most `limit`; whatever lease there was has run out.
 * @param now epoch ms.
 */
export async function leaseDrives(
  db: D1Database,
  ledgerId: string,
  now: number,
  limit: number,
): Promise<readonly LeasedDrive[]> {
  const leased = await db
    .prepare(
      `UPDATE settlement_drives SET due_at = ?4, lease_token = lease_token + 1
       WHERE ledger_id = ?1 AND due_at <= ?2 AND ref_id IN (${PICK})
       RETURNING ref_id, tenant_id, correlation_id, lease_token, in_doubt, sends, waits, last_answer`,
    )
    .bind(ledgerId, now, limit, now + LEASE_MS)
    .all<DriveRow>();
  if (leased.results.length === 0) return [];
  const drives = new Map(leased.results.map((row) => [row.ref_id, driveFromRow(row)]));
  const { results } = await db
    .prepare(
      `SELECT s.* FROM json_each(?2) AS k CROSS JOIN settlements AS s ON s.ledger_id = ?1 AND s.ref_id = k.value`,
    )
    .bind(ledgerId, JSON.stringify([...drives.keys()]))
    .all<SettlementRow>();
  return results.flatMap((row) => {
    const drive = drives.get(row.ref_id);
    return drive === undefined ? [] : [{ drive, settlement: settlementFromRow(row) }];
  });
}

/**
 * Says, before the operator is called, that it may take effect from now on. The lease begins anew, so that it outlasts the call.
 * @returns false when the lease is no longer ours: it must not be called.
 */
export async function beginCall(
  db: D1Database,
  ledgerId: string,
  { refId, token }: Drive,
  call: "send" | "ask",
  now: number,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE settlement_drives SET asked_at = ?4, due_at = ?6, in_doubt = CASE ?5 WHEN 'send' THEN 1 ELSE in_doubt END
       WHERE ledger_id = ?1 AND ref_id = ?2 AND lease_token = ?3 AND due_at > ?4`,
    )
    .bind(ledgerId, refId, token, now, call, now + LEASE_MS)
    .run();
  return meta.changes === 1;
}

/** What is known now, and when to look again. Under a token that is not the row's any more it changes nothing. */
export async function saveDrive(
  db: D1Database,
  ledgerId: string,
  { refId, token, inDoubt, sends, waits, lastAnswer }: Drive,
  dueAt: number,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE settlement_drives SET due_at = ?4, in_doubt = ?5, sends = ?6, waits = ?7, last_answer = ?8
       WHERE ledger_id = ?1 AND ref_id = ?2 AND lease_token = ?3 AND due_at IS NOT NULL`,
    )
    .bind(ledgerId, refId, token, dueAt, inDoubt ? 1 : 0, sends, waits, lastAnswer ?? null)
    .run();
  return meta.changes === 1;
}

/** A settlement that is decided is not driven: where its row still says so, it is put right. */
export async function endDrive(db: D1Database, ledgerId: string, { refId, token }: Drive): Promise<void> {
  await db
    .prepare("UPDATE settlement_drives SET due_at = NULL WHERE ledger_id = ? AND ref_id = ? AND lease_token = ?")
    .bind(ledgerId, refId, token)
    .run();
}

/** When the next is due; undefined: nothing is under way. */
export async function nextDriveDue(db: D1Database, ledgerId: string): Promise<number | undefined> {
  const due = await db
    .prepare(
      `SELECT MIN((SELECT MIN(d.due_at) FROM settlement_drives AS d INDEXED BY settlement_drives_due
         WHERE d.ledger_id = ?1 AND d.tenant_id = t.tenant_id AND d.due_at IS NOT NULL)) AS due FROM tenants AS t`,
    )
    .bind(ledgerId)
    .first<number>("due");
  return due ?? undefined;
}

/** Under way for so long that someone should know: PENDING or PROCESSING since before `before`. */
export async function countStuck(db: D1Database, ledgerId: string, before: number): Promise<number> {
  const count = await db
    .prepare(
      `SELECT COUNT(*) AS n FROM settlements INDEXED BY settlements_status
       WHERE ledger_id = ? AND status IN ('PENDING', 'PROCESSING') AND updated_at < ?`,
    )
    .bind(ledgerId, before)
    .first<number>("n");
  return count ?? 0;
}

/**
 * Settlements under way that no row drives, which no commit leaves behind: driven from now on, and asked about first.
 * @returns how many, at most `limit`.
 */
export async function driveUndriven(
  db: D1Database,
  ledgerId: string,
  before: number,
  now: number,
  limit: number,
): Promise<number> {
  const { meta } = await db
    .prepare(
      `INSERT INTO settlement_drives (ledger_id, ref_id, tenant_id, correlation_id, due_at, in_doubt)
       SELECT s.ledger_id, s.ref_id, s.tenant_id, 'sweep', ?3, 1 FROM settlements AS s INDEXED BY settlements_status
       WHERE s.ledger_id = ?1 AND s.status IN ('PENDING', 'PROCESSING') AND s.updated_at < ?2
         AND NOT EXISTS (SELECT 1 FROM settlement_drives AS d
           WHERE d.ledger_id = s.ledger_id AND d.ref_id = s.ref_id AND d.due_at IS NOT NULL)
       LIMIT ?4
       ON CONFLICT (ledger_id, ref_id) DO UPDATE SET due_at = excluded.due_at, in_doubt = 1, lease_token = lease_token + 1`,
    )
    .bind(ledgerId, before, now, limit)
    .run();
  return meta.changes;
}

/** For those who look into one settlement. */
export interface ShownDrive {
  readonly correlationId: string;
  /** Epoch ms. */
  readonly dueAt: number | null;
  readonly inDoubt: boolean;
  readonly sends: number;
  readonly waits: number;
  readonly lastAnswer: string | null;
  /** Epoch ms. */
  readonly askedAt: number | null;
}

export async function findDrive(db: D1Database, ledgerId: string, refId: string): Promise<ShownDrive | undefined> {
  const row = await db
    .prepare(
      `SELECT correlation_id, due_at, in_doubt, sends, waits, last_answer, asked_at FROM settlement_drives
       WHERE ledger_id = ? AND ref_id = ?`,
    )
    .bind(ledgerId, refId)
    .first<Omit<DriveRow, "ref_id"> & { readonly due_at: number | null; readonly asked_at: number | null }>();
  return row === null
    ? undefined
    : {
        correlationId: row.correlation_id,
        dueAt: row.due_at,
        inDoubt: row.in_doubt === 1,
        sends: row.sends,
        waits: row.waits,
        lastAnswer: row.last_answer,
        askedAt: row.asked_at,
      };
}
