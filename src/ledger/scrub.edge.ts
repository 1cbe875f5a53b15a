/** Verification's hands: the database, the bucket, the publisher, the payloads' keys and the chain. */
import { ChainClient } from "../anchor/chain.client.ts";
import { anchorSettings } from "../anchor/policy.ts";
import type { CoreEnv } from "../core/env.ts";
import { systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { fromUtf8 } from "../platform/encoding.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { acceptedValues } from "../platform/secrets.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { readSubjects } from "../workflow/check-subject.store.ts";
import { type CheckedSubject, checkSubject, type SubjectRows } from "../workflow/check-subject.ts";
import { findLookupKey } from "../workflow/id-lookup.store.ts";
import { type IdLookup, makeVault, type Vault } from "../workflow/vault.ts";
import type { AnchorRow } from "./check-anchors.ts";
import { FAST_HASHER } from "./check-tree.ts";
import { openCheckpoint } from "./checkpoint.ts";
import { logKeysOf } from "./log-keys.edge.ts";
import type { VerifierKey } from "./note.ts";
import { readAnchorEvents, readAnchorPage, readLogSlice, readNewestSlice, readOwners } from "./scrub.store.ts";
import type { PromisedCheckpoint, ScrubPort } from "./scrub-port.ts";
import type { VerifyPort } from "./verify.ts";

const SUBJECTS_AT_ONCE = 16;

export interface ScrubParts {
  readonly db: D1Database;
  readonly bucket: R2Bucket;
  readonly ledgerId: string;
  readonly vault: () => Promise<Vault>;
  /** Empty: signatures are not checked. */
  readonly logKeys: readonly VerifierKey[];
  readonly promised: () => Promise<PromisedCheckpoint | undefined>;
  readonly chain: Pick<ScrubPort, "readChain" | "isOnChain">;
  readonly now: () => number;
}

/** Every byte counts: a byte order mark stays. Bytes that are no text are empty: no checkpoint and no ciphertext either. */
function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return "";
  }
}

export const NO_CHAIN: ScrubParts["chain"] = { readChain: async () => undefined, isOnChain: async () => undefined };

export function makeScrubPort(parts: ScrubParts): ScrubPort & VerifyPort {
  const { db, bucket, ledgerId, vault, logKeys } = parts;
  const root = `log/${ledgerId}/`;
  const readFile = async (path: string) => {
    const object = await bucket.get(`${root}${path}`);
    return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
  };
  return {
    hasher: FAST_HASHER,
    now: parts.now,
    readPromised: parts.promised,
    ...parts.chain,
    readFile,
    async readPublishedNote() {
      const bytes = await readFile("checkpoint");
      if (bytes === undefined) return undefined;
      return textOf(bytes);
    },
    openNote: (note) => (logKeys.length === 0 ? undefined : openCheckpoint(note, logKeys)),
    readLog: (from, to) => readLogSlice(db, ledgerId, from, to),
    readNewest: (length) => readNewestSlice(db, ledgerId, length),
    async listFiles(cursor) {
      const page = await bucket.list({ prefix: `${root}tile/`, ...(cursor === undefined ? {} : { cursor }) });
      const paths = page.objects.map(({ key }) => key.slice(root.length));
      return page.truncated ? { paths, cursor: page.cursor } : { paths };
    },
    async checkSubjects(from, to) {
      const checked = await checkAll(await readSubjects(db, ledgerId, from, to), await vault(), parts);
      const suspects = new Set(checked.filter(({ findings }) => findings.length > 0).map(({ subject }) => subject));
      if (suspects.size === 0) return summed(checked);
      // Rows and objects are not of one moment: a subject that was erased between the two has lost what its rows named.
      const again = (await readSubjects(db, ledgerId, from, to)).filter(({ subject }) => suspects.has(subject));
      const settled = checked.filter(({ subject }) => !suspects.has(subject));
      return summed([...settled, ...(await checkAll(again, await vault(), parts))]);
    },
    readOwners: (table, cursor, limit) => readOwners(db, ledgerId, table, cursor, limit),
    readAnchors: (after, limit) => readAnchorPage(db, ledgerId, after, limit),
    readAnchorEvents: (after, limit) => readAnchorEvents(db, ledgerId, after, limit),
  };
}

async function checkAll(subjects: readonly SubjectRows[], vault: Vault, { db, bucket, ledgerId }: ScrubParts) {
  const key = await findLookupKey(db, ledgerId);
  let lookup: IdLookup | undefined;
  const results: (CheckedSubject & { readonly subject: string })[] = [];
  const waiting = [...subjects];
  const worker = async () => {
    for (let rows = waiting.shift(); rows !== undefined; rows = waiting.shift()) {
      const checked = await checkSubject(rows, {
        unwrap: (subject, key) => vault.unwrap(subject, key),
        lookup: async (kind, tenantId, id) => {
          if (key === undefined) return undefined;
          lookup ??= await vault.openLookupKey(key);
          return lookup(kind, tenantId, id);
        },
        readObject: async (key) => {
          const object = await bucket.get(key);
          return object === null ? undefined : textOf(new Uint8Array(await object.arrayBuffer()));
        },
      });
      results.push({ subject: rows.subject, ...checked });
    }
  };
  await Promise.all(Array.from({ length: SUBJECTS_AT_ONCE }, worker));
  return results;
}

const summed = (checked: readonly CheckedSubject[]) => ({
  findings: checked.flatMap(({ findings }) => findings),
  erased: checked.filter(({ erased }) => erased).length,
});

const vaultOf = async (env: CoreEnv, ledgerId: string): Promise<Vault> =>
  makeVault(
    await makeKeyring(acceptedValues({ ...env }, "PAYLOAD_MASTER_KEY"), "payload"),
    ledgerId,
    systemRandomBytes,
  );

/** The port of one call; `close` ends what it holds open. */
export async function scrubPortOf(
  env: CoreEnv,
  settings: CoreSettings,
): Promise<{ readonly port: ScrubPort & VerifyPort; readonly close: () => void }> {
  const ledgerId = settings.LEDGER_ID;
  const anchoring = anchorSettings(settings, env.EVM_PRIVATE_KEY);
  const client = anchoring.type === "enabled" ? new ChainClient(anchoring.target) : undefined;
  let vault: Vault | undefined;
  const port = makeScrubPort({
    db: env.DB,
    bucket: env.LEDGER,
    ledgerId,
    vault: async () => {
      vault ??= await vaultOf(env, ledgerId);
      return vault;
    },
    logKeys: await logKeysOf(env, settings),
    promised: () => env.PUBLISHER.getByName(ledgerId).promised(),
    chain: client === undefined ? NO_CHAIN : chainOf(client, settings.CHAIN_ID),
    now: systemNow,
  });
  return { port, close: () => client?.destroy() };
}

/** What the chain says of anchors; it says nothing of those on another chain or contract. */
export function chainOf(
  client: Pick<ChainClient, "contract" | "newestAnchor" | "anchorsIn">,
  chainId: number,
): ScrubParts["chain"] {
  return {
    async readChain() {
      const newest = await client.newestAnchor();
      return newest === undefined || newest.size === 0 ? undefined : { size: newest.size, rootHash: newest.root };
    },
    async isOnChain(anchor: AnchorRow) {
      if (anchor.chainId !== chainId || anchor.contractAddress !== client.contract || anchor.blockNumber === null) {
        return undefined;
      }
      const events = await client.anchorsIn(anchor.blockNumber);
      return events?.some(
        (event) =>
          event.size === anchor.size &&
          event.root === anchor.rootHash &&
          event.previousSize === anchor.previousSize &&
          event.txHash === anchor.txHash &&
          event.blockHash === anchor.blockHash &&
          event.logIndex === anchor.logIndex,
      );
    },
  };
}
