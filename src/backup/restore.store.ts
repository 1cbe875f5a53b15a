/** What a restore writes: entries under their guards, projections made again, every other table row by row. */
import type { Head } from "../ledger/head.ts";
import type { ClaimState } from "../workflow/claim.ts";
import { projectionStatements } from "../workflow/commit.store.ts";
import type { RequestState } from "../workflow/request.ts";
import type { Catalogue } from "./catalogue.ts";
import { type EntryLine, tableShape } from "./source.store.ts";

const identifier = (name: string): string => {
  if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new RangeError(`${name} is no name of ours`);
  return `"${name}"`;
};

/** Tables with rows in them that no migration brought: a restore goes into a clean database only. */
export async function occupiedTables(db: D1Database, catalogue: Catalogue): Promise<readonly string[]> {
  const looked = Object.entries(catalogue).filter(([, table]) => table.class !== "never");
  const results = await db.batch<{ n: number }>(
    looked.map(([name, table]) => {
      const seeded = table.class === "copied" ? (table.seeded ?? 0) : 0;
      return db.prepare(`SELECT COUNT(*) AS n FROM (SELECT 1 FROM ${identifier(name)} LIMIT ${seeded + 1})`);
    }),
  );
  return looked.flatMap(([name, table], i) => {
    const seeded = table.class === "copied" ? (table.seeded ?? 0) : 0;
    return (results[i]?.results[0]?.n ?? 0) > seeded ? [name] : [];
  });
}

/** Takes away the rows that migrations brought; those of the backup take their places. */
export async function removeSeeds(db: D1Database, catalogue: Catalogue): Promise<void> {
  const seeded = Object.entries(catalogue).filter(
    ([, table]) => table.class === "copied" && table.seeded !== undefined,
  );
  if (seeded.length === 0) return;
  await db.batch(seeded.map(([name]) => db.prepare(`DELETE FROM ${identifier(name)}`)));
}

export async function readHeadSize(db: D1Database, ledgerId: string): Promise<number | undefined> {
  const size = await db
    .prepare("SELECT size FROM ledger_heads WHERE ledger_id = ?")
    .bind(ledgerId)
    .first<number>("size");
  return size ?? undefined;
}

export async function insertEmptyHead(db: D1Database, ledgerId: string, head: Head, rootHash: string): Promise<void> {
  await db
    .prepare(
      `INSERT INTO ledger_heads (ledger_id, version, size, head_hash, root_hash, frontier, last_at)
       VALUES (?, 0, 0, ?, ?, '[]', ?)`,
    )
    .bind(ledgerId, head.headHash, rootHash, head.lastAt)
    .run();
}

export interface RestoredHead {
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  /** JSON array of lower-case hex. */
  readonly frontier: string;
  readonly lastAt: string;
}

export interface RestoredEntry extends EntryLine {
  readonly prev: string;
  readonly subject: string;
}

/** One batch, through the guards: the head first, then the entries that it promises. */
export async function insertEntries(
  db: D1Database,
  ledgerId: string,
  head: RestoredHead,
  entries: readonly RestoredEntry[],
): Promise<void> {
  const rows = entries.map((e) => [e.seq, e.hash, e.prev, e.subject, e.commandId, e.commandIndex, e.body]);
  await db.batch([
    db
      .prepare(
        `UPDATE ledger_heads SET version = version + 1, size = ?2, head_hash = ?3, root_hash = ?4, frontier = ?5, last_at = ?6
         WHERE ledger_id = ?1`,
      )
      .bind(ledgerId, head.size, head.headHash, head.rootHash, head.frontier, head.lastAt),
    db
      .prepare(
        `INSERT INTO ledger_entries (ledger_id, seq, entry_hash, prev, subject, command_id, command_index, body)
         SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
         FROM json_each(?2)`,
      )
      .bind(ledgerId, JSON.stringify(rows)),
  ]);
}

/** Of these subjects, those that an entry says were erased. */
export async function erasedSubjects(
  db: D1Database,
  ledgerId: string,
  subjects: readonly string[],
): Promise<ReadonlySet<string>> {
  const { results } = await db
    .prepare(
      `SELECT DISTINCT e.subject FROM json_each(?2) AS s
       CROSS JOIN ledger_entries AS e INDEXED BY ledger_entries_subject ON e.ledger_id = ?1 AND e.subject = s.value
       WHERE e.body ->> 'type' = 'ERASED'`,
    )
    .bind(ledgerId, JSON.stringify(subjects))
    .all<{ subject: string }>();
  return new Set(results.map(({ subject }) => subject));
}

/** Subjects without any entry: what was written for entries behind those that are restored. */
export async function unknownSubjects(
  db: D1Database,
  ledgerId: string,
  subjects: readonly string[],
): Promise<ReadonlySet<string>> {
  const { results } = await db
    .prepare(
      `SELECT s.value AS subject FROM json_each(?2) AS s WHERE NOT EXISTS (SELECT 1 FROM ledger_entries AS e
         INDEXED BY ledger_entries_subject WHERE e.ledger_id = ?1 AND e.subject = s.value)`,
    )
    .bind(ledgerId, JSON.stringify(subjects))
    .all<{ subject: string }>();
  return new Set(results.map(({ subject }) => subject));
}

export interface SubjectEntry {
  readonly subject: string;
  readonly commandId: string;
  readonly body: string;
}

/** Entries of the subjects that begin in the range, in order of seq. */
export async function readBegunEntries(
  db: D1Database,
  ledgerId: string,
  from: number,
  to: number,
): Promise<readonly SubjectEntry[]> {
  const { results } = await db
    .prepare(
      `WITH begun (subject) AS MATERIALIZED (
         SELECT subject FROM ledger_entries AS e WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3
           AND NOT EXISTS (SELECT 1 FROM ledger_entries AS earlier INDEXED BY ledger_entries_subject
             WHERE earlier.ledger_id = ?1 AND earlier.subject = e.subject AND earlier.seq < e.seq))
       SELECT e.subject, e.command_id AS commandId, e.body FROM begun
       CROSS JOIN ledger_entries AS e INDEXED BY ledger_entries_subject ON e.ledger_id = ?1 AND e.subject = begun.subject
       ORDER BY e.seq`,
    )
    .bind(ledgerId, from, to)
    .all<SubjectEntry>();
  return results;
}

export interface Projected {
  readonly requests: readonly RequestState[];
  readonly claims: readonly ClaimState[];
  readonly erased: readonly { readonly subject: string; readonly lookup: string; readonly at: number }[];
}

/** @param lookAgainFrom objects of subjects erased since then are looked for once more, epoch ms. */
export async function insertProjections(
  db: D1Database,
  ledgerId: string,
  projected: Projected,
  lookAgainFrom: number,
): Promise<void> {
  const erased = JSON.stringify(projected.erased.map(({ subject, lookup, at }) => [subject, lookup, at]));
  await db.batch([
    ...projectionStatements(db, ledgerId, projected),
    db
      .prepare(
        `INSERT INTO erased_ids (ledger_id, lookup, subject) SELECT ?1, value ->> 1, value ->> 0 FROM json_each(?2)
         WHERE true ON CONFLICT DO NOTHING`,
      )
      .bind(ledgerId, erased),
    db
      .prepare(
        `INSERT INTO pending_erasures (ledger_id, subject, erased_at, due_at)
         SELECT ?1, value ->> 0, value ->> 2, value ->> 2 FROM json_each(?2) WHERE value ->> 2 >= ?3 ON CONFLICT DO NOTHING`,
      )
      .bind(ledgerId, erased, lookAgainFrom),
  ]);
}

interface ForeignKey {
  readonly table: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
}

async function foreignKeys(db: D1Database, table: string): Promise<readonly ForeignKey[]> {
  const { results } = await db
    .prepare(`SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq`)
    .bind(table)
    .all<{ id: number; table: string; from: string; to: string }>();
  const byId = new Map<number, { table: string; from: string[]; to: string[] }>();
  for (const { id, table: parent, from, to } of results) {
    const key = byId.get(id) ?? { table: parent, from: [], to: [] };
    key.from.push(from);
    key.to.push(to);
    byId.set(id, key);
  }
  return [...byId.values()];
}

/** A parameter of D1 holds 2 MB. */
const MAX_PARAMETER_CHARACTERS = 800_000;

/**
 * Rows of one table, as values in the order of `columns`. A row that is there already stays. One whose parents are not there is left
 * out: they were deleted while the snapshot was made, and so was it.
 * @returns how many were written.
 */
export async function insertRows(
  db: D1Database,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly unknown[])[],
): Promise<number> {
  const conditions = (await foreignKeys(db, table)).map(({ table: parent, from, to }) => {
    const values = from.map((column) => `value ->> ${columns.indexOf(column)}`);
    const match = to.map((column, i) => `parent.${identifier(column)} = ${values[i]}`);
    const absent = values.map((value) => `${value} IS NULL`);
    return `(${absent.join(" OR ")} OR EXISTS (SELECT 1 FROM ${identifier(parent)} AS parent WHERE ${match.join(" AND ")}))`;
  });
  // Looked for, not only ignored: a trigger that forbids a second one comes before OR IGNORE.
  const { key } = await tableShape(db, table);
  if (key.length > 0 && key.every((column) => columns.includes(column))) {
    const match = key.map((column) => `own.${identifier(column)} = value ->> ${columns.indexOf(column)}`);
    conditions.push(`NOT EXISTS (SELECT 1 FROM ${identifier(table)} AS own WHERE ${match.join(" AND ")})`);
  }
  const sql = `INSERT OR IGNORE INTO ${identifier(table)} (${columns.map(identifier).join(", ")})
    SELECT ${columns.map((_, i) => `value ->> ${i}`).join(", ")} FROM json_each(?1)
    WHERE ${conditions.length === 0 ? "true" : conditions.join(" AND ")} RETURNING 1`;
  let written = 0;
  for (const group of grouped(rows.map((row) => JSON.stringify(row)))) {
    const { results } = await db
      .prepare(sql)
      .bind(`[${group.join(",")}]`)
      .all();
    written += results.length;
  }
  return written;
}

function* grouped(lines: readonly string[]): Generator<readonly string[]> {
  let group: string[] = [];
  let characters = 0;
  for (const line of lines) {
    if (group.length > 0 && (characters + line.length > MAX_PARAMETER_CHARACTERS || group.length >= 1_000)) {
      yield group;
      group = [];
      characters = 0;
    }
    group.push(line);
    characters += line.length;
  }
  if (group.length > 0) yield group;
}

/** Ciphertext that no restored entry brought: of an acknowledgement or a decision behind the last one. */
export async function deleteUnpromisedParts(db: D1Database, ledgerId: string): Promise<void> {
  const without = (type: string, round: string) =>
    `NOT EXISTS (SELECT 1 FROM ledger_entries AS e INDEXED BY ledger_entries_subject
       WHERE e.ledger_id = ?1 AND e.subject = payloads.subject AND e.body ->> 'type' = '${type}' ${round})`;
  await db.batch([
    db
      .prepare(`DELETE FROM payloads WHERE ledger_id = ?1 AND part = 'ack' AND ${without("REQUEST_ACKNOWLEDGED", "")}`)
      .bind(ledgerId),
    db
      .prepare(
        `DELETE FROM payloads WHERE ledger_id = ?1 AND part LIKE 'adj:%'
         AND ${without("REQUEST_ADJUDICATED", "AND 'adj:' || (e.body ->> '$.data.round') = payloads.part")}`,
      )
      .bind(ledgerId),
  ]);
}

/** Tokens handed out since the snapshot are never handed out again. */
const TOKENS_AHEAD = 1_000_000;

/**
 * The relay starts paused. What was leased when the snapshot was made may have been posted or not: it is due again, in its lane's
 * order and under its event id.
 * @returns how many rows that were.
 */
export async function quietRelay(db: D1Database, now: number): Promise<number> {
  const [, leased] = await db.batch<unknown>([
    db
      .prepare("UPDATE relay_leases SET last_token = last_token + ?1, wake_at = 0, paused_at = COALESCE(paused_at, ?2)")
      .bind(TOKENS_AHEAD, now),
    db
      .prepare(
        "UPDATE outbox SET state = 'due', due_at = ?1, leased_until = 0 WHERE state = 'leased' RETURNING outbox_id",
      )
      .bind(now),
  ]);
  return leased?.results.length ?? 0;
}

export async function countRows(db: D1Database, tables: readonly string[]): Promise<Readonly<Record<string, number>>> {
  const results = await db.batch<{ n: number }>(
    tables.map((table) => db.prepare(`SELECT COUNT(*) AS n FROM ${identifier(table)}`)),
  );
  return Object.fromEntries(tables.map((table, i) => [table, results[i]?.results[0]?.n ?? 0]));
}
