/** Rows of backups: runs, objects, progress, drills; and what a snapshot reads of every other table. */
import type { CopiedTable } from "./catalogue.ts";
import type { RunRow } from "./run.ts";
import type { FileKind, Range } from "./segments.ts";

const RUN = `name, kind, state, fence, cursor, size, started_at AS startedAt, finished_at AS finishedAt, files, bytes,
  new_files AS newFiles, new_bytes AS newBytes, manifest_sha256 AS manifestSha256, reason`;

export interface StoredObject {
  readonly path: string;
  readonly kind: FileKind;
  readonly table: string | null;
  readonly from: number | null;
  readonly to: number | null;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

const OBJECT =
  "o.path, o.kind, o.table_name AS 'table', o.from_seq AS 'from', o.to_seq AS 'to', o.rows, o.bytes, o.sha256";

/** What the ledger was when the run began, all of one moment. */
export interface LedgerFacts {
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  readonly lastAt: string;
  readonly checkpoint: { readonly size: number; readonly rootHash: string; readonly note: string } | null;
  readonly anchor: {
    readonly size: number;
    readonly rootHash: string;
    readonly chainId: number;
    readonly contractAddress: string;
    readonly txHash: string;
    readonly blockNumber: number | null;
    readonly blockHash: string | null;
  } | null;
}

const rowsOf = <Row>(result: D1Result<unknown> | undefined): readonly Row[] => {
  if (result?.results === undefined) throw new Error("a read failed");
  // The rows are those of the statement that was asked, as its caller says.
  return result.results as readonly Row[];
};

export async function readLedgerFacts(db: D1Database, ledgerId: string): Promise<LedgerFacts | undefined> {
  const size = "(SELECT size FROM ledger_heads WHERE ledger_id = ?1)";
  const [heads, checkpoints, anchors] = await db.batch<unknown>([
    db
      .prepare(
        `SELECT size, head_hash AS headHash, root_hash AS rootHash, last_at AS lastAt FROM ledger_heads WHERE ledger_id = ?1`,
      )
      .bind(ledgerId),
    db
      .prepare(
        `SELECT size, root_hash AS rootHash, note FROM checkpoints WHERE ledger_id = ?1 AND size <= ${size}
         ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId),
    db
      .prepare(
        `SELECT size, root_hash AS rootHash, chain_id AS chainId, contract_address AS contractAddress, tx_hash AS txHash,
           block_number AS blockNumber, block_hash AS blockHash
         FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed' AND size <= ${size} ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId),
  ]);
  const [head] = rowsOf<Pick<LedgerFacts, "size" | "headHash" | "rootHash" | "lastAt">>(heads);
  if (head === undefined) return undefined;
  const [checkpoint = null] = rowsOf<NonNullable<LedgerFacts["checkpoint"]>>(checkpoints);
  const [anchor = null] = rowsOf<NonNullable<LedgerFacts["anchor"]>>(anchors);
  return { ...head, checkpoint, anchor };
}

/** Names of the migrations that were applied; none where that is not recorded. */
export async function appliedMigrations(db: D1Database): Promise<readonly string[]> {
  const table = await db.prepare("SELECT name FROM sqlite_schema WHERE name = 'd1_migrations'").first();
  if (table === null) return [];
  const { results } = await db.prepare("SELECT name FROM d1_migrations ORDER BY id").all<{ name: string }>();
  return results.map(({ name }) => name);
}

export interface NewRun {
  readonly name: string;
  readonly kind: "nightly" | "command";
  readonly cursor: string;
  readonly size: number;
  readonly now: number;
}

/** @returns whether it begins: not while another runs, and not under a name that was used. */
export async function insertRun(db: D1Database, run: NewRun): Promise<boolean> {
  await db
    .prepare(
      `INSERT INTO backup_progress (singleton, sealed_to, position, tail_to, tail_outbox, damaged)
       VALUES (1, 0, '', 0, 0, 0) ON CONFLICT DO NOTHING`,
    )
    .run();
  const { results } = await db
    .prepare(
      `INSERT INTO backup_runs (name, kind, state, fence, lease_until, cursor, size, started_at)
       SELECT ?1, ?2, 'running', 0, 0, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM backup_runs WHERE state = 'running')
       ON CONFLICT DO NOTHING RETURNING name`,
    )
    .bind(run.name, run.kind, run.cursor, run.size, run.now)
    .all();
  return results.length === 1;
}

/** Takes up a run that nobody holds. @returns undefined when there is nothing to take up. */
export async function takeRun(
  db: D1Database,
  name: string | undefined,
  now: number,
  leaseMs: number,
): Promise<RunRow | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE backup_runs SET fence = fence + 1, lease_until = ?2 + ?3
       WHERE state = 'running' AND lease_until <= ?2 AND name = COALESCE(?1, name) RETURNING ${RUN}`,
    )
    .bind(name ?? null, now, leaseMs)
    .all<RunRow>();
  return results[0];
}

export async function releaseRun(db: D1Database, name: string, fence: number): Promise<void> {
  await db.prepare("UPDATE backup_runs SET lease_until = 0 WHERE name = ? AND fence = ?").bind(name, fence).run();
}

export async function findRun(db: D1Database, name: string): Promise<RunRow | undefined> {
  return (await db.prepare(`SELECT ${RUN} FROM backup_runs WHERE name = ?`).bind(name).first<RunRow>()) ?? undefined;
}

export async function listRuns(db: D1Database, limit: number): Promise<readonly RunRow[]> {
  const { results } = await db
    .prepare(`SELECT ${RUN} FROM backup_runs ORDER BY started_at DESC LIMIT ?`)
    .bind(limit)
    .all<RunRow>();
  return results;
}

export interface NewObject {
  readonly path: string;
  readonly kind: FileKind;
  readonly table?: string | undefined;
  readonly range?: Range | undefined;
  readonly sealed: boolean;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly masterKeyId?: string | undefined;
  /** false: an earlier snapshot wrote it. */
  readonly fresh: boolean;
}

export interface Step {
  readonly cursor: string;
  /** What this step is made of, written and read back now or before. */
  readonly written: readonly NewObject[];
  /** Of the run: paths in their places. */
  readonly files: readonly { readonly place: number; readonly path: string }[];
  readonly progress?: { readonly sealedTo: number; readonly position: string };
  /** Keys files that these replace. */
  readonly forget?: readonly string[];
}

/** One batch. @returns false: the run was taken over, and nothing of this step is kept. */
export async function saveStep(
  db: D1Database,
  run: { readonly name: string; readonly fence: number },
  step: Step,
  now: number,
  leaseMs: number,
): Promise<boolean> {
  const held = "EXISTS (SELECT 1 FROM backup_runs WHERE name = ?1 AND fence = ?2 AND state = 'running')";
  const { written } = step;
  const fresh = written.filter((object) => object.fresh);
  const statements = [
    db
      .prepare(
        `UPDATE backup_runs SET cursor = ?3, lease_until = ?4, new_files = new_files + ?5, new_bytes = new_bytes + ?6
         WHERE name = ?1 AND fence = ?2 AND state = 'running' RETURNING name`,
      )
      .bind(
        run.name,
        run.fence,
        step.cursor,
        now + leaseMs,
        fresh.length,
        fresh.reduce((sum, { bytes }) => sum + bytes, 0),
      ),
  ];
  if (written.length > 0) {
    const rows = written.map((object) => [
      object.path,
      object.kind,
      object.table ?? null,
      object.range?.from ?? null,
      object.range?.to ?? null,
      object.sealed ? 1 : 0,
      object.rows,
      object.bytes,
      object.sha256,
      object.masterKeyId ?? null,
    ]);
    statements.push(
      db
        .prepare(
          `INSERT INTO backup_objects
             (path, kind, table_name, from_seq, to_seq, sealed, rows, bytes, sha256, master_key_id, written_at, checked_at)
           SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
             value ->> 8, value ->> 9, ?4, ?4
           FROM json_each(?3) WHERE ${held}
           ON CONFLICT (path) DO UPDATE SET sealed = MAX(sealed, excluded.sealed)`,
        )
        .bind(run.name, run.fence, JSON.stringify(rows), now),
    );
  }
  if (step.files.length > 0) {
    const rows = step.files.map(({ place, path }) => [place, path]);
    statements.push(
      db
        .prepare(
          `INSERT INTO backup_files (name, place, path) SELECT ?1, value ->> 0, value ->> 1 FROM json_each(?3)
           WHERE ${held} ON CONFLICT DO NOTHING`,
        )
        .bind(run.name, run.fence, JSON.stringify(rows)),
    );
  }
  if (step.progress !== undefined) {
    // Sealed anew after one of its files was damaged: what has other bytes now is of the snapshots before alone.
    statements.push(
      db
        .prepare(
          `UPDATE backup_objects SET sealed = 0 WHERE sealed = 1 AND to_seq = ?3
             AND path NOT IN (SELECT value FROM json_each(?4)) AND ${held}`,
        )
        .bind(run.name, run.fence, step.progress.sealedTo, JSON.stringify(written.map(({ path }) => path))),
    );
    statements.push(
      db
        .prepare(`UPDATE backup_progress SET sealed_to = ?3, position = ?4 WHERE ${held}`)
        .bind(run.name, run.fence, step.progress.sealedTo, step.progress.position),
    );
  }
  if (step.forget !== undefined && step.forget.length > 0) {
    statements.push(
      db
        .prepare(`DELETE FROM backup_objects WHERE path IN (SELECT value FROM json_each(?3)) AND ${held}`)
        .bind(run.name, run.fence, JSON.stringify(step.forget)),
    );
  }
  const [updated] = await db.batch<unknown>(statements);
  return rowsOf(updated).length === 1;
}

export async function endRun(
  db: D1Database,
  run: { readonly name: string; readonly fence: number },
  end: {
    readonly state: "good" | "failed";
    readonly now: number;
    readonly files: number;
    readonly bytes: number;
    readonly manifestSha256: string | null;
    readonly reason: string | null;
  },
): Promise<boolean> {
  const { results } = await db
    .prepare(
      `UPDATE backup_runs SET state = ?3, finished_at = ?4, lease_until = 0, files = ?5, bytes = ?6, manifest_sha256 = ?7,
         reason = ?8 WHERE name = ?1 AND fence = ?2 AND state = 'running' RETURNING name`,
    )
    .bind(run.name, run.fence, end.state, end.now, end.files, end.bytes, end.manifestSha256, end.reason)
    .all();
  return results.length === 1;
}

export interface Progress {
  readonly sealedTo: number;
  /** JSON; empty at the start of the log. */
  readonly position: string;
  readonly tailTo: number;
  readonly tailOutbox: number;
  readonly damaged: number;
}

export async function readProgress(db: D1Database): Promise<Progress> {
  const row = await db
    .prepare(
      "SELECT sealed_to AS sealedTo, position, tail_to AS tailTo, tail_outbox AS tailOutbox, damaged FROM backup_progress",
    )
    .first<Progress>();
  return row ?? NO_PROGRESS;
}

/** Sealing again what is sealed gives the same objects under the same names. */
const NO_PROGRESS: Progress = { sealedTo: 0, position: "", tailTo: 0, tailOutbox: 0, damaged: 0 };

/** Objects by path, of those that are held. */
export async function findObjects(
  db: D1Database,
  paths: readonly string[],
): Promise<ReadonlyMap<string, StoredObject>> {
  const { results } = await db
    .prepare(`SELECT ${OBJECT} FROM json_each(?) AS p CROSS JOIN backup_objects AS o ON o.path = p.value`)
    .bind(JSON.stringify(paths))
    .all<StoredObject>();
  return new Map(results.map((object) => [object.path, object]));
}

/** The files of a snapshot: sealed segments up to `sealedTo`, then the run's own in their places. */
export async function filesOfRun(db: D1Database, name: string, sealedTo: number): Promise<readonly StoredObject[]> {
  const [sealed, own] = await db.batch<unknown>([
    db
      .prepare(
        `SELECT ${OBJECT} FROM backup_objects AS o WHERE o.sealed = 1 AND o.kind IN ('entries', 'payloads')
         AND o.to_seq <= ? ORDER BY o.kind, o.from_seq, o.path`,
      )
      .bind(sealedTo),
    db
      .prepare(
        `SELECT ${OBJECT} FROM backup_files AS f CROSS JOIN backup_objects AS o ON o.path = f.path
         WHERE f.name = ? ORDER BY f.place`,
      )
      .bind(name),
  ]);
  return [...rowsOf<StoredObject>(sealed), ...rowsOf<StoredObject>(own)];
}

export const countFiles = async (db: D1Database, name: string): Promise<number> =>
  (await db.prepare("SELECT COUNT(*) AS n FROM backup_files WHERE name = ?").bind(name).first<number>("n")) ?? 0;

export interface KeysFile extends StoredObject {
  readonly masterKeyId: string | null;
  readonly writtenAt: number;
}

/** The files of wrapped keys that are held. */
export async function keysFiles(db: D1Database): Promise<readonly KeysFile[]> {
  const { results } = await db
    .prepare(
      `SELECT ${OBJECT}, o.master_key_id AS masterKeyId, o.written_at AS writtenAt
       FROM backup_objects AS o WHERE o.kind = 'keys' ORDER BY o.from_seq, o.written_at`,
    )
    .all<KeysFile>();
  return results;
}

/** Objects that were looked at longest ago. */
export async function leastChecked(db: D1Database, before: number, limit: number): Promise<readonly StoredObject[]> {
  const { results } = await db
    .prepare(`SELECT ${OBJECT} FROM backup_objects AS o WHERE o.checked_at < ? ORDER BY o.checked_at LIMIT ?`)
    .bind(before, limit)
    .all<StoredObject>();
  return results;
}

/** @param damaged are forgotten, so that the next snapshot writes them again; a segment's bring the log back to its start. */
export async function saveChecks(
  db: D1Database,
  good: readonly string[],
  damaged: readonly string[],
  now: number,
): Promise<void> {
  const statements = [
    db
      .prepare("UPDATE backup_objects SET checked_at = ?1 WHERE path IN (SELECT value FROM json_each(?2))")
      .bind(now, JSON.stringify(good)),
  ];
  if (damaged.length > 0) {
    const paths = JSON.stringify(damaged);
    statements.push(
      db
        .prepare(
          `UPDATE backup_progress SET damaged = damaged + ?1,
             sealed_to = CASE WHEN EXISTS (SELECT 1 FROM backup_objects WHERE sealed = 1
               AND path IN (SELECT value FROM json_each(?2))) THEN 0 ELSE sealed_to END`,
        )
        .bind(damaged.length, paths),
      db.prepare("DELETE FROM backup_objects WHERE path IN (SELECT value FROM json_each(?))").bind(paths),
    );
  }
  await db.batch(statements);
}

/** Objects that no kept snapshot can have: not sealed, of no run that is kept, and written before `before`. */
export async function unusedObjects(db: D1Database, before: number, limit: number): Promise<readonly string[]> {
  const { results } = await db
    .prepare(
      `SELECT path FROM backup_objects AS o WHERE sealed = 0 AND kind <> 'keys' AND written_at < ?1
         AND NOT EXISTS (SELECT 1 FROM backup_files AS f JOIN backup_runs AS r ON r.name = f.name
           WHERE f.path = o.path AND r.state IN ('running', 'good')) LIMIT ?2`,
    )
    .bind(before, limit)
    .all<{ path: string }>();
  return results.map(({ path }) => path);
}

export async function forgetObjects(db: D1Database, paths: readonly string[]): Promise<void> {
  await db
    .prepare("DELETE FROM backup_objects WHERE path IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(paths))
    .run();
}

export async function expireRun(db: D1Database, name: string): Promise<void> {
  await db.batch([
    db.prepare("UPDATE backup_runs SET state = 'expired' WHERE name = ? AND state <> 'running'").bind(name),
    db.prepare("DELETE FROM backup_files WHERE name = ?").bind(name),
  ]);
}

/** Runs that were not good or whose snapshot is gone, and are old. */
export async function pruneRuns(db: D1Database, before: number): Promise<void> {
  await db.batch([
    db.prepare("DELETE FROM backup_runs WHERE state IN ('failed', 'expired') AND started_at < ?").bind(before),
    db.prepare("DELETE FROM backup_files WHERE name NOT IN (SELECT name FROM backup_runs)"),
    db.prepare("DELETE FROM backup_drills WHERE started_at < ?").bind(before - 366 * 86_400_000),
  ]);
}

/** Runs that have gone on for too long. */
export async function failStaleRuns(db: D1Database, before: number, now: number): Promise<void> {
  await db
    .prepare(
      `UPDATE backup_runs SET state = 'failed', reason = 'it did not end within a day', finished_at = ?2
       WHERE state = 'running' AND started_at < ?1`,
    )
    .bind(before, now)
    .run();
}

export interface EntryLine {
  readonly seq: number;
  readonly hash: string;
  readonly commandId: string;
  readonly commandIndex: number;
  readonly body: string;
}

export async function readEntryLines(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<readonly EntryLine[]> {
  const { results } = await db
    .prepare(
      `SELECT seq, entry_hash AS hash, command_id AS commandId, command_index AS commandIndex, body
       FROM ledger_entries WHERE ledger_id = ? AND seq >= ? AND seq < ? ORDER BY seq`,
    )
    .bind(ledgerId, from, to)
    .all<EntryLine>();
  return results;
}

type Row = Readonly<Record<string, unknown>>;

export const PAYLOADS_OF_RANGE = `SELECT p.* FROM (SELECT DISTINCT subject FROM ledger_entries
    WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3) AS e
  CROSS JOIN payloads AS p ON p.ledger_id = ?1 AND p.subject_seq = (SELECT MIN(seq) FROM ledger_entries AS f
    INDEXED BY ledger_entries_subject WHERE f.ledger_id = ?1 AND f.subject = e.subject)
  ORDER BY p.subject_seq, p.part`;

/**
 * Ciphertext of every subject that an entry of the range is about. A part is committed with an entry of its subject, so the
 * segments together hold every part; one whose entries are in two segments may be in both.
 */
export async function readPayloadRows(db: D1Database, ledgerId: string, { from, to }: Range): Promise<readonly Row[]> {
  const { results } = await db.prepare(PAYLOADS_OF_RANGE).bind(ledgerId, from, to).all<Row>();
  return results;
}

export interface KeyFacts {
  readonly kind: "request" | "claim" | null;
  readonly tenantId: string | null;
  readonly id: string | null;
  readonly amountMinor: number | null;
  readonly currency: string | null;
}

export const KEYS_OF_RANGE = `WITH begun (subject, seq) AS MATERIALIZED (
    SELECT subject, seq FROM ledger_entries AS e WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3
      AND NOT EXISTS (SELECT 1 FROM ledger_entries AS earlier INDEXED BY ledger_entries_subject
        WHERE earlier.ledger_id = ?1 AND earlier.subject = e.subject AND earlier.seq < e.seq))
  SELECT k.*, CASE WHEN r.request_id IS NOT NULL THEN 'request' WHEN c.claim_id IS NOT NULL THEN 'claim' END AS x_kind,
    COALESCE(r.tenant_id, c.tenant_id) AS x_tenant, COALESCE(r.request_id, c.claim_id) AS x_id,
    COALESCE(r.amount_minor, c.amount_minor) AS x_amount, COALESCE(r.currency, c.currency) AS x_currency
  FROM begun CROSS JOIN payload_keys AS k ON k.ledger_id = ?1 AND k.subject_seq = begun.seq
  LEFT JOIN requests AS r ON r.ledger_id = ?1 AND r.submitted_seq = begun.seq
  LEFT JOIN claims AS c ON c.ledger_id = ?1 AND c.created_seq = begun.seq
  ORDER BY begun.seq`;

/** Wrapped keys of the subjects that begin in the range, and what their projections have that no entry says. */
export async function readKeyRows(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<readonly { readonly row: Row; readonly facts: KeyFacts }[]> {
  const { results } = await db.prepare(KEYS_OF_RANGE).bind(ledgerId, from, to).all<Row>();
  return results.map((result) => {
    const { x_kind, x_tenant, x_id, x_amount, x_currency, ...row } = result;
    return {
      row,
      facts: {
        kind: x_kind === "request" || x_kind === "claim" ? x_kind : null,
        tenantId: textOrNull(x_tenant),
        id: textOrNull(x_id),
        amountMinor: typeof x_amount === "number" ? x_amount : null,
        currency: textOrNull(x_currency),
      },
    };
  });
}

const textOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

export interface TableShape {
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

const identifier = (name: string): string => {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new RangeError(`${name} is no name of ours`);
  return `"${name}"`;
};

/** Columns in their order and those of the primary key. @throws Error when there is no such table. */
export async function tableShape(db: D1Database, table: string): Promise<TableShape> {
  const { results } = await db
    .prepare("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")
    .bind(table)
    .all<{ name: string; pk: number }>();
  const key = results.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
  if (results.length === 0 || key.length === 0) throw new Error(`there is no table ${table} with a key`);
  return { columns: results.map(({ name }) => name), key: key.map(({ name }) => name) };
}

/** Rows behind `after` in the order of the key; each as its values in the order of `columns`. */
export async function readTablePage(
  db: D1Database,
  table: CopiedTable,
  shape: TableShape,
  after: readonly unknown[] | null,
  size: number,
  limit: number,
): Promise<readonly (readonly unknown[])[]> {
  const key = shape.key.map(identifier);
  const conditions: string[] = [];
  const values: unknown[] = [];
  if (after !== null) {
    conditions.push(`(${key.join(", ")}) > (${key.map(() => "?").join(", ")})`);
    values.push(...after);
  }
  const { within } = table;
  if (within !== undefined) {
    const column = identifier(within.column);
    conditions.push(`(${column} IS NULL OR ${column} ${within.is === "seq" ? "<" : "<="} ?)`);
    values.push(size);
  }
  const where = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
  const { results } = await db
    .prepare(
      `SELECT ${shape.columns.map(identifier).join(", ")} FROM ${identifier(table.name)} ${where}
       ORDER BY ${key.join(", ")} LIMIT ?`,
    )
    .bind(...values, limit)
    .all<Row>();
  return results.map((row) => shape.columns.map((column) => row[column]));
}

/** @returns false: another turn was there first. */
export async function raiseTail(
  db: D1Database,
  from: number,
  to: { readonly seq: number; readonly outboxId: number },
): Promise<boolean> {
  const { results } = await db
    .prepare(
      `UPDATE backup_progress SET tail_to = ?2, tail_outbox = MAX(tail_outbox, ?3) WHERE tail_to <= ?1 RETURNING tail_to`,
    )
    .bind(from, to.seq, to.outboxId)
    .all();
  return results.length === 1;
}

/** Deliveries of entries below `to` that come after this one, with the columns' names. Their ids rise with the ledger. */
export async function readOutboxAfter(
  db: D1Database,
  ledgerId: string,
  after: number,
  { from, to }: Range,
): Promise<readonly (Row & { readonly outbox_id: number })[]> {
  const { results } = await db
    .prepare(
      "SELECT * FROM outbox WHERE outbox_id > ? AND ledger_id = ? AND seq >= ? AND seq < ? ORDER BY outbox_id LIMIT 10000",
    )
    .bind(after, ledgerId, from, to)
    .all<Row & { outbox_id: number }>();
  return results;
}

/** Settlements that these entries made, as they stand: their amounts are in no entry. */
export const SETTLEMENTS_OF_RANGE =
  "SELECT * FROM settlements WHERE ledger_id = ?1 AND created_seq >= ?2 AND created_seq < ?3";

/** The idempotency keys that made them: who sends again after a restore must not be taken for somebody new. */
export const IDEMPOTENCY_KEYS_OF_RANGE = `SELECT k.* FROM settlements AS s
  CROSS JOIN idempotency_keys AS k INDEXED BY idempotency_keys_effect ON k.effect_id = s.ref_id
  WHERE s.ledger_id = ?1 AND s.created_seq >= ?2 AND s.created_seq < ?3`;

export async function readSettlementRows(
  db: D1Database,
  ledgerId: string,
  { from, to }: Range,
): Promise<{ readonly settlements: readonly Row[]; readonly idempotency: readonly Row[] }> {
  const [settlements, idempotency] = await db.batch<Row>(
    [SETTLEMENTS_OF_RANGE, IDEMPOTENCY_KEYS_OF_RANGE].map((sql) => db.prepare(sql).bind(ledgerId, from, to)),
  );
  return { settlements: settlements?.results ?? [], idempotency: idempotency?.results ?? [] };
}

/** The size of the newest good snapshot; undefined when there is none. */
export async function newestGoodSize(db: D1Database): Promise<number | undefined> {
  const size = await db
    .prepare("SELECT size FROM backup_runs WHERE state = 'good' ORDER BY started_at DESC LIMIT 1")
    .first<number>("size");
  return size ?? undefined;
}

export interface DrillRow {
  readonly drillId: number;
  readonly source: "cron" | "command";
  readonly snapshot: string;
  readonly state: "running" | "good" | "failed";
  readonly fence: number;
  readonly cursor: string;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly entries: number;
  readonly report: string;
  readonly reason: string | null;
}

const DRILL = `drill_id AS drillId, source, snapshot, state, fence, cursor, started_at AS startedAt,
  finished_at AS finishedAt, entries, report, reason`;

export async function listDrills(db: D1Database, limit: number): Promise<readonly DrillRow[]> {
  const { results } = await db
    .prepare(`SELECT ${DRILL} FROM backup_drills ORDER BY started_at DESC LIMIT ?`)
    .bind(limit)
    .all<DrillRow>();
  return results;
}

export interface DrillResult {
  readonly source: "cron" | "command";
  readonly snapshot: string;
  readonly state: "good" | "failed";
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly entries: number;
  /** JSON. */
  readonly report: string;
  readonly reason: string | null;
}

export async function insertDrill(db: D1Database, drill: DrillResult): Promise<void> {
  await db
    .prepare(
      `INSERT INTO backup_drills (source, snapshot, state, started_at, finished_at, entries, report, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      drill.source,
      drill.snapshot,
      drill.state,
      drill.startedAt,
      drill.finishedAt,
      drill.entries,
      drill.report,
      drill.reason,
    )
    .run();
}

/** Of the newest good snapshot and the newest good drill, epoch ms; and what else the gauges show. */
export interface BackupLevels {
  readonly goodAt: number | null;
  readonly goodSize: number | null;
  readonly goodBytes: number | null;
  readonly drillAt: number | null;
  readonly tailTo: number;
  readonly damaged: number;
}

export async function readBackupLevels(db: D1Database): Promise<BackupLevels> {
  const row = await db
    .prepare(
      `SELECT g.started_at AS goodAt, g.size AS goodSize, g.bytes AS goodBytes, p.tail_to AS tailTo, p.damaged,
         (SELECT MAX(started_at) FROM backup_drills WHERE state = 'good') AS drillAt
       FROM backup_progress AS p LEFT JOIN (SELECT started_at, size, bytes FROM backup_runs WHERE state = 'good'
         ORDER BY started_at DESC LIMIT 1) AS g`,
    )
    .first<BackupLevels>();
  return row ?? { goodAt: null, goodSize: null, goodBytes: null, drillAt: null, tailTo: 0, damaged: 0 };
}

/** @returns its id; undefined while another runs. */
export async function beginDrill(
  db: D1Database,
  snapshot: string,
  cursor: string,
  now: number,
): Promise<number | undefined> {
  const { results } = await db
    .prepare(
      `INSERT INTO backup_drills (source, snapshot, state, cursor, started_at)
       SELECT 'cron', ?1, 'running', ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM backup_drills WHERE state = 'running')
       RETURNING drill_id AS drillId`,
    )
    .bind(snapshot, cursor, now)
    .all<{ drillId: number }>();
  return results[0]?.drillId;
}

export async function takeDrill(db: D1Database, now: number, leaseMs: number): Promise<DrillRow | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE backup_drills SET fence = fence + 1, lease_until = ?1 + ?2 WHERE state = 'running' AND lease_until <= ?1
       RETURNING ${DRILL}`,
    )
    .bind(now, leaseMs)
    .all<DrillRow>();
  return results[0];
}

/** @returns false: another turn took it over. */
export async function saveDrill(
  db: D1Database,
  drill: { readonly drillId: number; readonly fence: number },
  next: {
    readonly state: "running" | "good" | "failed";
    readonly cursor: string;
    readonly leaseUntil: number;
    readonly entries: number;
    readonly report: string;
    readonly reason: string | null;
    readonly now: number;
  },
): Promise<boolean> {
  const { results } = await db
    .prepare(
      `UPDATE backup_drills SET state = ?3, cursor = ?4, lease_until = ?5, entries = ?6, report = ?7, reason = ?8,
         finished_at = CASE WHEN ?3 = 'running' THEN NULL ELSE ?9 END
       WHERE drill_id = ?1 AND fence = ?2 AND state = 'running' RETURNING drill_id`,
    )
    .bind(
      drill.drillId,
      drill.fence,
      next.state,
      next.cursor,
      next.leaseUntil,
      next.entries,
      next.report,
      next.reason,
      next.now,
    )
    .all();
  return results.length === 1;
}

/** The largest recorded checkpoint that is not larger than `size`. */
export async function checkpointWithin(
  db: D1Database,
  ledgerId: string,
  size: number,
): Promise<{ readonly size: number; readonly rootHash: string } | undefined> {
  const row = await db
    .prepare(
      `SELECT size, root_hash AS rootHash FROM checkpoints WHERE ledger_id = ? AND size <= ? ORDER BY size DESC LIMIT 1`,
    )
    .bind(ledgerId, size)
    .first<{ size: number; rootHash: string }>();
  return row ?? undefined;
}

interface SchemaRow {
  readonly type: string;
  readonly name: string;
  readonly sql: string | null;
}

async function schemaOf(db: D1Database): Promise<readonly SchemaRow[]> {
  const { results } = await db
    .prepare(
      `SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf%' ESCAPE '\\'
         AND name <> 'd1_migrations' ORDER BY rowid`,
    )
    .all<SchemaRow>();
  return results;
}

/** Stands in a database that drills may empty. */
const MARKER = "restore_scratch";

/**
 * Empties a database that is nobody's, and gives it the tables, indexes and guards of another.
 * @returns false, and nothing is touched, when it has tables and was not made so by an earlier call: it may be somebody's.
 */
export async function copySchema(from: D1Database, to: D1Database): Promise<boolean> {
  const [wanted, there] = await Promise.all([schemaOf(from), schemaOf(to)]);
  if (there.length > 0 && !there.some(({ name }) => name === MARKER)) return false;
  await to.prepare(`CREATE TABLE IF NOT EXISTS ${MARKER} (marker INTEGER)`).run();
  const drop = (type: string) =>
    there
      .filter((row) => row.type === type && row.name !== MARKER)
      .map(({ name }) => to.prepare(`DROP ${type === "table" ? "TABLE" : "TRIGGER"} "${name.replaceAll('"', "")}"`));
  const dropped = [...drop("trigger"), ...drop("table").toReversed()];
  if (dropped.length > 0) await to.batch([to.prepare("PRAGMA defer_foreign_keys = on"), ...dropped]);
  const made = ["table", "index", "trigger"].flatMap((type) =>
    wanted.filter((row) => row.type === type && row.sql !== null).map(({ sql }) => to.prepare(sql ?? "")),
  );
  await to.batch(made);
  return true;
}
