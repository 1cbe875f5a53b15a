/** Where ciphertext lives: in the row while it is small, else in R2, written before the row that names it. */
import type { CoreEnv } from "../core/env.ts";
import { newUuid } from "../platform/clock.edge.ts";
import type { StoredCiphertext } from "./request.ts";
import type { StoredPart } from "./subject-rows.ts";

const INLINE_MAX_LENGTH = 16_384;

/** Every object of one subject is under this name, those too that no row came to name. */
export const ciphertextPrefix = (ledgerId: string, subject: string): string => `payloads/${ledgerId}/${subject}/`;

/**
 * Each object has a name of its own: one that a command refused later had written must not take the place of one that a row
 * names. An object nobody came to name is found by the storage sweep.
 * @param place `ciphertextPrefix` and the part.
 */
export async function storeCiphertext(env: CoreEnv, place: string, sealed: string): Promise<StoredCiphertext> {
  if (sealed.length <= INLINE_MAX_LENGTH) return { type: "inline", sealed };
  const key = `${place}/${newUuid()}`;
  await env.LEDGER.put(key, sealed);
  return { type: "object", key };
}

/** @throws Error when the object is gone: the row promised it. */
export async function readCiphertext(env: CoreEnv, part: StoredPart): Promise<string> {
  if (part.sealed !== undefined) return part.sealed;
  const object = part.r2Key === undefined ? null : await env.LEDGER.get(part.r2Key);
  if (object === null) throw new Error(`the ciphertext of part ${part.part} is missing`);
  return object.text();
}

/** R2 lists and deletes this many at once. */
const PAGE = 1_000;
const MAX_PAGES = 10;

/** @returns whether none is left. */
export async function deleteCiphertexts(
  env: Pick<CoreEnv, "LEDGER">,
  ledgerId: string,
  subject: string,
): Promise<boolean> {
  for (let page = 0; page < MAX_PAGES; page++) {
    const { objects, truncated } = await env.LEDGER.list({ prefix: ciphertextPrefix(ledgerId, subject), limit: PAGE });
    if (objects.length > 0) await env.LEDGER.delete(objects.map(({ key }) => key));
    if (!truncated) return true;
  }
  return false;
}
