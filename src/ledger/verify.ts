/**
 * What can be said of the ledger at once: the newest entries in full, bound to the head's root through the published tiles, and
 * the head against what was signed and anchored last. A ledger that is small enough is gone through from its first entry. The
 * rest is the scrub's. Every finding is listed, never only the first.
 */
import { fromHex, toHex } from "../platform/encoding.ts";
import type { StoredEntry } from "./check-entry.ts";
import { type LogPosition, LogWalk, type RootClaim, type StoredHead } from "./check-log.ts";
import { EMPTY_TREE, type Hasher, type Tree, treeFromTiles } from "./check-tree.ts";
import type { Checkpoint, OpenedCheckpoint } from "./checkpoint.ts";
import { distinct, type Finding } from "./finding.ts";
import { EMPTY_ROOT, HASH_BYTES, NO_ENTRY_HASH } from "./hash.ts";
import { type HashTile, hashesAtLevel, TILE_WIDTH, tilePath, tileWidth } from "./layout.ts";
import { proveConsistency, verifyConsistency } from "./proof.ts";
import type { CheckpointRow, LogSlice, PromisedCheckpoint } from "./scrub-port.ts";

/** The newest part of the log, all of one moment. */
export interface NewestSlice {
  readonly head: StoredHead | undefined;
  readonly storedSize: number;
  /** A multiple of 256; entries from here on are there. */
  readonly from: number;
  /** Stored hash of the entry before them. */
  readonly before: string | undefined;
  readonly entries: readonly StoredEntry[];
  readonly newestCheckpoint: CheckpointRow | undefined;
  /** The largest confirmed one. */
  readonly newestAnchor: { readonly size: number; readonly rootHash: string } | undefined;
}

export interface VerifyPort {
  readonly hasher: Hasher;
  readPromised(): Promise<PromisedCheckpoint | undefined>;
  readPublishedNote(): Promise<string | undefined>;
  /** Undefined: this log has no key, so no signature can be checked. */
  openNote(note: string): Promise<OpenedCheckpoint> | undefined;
  readNewest(length: number): Promise<NewestSlice>;
  readLog(from: number, to: number): Promise<LogSlice>;
  readFile(path: string): Promise<Uint8Array | undefined>;
}

export interface Verification {
  readonly findings: readonly Finding[];
  /** `full`: every entry, from the first. `newest-segment`: the newest ones and the head. `range`: those asked for. */
  readonly method: "full" | "newest-segment" | "range";
  readonly from: number;
  /** Entries below this were looked at. */
  readonly through: number;
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  /** What the tree over the entries was begun from; `none`: no tile reaches that far, so the scrub alone can bind them. */
  readonly tree: "first-entry" | "tiles" | "none";
  /** Sizes of the checkpoint and the anchor that were held against the entries; null: there is none. */
  readonly checkpoint: number | null;
  readonly anchor: number | null;
}

interface Published {
  readonly promised: PromisedCheckpoint | undefined;
  readonly checkpoint: Checkpoint | undefined;
  readonly findings: readonly Finding[];
}

/** What was signed is read before the database: whatever was signed was committed by then. */
async function readPublished(port: VerifyPort): Promise<Published> {
  const promised = await port.readPromised();
  const note = await port.readPublishedNote();
  if (note === undefined) {
    const gone: Finding = { type: "tile-missing", place: "checkpoint", detail: "the published checkpoint is gone" };
    return { promised, checkpoint: undefined, findings: promised?.released === true ? [gone] : [] };
  }
  const opened = await port.openNote(note);
  if (opened === undefined) return { promised, checkpoint: undefined, findings: [] };
  if (opened.type === "refused") {
    const detail = `published: ${opened.reason}`;
    return {
      promised,
      checkpoint: undefined,
      findings: [{ type: "checkpoint-signature", place: "published", detail }],
    };
  }
  const { checkpoint } = opened;
  const older = promised?.released === true && checkpoint.size < promised.size;
  const detail = `the published checkpoint has ${checkpoint.size} entries, ${promised?.size} were promised`;
  return {
    promised,
    checkpoint,
    findings: older ? [{ type: "checkpoint-mismatch", place: "published", detail }] : [],
  };
}

/** @param length entries that are looked at, about; a ledger of up to this many is gone through as a whole. */
export async function verifyNewest(port: VerifyPort, length: number): Promise<Verification> {
  const published = await readPublished(port);
  const slice = await port.readNewest(length);
  const { from, head } = slice;
  const findings: Finding[] = [...published.findings];
  const base = await baseOf(port, from, published.checkpoint);
  findings.push(...base.findings);
  const end = Math.max(from, Math.min(head?.size ?? slice.storedSize, slice.storedSize));
  const walk = new LogWalk(port.hasher, positionAt(from, base.tree, slice.before));
  const claims = [...(base.tree === undefined ? [] : claimsOf(published, slice))];
  walk.pass(
    slice.entries.filter(({ seq }) => seq < end),
    end,
    claims,
  );
  for (const { seq } of slice.entries.filter(({ seq }) => seq >= end)) {
    walk.findings.push({ type: "entry-unexpected", seq, detail: `entry ${seq} is beyond the head` });
  }
  if (head !== undefined) walk.atHead(head, base.tree !== undefined);
  else if (end > 0) walk.findings.push({ type: "head-mismatch", place: "row", detail: "the ledger's head is gone" });
  findings.push(...walk.findings, ...fewer(published, slice, end));
  const row = slice.newestCheckpoint;
  if (row !== undefined) findings.push(...(await recordFindings(port, row)));
  findings.push(...(await consistencyFindings(port, published.checkpoint, slice, from)));
  return {
    findings: distinct(findings),
    method: from === 0 ? "full" : "newest-segment",
    from,
    through: end,
    size: head?.size ?? 0,
    headHash: head?.headHash ?? NO_ENTRY_HASH,
    rootHash: head?.rootHash ?? toHex(EMPTY_ROOT),
    tree: from === 0 ? "first-entry" : base.tree === undefined ? "none" : "tiles",
    checkpoint: published.checkpoint?.size ?? row?.size ?? null,
    anchor: slice.newestAnchor?.size ?? null,
  };
}

const positionAt = (from: number, tree: Tree | undefined, prev: string | undefined): LogPosition => ({
  // Without tiles the tree is not right; then it is held against nothing.
  tree: tree?.record() ?? { ...EMPTY_TREE, size: from, roots: zeroRoots(from) },
  prev: from === 0 ? NO_ENTRY_HASH : (prev ?? ""),
  at: from === 0 ? "" : undefined,
});

function zeroRoots(size: number): readonly string[] {
  const roots: string[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) if (rest % 2 === 1) roots.push(NO_ENTRY_HASH);
  return roots;
}

/** The tree of the entries before `from`, from the published tiles. */
async function baseOf(
  port: VerifyPort,
  from: number,
  checkpoint: Checkpoint | undefined,
): Promise<{ readonly tree: Tree | undefined; readonly findings: readonly Finding[] }> {
  if (from === 0) return { tree: treeFromTiles(port.hasher, 0, []), findings: [] };
  if (checkpoint === undefined || checkpoint.size < from) return { tree: undefined, findings: [] };
  const findings: Finding[] = [];
  const levels: Promise<readonly Uint8Array[]>[] = [];
  for (let level = 1; hashesAtLevel(level, from) > 0; level++) {
    const hashes = hashesAtLevel(level, from);
    levels.push(
      readHashes(port, level, Math.floor(hashes / TILE_WIDTH), hashes % TILE_WIDTH, checkpoint.size, findings),
    );
  }
  const tiles = await Promise.all(levels);
  return { tree: findings.length > 0 ? undefined : treeFromTiles(port.hasher, from, tiles), findings };
}

async function readHashes(
  port: VerifyPort,
  level: number,
  index: number,
  count: number,
  treeSize: number,
  findings: Finding[],
): Promise<readonly Uint8Array[]> {
  if (count === 0) return [];
  const tile: HashTile = { kind: "hashes", level, index, width: tileWidth(level, index, treeSize) };
  const bytes = await readTile(port, tile);
  const place = tilePath(tile);
  if (bytes === undefined) findings.push({ type: "tile-missing", place, detail: `${place} is not there` });
  else if (bytes.length !== tile.width * HASH_BYTES) {
    findings.push({ type: "tile-mismatch", place, detail: `${place} has ${bytes.length} bytes` });
  } else return Array.from({ length: count }, (_, i) => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  return [];
}

async function readTile(port: VerifyPort, tile: HashTile): Promise<Uint8Array | undefined> {
  const bytes = await port.readFile(tilePath(tile));
  if (bytes !== undefined || tile.width === TILE_WIDTH) return bytes;
  const full = await port.readFile(tilePath({ ...tile, width: TILE_WIDTH }));
  return full?.slice(0, tile.width * HASH_BYTES);
}

/** Roots that the entries must give on the way. */
function claimsOf(
  { promised, checkpoint }: Published,
  { newestCheckpoint, newestAnchor }: Pick<NewestSlice, "newestCheckpoint" | "newestAnchor">,
): readonly RootClaim[] {
  const claims: RootClaim[] = [];
  const about = (size: number, place: string, detail: string): Finding => ({
    type: "checkpoint-mismatch",
    size,
    place,
    detail: `${detail} ${size} entries has another root than the entries give`,
  });
  if (promised !== undefined) {
    claims.push({ ...promised, otherwise: about(promised.size, "promised", "the signed checkpoint of") });
  }
  if (checkpoint !== undefined) {
    const { size, root } = checkpoint;
    claims.push({ size, rootHash: toHex(root), otherwise: about(size, "published", "the published checkpoint of") });
  }
  if (newestCheckpoint !== undefined) {
    const { size, rootHash } = newestCheckpoint;
    claims.push({ size, rootHash, otherwise: about(size, "root_hash", "the recorded checkpoint of") });
  }
  if (newestAnchor !== undefined) {
    const { size } = newestAnchor;
    const detail = `the anchor of ${size} entries has another root than the entries give`;
    claims.push({ ...newestAnchor, otherwise: { type: "anchor-mismatch", size, place: "root_hash", detail } });
  }
  return claims;
}

/** Fewer entries than were promised, in whatever place. */
function fewer({ promised, checkpoint }: Published, slice: NewestSlice, end: number): readonly Finding[] {
  const findings: Finding[] = [];
  const promisedBy = (place: string, size: number | undefined, who: string) => {
    if (size === undefined || size <= end) return;
    findings.push({ type: "truncated", size, place, detail: `${who} ${size} entries, ${end} are there` });
  };
  promisedBy("head", slice.head?.size, "the head promises");
  promisedBy("promised", promised?.size, "a signed checkpoint promises");
  promisedBy("published", checkpoint?.size, "the published checkpoint promises");
  promisedBy("checkpoint", slice.newestCheckpoint?.size, "a recorded checkpoint promises");
  promisedBy("anchor", slice.newestAnchor?.size, "a recorded anchor covers");
  if (promised?.released === true && (slice.newestCheckpoint?.size ?? 0) < promised.size) {
    const detail = `the released checkpoint of ${promised.size} entries is not recorded`;
    findings.push({ type: "checkpoint-missing", size: promised.size, detail });
  }
  return findings;
}

async function recordFindings(port: VerifyPort, row: CheckpointRow): Promise<readonly Finding[]> {
  const { size } = row;
  const opened = await port.openNote(row.note);
  if (opened === undefined) return [];
  if (opened.type === "refused") {
    const detail = `the checkpoint of ${size} entries can not be trusted: ${opened.reason}`;
    return [{ type: "checkpoint-signature", size, detail }];
  }
  if (opened.checkpoint.size === size && toHex(opened.checkpoint.root) === row.rootHash) return [];
  const detail = `the checkpoint of ${size} entries is signed for another tree`;
  return [{ type: "checkpoint-mismatch", size, place: "note", detail }];
}

/** The last anchor and the recorded checkpoint, where they are before the entries that were looked at: proved from the tiles. */
async function consistencyFindings(
  port: VerifyPort,
  checkpoint: Checkpoint | undefined,
  { newestAnchor }: NewestSlice,
  from: number,
): Promise<readonly Finding[]> {
  if (newestAnchor === undefined || checkpoint === undefined) return [];
  const { size, rootHash } = newestAnchor;
  if (size > from || size < 1 || size > checkpoint.size || from === 0) return [];
  const mismatch = (detail: string): readonly Finding[] => [
    { type: "anchor-mismatch", size, place: "root_hash", detail },
  ];
  const root = /^[0-9a-f]{64}$/.test(rootHash) ? fromHex(rootHash) : undefined;
  if (root === undefined) return mismatch(`the root of the anchor of ${size} entries is no hash`);
  const missing: Finding[] = [];
  try {
    const proof = await proveConsistency(size, checkpoint.size, checkpoint.size, async (tile) => {
      const bytes = await readTile(port, tile);
      if (bytes?.length === tile.width * HASH_BYTES) return bytes;
      const place = tilePath(tile);
      const type = bytes === undefined ? "tile-missing" : "tile-mismatch";
      missing.push({ type, place, detail: `${place} can not be used` });
      throw new RangeError(place);
    });
    if (verifyConsistency(size, checkpoint.size, root, checkpoint.root, proof)) return [];
  } catch (error) {
    if (missing.length === 0) throw error;
    return missing;
  }
  return mismatch(`the published tree is not proved to extend the anchored one of ${size} entries`);
}

const RANGE_STEP = 1_024;

/**
 * Entries `from` up to `to`, which need not be there. Between a multiple of 256 and `from` entries are read as well: the tree
 * is begun from the tiles there.
 */
export async function verifyRange(port: VerifyPort, from: number, to: number): Promise<Verification> {
  const published = await readPublished(port);
  const start = from - (from % TILE_WIDTH);
  const base = await baseOf(port, start, published.checkpoint);
  const findings: Finding[] = [...published.findings, ...base.findings];
  let walk: LogWalk | undefined;
  let last: LogSlice | undefined;
  let anchor: number | null = null;
  let end = start;
  for (let at = start; ; at += RANGE_STEP) {
    const until = Math.min(to, at + RANGE_STEP);
    const slice = await port.readLog(Math.max(0, at - (walk === undefined && at > 0 ? 1 : 0)), until);
    const before = slice.entries.find(({ seq }) => seq === at - 1)?.entryHash;
    walk ??= new LogWalk(port.hasher, positionAt(start, base.tree, before));
    last = slice;
    end = Math.max(at, Math.min(until, slice.head?.size ?? slice.storedSize, slice.storedSize));
    const claims = base.tree === undefined ? [] : sliceClaims(published, slice);
    walk.pass(
      slice.entries.filter(({ seq }) => seq >= at && seq < end),
      end,
      claims,
    );
    for (const row of slice.checkpoints) findings.push(...(await recordFindings(port, row)));
    anchor = slice.anchors.findLast(({ size }) => size <= end)?.size ?? anchor;
    if (end < until || until >= to) break;
  }
  const { head } = last;
  const size = head?.size ?? 0;
  if (head !== undefined && end === size) walk.atHead(head, base.tree !== undefined);
  for (const { size: promisedSize } of [published.promised, published.checkpoint].filter((one) => one !== undefined)) {
    if (promisedSize <= Math.min(size, last.storedSize)) continue;
    const detail = `a signed checkpoint promises ${promisedSize} entries, ${Math.min(size, last.storedSize)} are there`;
    findings.push({ type: "truncated", size: promisedSize, place: "promised", detail });
  }
  findings.push(...walk.findings);
  return {
    findings: distinct(findings),
    method: "range",
    from: start,
    through: end,
    size,
    headHash: head?.headHash ?? NO_ENTRY_HASH,
    rootHash: head?.rootHash ?? toHex(EMPTY_ROOT),
    tree: start === 0 ? "first-entry" : base.tree === undefined ? "none" : "tiles",
    checkpoint: published.checkpoint?.size ?? null,
    anchor,
  };
}

function sliceClaims(published: Published, slice: LogSlice): readonly RootClaim[] {
  const about =
    (type: "checkpoint-mismatch" | "anchor-mismatch", what: string) => (row: { size: number; rootHash: string }) => ({
      size: row.size,
      rootHash: row.rootHash,
      otherwise: {
        type,
        size: row.size,
        place: "root_hash",
        detail: `the ${what} of ${row.size} entries has another root than the entries give`,
      },
    });
  return [
    ...claimsOf(published, { newestCheckpoint: undefined, newestAnchor: undefined }),
    ...slice.checkpoints.map(about("checkpoint-mismatch", "checkpoint")),
    ...slice.anchors.map(about("anchor-mismatch", "anchor")),
  ];
}
