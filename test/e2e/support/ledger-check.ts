/** The ledger recomputed from its entries alone, with nothing of the code that wrote them. */
import { createHash } from "node:crypto";
import * as z from "zod";
import type { Database } from "../../../scripts/lib/migrate.ts";
import { hexOf, leafHash, rootOf } from "../../support/rfc6962.ts";

const bodySchema = z.strictObject({
  v: z.literal(1),
  seq: z.number(),
  prev: z.string(),
  at: z.string(),
  type: z.string(),
  subject: z.string(),
  commitment: z.string().optional(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

export interface CheckedEntry {
  readonly seq: number;
  readonly entryHash: string;
  readonly type: string;
  readonly subject: string;
}

export interface CheckedLedger {
  readonly entries: readonly CheckedEntry[];
  readonly rootHash: string;
  /** Everything that does not hold; empty when all does. */
  readonly faults: readonly string[];
}

interface Row {
  readonly seq: number;
  readonly entry_hash: string;
  readonly body: string;
}

interface HeadRow {
  readonly size: number;
  readonly head_hash: string;
  readonly root_hash: string;
}

/** RFC 8785 for what an entry holds: flat objects of strings, integers, booleans and null. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(",")}}`;
}

const PAGE = 2_000;

export async function checkLedger(database: Database, ledgerId = "main"): Promise<CheckedLedger> {
  const faults: string[] = [];
  const entries: CheckedEntry[] = [];
  const leaves: Uint8Array[] = [];
  let prev = "0".repeat(64);
  let lastAt = "";
  for (;;) {
    const { results } = await database
      .prepare("SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = ? AND seq >= ? ORDER BY seq LIMIT ?")
      .bind(ledgerId, entries.length, PAGE)
      .all<Row>();
    for (const row of results) {
      const expected = entries.length;
      const bytes = Buffer.from(row.body, "utf8");
      const leaf = leafHash(bytes);
      const hash = hexOf(leaf);
      const entry = bodySchema.parse(JSON.parse(row.body));
      const must: readonly (readonly [boolean, string])[] = [
        [row.seq === expected && entry.seq === expected, `has seq ${entry.seq} in row ${row.seq}`],
        [hash === createHash("sha256").update("\0").update(bytes).digest("hex"), "has no agreed hash"],
        [hash === row.entry_hash, "does not hash to its stored hash"],
        [entry.prev === prev, "does not name its predecessor"],
        [entry.at >= lastAt, "is older than its predecessor"],
        [canonical(entry) === row.body, "is not in canonical form"],
      ];
      for (const [holds, what] of must) if (!holds) faults.push(`entry ${expected} ${what}`);
      entries.push({ seq: row.seq, entryHash: hash, type: entry.type, subject: entry.subject });
      leaves.push(leaf);
      prev = hash;
      lastAt = entry.at;
    }
    if (results.length < PAGE) break;
  }
  const rootHash = hexOf(rootOf(leaves));
  const head = await database
    .prepare("SELECT size, head_hash, root_hash FROM ledger_heads WHERE ledger_id = ?")
    .bind(ledgerId)
    .first<HeadRow>();
  if (head === null) {
    if (entries.length > 0) faults.push("there are entries and no head");
  } else {
    if (head.size !== entries.length)
      faults.push(`the head promises ${head.size} entries, ${entries.length} are there`);
    if (head.head_hash !== prev) faults.push("the head has another hash than the last entry");
    if (head.root_hash !== rootHash) faults.push("the head has another root than the entries");
  }
  return { entries, rootHash, faults };
}
