/**
 * The minutes since the last snapshot: each cron writes the new entries with all that was committed with them (ciphertext, wrapped
 * keys, settlements, operators' actions, deliveries) as one sealed file. What a lost database costs is then a minute, not a day. Nothing new costs one read.
 */
import { newestGoodSize, raiseTail, readProgress } from "./backup.store.ts";
import { KEYS_KEPT_MS } from "./retention.ts";
import { sealFile } from "./sealed-file.ts";
import { packLines, type Range, rangeOfPath, sha256Hex, tailPath } from "./segments.ts";
import type { SnapshotParts } from "./snapshot.edge.ts";
import {
  readEntryLines,
  readKeyRows,
  readLedgerFacts,
  readOperatorActionRows,
  readOutboxAfter,
  readPayloadRows,
  readSettlementRows,
} from "./source.store.ts";

/** Entries of one file: with their ciphertext a few megabytes at most. */
const TAIL_ENTRIES = 256;
/** Files in one go. What is left then is left to the next minute, or to the snapshot. */
const MAX_FILES = 40;
/** A snapshot is given this long to turn out good before the tail that led to it goes. */
const KEPT_AFTER_SNAPSHOT_MS = 2 * 86_400_000;

/** @returns up to which entry the bucket holds the ledger; undefined before the first snapshot. */
export async function writeTail(parts: SnapshotParts, deadline: number): Promise<number | undefined> {
  const { ledger, db } = parts;
  if (ledger === undefined) return undefined;
  const [good, facts] = await Promise.all([newestGoodSize(db), readLedgerFacts(db, ledger.id)]);
  if (good === undefined || facts === undefined) return undefined;
  const { tailTo, tailOutbox } = await readProgress(db);
  let at = Math.max(tailTo, good);
  let outboxId = tailOutbox;
  for (let file = 0; file < MAX_FILES && at < facts.size && parts.now() < deadline; file++) {
    const range = { from: at, to: Math.min(facts.size, at + TAIL_ENTRIES) };
    const { lines, lastOutboxId } = await linesOf(parts, ledger, range, outboxId);
    const { bytes, digest } = await sealFile(parts.keys, packLines(lines));
    const key = `${parts.prefix}${tailPath(range, digest)}`;
    await parts.bucket.put(key, bytes, { sha256: await sha256Hex(bytes) });
    if (!(await raiseTail(db, range.from, { seq: range.to, outboxId: lastOutboxId }))) break;
    at = range.to;
    outboxId = lastOutboxId;
  }
  return at;
}

async function linesOf(
  parts: SnapshotParts,
  ledger: NonNullable<SnapshotParts["ledger"]>,
  range: Range,
  afterOutboxId: number,
): Promise<{ readonly lines: readonly string[]; readonly lastOutboxId: number }> {
  const { db } = parts;
  const [entries, payloads, keys, outbox, money, operatorActions] = await Promise.all([
    readEntryLines(db, ledger.id, range),
    readPayloadRows(db, ledger.id, range),
    readKeyRows(db, ledger.id, range),
    readOutboxAfter(db, ledger.id, afterOutboxId, range),
    readSettlementRows(db, ledger.id, range),
    readOperatorActionRows(db, ledger.id, range),
  ]);
  const lines = entries.map(({ seq, hash, commandId, commandIndex, body }) =>
    JSON.stringify({ entry: [seq, hash, commandId, commandIndex, body] }),
  );
  for (const row of payloads) {
    const object =
      typeof row.r2_key === "string" ? ((await (await ledger.payloads.get(row.r2_key))?.text()) ?? null) : null;
    lines.push(JSON.stringify({ payload: { row, object } }));
  }
  for (const key of keys) lines.push(JSON.stringify({ key }));
  for (const settlement of money.settlements) lines.push(JSON.stringify({ settlement }));
  for (const idempotency of money.idempotency) lines.push(JSON.stringify({ idempotency }));
  for (const operatorAction of operatorActions) lines.push(JSON.stringify({ operatorAction }));
  for (const row of outbox) lines.push(JSON.stringify({ outbox: row }));
  return { lines, lastOutboxId: outbox.at(-1)?.outbox_id ?? afterOutboxId };
}

/** Takes away what a good snapshot holds, some days after; and whatever is as old as a wrapped key may be. */
export async function pruneTail(parts: SnapshotParts): Promise<number> {
  const good = (await newestGoodSize(parts.db)) ?? 0;
  const now = parts.now();
  const prefix = `${parts.prefix}tail/`;
  let deleted = 0;
  let cursor: string | undefined;
  do {
    const page = await parts.bucket.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    const gone = page.objects
      .filter(({ key, uploaded }) => {
        const age = now - uploaded.getTime();
        const range = rangeOfPath(key.slice(parts.prefix.length));
        return age > KEYS_KEPT_MS || ((range === undefined || range.to <= good) && age > KEPT_AFTER_SNAPSHOT_MS);
      })
      .map(({ key }) => key);
    if (gone.length > 0) await parts.bucket.delete(gone);
    deleted += gone.length;
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return deleted;
}
