/** Rows of backups: runs, objects, progress. */
import { rowsOf } from "../platform/rows.store.ts";
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

/** The size of the newest good snapshot; undefined when there is none. */
export async function newestGoodSize(db: D1Database): Promise<number | undefined> {
  const size = await db
    .prepare("SELECT size FROM backup_runs WHERE state = 'good' ORDER BY started_at DESC LIMIT 1")
    .first<number>("size");
  return size ?? undefined;
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
