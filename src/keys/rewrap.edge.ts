/**
 * After a sealing key was rotated: everything that is stored under the old one is wrapped again under the new one. Data keys, salts
 * and secrets stay what they are, so nothing that was committed to or signed changes.
 *
 * The cron carries a run on, some pages a minute, and an operator may push it. Its place is in the database, written with each page:
 * stopped anywhere, it goes on from there, and a page that is done twice is the same page. A row that changes or is erased meanwhile
 * is left alone. What does not open under any key that is held is counted, and keeps the old key from being retired.
 */
import type { CoreEnv } from "../core/env.ts";
import { systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { type Keyring, makeKeyring } from "../platform/keyring.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { headersPlace, secretPlace } from "../relay/destinations.ts";
import { findLookupKey } from "../workflow/id-lookup.store.ts";
import { keyPlace, lookupKeyPlace } from "../workflow/vault.ts";
import {
  beginRewrap,
  REWRAP_KINDS,
  type ResealedRow,
  type RewrapKind,
  type RewrapRun,
  readRewraps,
  readSealed,
  replaceLookupKey,
  restartRewrap,
  writeRewrapped,
} from "./rewrap.store.ts";

const PAGE_ROWS = 500;
/** Of one call: a few thousand openings and sealings are well within an invocation's time. */
const PAGES_AT_ONCE = 4;

const SECRET_OF: Readonly<Record<RewrapKind, { readonly name: string; readonly purpose: string }>> = {
  "payload-keys": { name: "PAYLOAD_MASTER_KEY", purpose: "payload" },
  destinations: { name: "DESTINATION_WRAPPING_KEY", purpose: "destination" },
};

function placeOf(kind: RewrapKind, ledgerId: string, id: string, slot: string): string {
  if (kind === "payload-keys") return keyPlace(ledgerId, id);
  return slot === "headers" ? headersPlace(id) : secretPlace(id);
}

const keyringOf = (env: CoreEnv, kind: RewrapKind): Promise<Keyring> =>
  makeKeyring(acceptedValues({ ...env }, SECRET_OF[kind].name), SECRET_OF[kind].purpose);

async function onePage(env: CoreEnv, ledgerId: string, run: RewrapRun, keyring: Keyring): Promise<RewrapRun> {
  const page = await readSealed(env.DB, run.kind, ledgerId, run.cursor, PAGE_ROWS);
  const rows: ResealedRow[] = [];
  let unreadable = 0;
  for (const { id, slot, keyId, sealed } of page) {
    if (keyId === null || sealed === null || keyId === keyring.currentKeyId) continue;
    const place = placeOf(run.kind, ledgerId, id, slot);
    try {
      const opened = await keyring.open({ keyId, sealed }, place);
      const again = await keyring.seal(opened, place, systemRandomBytes);
      rows.push({ id, slot, keyId: again.keyId, sealed: again.sealed, was: sealed });
    } catch {
      unreadable += 1;
    }
  }
  const ids = new Set(page.map(({ id }) => id));
  const finished = ids.size < PAGE_ROWS;
  // The lookup key is one row, done before the run may call itself finished.
  if (finished && run.kind === "payload-keys") unreadable += await rewrapLookupKey(env, ledgerId, keyring);
  const cursor = page.at(-1)?.id ?? run.cursor;
  await writeRewrapped(env.DB, ledgerId, run, rows, { cursor, examined: ids.size, unreadable, finished }, systemNow());
  return beginRewrap(env.DB, run.kind, run.toKeyId, systemNow());
}

/** @returns 1 when it does not open. */
async function rewrapLookupKey(env: CoreEnv, ledgerId: string, keyring: Keyring): Promise<0 | 1> {
  const key = await findLookupKey(env.DB, ledgerId);
  if (key === undefined || key.keyId === keyring.currentKeyId) return 0;
  const place = lookupKeyPlace(ledgerId);
  try {
    const again = await keyring.seal(await keyring.open(key, place), place, systemRandomBytes);
    await replaceLookupKey(env.DB, ledgerId, again.keyId, again.sealed, key.sealed);
    return 0;
  } catch {
    return 1;
  }
}

/** Some pages of each run that is not finished. @returns where each stands. */
export async function carryRewrapsOn(env: CoreEnv, ledgerId: string): Promise<readonly RewrapRun[]> {
  const runs: RewrapRun[] = [];
  for (const kind of REWRAP_KINDS) {
    const keyring = await keyringOf(env, kind);
    const begun = await readRewraps(env.DB);
    const known = begun.find((run) => run.kind === kind && run.toKeyId === keyring.currentKeyId);
    let run = known ?? (await beginRewrap(env.DB, kind, keyring.currentKeyId, systemNow()));
    for (let page = 0; page < PAGES_AT_ONCE && run.finishedAt === null; page++) {
      run = await onePage(env, ledgerId, run, keyring);
    }
    runs.push(run);
  }
  return runs;
}

/** Runs that ended over rows that did not open begin again: the key they need may be held now. */
export async function retryUnreadable(env: CoreEnv): Promise<void> {
  for (const { kind, unreadable, finishedAt } of await readRewraps(env.DB)) {
    if (finishedAt !== null && unreadable > 0) await restartRewrap(env.DB, kind);
  }
}
