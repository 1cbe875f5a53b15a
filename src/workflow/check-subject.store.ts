/** Reads everything about the subjects that begin in a part of the log, all of one moment. */
import type { StoredOperatorAction } from "../audit/check-operator-action.ts";
import { isCents } from "../platform/cents.ts";
import { type SettlementRow, settlementFromRow } from "../settlement/settlement-row.ts";
import type { SubjectRows } from "./check-subject.ts";
import { type ClaimRow, claimFromRow, type RequestRow, requestFromRow } from "./projection-rows.ts";

/** Of one subject; more than this no subject has. */
const MAX_ENTRIES = 200;

// A subject is looked at where its first entry is. Left to itself the planner walks the primary key.
const SUBJECTS = `WITH begun(subject, seq) AS MATERIALIZED (
    SELECT subject, seq FROM ledger_entries AS e WHERE ledger_id = ?1 AND seq >= ?2 AND seq < ?3
      AND NOT EXISTS (SELECT 1 FROM ledger_entries AS earlier INDEXED BY ledger_entries_subject
        WHERE earlier.ledger_id = ?1 AND earlier.subject = e.subject AND earlier.seq < e.seq))`;

/** Of one slice; more than its entries no slice can have made. */
const MAX_SETTLEMENT_ROWS = 100_000;

interface EntryRow {
  readonly subject: string;
  readonly seq: number;
  readonly prev: string;
  readonly command_id: string;
  readonly command_index: number;
  readonly body: string;
  readonly command_began: number | null;
  readonly erased_id: string | null;
}

/** A row that is found by the seq of a subject's first entry. */
interface OfSubject {
  readonly subject: string;
}

interface PartRow extends OfSubject {
  readonly part: string;
  readonly ciphertext: string | null;
  readonly r2_key: string | null;
}

interface KeyRow extends OfSubject {
  readonly master_key_id: string;
  readonly wrapped: string;
}

/** A row that is wrong is a finding: an amount that is none becomes zero, which no entry commits to. */
const settlementFromAnyRow = (row: SettlementRow) =>
  settlementFromRow({ ...row, amount_cents: isCents(row.amount_cents) ? row.amount_cents : 0 });

function grouped<Row>(rows: readonly Row[], keyOf: (row: Row) => string): ReadonlyMap<string, readonly Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
}

/** Subjects whose first entry is one of `from` up to `to`. @throws when the database can not be read. */
export async function readSubjects(
  db: D1Database,
  ledgerId: string,
  from: number,
  to: number,
): Promise<readonly SubjectRows[]> {
  const statement = (sql: string) => db.prepare(`${SUBJECTS} ${sql}`).bind(ledgerId, from, to);
  const results = await db.batch<unknown>([
    statement(
      `SELECT e.subject, e.seq, e.prev, e.command_id, e.command_index, e.body,
         (SELECT seq FROM ledger_entries AS f INDEXED BY ledger_entries_command WHERE f.ledger_id = ?1
           AND f.command_id = e.command_id AND f.command_index = 0) AS command_began,
         (SELECT x.subject FROM erased_ids AS x WHERE x.ledger_id = ?1 AND x.lookup = substr(e.command_id, -64))
           AS erased_id
       FROM begun
       CROSS JOIN ledger_entries AS e INDEXED BY ledger_entries_subject ON e.ledger_id = ?1 AND e.subject = begun.subject
       ORDER BY e.seq`,
    ),
    statement(
      `SELECT begun.subject, r.* FROM begun CROSS JOIN requests AS r ON r.ledger_id = ?1 AND r.submitted_seq = begun.seq`,
    ),
    statement(
      `SELECT begun.subject, c.* FROM begun CROSS JOIN claims AS c ON c.ledger_id = ?1 AND c.created_seq = begun.seq`,
    ),
    statement(
      `SELECT begun.subject, p.part, p.ciphertext, p.r2_key FROM begun
       CROSS JOIN payloads AS p ON p.ledger_id = ?1 AND p.subject_seq = begun.seq`,
    ),
    statement(
      `SELECT begun.subject, k.master_key_id, k.wrapped FROM begun
       CROSS JOIN payload_keys AS k ON k.ledger_id = ?1 AND k.subject_seq = begun.seq`,
    ),
    statement(
      `SELECT s.* FROM begun CROSS JOIN settlements AS s ON s.ledger_id = ?1 AND s.subject = begun.subject
       ORDER BY s.created_seq LIMIT ${MAX_SETTLEMENT_ROWS}`,
    ),
    statement(
      `SELECT a.subject, a.seq, a.action, a.actor, a.reason, a.details, a.salt FROM begun
       CROSS JOIN operator_actions AS a ON a.ledger_id = ?1 AND a.subject = begun.subject`,
    ),
  ]);
  if (results.length !== 7) throw new Error("the database answered fewer statements than were asked");
  // The rows are those of the statements above, in their order.
  const rowsOf = <Row>(i: number): readonly Row[] => (results[i]?.results ?? []) as readonly Row[];
  const entries = grouped(rowsOf<EntryRow>(0), ({ subject }) => subject);
  const requests = grouped(rowsOf<RequestRow & OfSubject>(1), ({ subject }) => subject);
  const claims = grouped(rowsOf<ClaimRow & OfSubject>(2), ({ subject }) => subject);
  const parts = grouped(rowsOf<PartRow>(3), ({ subject }) => subject);
  const keys = grouped(rowsOf<KeyRow>(4), ({ subject }) => subject);
  const actions = grouped(rowsOf<StoredOperatorAction>(6), ({ subject }) => subject);
  const settlements = grouped(rowsOf<SettlementRow>(5), ({ subject }) => subject);
  return [...entries].map(([subject, own]) => {
    const request = requests.get(subject)?.[0];
    const claim = claims.get(subject)?.[0];
    const key = keys.get(subject)?.[0];
    return {
      subject,
      entries: own.slice(0, MAX_ENTRIES).map((row) => ({
        seq: row.seq,
        prev: row.prev,
        commandId: row.command_id,
        commandIndex: row.command_index,
        body: row.body,
        commandBegan: row.command_began ?? undefined,
        erasedId: row.erased_id ?? undefined,
      })),
      request: request && requestFromRow(request),
      claim: claim && claimFromRow(claim),
      settlements: (settlements.get(subject) ?? []).map(settlementFromAnyRow),
      parts: (parts.get(subject) ?? []).map((row) => ({
        part: row.part,
        sealed: row.ciphertext ?? undefined,
        r2Key: row.r2_key ?? undefined,
      })),
      key: key && { keyId: key.master_key_id, sealed: key.wrapped },
      operatorAction: actions.get(subject)?.[0],
    };
  });
}
