/** Runs and items. Whoever writes a run names the version that was read; writes under an older one change nothing. */

import type { MismatchKind } from "./compare.ts";
import type { Finding, Item, OurSide, Resolution, TheirSide } from "./items.ts";
import { NOT_SEEN_AGAIN } from "./items.ts";
import type { Run } from "./run.ts";

interface RunRow {
  readonly run_id: string;
  readonly kind: Run["kind"];
  readonly from_day: string;
  readonly to_day: string;
  readonly state: Run["state"];
  readonly started_by: string;
  readonly day: string;
  readonly day_started_at: number;
  readonly frontier: string;
  readonly cursor: string | null;
  readonly list_ended: number;
  readonly expected: number;
  readonly ours: number;
  readonly theirs: number;
  readonly agreed: number;
  readonly in_flight: number;
  readonly asked: number;
  readonly mismatches: number;
  readonly version: number;
  readonly lease_until: number;
  readonly due_at: number;
  readonly failures: number;
  readonly reason: string | null;
  readonly started_at: number;
  readonly ended_at: number | null;
}

const runOf = (row: RunRow): Run => ({
  runId: row.run_id,
  kind: row.kind,
  fromDay: row.from_day,
  toDay: row.to_day,
  state: row.state,
  startedBy: row.started_by,
  day: row.day,
  dayStartedAt: row.day_started_at,
  frontier: row.frontier,
  cursor: row.cursor,
  listEnded: row.list_ended === 1,
  expected: row.expected,
  ours: row.ours,
  theirs: row.theirs,
  agreed: row.agreed,
  inFlight: row.in_flight,
  asked: row.asked,
  mismatches: row.mismatches,
  version: row.version,
  leaseUntil: row.lease_until,
  dueAt: row.due_at,
  failures: row.failures,
  reason: row.reason,
  startedAt: row.started_at,
  endedAt: row.ended_at,
});

export interface NewRun extends Pick<Run, "runId" | "kind" | "fromDay" | "toDay" | "startedBy" | "expected"> {
  readonly at: number;
}

/** @returns false when there is a run of this id already. */
export async function insertRun(db: D1Database, ledgerId: string, run: NewRun): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO reconciliation_runs (ledger_id, run_id, kind, from_day, to_day, state, started_by, day, day_started_at,
         frontier, cursor, list_ended, expected, ours, theirs, agreed, in_flight, asked, mismatches, version, lease_until,
         due_at, failures, started_at)
       VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6, ?4, ?8, '', NULL, 0, ?7, 0, 0, 0, 0, 0, 0, 1, 0, ?8, 0, ?8)
       ON CONFLICT DO NOTHING`,
    )
    .bind(ledgerId, run.runId, run.kind, run.fromDay, run.toDay, run.startedBy, run.expected, run.at)
    .run();
  return meta.changes > 0;
}

export async function findRun(db: D1Database, ledgerId: string, runId: string): Promise<Run | undefined> {
  const row = await db
    .prepare("SELECT * FROM reconciliation_runs WHERE ledger_id = ? AND run_id = ?")
    .bind(ledgerId, runId)
    .first<RunRow>();
  return row === null ? undefined : runOf(row);
}

/** Newest first. */
export async function listRuns(
  db: D1Database,
  ledgerId: string,
  limit: number,
  before: { readonly startedAt: number; readonly runId: string } | undefined,
): Promise<readonly Run[]> {
  const { results } = await db
    .prepare(
      `SELECT * FROM reconciliation_runs WHERE ledger_id = ?1 AND (?2 IS NULL OR (started_at, run_id) < (?2, ?3))
       ORDER BY started_at DESC, run_id DESC LIMIT ?4`,
    )
    .bind(ledgerId, before?.startedAt ?? null, before?.runId ?? null, limit)
    .all<RunRow>();
  return results.map(runOf);
}

/** The last day that has a daily run. */
export async function newestDailyDay(db: D1Database, ledgerId: string): Promise<string | undefined> {
  const day = await db
    .prepare("SELECT MAX(to_day) AS day FROM reconciliation_runs WHERE ledger_id = ? AND kind = 'daily'")
    .bind(ledgerId)
    .first<string | null>("day");
  return day ?? undefined;
}

/**
 * Takes a running run that is due and that nobody has: the one named, or the one that is due longest.
 * @returns undefined when there is none.
 */
export async function leaseRun(
  db: D1Database,
  ledgerId: string,
  runId: string | undefined,
  leaseMs: number,
  now: number,
): Promise<Run | undefined> {
  const row = await db
    .prepare(
      `UPDATE reconciliation_runs SET lease_until = ?3, version = version + 1
       WHERE ledger_id = ?1 AND run_id = (
         SELECT run_id FROM reconciliation_runs
         WHERE ledger_id = ?1 AND state = 'running' AND due_at <= ?4 AND lease_until <= ?4 AND (?2 IS NULL OR run_id = ?2)
         ORDER BY due_at LIMIT 1)
       RETURNING *`,
    )
    .bind(ledgerId, runId ?? null, now + leaseMs, now)
    .first<RunRow>();
  return row === null ? undefined : runOf(row);
}

/** One that failed goes on where it was. */
export async function reviveRun(db: D1Database, ledgerId: string, runId: string, now: number): Promise<void> {
  await db
    .prepare(
      `UPDATE reconciliation_runs SET state = 'running', failures = 0, ended_at = NULL, due_at = ?3, version = version + 1
       WHERE ledger_id = ?1 AND run_id = ?2 AND state = 'failed'`,
    )
    .bind(ledgerId, runId, now)
    .run();
}

const IF_WRITTEN = "EXISTS (SELECT 1 FROM reconciliation_runs WHERE ledger_id = ?1 AND run_id = ?2 AND version = ?3)";

/**
 * Stores what a step made of a run, with what it found, in one transaction.
 * @param run as it was read; `next` as it is to be.
 * @param endedDay a day that the step finished: its open items that were not seen since the run began the day are gone.
 * @returns the run as stored; undefined when another has written meanwhile.
 */
export async function saveStep(
  db: D1Database,
  ledgerId: string,
  run: Run,
  next: Run,
  findings: readonly Finding[],
  endedDay: string | undefined,
  now: number,
): Promise<Run | undefined> {
  const version = run.version + 1;
  const guard = [ledgerId, run.runId, version] as const;
  const found = JSON.stringify(
    findings.map((one) => ({
      ...one,
      ours: one.ours === null ? null : JSON.stringify(one.ours),
      theirs: one.theirs === null ? null : JSON.stringify(one.theirs),
    })),
  );
  const statements = [
    db
      .prepare(
        `UPDATE reconciliation_runs SET state = ?4, day = ?5, day_started_at = ?6, frontier = ?7, cursor = ?8, list_ended = ?9,
           ours = ?10, theirs = ?11, agreed = ?12, in_flight = ?13, asked = ?14, mismatches = ?15, version = ?3, lease_until = 0,
           due_at = ?16, failures = ?17, reason = ?18, ended_at = ?19
         WHERE ledger_id = ?1 AND run_id = ?2 AND version = ?3 - 1
         RETURNING *`,
      )
      .bind(
        ...guard,
        next.state,
        next.day,
        next.dayStartedAt,
        next.frontier,
        next.cursor,
        next.listEnded ? 1 : 0,
        next.ours,
        next.theirs,
        next.agreed,
        next.inFlight,
        next.asked,
        next.mismatches,
        next.dueAt,
        next.failures,
        next.reason,
        next.endedAt,
      ),
  ];
  if (findings.length > 0) {
    statements.push(
      db
        .prepare(
          `UPDATE reconciliation_items SET seen_at = ?5, ours = f.ours, theirs = f.theirs
           FROM (SELECT value ->> 'refId' AS ref_id, value ->> 'kind' AS kind, value ->> 'ours' AS ours,
                   value ->> 'theirs' AS theirs FROM json_each(?4)) AS f
           WHERE reconciliation_items.ledger_id = ?1 AND reconciliation_items.state = 'open'
             AND reconciliation_items.ref_id = f.ref_id AND reconciliation_items.kind = f.kind AND ${IF_WRITTEN}`,
        )
        .bind(...guard, found, now),
      // What somebody accepted stays accepted as long as it is the same.
      db
        .prepare(
          `INSERT INTO reconciliation_items (ledger_id, ref_id, kind, day, tenant_id, ours, theirs, state, run_id, found_at, seen_at)
           SELECT ?1, f.value ->> 'refId', f.value ->> 'kind', f.value ->> 'day', f.value ->> 'tenantId', f.value ->> 'ours',
             f.value ->> 'theirs', 'open', ?2, ?5, ?5
           FROM json_each(?4) AS f
           WHERE ${IF_WRITTEN} AND NOT EXISTS (
             SELECT 1 FROM reconciliation_items AS i
             WHERE i.ledger_id = ?1 AND i.ref_id = f.value ->> 'refId' AND i.kind = f.value ->> 'kind'
               AND (i.state = 'open' OR (i.resolution = 'accepted' AND i.ours IS f.value ->> 'ours'
                 AND i.theirs IS f.value ->> 'theirs')))`,
        )
        .bind(...guard, found, now),
    );
  }
  if (endedDay !== undefined) {
    statements.push(
      db
        .prepare(
          `UPDATE reconciliation_items SET state = 'resolved', resolution = 'gone', reason = ?6, resolved_by = ?2, resolved_at = ?7
           WHERE ledger_id = ?1 AND day = ?4 AND state = 'open' AND seen_at < ?5 AND ${IF_WRITTEN}`,
        )
        .bind(...guard, endedDay, run.dayStartedAt, NOT_SEEN_AGAIN, now),
    );
  }
  const [written] = await db.batch<RunRow>(statements);
  const row = written?.results[0];
  return row === undefined ? undefined : runOf(row);
}

interface ItemRow {
  readonly item_id: number;
  readonly ref_id: string;
  readonly kind: MismatchKind;
  readonly day: string;
  readonly tenant_id: string | null;
  readonly ours: string | null;
  readonly theirs: string | null;
  readonly state: Item["state"];
  readonly owner: string | null;
  readonly resolution: Resolution | null;
  readonly reason: string | null;
  readonly resolved_by: string | null;
  readonly run_id: string;
  readonly found_at: number;
  readonly seen_at: number;
  readonly resolved_at: number | null;
}

function itemOf(row: ItemRow): Item {
  // What this store wrote.
  const ours: OurSide | null = row.ours === null ? null : JSON.parse(row.ours);
  const theirs: TheirSide | null = row.theirs === null ? null : JSON.parse(row.theirs);
  return {
    itemId: row.item_id,
    refId: row.ref_id,
    kind: row.kind,
    day: row.day,
    tenantId: row.tenant_id,
    ours,
    theirs,
    state: row.state,
    owner: row.owner,
    resolution: row.resolution,
    reason: row.reason,
    resolvedBy: row.resolved_by,
    runId: row.run_id,
    foundAt: row.found_at,
    seenAt: row.seen_at,
    resolvedAt: row.resolved_at,
  };
}

export interface ItemFilter {
  readonly state?: Item["state"] | undefined;
  readonly kind?: MismatchKind | undefined;
  readonly refId?: string | undefined;
  readonly fromDay?: string | undefined;
  readonly toDay?: string | undefined;
}

/** In the order in which they were found; newest first where `before` is used, oldest first with `after`. */
export async function listItems(
  db: D1Database,
  ledgerId: string,
  filter: ItemFilter,
  limit: number,
  place: { readonly before?: number | undefined } | { readonly after: number },
): Promise<readonly Item[]> {
  const rising = "after" in place;
  const conditions = (
    [
      ["state = ?", filter.state],
      ["kind = ?", filter.kind],
      ["ref_id = ?", filter.refId],
      ["day >= ?", filter.fromDay],
      ["day <= ?", filter.toDay],
      rising ? ["item_id > ?", place.after] : ["item_id < ?", place.before],
    ] as const
  ).flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]));
  const where = ["ledger_id = ?", ...conditions.map(({ sql }) => sql)].join(" AND ");
  const { results } = await db
    .prepare(`SELECT * FROM reconciliation_items WHERE ${where} ORDER BY item_id ${rising ? "ASC" : "DESC"} LIMIT ?`)
    .bind(ledgerId, ...conditions.map(({ value }) => value), limit)
    .all<ItemRow>();
  return results.map(itemOf);
}

export async function findItem(db: D1Database, ledgerId: string, itemId: number): Promise<Item | undefined> {
  const row = await db
    .prepare("SELECT * FROM reconciliation_items WHERE ledger_id = ? AND item_id = ?")
    .bind(ledgerId, itemId)
    .first<ItemRow>();
  return row === null ? undefined : itemOf(row);
}

export async function countOpenItems(db: D1Database, ledgerId: string): Promise<number> {
  const count = await db
    .prepare("SELECT COUNT(*) AS n FROM reconciliation_items WHERE ledger_id = ? AND state = 'open'")
    .bind(ledgerId)
    .first<number>("n");
  return count ?? 0;
}

/** @returns the item; undefined when it is not open. */
export async function ownItem(
  db: D1Database,
  ledgerId: string,
  itemId: number,
  owner: string | null,
): Promise<Item | undefined> {
  const row = await db
    .prepare(
      "UPDATE reconciliation_items SET owner = ?3 WHERE ledger_id = ?1 AND item_id = ?2 AND state = 'open' RETURNING *",
    )
    .bind(ledgerId, itemId, owner)
    .first<ItemRow>();
  return row === null ? undefined : itemOf(row);
}

/** @returns the item; undefined when it is not open any more. */
export async function resolveItem(
  db: D1Database,
  ledgerId: string,
  itemId: number,
  { resolution, reason, by }: { readonly resolution: Resolution; readonly reason: string | null; readonly by: string },
  now: number,
): Promise<Item | undefined> {
  const row = await db
    .prepare(
      `UPDATE reconciliation_items SET state = 'resolved', resolution = ?3, reason = ?4, resolved_by = ?5, resolved_at = ?6
       WHERE ledger_id = ?1 AND item_id = ?2 AND state = 'open' RETURNING *`,
    )
    .bind(ledgerId, itemId, resolution, reason, by, now)
    .first<ItemRow>();
  return row === null ? undefined : itemOf(row);
}

/** It still differs, perhaps in another way than when it was found. */
export async function touchItem(
  db: D1Database,
  ledgerId: string,
  itemId: number,
  ours: OurSide | null,
  theirs: TheirSide | null,
  now: number,
): Promise<Item | undefined> {
  const text = (side: OurSide | null): string | null => (side === null ? null : JSON.stringify(side));
  const row = await db
    .prepare(
      `UPDATE reconciliation_items SET ours = ?3, theirs = ?4, seen_at = ?5
       WHERE ledger_id = ?1 AND item_id = ?2 AND state = 'open' RETURNING *`,
    )
    .bind(ledgerId, itemId, text(ours), text(theirs), now)
    .first<ItemRow>();
  return row === null ? undefined : itemOf(row);
}
