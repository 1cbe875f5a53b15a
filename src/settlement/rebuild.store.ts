/** Settlements made anew from their entries, where rows were copied at another moment than the entries: after a restore. */
import { readEntry } from "../ledger/check-entry.ts";
import { firstSeqOf } from "../ledger/subject.store.ts";
import { readSubjects } from "../workflow/check-subject.store.ts";
import { projectionStatements } from "../workflow/commit.store.ts";
import { replay, UNKNOWN_AMOUNT } from "../workflow/replay.ts";

const PAGE = 200;

/**
 * Rows keep their amounts; all else of them, and the claims whose state rests on them, becomes what the entries give.
 * @returns how many subjects were gone through.
 * @throws Error when entries can not follow one another.
 */
export async function rebuildSettlements(db: D1Database, ledgerId: string): Promise<number> {
  let after = "";
  for (let done = 0; ; ) {
    const { results } = await db
      .prepare(
        `SELECT asked.subject, ${firstSeqOf("?1", "asked.subject")} AS seq FROM (
           SELECT DISTINCT subject FROM settlements WHERE ledger_id = ?1 AND subject > ?2 ORDER BY subject LIMIT ${PAGE}
         ) AS asked ORDER BY asked.subject`,
      )
      .bind(ledgerId, after)
      .all<{ subject: string; seq: number | null }>();
    for (const { subject, seq } of results) {
      after = subject;
      if (seq === null) continue;
      await rebuildOne(db, ledgerId, subject, seq);
      done += 1;
    }
    if (results.length < PAGE) return done;
  }
}

async function rebuildOne(db: D1Database, ledgerId: string, subject: string, seq: number): Promise<void> {
  const rows = (await readSubjects(db, ledgerId, seq, seq + 1)).find((one) => one.subject === subject);
  const row = rows?.claim ?? rows?.request;
  if (rows === undefined || row === undefined) throw new Error(`the subject that begins at entry ${seq} has no row`);
  const entries = rows.entries.flatMap(({ body }) => readEntry(body) ?? []);
  const replayed = replay(entries, {
    id: "claimId" in row ? row.claimId : row.requestId,
    lookup: "",
    amountMinor: row.amountMinor,
    currency: row.currency,
    amountOf: (refId) => rows.settlements.find((one) => one.refId === refId) ?? UNKNOWN_AMOUNT,
  });
  if (replayed.type === "failed") throw new Error(`entry ${replayed.seq} can not follow: ${replayed.reason}`);
  await db.batch([
    ...projectionStatements(db, ledgerId, {
      requests: [],
      claims: replayed.type === "claim" ? [replayed.state] : [],
      settlements: replayed.settlements,
    }),
  ]);
}
