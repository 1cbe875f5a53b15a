/** Clean-up of Idempotency-Keys: those that nobody finished are resolved from the ledger, expired ones are deleted. */
import type { CoreEnv } from "../core/env.ts";
import {
  abandonedKeys,
  completeKey,
  pruneKeys,
  releaseKey,
  resumeKey,
} from "../platform/idempotency/idempotency.store.ts";
import type { StoredKey } from "../platform/idempotency/idempotency.ts";
import { isInLedger } from "./settlements.store.ts";

const MAX_KEYS = 100;
const MAX_PRUNED = 1_000;
/** A client sends again within this; until then it is left to go on by itself. */
const LEFT_ALONE_MS = 600_000;

/**
 * @param by who asks: an operator's key id, or the sweep.
 * @returns busy while the request may be at work, or when it went on meanwhile.
 */
export async function resolveKey(
  db: D1Database,
  ledgerId: string,
  stored: StoredKey,
  by: string,
  now: number,
): Promise<"completed" | "released" | "busy"> {
  // What happened is told by the effect alone: what is done counts at once, what is not may still be under way.
  const happened = await isInLedger(db, ledgerId, `stl:${stored.effectId}`);
  if (happened) return (await completeKey(db, stored.keyId, stored.token, undefined, by, now)) ? "completed" : "busy";
  if (stored.busyUntil > now) return "busy";
  // From here on nobody else goes on with it.
  const token = await resumeKey(db, stored.keyId, stored.token, now, now);
  if (token === undefined) return "busy";
  return (await releaseKey(db, stored.keyId, token)) ? "released" : "busy";
}

export interface SweptKeys {
  readonly completed: number;
  readonly released: number;
  readonly pruned: number;
}

/** @param now epoch ms. */
export async function sweepKeys(env: Pick<CoreEnv, "DB">, ledgerId: string, now: number): Promise<SweptKeys> {
  let completed = 0;
  let released = 0;
  for (const stored of await abandonedKeys(env.DB, now - LEFT_ALONE_MS, MAX_KEYS)) {
    const outcome = await resolveKey(env.DB, ledgerId, stored, "sweep", now);
    if (outcome === "completed") completed += 1;
    if (outcome === "released") released += 1;
  }
  return { completed, released, pruned: await pruneKeys(env.DB, now, MAX_PRUNED) };
}
