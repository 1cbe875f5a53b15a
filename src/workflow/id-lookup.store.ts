/** The ledger's lookup key and the ids that were erased. */
import type { SealedValue } from "../platform/keyring.ts";
import { type KeyColumns, wrappedKeyFrom } from "./subject-rows.ts";

export async function findLookupKey(db: D1Database, ledgerId: string): Promise<SealedValue | undefined> {
  const row = await db
    .prepare("SELECT master_key_id, wrapped FROM id_lookup_keys WHERE ledger_id = ?")
    .bind(ledgerId)
    .first<KeyColumns>();
  return row === null ? undefined : wrappedKeyFrom(row);
}

/**
 * Keeps a new key, unless there is one; the one that is there afterwards counts.
 * @throws Error when ids were erased under a key that is gone: another would let them be recorded again.
 */
export async function keepLookupKey(db: D1Database, ledgerId: string, key: SealedValue): Promise<SealedValue> {
  await db
    .prepare(
      `INSERT INTO id_lookup_keys (ledger_id, master_key_id, wrapped)
       SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM erased_ids WHERE ledger_id = ?1)
       ON CONFLICT DO NOTHING`,
    )
    .bind(ledgerId, key.keyId, key.sealed)
    .run();
  const kept = await findLookupKey(db, ledgerId);
  if (kept === undefined) throw new Error("the lookup key of erased ids is missing");
  return kept;
}

/** The subject of an erased id. */
export async function findErasedSubject(db: D1Database, ledgerId: string, lookup: string): Promise<string | undefined> {
  const row = await db
    .prepare("SELECT subject FROM erased_ids WHERE ledger_id = ? AND lookup = ?")
    .bind(ledgerId, lookup)
    .first<{ subject: string }>();
  return row?.subject;
}
