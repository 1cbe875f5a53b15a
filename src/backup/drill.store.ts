/** Rows of drills, and the database that they restore into. */
import { rowsOf } from "../platform/rows.store.ts";

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

/** Drills that have gone on for too long. */
export async function failStaleDrills(db: D1Database, before: number, now: number): Promise<void> {
  await db
    .prepare(
      `UPDATE backup_drills SET state = 'failed', reason = 'it did not end within a day', cursor = '', finished_at = ?2
       WHERE state = 'running' AND started_at < ?1`,
    )
    .bind(before, now)
    .run();
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

export interface RecordedTree {
  readonly size: number;
  readonly rootHash: string;
}

export interface RecordedPromises {
  /** The newest that the backup must reach: the bucket holds its entries, or it was signed before `before`. */
  readonly checkpoint: RecordedTree | undefined;
  /** The newest confirmed anchor, by the same rule. */
  readonly anchor: RecordedTree | undefined;
  /** The size of the newest checkpoint of all. */
  readonly newestSize: number;
}

/**
 * What this ledger has promised to the world, as far as its backup must hold it.
 * @param covered entries that the bucket holds.
 * @param before epoch ms: what is younger may be ahead of the backup by the recovery point that is promised.
 */
export async function recordedPromises(
  db: D1Database,
  ledgerId: string,
  covered: number,
  before: number,
): Promise<RecordedPromises> {
  const [checkpoints, anchors, newest] = await db.batch<unknown>([
    db
      .prepare(
        `SELECT size, root_hash AS rootHash FROM checkpoints WHERE ledger_id = ?1 AND (size <= ?2 OR signed_at <= ?3)
         ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId, covered, before),
    db
      .prepare(
        `SELECT size, root_hash AS rootHash FROM anchors WHERE ledger_id = ?1 AND state = 'confirmed'
         AND (size <= ?2 OR confirmed_at <= ?3) ORDER BY size DESC LIMIT 1`,
      )
      .bind(ledgerId, covered, before),
    db.prepare("SELECT size FROM checkpoints WHERE ledger_id = ?1 ORDER BY size DESC LIMIT 1").bind(ledgerId),
  ]);
  return {
    checkpoint: rowsOf<RecordedTree>(checkpoints)[0],
    anchor: rowsOf<RecordedTree>(anchors)[0],
    newestSize: rowsOf<{ size: number }>(newest)[0]?.size ?? 0,
  };
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
