/**
 * Publishing: from committed entries to tiles, bundles and a signed checkpoint that outsiders can check.
 *
 * Invariant: no checkpoint is signed that does not extend every checkpoint signed before it, and none is released before
 * everything it promises can be read. The tree that is signed is the one that the stored entries give, byte for byte.
 *
 * Order of one round:
 *   1. a checkpoint that was signed but maybe not released is released;
 *   2. the head and the entries behind it are read, hashed again and held against what was built before;
 *   3. full bundles and tiles are written (at most so many entries a round: when there are more, the progress is stored and
 *      the round ends);
 *   4. partial bundle and tiles are written;
 *   5. the consistency with the last signed checkpoint is proved from the tiles as they can be read now;
 *   6. the checkpoint is signed, then compared and set in own storage with the progress: from here on it is a promise;
 *   7. witnesses are given a bounded time to cosign it; what they sign is in own storage;
 *   8. it is recorded in the database with what cosignatures came, then released to readers, then marked as released.
 * A cosignature that comes later is released by a round of its own; when there is a newer checkpoint, it is only recorded.
 * A crash between any two leaves something that the next round finds or does again: what is written is determined by the
 * entries, so writing it twice is writing it once.
 */
import { fromHex, toHex, utf8 } from "../platform/encoding.ts";
import { type Hash, leafHash, NO_ENTRY_HASH } from "./hash.ts";
import { endOf, partialTiles, TILE_WIDTH, type Tile, tilePath } from "./layout.ts";
import { proveConsistency, type ReadTile, rootFromTiles, verifyConsistency } from "./proof.ts";
import { EMPTY_EDGE, encodeBundle, extendEdge, partialContents, rootOfEdge, type TileEdge } from "./tiles.ts";

/** What was promised last. */
export interface SignedCheckpoint {
  readonly size: number;
  /** 64 lower-case hex. */
  readonly rootHash: string;
  /** The signed note, without cosignatures. */
  readonly note: string;
  /** Verifier keys of its signatures, joined by line feeds. */
  readonly signedBy: string;
  /** Epoch ms. */
  readonly signedAt: number;
}

/** Full bundles and tiles of this many entries are written. */
export interface Built {
  readonly edge: TileEdge;
  /** The hash of the last entry. */
  readonly headHash: string;
}

export const NOTHING_BUILT: Built = { edge: EMPTY_EDGE, headHash: NO_ENTRY_HASH };

export interface PublisherState {
  readonly signed: SignedCheckpoint | undefined;
  /** The note of `signed` with witnesses' cosignatures; undefined before the first. */
  readonly cosignedNote: string | undefined;
  /** Whether readers see `signed`. */
  readonly released: boolean;
  /** Whether cosignatures have come that readers do not see yet. */
  readonly cosignedSince?: boolean;
  readonly built: Built;
}

export interface CommittedHead {
  readonly size: number;
  readonly rootHash: string;
  readonly headHash: string;
}

export interface CommittedEntry {
  readonly seq: number;
  readonly entryHash: string;
  readonly body: string;
}

export type SetOutcome =
  | {
      readonly type: "set";
      /** What was replaced, with the cosignatures that it had by then. */
      readonly replaced: string | undefined;
    }
  | { readonly type: "overtaken" };

export interface PublisherPort {
  /** Own storage; with nothing there, what the last checkpoint that others hold says. A read that fails throws. */
  loadState(): Promise<PublisherState>;
  saveBuilt(built: Built): Promise<void>;
  /** Sets `next`, and what was built for it, if `expected` is there. Durable when it resolves. */
  compareAndSet(expected: SignedCheckpoint | undefined, next: SignedCheckpoint, built: Built): Promise<SetOutcome>;
  /**
   * Asks the witnesses for their cosignatures of what was signed last, and stores them; bounded. Absent: there are none.
   * @returns the note with those that came.
   */
  readonly cosign?: (signed: SignedCheckpoint) => Promise<string>;
  /** @param note what was released: with the cosignatures that there were. */
  markReleased(signed: SignedCheckpoint, note: string): Promise<void>;
  /** Undefined: nothing was ever committed. */
  readHead(): Promise<CommittedHead | undefined>;
  /** Entries `from` up to `to`, in order; at most 1,024. */
  readEntries(from: number, to: number): Promise<readonly CommittedEntry[]>;
  /** @returns `exists` when something is there already; it is left as it is. */
  writeOnce(path: string, bytes: Uint8Array): Promise<"written" | "exists">;
  overwrite(path: string, bytes: Uint8Array): Promise<void>;
  read(path: string): Promise<Uint8Array | undefined>;
  readonly readTile: ReadTile;
  readonly signedBy: string;
  /** @returns the signed note. */
  sign(size: number, root: Hash): Promise<string>;
  /** In the database; again it takes over the newer note. */
  record(signed: SignedCheckpoint): Promise<void>;
  release(note: string): Promise<void>;
  now(): number;
}

export const REFUSALS = [
  /** The database has fewer entries than were promised: it was rolled back. */
  "database-behind",
  /** An entry that the head promises is not there. */
  "entry-missing",
  /** An entry does not hash to its stored hash, or not to what was published, or does not name its predecessor. */
  "entry-mismatch",
  /** The tree over the entries has another root than the head. */
  "root-mismatch",
  /** The tree does not extend the last signed one. */
  "inconsistent",
  /** A published tile or bundle has other bytes than the entries give. */
  "tile-differs",
  /** Someone else signed meanwhile. */
  "overtaken",
] as const;
export type Refusal = (typeof REFUSALS)[number];

export type PublishResult =
  | { readonly type: "published"; readonly signed: SignedCheckpoint; readonly completed: readonly Tile[] }
  /** Readers see everything that is committed. */
  | { readonly type: "current" }
  /** There is more to build before the next checkpoint. */
  | { readonly type: "catching-up"; readonly built: number; readonly size: number }
  | { readonly type: "refused"; readonly reason: Refusal };

export interface PublishLimits {
  /** A multiple of 256. */
  readonly maxEntries: number;
  readonly writesAtOnce: number;
}

const READ_CHUNK = 1_024;

class Refused extends Error {
  readonly reason: Refusal;
  constructor(reason: Refusal) {
    super(reason);
    this.reason = reason;
  }
}

/** One round. @throws when storage, database or bucket fail; the next round starts from what is stored. */
export async function publishRound(port: PublisherPort, limits: PublishLimits): Promise<PublishResult> {
  try {
    return await round(port, limits);
  } catch (error) {
    if (error instanceof Refused) return { type: "refused", reason: error.reason };
    throw error;
  }
}

async function round(port: PublisherPort, limits: PublishLimits): Promise<PublishResult> {
  const { signed, cosignedNote, released, cosignedSince = false, built: before } = await port.loadState();
  if (signed !== undefined && !released) await releaseSigned(port, signed, cosignedNote ?? signed.note);
  const head = await port.readHead();
  const size = head?.size ?? 0;
  if (signed !== undefined && size < signed.size) throw new Refused("database-behind");
  if (head === undefined || size === 0) return { type: "current" };
  if (signed?.size === size) {
    if (signed.rootHash !== head.rootHash) throw new Refused("root-mismatch");
    if (signed.signedBy === port.signedBy) {
      if (released && cosignedSince) await releaseSigned(port, signed, cosignedNote ?? signed.note);
      return { type: "current" };
    }
  }
  // What comes out next takes its place: readers are spared a checkpoint, and the bucket a write.
  if (signed !== undefined && released && cosignedSince) {
    await port.record({ ...signed, note: cosignedNote ?? signed.note });
  }

  // Built beyond the head means that the database lost entries nobody was promised: they are built again from the first.
  const step = await build(port, before.edge.size > size ? NOTHING_BUILT : before, head, limits, signed?.size ?? 0);
  if (step.built.edge.size < size) {
    await port.saveBuilt(step.built);
    return { type: "catching-up", built: step.built.edge.size, size };
  }

  const root = rootOfEdge(step.built.edge);
  if (toHex(root) !== head.rootHash || step.built.headHash !== head.headHash) throw new Refused("root-mismatch");
  await writePartials(port, step, limits, signed?.size ?? 0);
  if (!(await extendsSigned(port, signed, size, root))) throw new Refused("inconsistent");

  const next: SignedCheckpoint = {
    size,
    rootHash: head.rootHash,
    note: await port.sign(size, root),
    signedBy: port.signedBy,
    signedAt: port.now(),
  };
  const outcome = await port.compareAndSet(signed, next, step.built);
  if (outcome.type === "overtaken") throw new Refused("overtaken");
  // What came while this round built is of the checkpoint before, and has no place but its record.
  const { replaced } = outcome;
  if (signed !== undefined && replaced !== undefined && replaced !== (cosignedNote ?? signed.note)) {
    await port.record({ ...signed, note: replaced });
  }
  await releaseSigned(port, next, (await port.cosign?.(next)) ?? next.note);
  return { type: "published", signed: next, completed: step.completed };
}

async function releaseSigned(port: PublisherPort, signed: SignedCheckpoint, note: string): Promise<void> {
  await port.record({ ...signed, note });
  await port.release(note);
  await port.markReleased(signed, note);
}

interface Step {
  readonly built: Built;
  /** Full bundles and tiles written in this step. */
  readonly completed: readonly Tile[];
  /** The entries of the last bundle, when it is partial. */
  readonly tail: readonly Uint8Array[];
}

interface File {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

async function build(
  port: PublisherPort,
  before: Built,
  head: CommittedHead,
  limits: PublishLimits,
  promised: number,
): Promise<Step> {
  const builtSize = before.edge.size;
  const start = builtSize - (builtSize % TILE_WIDTH);
  const end = Math.min(head.size, start + limits.maxEntries);
  const bodies: Uint8Array[] = [];
  const leaves: Hash[] = [];
  let last = before.headHash;
  for (let from = start; from < end; from += READ_CHUNK) {
    const to = Math.min(end, from + READ_CHUNK);
    const entries = await port.readEntries(from, to);
    for (let seq = from; seq < to; seq++) {
      const entry = entries[seq - from];
      if (entry?.seq !== seq) throw new Refused("entry-missing");
      const bytes = utf8(entry.body);
      const hash = leafHash(bytes);
      const hashHex = toHex(hash);
      if (hashHex !== entry.entryHash) throw new Refused("entry-mismatch");
      if (seq < builtSize) {
        const known = before.edge.levels[0]?.[seq - start];
        if (known === undefined || toHex(known) !== hashHex) throw new Refused("entry-mismatch");
      } else {
        if (!names(entry.body, seq, last)) throw new Refused("entry-mismatch");
        leaves.push(hash);
        last = hashHex;
      }
      bodies.push(bytes);
    }
  }
  const { edge, completed } = extendEdge(before.edge, leaves);
  const files: File[] = [...completed];
  const fullBundles = Math.floor((end - start) / TILE_WIDTH);
  for (let i = 0; i < fullBundles; i++) {
    const tile: Tile = { kind: "entries", index: start / TILE_WIDTH + i, width: TILE_WIDTH };
    files.push({ tile, bytes: encodeBundle(bodies.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH)) });
  }
  await writeAll(port, files, limits, promised);
  const built = { edge, headHash: last };
  return { built, completed: files.map(({ tile }) => tile), tail: bodies.slice(fullBundles * TILE_WIDTH) };
}

/** Whether an entry says which one it is and names its predecessor's hash. */
function names(body: string, seq: number, prev: string): boolean {
  const entry: unknown = JSON.parse(body);
  return (
    typeof entry === "object" &&
    entry !== null &&
    "seq" in entry &&
    "prev" in entry &&
    entry.seq === seq &&
    entry.prev === prev
  );
}

/** The partial tiles and bundle of the tree's right edge, but for those that the last checkpoint named already. */
async function writePartials(port: PublisherPort, step: Step, limits: PublishLimits, promised: number): Promise<void> {
  const { edge } = step.built;
  const named = new Set(partialTiles(promised).map(tilePath));
  const files: File[] = partialContents(edge).filter(({ tile }) => !named.has(tilePath(tile)));
  if (step.tail.length > 0 && edge.size !== promised) {
    const index = Math.floor(edge.size / TILE_WIDTH);
    files.push({ tile: { kind: "entries", index, width: step.tail.length }, bytes: encodeBundle(step.tail) });
  }
  await writeAll(port, files, limits, promised);
}

/** What a checkpoint has named is never overwritten; what nobody was promised may be left over from lost entries. */
async function writeAll(
  port: PublisherPort,
  files: readonly File[],
  limits: PublishLimits,
  promised: number,
): Promise<void> {
  const waiting = [...files];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const path = tilePath(file.tile);
      if ((await port.writeOnce(path, file.bytes)) === "written") continue;
      if (sameBytes(await port.read(path), file.bytes)) continue;
      if (endOf(file.tile) <= promised) {
        waiting.length = 0;
        throw new Refused("tile-differs");
      }
      await port.overwrite(path, file.bytes);
    }
  };
  // All of them have ended before a failure is told: nothing is still being written when the next round begins.
  const ended = await Promise.allSettled(Array.from({ length: limits.writesAtOnce }, worker));
  const failed = ended.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

const sameBytes = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);

/** From the tiles as readers will find them, not from what this process believes it wrote. */
async function extendsSigned(
  port: PublisherPort,
  signed: SignedCheckpoint | undefined,
  size: number,
  root: Hash,
): Promise<boolean> {
  if (signed === undefined || signed.size === 0) {
    return toHex(await rootFromTiles(size, size, port.readTile)) === toHex(root);
  }
  const proof = await proveConsistency(signed.size, size, size, port.readTile);
  return verifyConsistency(signed.size, size, fromHex(signed.rootHash), root, proof);
}

/** Whether a database with this head may be appended to: never behind, and never beside, the last signed checkpoint. */
export function mayAppend(
  head: { readonly size: number; readonly rootHash: string },
  signed: { readonly size: number; readonly rootHash: string } | undefined,
): boolean {
  if (signed === undefined || head.size > signed.size) return true;
  return head.size === signed.size && head.rootHash === signed.rootHash;
}
