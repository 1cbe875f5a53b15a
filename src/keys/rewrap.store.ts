/** Rows that are sealed under a key, read and written in the order of their keys, with how far a run has come. */

export const REWRAP_KINDS = ["payload-keys", "destinations"] as const;
export type RewrapKind = (typeof REWRAP_KINDS)[number];

export interface RewrapRun {
  readonly kind: RewrapKind;
  readonly toKeyId: string;
  readonly cursor: string;
  readonly examined: number;
  readonly rewrapped: number;
  readonly unreadable: number;
  readonly startedAt: number;
  readonly advancedAt: number;
  readonly finishedAt: number | null;
}

const SELECT_RUNS = `SELECT kind, to_key_id AS toKeyId, cursor, examined, rewrapped, unreadable, started_at AS startedAt,
  advanced_at AS advancedAt, finished_at AS finishedAt FROM rewraps`;

export async function readRewraps(db: D1Database): Promise<readonly RewrapRun[]> {
  return (await db.prepare(`${SELECT_RUNS} ORDER BY kind`).all<RewrapRun>()).results;
}

/** The run to this key, begun now when the last one was to another. */
export async function beginRewrap(db: D1Database, kind: RewrapKind, toKeyId: string, now: number): Promise<RewrapRun> {
  const [, run] = await db.batch<RewrapRun>([
    db
      .prepare(
        `INSERT INTO rewraps (kind, to_key_id, cursor, examined, rewrapped, unreadable, started_at, advanced_at)
         VALUES (?1, ?2, '', 0, 0, 0, ?3, ?3)
         ON CONFLICT (kind) DO UPDATE SET to_key_id = ?2, cursor = '', examined = 0, rewrapped = 0, unreadable = 0,
           started_at = ?3, advanced_at = ?3, finished_at = NULL WHERE rewraps.to_key_id <> ?2`,
      )
      .bind(kind, toKeyId, now),
    db.prepare(`${SELECT_RUNS} WHERE kind = ?1`).bind(kind),
  ]);
  const found = run?.results[0];
  if (found === undefined) throw new Error("a run that was begun is there");
  return found;
}

/** Begins again from the first row, to the same key: for rows that could not be read. */
export async function restartRewrap(db: D1Database, kind: RewrapKind): Promise<void> {
  await db.prepare("DELETE FROM rewraps WHERE kind = ?1").bind(kind).run();
}

export interface SealedRow {
  readonly id: string;
  readonly slot: string;
  readonly keyId: string;
  readonly sealed: string;
}

const SELECT_ROWS: Readonly<Record<RewrapKind, string>> = {
  "payload-keys": `SELECT subject AS id, 'pair' AS slot, master_key_id AS keyId, wrapped AS sealed FROM payload_keys
    WHERE ledger_id = ?1 AND subject > ?2 ORDER BY subject LIMIT ?3`,
  destinations: `WITH page AS (SELECT * FROM destinations WHERE ?1 <> '' AND destination_id > ?2 ORDER BY destination_id LIMIT ?3)
    SELECT destination_id AS id, 'secret' AS slot, wrapping_key_id AS keyId, secret_wrapped AS sealed FROM page
    UNION ALL SELECT destination_id, 'previous', previous_wrapping_key_id, previous_secret_wrapped FROM page
    UNION ALL SELECT destination_id, 'headers', headers_wrapping_key_id, headers_wrapped FROM page ORDER BY 1`,
};

/** Sealed values of the next rows after `after`, in order; a row without any still takes part with a null. */
export async function readSealed(
  db: D1Database,
  kind: RewrapKind,
  ledgerId: string,
  after: string,
  limit: number,
): Promise<
  readonly {
    readonly id: string;
    readonly slot: string;
    readonly keyId: string | null;
    readonly sealed: string | null;
  }[]
> {
  const { results } = await db
    .prepare(SELECT_ROWS[kind])
    .bind(ledgerId, after, limit)
    .all<{ id: string; slot: string; keyId: string | null; sealed: string | null }>();
  return results;
}

export interface ResealedRow extends SealedRow {
  /** What it replaces: a row that changed meanwhile, or was erased, is left as it is. */
  readonly was: string;
}

const REPLACE: Readonly<Record<string, string>> = {
  pair: `UPDATE payload_keys SET master_key_id = n.value ->> 1, wrapped = n.value ->> 2 FROM json_each(?2) AS n
    WHERE payload_keys.ledger_id = ?1 AND payload_keys.subject = n.value ->> 0 AND payload_keys.wrapped = n.value ->> 3`,
  secret: `UPDATE destinations SET wrapping_key_id = n.value ->> 1, secret_wrapped = n.value ->> 2 FROM json_each(?2) AS n
    WHERE ?1 <> '' AND destinations.destination_id = n.value ->> 0 AND destinations.secret_wrapped = n.value ->> 3`,
  previous: `UPDATE destinations SET previous_wrapping_key_id = n.value ->> 1, previous_secret_wrapped = n.value ->> 2
    FROM json_each(?2) AS n
    WHERE ?1 <> '' AND destinations.destination_id = n.value ->> 0 AND destinations.previous_secret_wrapped = n.value ->> 3`,
  headers: `UPDATE destinations SET headers_wrapping_key_id = n.value ->> 1, headers_wrapped = n.value ->> 2
    FROM json_each(?2) AS n
    WHERE ?1 <> '' AND destinations.destination_id = n.value ->> 0 AND destinations.headers_wrapped = n.value ->> 3`,
};

/** Writes a page and where it ended in one transaction; of two that did the same page, the second's progress does not count. */
export async function writeRewrapped(
  db: D1Database,
  ledgerId: string,
  run: RewrapRun,
  rows: readonly ResealedRow[],
  progress: {
    readonly cursor: string;
    readonly examined: number;
    readonly unreadable: number;
    readonly finished: boolean;
  },
  now: number,
): Promise<void> {
  const bySlot = Map.groupBy(rows, ({ slot }) => slot);
  await db.batch([
    ...[...bySlot].flatMap(([slot, group]) => {
      const sql = REPLACE[slot];
      if (sql === undefined) throw new Error(`no such slot: ${slot}`);
      const values = group.map(({ id, keyId, sealed, was }) => [id, keyId, sealed, was]);
      return [db.prepare(sql).bind(ledgerId, JSON.stringify(values))];
    }),
    db
      .prepare(
        `UPDATE rewraps SET cursor = ?3, examined = examined + ?4, rewrapped = rewrapped + ?5, unreadable = unreadable + ?6,
           advanced_at = ?7, finished_at = ?8
         WHERE kind = ?1 AND to_key_id = ?2 AND cursor = ?9 AND finished_at IS NULL`,
      )
      .bind(
        run.kind,
        run.toKeyId,
        progress.cursor,
        progress.examined,
        rows.length,
        progress.unreadable,
        now,
        progress.finished ? now : null,
        run.cursor,
      ),
  ]);
}

export async function replaceLookupKey(
  db: D1Database,
  ledgerId: string,
  keyId: string,
  sealed: string,
  was: string,
): Promise<void> {
  await db
    .prepare("UPDATE id_lookup_keys SET master_key_id = ?2, wrapped = ?3 WHERE ledger_id = ?1 AND wrapped = ?4")
    .bind(ledgerId, keyId, sealed, was)
    .run();
}
