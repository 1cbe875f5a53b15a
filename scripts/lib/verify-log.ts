/**
 * Checks a whole log from outside, over HTTP: signature, every entry, every tile, growth since the last look, and every anchor
 * on the chain. It remembers what it has checked and the newest checkpoint it has seen, so the next run goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Checkpoint, openCheckpoint } from "../../src/ledger/checkpoint.ts";
import { decodeEntry } from "../../src/ledger/entry.ts";
import { HASH_BYTES, leafHash } from "../../src/ledger/hash.ts";
import { TILE_WIDTH, type Tile, tilePath } from "../../src/ledger/layout.ts";
import { parseVerifierKey, type VerifierKey } from "../../src/ledger/note.ts";
import { proveConsistency, type ReadTile, verifyConsistency } from "../../src/ledger/proof.ts";
import { fromHex, fromUtf8, toHex } from "../../src/platform/encoding.ts";
import { type LogSource, LogUnavailable, logSource } from "./log-source.ts";
import { type ExpectedTile, hashIn, isTile, type MaybeHash, TreeCheck } from "./tree-check.ts";
import { type ChainAnchor, type ChainPins, ChainUnavailable, checkChain, readAnchors } from "./verify-chain.ts";
import { chainOf, type Pins } from "./verify-pins.ts";
import { type FindingType, type Report, Reporter } from "./verify-report.ts";
import {
  checkOrigin,
  NOTHING_CHECKED,
  readVerifierState,
  type VerifierState,
  withSeen,
  writeVerifierState,
} from "./verify-state.ts";

export interface LogOptions {
  readonly token: string | undefined;
  readonly stateFile: string | undefined;
  readonly fetchesAtOnce: number;
  readonly onProgress?: (done: number, total: number) => void;
}

const SAVE_EVERY_BUNDLES = 64;
/** How long an anchor may be ahead of the newest checkpoint before that counts. */
const LAG_ATTEMPTS = 4;
const LAG_PAUSE_MS = 1_500;
const MAX_CACHED_TILES = 2_000;
/** A checkpoint may promise any size: after so many bundles in a row of which nothing is served the rest is not asked for. */
const MAX_UNSERVED_BUNDLES = 256;

/** @param url the log's base URL, or that of the service whose log is at /ledger/log. */
export async function verifyLog(url: string, pins: Pins, options: LogOptions): Promise<Report> {
  const run = new LogVerification(url, pins, options);
  return run.report();
}

/** The checkpoint promises it, so a log without it can not prove that it grew. */
class PromisedTileMissing extends Error {
  override readonly name = "PromisedTileMissing";
}

interface Opened {
  readonly checkpoint: Checkpoint;
  readonly note: string;
}

/** An entry's place in a bundle; without bytes its hash is its tile's, where that is served. */
interface Slot {
  readonly bytes: Uint8Array | undefined;
  readonly leaf: MaybeHash;
}

type SizedRoot = NonNullable<VerifierState["anchor"]>;

interface ChainView {
  /** Oldest first, from the one after `known` on when the chain still has that. */
  readonly anchors: readonly ChainAnchor[];
  /** The newest anchor that an earlier run held against the log, whether the chain still has it or not. */
  readonly known: SizedRoot | undefined;
  /** Whether `known` was met, or there is none. */
  readonly reachesKnown: boolean;
  readonly faults: readonly string[];
}

class LogVerification {
  readonly #url: string;
  readonly #pins: Pins;
  readonly #chain: ChainPins | undefined;
  readonly #options: LogOptions;
  readonly #reporter = new Reporter();
  readonly #tiles = new Map<string, Promise<Uint8Array | undefined>>();
  #source: LogSource;
  #state: VerifierState | undefined;
  #keys: readonly VerifierKey[] = [];

  constructor(url: string, pins: Pins, options: LogOptions) {
    this.#url = url;
    this.#pins = pins;
    this.#chain = chainOf(pins, this.#reporter);
    this.#options = options;
    this.#source = logSource(url, options.token);
  }

  async report(): Promise<Report> {
    let opened: Opened | undefined;
    try {
      if (this.#options.stateFile !== undefined) this.#state = readVerifierState(this.#options.stateFile);
      opened = await this.#open();
      if (opened !== undefined) await this.#verify(opened);
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
      this.#reporter.unverified("log", error.message);
    }
    const checkpoint = opened?.checkpoint;
    return this.#reporter.report({
      subject: this.#source.url,
      origin: checkpoint?.origin,
      size: checkpoint?.size,
      rootHash: checkpoint && toHex(checkpoint.root),
    });
  }

  async #open(): Promise<Opened | undefined> {
    const { keys } = this.#pins;
    let note = await this.#source.fetchFile("checkpoint");
    if (note === undefined) {
      const below = logSource(`${this.#source.url}/ledger/log`, this.#options.token);
      note = await below.fetchFile("checkpoint");
      if (note !== undefined) this.#source = below;
    }
    if (note === undefined) throw new LogUnavailable(`there is no checkpoint at ${this.#url}`);
    this.#keys = keys.length > 0 ? keys : await this.#servedKeys();
    return this.#openNote(fromUtf8(note));
  }

  async #servedKeys(): Promise<readonly VerifierKey[]> {
    const text = await this.#source.fetchFile("key");
    this.#reporter.unverified("key", "no key is pinned (--key): the log was checked against the key it serves itself");
    return fromUtf8(text ?? new Uint8Array())
      .split("\n")
      .map(parseVerifierKey)
      .filter((key) => key !== undefined);
  }

  async #openNote(note: string): Promise<Opened | undefined> {
    const opened = await openCheckpoint(note, this.#keys);
    if (opened.type === "refused") {
      this.#reporter.fail("checkpoint", "checkpoint-refused", opened.reason);
      return undefined;
    }
    const { checkpoint } = opened;
    checkOrigin(this.#state, checkpoint.origin, "log");
    return { checkpoint, note };
  }

  async #verify(first: Opened): Promise<void> {
    const chain = await this.#readAnchors();
    const newest = await this.#catchUp(first, chain?.anchors.at(-1)?.size ?? 0);
    if (newest === undefined) return;
    const { checkpoint, note } = newest;
    this.#reporter.ok("checkpoint", `${checkpoint.origin} at ${checkpoint.size} entries`);
    // What does not extend the checkpoint seen before is looked through, and never becomes the measure.
    const extending = await this.#extendsSeen(checkpoint);
    if (extending) this.#save(withSeen(this.#state, checkpoint, note));
    await this.#checkEntries(checkpoint, extending);
    if (chain === undefined) return;
    const agree = await this.#checkAnchors(chain, checkpoint);
    const newestAnchor = chain.anchors.at(-1);
    if (!extending || !agree || newestAnchor === undefined || this.#state === undefined) return;
    // What a chain has lost stays known until a larger anchor was shown to extend it.
    if (newestAnchor.size <= (chain.known?.size ?? 0)) return;
    this.#save({ ...this.#state, anchor: { size: newestAnchor.size, rootHash: newestAnchor.rootHash } });
  }

  /** A log publishes within seconds of a commit; an anchor of a commit may be a little earlier. */
  async #catchUp(first: Opened, anchoredSize: number): Promise<Opened | undefined> {
    let newest: Opened | undefined = first;
    for (let attempt = 1; attempt < LAG_ATTEMPTS && newest !== undefined; attempt++) {
      if (newest.checkpoint.size >= anchoredSize) return newest;
      await sleep(LAG_PAUSE_MS);
      const note = await this.#source.fetchFile("checkpoint");
      newest = note === undefined ? newest : await this.#openNote(fromUtf8(note));
    }
    return newest;
  }

  readonly #readTile: ReadTile = async (tile) => {
    const bytes = await this.#tile(tile);
    if (bytes?.length !== tile.width * HASH_BYTES) throw new PromisedTileMissing(tilePath(tile));
    return bytes;
  };

  /** A partial tile may be gone when the full one is there: its beginning is the same. */
  async #fetchTile(tile: Tile): Promise<Uint8Array | undefined> {
    const bytes = await this.#source.fetchFile(tilePath(tile));
    if (bytes !== undefined || tile.width === TILE_WIDTH || tile.kind === "entries") return bytes;
    const full = await this.#source.fetchFile(tilePath({ ...tile, width: TILE_WIDTH }));
    return full?.slice(0, tile.width * HASH_BYTES);
  }

  #tile(tile: Tile): Promise<Uint8Array | undefined> {
    const path = tilePath(tile);
    const cached = this.#tiles.get(path);
    if (cached !== undefined) return cached;
    const fetched = this.#fetchTile(tile);
    if (this.#tiles.size >= MAX_CACHED_TILES) this.#tiles.clear();
    this.#tiles.set(path, fetched);
    return fetched;
  }

  /** Against the newest checkpoint that an earlier run has seen. */
  async #extendsSeen(checkpoint: Checkpoint): Promise<boolean> {
    const seen = this.#state?.seen;
    if (seen === undefined) {
      this.#reporter.skip("growth", "nothing was seen of this log before; give --state to compare the next time");
      return true;
    }
    const fail = (type: "truncated" | "checkpoint-not-extending", detail: string): false => {
      this.#reporter.fail("growth", type, detail);
      return false;
    };
    if (checkpoint.size < seen.size) {
      return fail("truncated", `a checkpoint of ${seen.size} entries was seen before, this one has ${checkpoint.size}`);
    }
    if (seen.size === 0) return true;
    if (!(await this.#isConsistent(seen, checkpoint, checkpoint.size))) {
      return fail("checkpoint-not-extending", `it does not extend the checkpoint of ${seen.size} entries seen before`);
    }
    this.#reporter.ok("growth", `it extends the checkpoint of ${seen.size} entries seen before`);
    return true;
  }

  async #isConsistent(
    from: { readonly size: number; readonly rootHash: string },
    to: { readonly size: number; readonly root: Uint8Array },
    treeSize: number,
  ): Promise<boolean> {
    try {
      const proof = await proveConsistency(from.size, to.size, treeSize, this.#readTile);
      return verifyConsistency(from.size, to.size, fromHex(from.rootHash), to.root, proof);
    } catch (error) {
      if (!(error instanceof PromisedTileMissing)) throw error;
      this.#found("tile-mismatch", `${error.message} is not served as the checkpoint promises`);
      return false;
    }
  }

  /** @param remember whether to go on from what an earlier run checked, and to remember what this one does. */
  async #checkEntries(checkpoint: Checkpoint, remember: boolean): Promise<void> {
    const { size } = checkpoint;
    const before = this.#reporter.findingCount;
    const earlier = remember ? this.#state?.checked : undefined;
    const resumed = earlier !== undefined && earlier.size <= size ? earlier : NOTHING_CHECKED;
    const tree = new TreeCheck(resumed);
    let { lastAt } = resumed;
    let headHash: string | undefined = resumed.headHash;
    const start = tree.size / TILE_WIDTH;
    const count = Math.ceil(size / TILE_WIDTH) - start;
    const widthOf = (index: number): number => Math.min(TILE_WIDTH, size - index * TILE_WIDTH);

    // Several fetches are under way; what they bring is looked at in order.
    const ahead: {
      readonly bundle: Promise<Uint8Array | undefined>;
      readonly tile: Promise<Uint8Array | undefined>;
    }[] = [];
    let asked = 0;
    const ask = (): void => {
      while (asked < count && ahead.length * 2 < this.#options.fetchesAtOnce) {
        const index = start + asked;
        const width = widthOf(index);
        const bundle = this.#source.fetchFile(tilePath({ kind: "entries", index, width }));
        const tile = this.#fetchTile({ kind: "hashes", level: 0, index, width });
        for (const fetched of [bundle, tile]) fetched.catch(() => undefined);
        ahead.push({ bundle, tile });
        asked += 1;
      }
    };
    let unserved = 0;
    for (let i = 0; i < count; i++) {
      ask();
      const next = ahead.shift();
      if (next === undefined) break;
      const index = start + i;
      const width = widthOf(index);
      const level0 = await next.tile;
      const slots = await this.#slotsOf(index, width, await next.bundle, level0);
      unserved = level0 === undefined && slots.every(({ bytes }) => bytes === undefined) ? unserved + 1 : 0;
      const expected: ExpectedTile[] = [];
      for (const [offset, { bytes, leaf }] of slots.entries()) {
        const seq = index * TILE_WIDTH + offset;
        const entry = bytes && decodeEntry(bytes);
        if (bytes !== undefined && entry === undefined) {
          this.#found("entry-unreadable", `entry ${seq} is not in canonical form`);
        }
        if (entry !== undefined) {
          if (entry.seq !== seq) this.#found("seq-gap", `entry ${seq} says it is entry ${entry.seq}`);
          if (headHash !== undefined && entry.prev !== headHash)
            this.#found("prev-mismatch", `entry ${seq} does not name its predecessor's hash`);
          if (entry.at < lastAt) this.#found("time-runs-backwards", `entry ${seq} is earlier than its predecessor`);
          lastAt = entry.at;
        }
        // After an entry that is not served the chain begins anew with what the next one says.
        headHash = bytes === undefined || leaf === undefined ? undefined : toHex(leaf);
        expected.push(...tree.push(leaf));
      }
      this.#checkLeaves(index, slots, level0);
      await this.#checkTiles(expected.filter(({ tile }) => tile.level > 0));
      const full = width === TILE_WIDTH;
      const pause = full && ((i + 1) % SAVE_EVERY_BUNDLES === 0 || tree.size + TILE_WIDTH > size);
      const clean = this.#reporter.findingCount === before;
      if (pause && clean && remember && this.#state !== undefined && headHash !== undefined) {
        const levels = tree.state().levels.map((hashes) => [...hashes]);
        this.#save({ ...this.#state, checked: { size: tree.size, headHash, lastAt, levels } });
      }
      this.#options.onProgress?.(tree.size, size);
      if (unserved >= MAX_UNSERVED_BUNDLES && tree.size < size) {
        this.#found(
          "truncated",
          `the checkpoint promises entries ${tree.size} to ${size - 1}; they were not asked for`,
        );
        this.#reporter.failed(
          "entries and tiles",
          `see the findings; nothing was served of ${unserved} bundles in a row, entries from ${tree.size} on were not asked for`,
        );
        return;
      }
    }
    await this.#checkTiles(tree.partial().filter(({ tile }) => tile.level > 0));
    const root = tree.root();
    if (root !== undefined && toHex(root) !== toHex(checkpoint.root)) {
      this.#found("root-mismatch", `the tree over the ${size} entries has another root than the checkpoint`);
    }
    const told = resumed.size === 0 ? `all ${size}` : `${resumed.size} to ${size}`;
    if (this.#reporter.findingCount === before) {
      this.#reporter.ok("entries and tiles", `entries ${told} were read and hashed; their tiles and root agree`);
    } else {
      const rootless = root === undefined ? "; the root could not be computed, as hashes are missing" : "";
      this.#reporter.failed("entries and tiles", `see the findings; entries ${told} were looked at${rootless}`);
    }
  }

  /**
   * The checkpoint promises the entries: one that is not there is a promise broken, not a lost connection. The tile has its
   * hash nevertheless, so that the tree can be made and the entries after it be checked.
   */
  async #slotsOf(
    index: number,
    width: number,
    fetched: Uint8Array | undefined,
    level0: Uint8Array | undefined,
  ): Promise<readonly Slot[]> {
    const whole = width === TILE_WIDTH ? undefined : tilePath({ kind: "entries", index, width: TILE_WIDTH });
    const bundle = fetched ?? (whole === undefined ? undefined : await this.#source.fetchFile(whole));
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
      else
        this.#found(
          "entry-hash-mismatch",
          `an entry served among ${first} to ${first + width - 1} is not in their tile`,
        );
    }
    let from: number | undefined;
    for (let i = 0; i <= width; i++) {
      const gone = i < width && slots[i]?.bytes === undefined;
      if (gone) from ??= i;
      else if (from !== undefined) {
        const what = i - from === 1 ? `entry ${first + from}` : `entries ${first + from} to ${first + i - 1}`;
        this.#found(
          "truncated",
          `the checkpoint promises ${what}; the log does not serve ${i - from === 1 ? "it" : "them"}`,
        );
        from = undefined;
      }
    }
    return slots;
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

  async #checkTiles(expected: readonly ExpectedTile[]): Promise<void> {
    await Promise.all(
      expected.map(async ({ tile, hashes }) => {
        const bytes = await this.#fetchTile(tile);
        if (bytes !== undefined && isTile(bytes, hashes)) return;
        const what = bytes === undefined ? "is not served" : "has other hashes than the entries give";
        this.#found("tile-mismatch", `${tilePath(tile)} ${what}`);
      }),
    );
  }

  async #readAnchors(): Promise<ChainView | undefined> {
    const chain = this.#chain;
    if (chain === undefined) {
      const why = this.#pins.withoutChain ? "--no-chain" : "no node was named (--rpc)";
      this.#reporter.skip("anchors", `the chain was not asked: ${why}`);
      return undefined;
    }
    try {
      await checkChain(chain);
      const known = this.#state?.anchor;
      return { ...(await readAnchors(chain, known)), known };
    } catch (error) {
      if (!(error instanceof ChainUnavailable)) throw error;
      this.#reporter.unverified("anchors", error.message);
      return undefined;
    }
  }

  /**
   * Each anchor extends the one before it, and the checkpoint the last: by proofs from the log's own tiles. One that an earlier
   * run has seen and the chain no longer has stays among them: the log is held to what it once anchored.
   * @returns whether nothing is wrong; an anchor that is gone is no finding, since a node may lag behind.
   */
  async #checkAnchors({ anchors, known, reachesKnown, faults }: ChainView, checkpoint: Checkpoint): Promise<boolean> {
    const before = this.#reporter.findingCount;
    for (const fault of faults) this.#found("anchor-mismatch", fault);
    const replaced = anchors.some(({ size }) => size === known?.size);
    if (known !== undefined && !reachesKnown && replaced) {
      this.#found(
        "anchor-mismatch",
        `the chain's anchor of ${known.size} entries has another root than was seen before`,
      );
    }
    const points: SizedRoot[] = [...anchors];
    if (known !== undefined && !replaced) {
      const larger = points.findIndex(({ size }) => size > known.size);
      points.splice(larger === -1 ? points.length : larger, 0, known);
    }
    let previous: SizedRoot | undefined;
    for (const { size, rootHash } of points) {
      if (size > checkpoint.size) {
        const where = size === known?.size ? "was seen to anchor" : "anchors";
        this.#found("truncated", `the chain ${where} ${size} entries, the checkpoint has ${checkpoint.size}`);
        continue;
      }
      const from = previous;
      previous = { size, rootHash };
      if (from === undefined) continue;
      if (!(await this.#isConsistent(from, { size, root: fromHex(rootHash) }, checkpoint.size))) {
        this.#found("anchor-mismatch", `the anchor of ${size} entries does not extend that of ${from.size}`);
      }
    }
    if (previous !== undefined && !(await this.#isConsistent(previous, checkpoint, checkpoint.size))) {
      this.#found("anchor-mismatch", `the checkpoint does not extend the anchor of ${previous.size} entries`);
    }
    const agree = this.#reporter.findingCount === before;
    const newest = anchors.at(-1)?.size ?? 0;
    if (!agree) this.#reporter.failed("anchors", "see the findings");
    if (known !== undefined && !reachesKnown && !replaced && faults.length === 0) {
      const instead = newest === 0 ? "it holds none" : `its newest is of ${newest}`;
      this.#reporter.unverified(
        "anchors",
        `the anchor of ${known.size} entries seen before is no longer on the chain, ${instead}: the node lags behind, or the chain was reorganized or is another`,
      );
    } else if (agree && previous === undefined) this.#reporter.ok("anchors", "the chain holds no anchor yet");
    else if (agree && previous !== undefined) {
      const since = known === undefined ? "" : ` since that of ${known.size} entries`;
      this.#reporter.ok(
        "anchors",
        `${anchors.length} anchors on the chain${since}, each extends the one before; the newest holds ${previous.size} entries`,
      );
    }
    return agree;
  }

  #found(type: FindingType, detail: string): void {
    this.#reporter.finding(type, detail);
  }

  #save(state: VerifierState): void {
    this.#state = state;
    const { stateFile } = this.#options;
    if (stateFile !== undefined) writeVerifierState(stateFile, state);
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
