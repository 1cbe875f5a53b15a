/** Deletes the objects of erased subjects, and looks for them again until none can come. */
import type { CoreEnv } from "../core/env.ts";
import type { Log } from "../platform/log.ts";
import { reasonOf } from "../platform/log.ts";
import { deleteCiphertexts } from "./ciphertext.edge.ts";
import { dueErasures, settleErasure } from "./erasure.store.ts";
import { nextLook, type PendingErasure } from "./erasure.ts";

const MAX_SUBJECTS = 100;

type Storage = Pick<CoreEnv, "DB" | "LEDGER">;

/**
 * @param now epoch ms.
 * @returns how many subjects were looked at; more are left for the next run when it is 100.
 */
export async function sweepErasures(env: Storage, ledgerId: string, now: number, log: Log): Promise<number> {
  const due = await dueErasures(env.DB, ledgerId, now, MAX_SUBJECTS);
  for (const pending of due) await deleteErased(env, ledgerId, pending, now, log);
  return due.length;
}

/** Never throws for storage that fails: the row stays and the sweep comes back. */
export async function deleteErased(
  env: Storage,
  ledgerId: string,
  pending: PendingErasure,
  now: number,
  log: Log,
): Promise<void> {
  let deleted = false;
  try {
    deleted = await deleteCiphertexts(env, ledgerId, pending.subject);
  } catch (error) {
    log("warn", "erasure.objects-left", { requestIdHash: pending.subject, reason: reasonOf(error) });
  }
  await settleErasure(env.DB, ledgerId, pending.subject, nextLook(pending, deleted, now));
}
