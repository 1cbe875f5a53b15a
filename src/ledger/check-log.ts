/**
 * Going through the log from some entry to its end: bytes hashed again, the chain, the tree, and whatever names a size held
 * against the tree of that size. What is read comes in slices; what is carried from one to the next is a LogPosition.
 */
import { toHex } from "../platform/encoding.ts";
import { entryFindings, type StoredEntry } from "./check-entry.ts";
import { EMPTY_TREE, type Hasher, Tree, type TreeRecord } from "./check-tree.ts";
import type { Finding } from "./finding.ts";
import { HASH_BYTES, type Hash, NO_ENTRY_HASH } from "./hash.ts";
import { type HashTile, TILE_WIDTH, type Tile, tilePath } from "./layout.ts";

export interface StoredHead {
  readonly version: number;
  readonly size: number;
  readonly headHash: string;
  readonly rootHash: string;
  readonly frontier: string;
  readonly lastAt: string;
}

/** Some record that says which root the tree of a size has: a checkpoint, an anchor, an earlier round. */
export interface RootClaim {
  readonly size: number;
  readonly rootHash: string;
  /** What is wrong when the tree of that size has another root. */
  readonly otherwise: Finding;
}

/** Where the walk is; JSON. */
export interface LogPosition {
  readonly tree: TreeRecord;
  /** Stored hash of the last entry. */
  readonly prev: string;
  /** Its time; undefined where the walk began in the middle. */
  readonly at?: string | undefined;
}

export const LOG_START: LogPosition = { tree: EMPTY_TREE, prev: NO_ENTRY_HASH, at: "" };

/** What must be in published files, told as the walk passes. */
export interface PublishedExpectation {
  /** The tree whose files were published: full tiles up to it, and its partial tiles. */
  readonly size: number;
  expect(tile: Tile, bytes: Uint8Array): void;
}

export class LogWalk {
  readonly #hasher: Hasher;
  readonly #tree: Tree;
  readonly #published: PublishedExpectation | undefined;
  readonly findings: Finding[] = [];
  #prev: string;
  #at: string | undefined;
  #gapUntil = 0;
  /** The bundle that is not full yet. */
  readonly #bundle = new BundleBuffer();

  /** With a published expectation the walk must begin where a bundle begins. */
  constructor(hasher: Hasher, from: LogPosition, published?: PublishedExpectation) {
    this.#hasher = hasher;
    this.#tree = new Tree(hasher, from.tree);
    this.#prev = from.prev;
    this.#at = from.at;
    this.#published = published;
  }

  /** Entries passed. */
  get size(): number {
    return this.#tree.size;
  }

  rootHex(): string {
    return this.#tree.rootHex();
  }

  position(): LogPosition {
    return { tree: this.#tree.record(), prev: this.#prev, at: this.#at };
  }

  /**
   * Passes entries up to `until`. One that is not there is a finding, and stands in the tree as 32 zero bytes.
   * @param rows in order of seq.
   * @param claims about sizes in this slice.
   */
  pass(rows: readonly StoredEntry[], until: number, claims: readonly RootClaim[]): void {
    const bySize = new Map<number, RootClaim[]>();
    for (const claim of claims) bySize.set(claim.size, [...(bySize.get(claim.size) ?? []), claim]);
    let i = 0;
    while (this.size < until) {
      let row = rows[i];
      while (row !== undefined && row.seq < this.size) {
        this.findings.push({
          type: "entry-unexpected",
          seq: row.seq,
          detail: `entry ${row.seq} has no place in the log`,
        });
        row = rows[++i];
      }
      if (row === undefined || row.seq !== this.size) this.#missing(row, until);
      else {
        this.#one(row);
        i += 1;
      }
      for (const claim of bySize.get(this.size) ?? []) {
        if (this.#tree.rootHex() !== claim.rootHash) this.findings.push(claim.otherwise);
      }
      if (this.size === this.#published?.size) this.#expectPartials(this.#published);
    }
  }

  #one(row: StoredEntry): void {
    const hash = this.#bundle.add(row.body, this.#hasher);
    const hashHex = toHex(hash);
    const { entry, findings } = entryFindings(row, hashHex, {
      hash: this.#prev,
      at: this.#at,
    });
    this.findings.push(...findings);
    this.#prev = row.entryHash;
    this.#at = entry?.at ?? this.#at;
    this.#add(hash);
  }

  /** Stands for every missing entry up to the next that is there, so that a large gap is one finding. */
  #missing(next: StoredEntry | undefined, until: number): void {
    if (this.size >= this.#gapUntil) {
      const end = Math.min(next?.seq ?? until, until);
      const what = end - this.size === 1 ? `entry ${this.size} is` : `entries ${this.size} to ${end - 1} are`;
      this.findings.push({ type: "seq-gap", seq: this.size, detail: `${what} missing` });
      this.#gapUntil = end;
    }
    this.#bundle.add("", this.#hasher);
    this.#add(new Uint8Array(HASH_BYTES));
  }

  #add(leaf: Hash): void {
    const published = this.#published;
    if (published === undefined) this.#tree.add(leaf);
    else {
      this.#tree.add(leaf, (level, index, hashes) => {
        if ((index + 1) * TILE_WIDTH ** (level + 1) > published.size) return;
        published.expect({ kind: "hashes", level, index, width: TILE_WIDTH }, joined(hashes));
      });
    }
    if (this.#bundle.count < TILE_WIDTH) return;
    const index = this.size / TILE_WIDTH - 1;
    if (published !== undefined && this.size <= published.size) {
      published.expect({ kind: "entries", index, width: TILE_WIDTH }, this.#bundle.bytes());
    }
    this.#bundle.clear();
  }

  #expectPartials(published: PublishedExpectation): void {
    for (let level = 0; level < this.#tree.levels; level++) {
      const hashes = this.#tree.partial(level);
      if (hashes.length === 0) continue;
      const index = Math.floor(this.size / TILE_WIDTH ** (level + 1));
      const tile: HashTile = { kind: "hashes", level, index, width: hashes.length };
      published.expect(tile, joined(hashes));
    }
    if (this.#bundle.count > 0) {
      const index = Math.floor(this.size / TILE_WIDTH);
      published.expect({ kind: "entries", index, width: this.#bundle.count }, this.#bundle.bytes());
    }
  }

  /**
   * Holds the head against what was passed: call it when that is everything that was there with the head.
   * @param tree whether the walk began from a tree that can be relied on.
   */
  atHead(head: StoredHead, tree = true): void {
    const wrong = (place: string, detail: string) => this.findings.push({ type: "head-mismatch", place, detail });
    if (head.size < this.size) wrong("size", `the head says ${head.size} entries, ${this.size} are there`);
    if (head.size === this.size && head.headHash !== this.#prev)
      wrong("head_hash", "the stored head is not that of the last entry");
    if (tree && head.frontier !== this.#tree.frontierJson())
      wrong("frontier", "the stored frontier is not that of the entries");
    if (this.size > 0 && this.#at !== undefined && head.lastAt !== this.#at) {
      wrong("last_at", "the stored time is not that of the last entry");
    }
    // Each version brought at least one entry.
    if (head.version > head.size || (head.size > 0 && head.version < 1)) {
      wrong("version", `version ${head.version} can not have ${head.size} entries`);
    }
    if (tree && head.rootHash !== this.#tree.rootHex()) {
      this.findings.push({
        type: "root-mismatch",
        detail: "the tree over the entries has another root than the stored head",
      });
    }
  }
}

function joined(hashes: readonly Hash[]): Uint8Array {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES);
  for (const [i, hash] of hashes.entries()) bytes.set(hash, i * HASH_BYTES);
  return bytes;
}

/** Each entry as uint16 big-endian length, then its bytes (tlog-tiles); the bytes are hashed where they lie. */
class BundleBuffer {
  #buffer = new Uint8Array(TILE_WIDTH * 1_024);
  #end = 0;
  count = 0;

  add(body: string, hasher: Hasher): Hash {
    const start = this.#end + 2;
    // A UTF-16 unit becomes at most three bytes.
    if (start + 3 * body.length > this.#buffer.length) this.#grow(start + 3 * body.length);
    const { written } = encoder.encodeInto(body, this.#buffer.subarray(start));
    const hash = hasher.leafWithin(this.#buffer, start, written);
    this.#buffer[this.#end] = Math.floor(written / 256) % 256;
    this.#buffer[this.#end + 1] = written % 256;
    this.#end = start + written;
    this.count += 1;
    return hash;
  }

  #grow(least: number): void {
    const larger = new Uint8Array(2 * least);
    larger.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = larger;
  }

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#end);
  }

  clear(): void {
    this.#end = 0;
    this.count = 0;
  }
}

const encoder = new TextEncoder();

/** What a published file has wrong; undefined when it is as it must be. */
export function fileFinding(tile: Tile, expected: Uint8Array, found: Uint8Array | undefined): Finding | undefined {
  const place = tilePath(tile);
  if (found === undefined) return { type: "tile-missing", place, detail: `${place} is not there` };
  if (sameBytes(expected, found)) return undefined;
  return { type: "tile-mismatch", place, detail: `${place} has other bytes than the entries give` };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let i = 0;
  if (a.byteOffset % 4 === 0 && b.byteOffset % 4 === 0) {
    // Four bytes at a time: bundles are long.
    const words = Math.floor(a.length / 4);
    const [x, y] = [new Uint32Array(a.buffer, a.byteOffset, words), new Uint32Array(b.buffer, b.byteOffset, words)];
    for (let word = 0; word < words; word++) if (x[word] !== y[word]) return false;
    i = words * 4;
  }
  for (; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
