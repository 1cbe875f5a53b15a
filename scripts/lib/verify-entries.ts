/** Every entry and every tile of a log, read over HTTP in order and held against its checkpoint. */
import type { Checkpoint } from "../../src/ledger/checkpoint.ts";
import { decodeEntry } from "../../src/ledger/entry.ts";
import { HASH_BYTES, leafHash } from "../../src/ledger/hash.ts";
import { TILE_WIDTH, tilePath } from "../../src/ledger/layout.ts";
import { toHex } from "../../src/platform/encoding.ts";
import type { ServedLog } from "./served-log.ts";
import { type ExpectedTile, hashIn, isTile, type MaybeHash, TreeCheck } from "./tree-check.ts";
import type { FindingType, Reporter } from "./verify-report.ts";
import { NOTHING_CHECKED, type VerifierState } from "./verify-state.ts";

const SAVE_EVERY_BUNDLES = 64;
/** A checkpoint may promise any size: after so many bundles in a row of which nothing is served the rest is not asked for. */
const MAX_UNSERVED_BUNDLES = 256;

type Checked = VerifierState["checked"];

export interface EntriesOptions {
  readonly log: ServedLog;
  readonly reporter: Reporter;
  /** What an earlier run checked of the same log, where this one may go on from it. */
  readonly earlier: Checked | undefined;
  readonly fetchesAtOnce: number;
  /** Hears now and then how far everything is whole, and at the last full bundle. */
  readonly onChecked: (checked: Checked) => void;
  readonly onProgress: (done: number, total: number) => void;
}

/** An entry's place in a bundle; without bytes its hash is its tile's, where that is served. */
interface Slot {
  readonly bytes: Uint8Array | undefined;
  readonly leaf: MaybeHash;
}

/** A bundle and the hashes of its entries; undefined where the log says that it has none. */
interface Served {
  readonly index: number;
  readonly width: number;
  readonly bundle: Uint8Array | undefined;
  readonly tile: Uint8Array | undefined;
}

/** @throws LogUnavailable */
export async function checkEntries({ size, root }: Checkpoint, options: EntriesOptions): Promise<void> {
  const { log, reporter, earlier, fetchesAtOnce, onChecked, onProgress } = options;
  const before = reporter.findingCount;
  const resumed = earlier !== undefined && earlier.size <= size ? earlier : NOTHING_CHECKED;
  const check = new EntriesCheck(log, reporter, resumed);
  let unserved = 0;
  for await (const served of inOrder(log, resumed.size / TILE_WIDTH, size, fetchesAtOnce)) {
    const anything = await check.take(served);
    unserved = anything ? 0 : unserved + 1;
    const full = served.width === TILE_WIDTH;
    const pause = full && ((served.index + 1) % SAVE_EVERY_BUNDLES === 0 || check.size + TILE_WIDTH > size);
    const checked = pause && reporter.findingCount === before ? check.state() : undefined;
    if (checked !== undefined) onChecked(checked);
    onProgress(check.size, size);
    if (unserved >= MAX_UNSERVED_BUNDLES && check.size < size) {
      reporter.fail(
        "entries and tiles",
        "truncated",
        `the checkpoint promises entries ${check.size} to ${size - 1}; nothing was served of ${unserved} bundles in a row before them, and they were not asked for`,
      );
      return;
    }
  }
  const computed = await check.finish();
  if (computed !== undefined && toHex(computed) !== toHex(root)) {
    reporter.finding("root-mismatch", `the tree over the ${size} entries has another root than the checkpoint`);
  }
  const told = resumed.size === 0 ? `all ${size}` : `${resumed.size} to ${size}`;
  if (reporter.findingCount === before) {
    reporter.ok("entries and tiles", `entries ${told} were read and hashed; their tiles and root agree`);
  } else {
    const rootless = computed === undefined ? "; the root could not be computed, as hashes are missing" : "";
    reporter.failed("entries and tiles", `see the findings; entries ${told} were looked at${rootless}`);
  }
}

/** Several fetches are under way; what they bring comes in order. @param start the first bundle. */
async function* inOrder(log: ServedLog, start: number, size: number, fetchesAtOnce: number): AsyncGenerator<Served> {
  const count = Math.ceil(size / TILE_WIDTH);
  const ahead: {
    readonly index: number;
    readonly width: number;
    readonly bundle: Promise<Uint8Array | undefined>;
    readonly tile: Promise<Uint8Array | undefined>;
  }[] = [];
  let asked = start;
  for (;;) {
    while (asked < count && ahead.length * 2 < fetchesAtOnce) {
      const index = asked++;
      const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
      const bundle = log.fetch({ kind: "entries", index, width });
      const tile = log.fetch({ kind: "hashes", level: 0, index, width });
      for (const fetched of [bundle, tile]) fetched.catch(() => undefined); // thrown where it is awaited
      ahead.push({ index, width, bundle, tile });
    }
    const next = ahead.shift();
    if (next === undefined) return;
    const { index, width } = next;
    yield { index, width, bundle: await next.bundle, tile: await next.tile };
  }
}

/** The chain and the tree over the entries so far. */
class EntriesCheck {
  readonly #log: ServedLog;
  readonly #reporter: Reporter;
  readonly #tree: TreeCheck;
  #lastAt: string;
  /** Undefined after an entry that nobody can say: the chain begins anew with what the next one says. */
  #headHash: string | undefined;

  constructor(log: ServedLog, reporter: Reporter, resumed: Checked) {
    this.#log = log;
    this.#reporter = reporter;
    this.#tree = new TreeCheck(resumed);
    this.#lastAt = resumed.lastAt;
    this.#headHash = resumed.headHash;
  }

  get size(): number {
    return this.#tree.size;
  }

  /** @returns whether anything was served of it. */
  async take({ index, width, bundle, tile: level0 }: Served): Promise<boolean> {
    const slots = this.#slotsOf(index, width, bundle, level0);
    const expected: ExpectedTile[] = [];
    for (const [offset, slot] of slots.entries()) {
      this.#follow(index * TILE_WIDTH + offset, slot);
      expected.push(...this.#tree.push(slot.leaf));
    }
    this.#checkLeaves(index, slots, level0);
    await this.#checkTiles(expected);
    return level0 !== undefined || slots.some(({ bytes }) => bytes !== undefined);
  }

  /** @returns undefined when there is nothing that another run could go on from. */
  state(): Checked | undefined {
    if (this.#headHash === undefined) return undefined;
    const { size, levels } = this.#tree.state();
    return { size, headHash: this.#headHash, lastAt: this.#lastAt, levels: levels.map((hashes) => [...hashes]) };
  }

  /** The tiles at the right edge. @returns the root; undefined when hashes are missing. */
  async finish(): Promise<MaybeHash> {
    await this.#checkTiles(this.#tree.partial());
    return this.#tree.root();
  }

  #found(type: FindingType, detail: string): void {
    this.#reporter.finding(type, detail);
  }

  #follow(seq: number, { bytes, leaf }: Slot): void {
    const entry = bytes && decodeEntry(bytes);
    if (bytes !== undefined && entry === undefined) {
      this.#found("entry-unreadable", `entry ${seq} is not in canonical form`);
    }
    if (entry !== undefined) {
      if (entry.seq !== seq) this.#found("seq-gap", `entry ${seq} says it is entry ${entry.seq}`);
      if (this.#headHash !== undefined && entry.prev !== this.#headHash) {
        this.#found("prev-mismatch", `entry ${seq} does not name its predecessor's hash`);
      }
      if (entry.at < this.#lastAt) {
        this.#found("time-runs-backwards", `entry ${seq} is earlier than its predecessor`);
      }
      this.#lastAt = entry.at;
    }
    this.#headHash = bytes === undefined || leaf === undefined ? undefined : toHex(leaf);
  }

  /**
   * The checkpoint promises the entries: one that is not there is a promise broken, not a lost connection. The tile has its
   * hash nevertheless, so that the tree can be made and the entries after it be checked.
   */
  #slotsOf(
    index: number,
    width: number,
    bundle: Uint8Array | undefined,
    level0: Uint8Array | undefined,
  ): readonly Slot[] {
    const served = bundle === undefined ? [] : splitBundle(bundle).slice(0, width);
    if (served.length === width) return served.map((bytes) => ({ bytes, leaf: leafHash(bytes) }));
    const first = index * TILE_WIDTH;
    const hashes =
      level0?.length === width * HASH_BYTES ? Array.from({ length: width }, (_, i) => hashIn(level0, i)) : undefined;
    const slots: Slot[] = Array.from({ length: width }, (_, i) => ({ bytes: undefined, leaf: hashes?.[i] }));
    const places = hashes && new Map(hashes.map((hash, i) => [toHex(hash), i]));
    for (const [position, bytes] of served.entries()) {
      const leaf = leafHash(bytes);
      // Where one was left out, the others are found by their hashes.
      const place = places === undefined ? position : places.get(toHex(leaf));
      if (place !== undefined) slots[place] = { bytes, leaf };
      else {
        const among = `${first} to ${first + width - 1}`;
        this.#found("entry-hash-mismatch", `an entry served among ${among} is not in their tile`);
      }
    }
    this.#sayMissing(first, slots);
    return slots;
  }

  /** One finding for each run of entries that are not served. */
  #sayMissing(first: number, slots: readonly Slot[]): void {
    let from: number | undefined;
    for (let i = 0; i <= slots.length; i++) {
      const gone = i < slots.length && slots[i]?.bytes === undefined;
      if (gone) from ??= i;
      else if (from !== undefined) {
        const one = i - from === 1;
        const what = one ? `entry ${first + from}` : `entries ${first + from} to ${first + i - 1}`;
        this.#found("truncated", `the checkpoint promises ${what}; the log does not serve ${one ? "it" : "them"}`);
        from = undefined;
      }
    }
  }

  #checkLeaves(index: number, slots: readonly Slot[], level0: Uint8Array | undefined): void {
    const first = index * TILE_WIDTH;
    const leaves = slots.map(({ leaf }) => leaf);
    if (level0 !== undefined && isTile(level0, leaves)) return;
    const path = tilePath({ kind: "hashes", level: 0, index, width: slots.length });
    const what = level0 === undefined ? "is not served" : `has not the hashes of its entries, ${first} on`;
    this.#found("tile-mismatch", `${path} ${what}`);
    if (level0 === undefined) return;
    for (const [offset, leaf] of leaves.entries()) {
      if (leaf === undefined || toHex(hashIn(level0, offset)) === toHex(leaf)) continue;
      this.#found("entry-hash-mismatch", `entry ${first + offset} does not hash to the hash in its tile`);
    }
  }

  /** Those above the entries' own, which came with the bundles. */
  async #checkTiles(expected: readonly ExpectedTile[]): Promise<void> {
    await Promise.all(
      expected.map(async ({ tile, hashes }) => {
        if (tile.level === 0) return;
        const bytes = await this.#log.fetch(tile);
        if (bytes !== undefined && isTile(bytes, hashes)) return;
        const what = bytes === undefined ? "is not served" : "has other hashes than the entries give";
        this.#found("tile-mismatch", `${tilePath(tile)} ${what}`);
      }),
    );
  }
}

/** Entries of a bundle: uint16 big-endian length, then the bytes; those before the first that is cut short. */
function splitBundle(bytes: Uint8Array): readonly Uint8Array[] {
  const entries: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset + 2 <= bytes.length) {
    const end = offset + 2 + view.getUint16(offset);
    if (end > bytes.length) break;
    entries.push(bytes.slice(offset + 2, end));
    offset = end;
  }
  return entries;
}
