/** What is published now, for routes that prove something in it. */
import { anchorFor } from "../anchor/anchor.store.ts";
import type { EntryAnchor } from "../anchor/anchor-view.ts";
import type { CoreEnv } from "../core/env.ts";
import { fromHex, toBase64, toHex, utf8 } from "../platform/encoding.ts";
import type { Problem } from "../platform/problem.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { hexHashes, type ProofBundle } from "./bundle.ts";
import { type Checkpoint, parseCheckpointText } from "./checkpoint.ts";
import { type Hash, leafHash } from "./hash.ts";
import { readCheckpointFile, tileReader } from "./log.store.ts";
import { parseNote } from "./note.ts";
import {
  proveConsistency,
  proveInclusion,
  type ReadTile,
  sameHash,
  verifyConsistency,
  verifyInclusion,
} from "./proof.ts";
import { readCommittedEntry } from "./publish.store.ts";

/** When the next checkpoint is out, after a commit. */
const NEXT_CHECKPOINT_SECONDS = 2;

export const NOTHING_PUBLISHED: Problem = {
  code: "not_found",
  detail: "No checkpoint has been published yet. The first one follows the first entry within two seconds.",
  retryAfterSeconds: NEXT_CHECKPOINT_SECONDS,
};

export const notYetPublished = (size: number): Problem => ({
  code: "not_found",
  detail: `The newest checkpoint covers ${size} entries. Ask again when the next one is out.`,
  retryAfterSeconds: NEXT_CHECKPOINT_SECONDS,
});

function checkpointIn(note: string): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed && parseCheckpointText(parsed.text);
  if (checkpoint === undefined) throw new Error("the stored checkpoint does not read as one");
  return checkpoint;
}

let released: { readonly bucket: R2Bucket; readonly ledgerId: string; readonly size: number } | undefined;

/**
 * Entries of the newest checkpoint that readers see, as far as it must be known: once released is always released, so what this
 * isolate has seen is not read again for what it covers.
 * @param needed a smaller answer was read just now; 0 before the first checkpoint.
 * @throws Error when what is stored as a checkpoint is none.
 */
export async function releasedSize(bucket: R2Bucket, ledgerId: string, needed: number): Promise<number> {
  const known = released?.bucket === bucket && released.ledgerId === ledgerId ? released.size : 0;
  if (known >= needed) return known;
  const note = await readCheckpointFile(bucket, ledgerId);
  if (note === undefined) return 0;
  const size = Math.max(known, checkpointIn(note).size);
  released = { bucket, ledgerId, size };
  return size;
}

export interface Published {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  readonly readTile: ReadTile;
}

/** @throws Error when what is stored as a checkpoint is none. */
export async function readPublished(env: CoreEnv, settings: CoreSettings): Promise<Published | undefined> {
  const note = await readCheckpointFile(env.LEDGER, settings.LEDGER_ID);
  if (note === undefined) return undefined;
  return { checkpoint: checkpointIn(note), note, readTile: tileReader(env.LEDGER, settings.LEDGER_ID) };
}

export type BundleAnswer =
  | {
      readonly type: "bundle";
      readonly bundle: ProofBundle;
      readonly hashes: readonly Hash[];
      readonly anchored: AnchorNews;
    }
  | { readonly type: "problem"; readonly problem: Problem };

/** Why a bundle has an anchor or not, and when to ask again. */
export interface AnchorNews {
  readonly status: "confirmed" | "submitted" | "none";
  readonly reason: string | null;
  readonly retryAfterSeconds: number | null;
}

/** The offline proof of an entry: in the newest checkpoint, and from the first final anchor that covers it. */
export async function proofBundle(env: CoreEnv, settings: CoreSettings, seq: number): Promise<BundleAnswer> {
  const [published, entry, anchor] = await Promise.all([
    readPublished(env, settings),
    readCommittedEntry(env.DB, settings.LEDGER_ID, seq),
    anchorFor(env.DB, settings.LEDGER_ID, seq),
  ]);
  if (published === undefined) return { type: "problem", problem: NOTHING_PUBLISHED };
  const { checkpoint, note, readTile } = published;
  if (entry === undefined)
    return { type: "problem", problem: { code: "not_found", detail: `There is no entry ${seq}.` } };
  if (seq >= checkpoint.size) return { type: "problem", problem: notYetPublished(checkpoint.size) };
  const bytes = utf8(entry.body);
  const hashes = await proveInclusion(seq, checkpoint.size, checkpoint.size, readTile);
  // A proof that does not hold is never handed out: what is stored was changed, and verification names it.
  if (!verifyInclusion(seq, checkpoint.size, leafHash(bytes), hashes, checkpoint.root)) {
    throw new Error(`entry ${seq} is not in the published tree`);
  }
  const chain = await chainAnchor(anchor, published);
  return {
    type: "bundle",
    hashes,
    bundle: {
      format: "itrans-proof@v1",
      ledgerId: settings.LEDGER_ID,
      index: seq,
      entry: toBase64(bytes),
      entryHash: entry.entryHash,
      inclusionProof: hexHashes(hashes),
      checkpoint: note,
      anchor: chain ?? null,
    },
    anchored: anchorNews(anchor, chain !== undefined, settings),
  };
}

async function chainAnchor(
  anchor: EntryAnchor,
  { checkpoint, readTile }: Published,
): Promise<NonNullable<ProofBundle["anchor"]> | undefined> {
  if (anchor.state !== "confirmed" || anchor.size > checkpoint.size) return undefined;
  const root = fromHex(anchor.rootHash);
  const proof = await proveConsistency(anchor.size, checkpoint.size, checkpoint.size, readTile);
  const holds =
    anchor.size === checkpoint.size
      ? sameHash(root, checkpoint.root)
      : verifyConsistency(anchor.size, checkpoint.size, root, checkpoint.root, proof);
  if (!holds) throw new Error(`the anchored tree of ${anchor.size} entries is not in the published one`);
  const { chainId, contractAddress, txHash, blockNumber, blockHash, logIndex, size } = anchor;
  return {
    chainId,
    contractAddress,
    txHash,
    blockNumber,
    blockHash,
    logIndex,
    size,
    rootHash: toHex(root),
    consistencyProof: hexHashes(proof),
  };
}

function anchorNews(anchor: EntryAnchor, included: boolean, settings: CoreSettings): AnchorNews {
  const soon = Math.max(1, Math.ceil(settings.ANCHOR_POLL_MS / 1_000));
  if (included) return { status: "confirmed", reason: null, retryAfterSeconds: null };
  switch (anchor.state) {
    case "confirmed":
      return {
        status: "confirmed",
        reason: "The checkpoint that covers the anchored tree is about to be published.",
        retryAfterSeconds: NEXT_CHECKPOINT_SECONDS,
      };
    case "submitted":
      return { status: "submitted", reason: "The anchor's transaction is not final yet.", retryAfterSeconds: soon };
    case "none":
      return settings.EVM_RPC_URL === undefined || settings.ANCHOR_CONTRACT_ADDRESS === undefined
        ? { status: "none", reason: "No chain is configured for this ledger.", retryAfterSeconds: null }
        : { status: "none", reason: "The next anchor will cover the entry.", retryAfterSeconds: soon };
  }
}
