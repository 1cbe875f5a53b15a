/**
 * Checks a whole log from outside, over HTTP: signature, every entry, every tile, growth since the last look, and every anchor
 * on the chain. It remembers what it has checked and the newest checkpoint it has seen, so the next run goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Checkpoint, openCheckpoint } from "../../src/ledger/checkpoint.ts";
import { decodeEntry } from "../../src/ledger/entry.ts";
import { HASH_BYTES, leafHash, NO_ENTRY_HASH } from "../../src/ledger/hash.ts";
import { TILE_WIDTH, type Tile, tilePath } from "../../src/ledger/layout.ts";
import { parseVerifierKey, type VerifierKey } from "../../src/ledger/note.ts";
import { proveConsistency, type ReadTile, verifyConsistency } from "../../src/ledger/proof.ts";
import { fromHex, fromUtf8, toHex } from "../../src/platform/encoding.ts";
import { readIfThere, writeAtomically } from "./atomic-file.ts";
import { Failure } from "./fail.ts";
import { type LogSource, LogUnavailable, logSource } from "./log-source.ts";
import { type ExpectedTile, isTile, TreeCheck } from "./tree-check.ts";
import { type ChainAnchor, type ChainPins, ChainUnavailable, checkChain, readAnchors } from "./verify-chain.ts";
import { type Report, Reporter } from "./verify-report.ts";

export interface LogPins {
  /** Keys of the log; empty: nothing is pinned. */
  readonly keys: readonly VerifierKey[];
  readonly chain: ChainPins | undefined;
}

export interface LogOptions {
  readonly token: string | undefined;
  readonly stateFile: string | undefined;
  readonly fetchesAtOnce: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Findings of one kind beyond this many are counted, not listed: a log of another kind would fill the disk. */
const MAX_LISTED = 1_000;
const SAVE_EVERY_BUNDLES = 64;
/** How long an anchor may be ahead of the newest checkpoint before that counts. */
const LAG_ATTEMPTS = 4;
const LAG_PAUSE_MS = 1_500;
const MAX_CACHED_TILES = 2_000;

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.number().int().nonnegative();
const stateSchema = z.object({
  version: z.literal(1),
  origin: z.string(),
  /** The newest checkpoint seen that extends every one before it. */
  seen: z.object({ size, rootHash: hex, note: z.string() }),
  /** Full bundles checked so far. */
  checked: z.object({ size, headHash: hex, lastAt: z.string(), levels: z.array(z.array(hex)) }),
  /** The newest anchor that was held against the log. */
  anchor: z.object({ size, rootHash: hex }).optional(),
});
export type VerifierState = z.output<typeof stateSchema>;

const NOTHING_CHECKED: VerifierState["checked"] = { size: 0, headHash: NO_ENTRY_HASH, lastAt: "", levels: [] };

/** @throws Failure on a file that is not a verifier's: what can not be read is never taken for nothing seen. */
export function readVerifierState(path: string): VerifierState | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    throw new Failure(`${path} is not the state of a verification`);
  }
}

/** @param url the log's base URL, or that of the service whose log is at /ledger/log. */
export async function verifyLog(url: string, pins: LogPins, options: LogOptions): Promise<Report> {
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

class LogVerification {
  readonly #url: string;
  readonly #pins: LogPins;
  readonly #options: LogOptions;
  readonly #reporter = new Reporter();
  readonly #tiles = new Map<string, Promise<Uint8Array | undefined>>();
  #source: LogSource;
  #state: VerifierState | undefined;
  #keys: readonly VerifierKey[] = [];

  constructor(url: string, pins: LogPins, options: LogOptions) {
    this.#url = url;
    this.#pins = pins;
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
    if (this.#state !== undefined && this.#state.origin !== checkpoint.origin) {
      throw new Failure(`the state file is of ${this.#state.origin}, this log is ${checkpoint.origin}`);
    }
    return { checkpoint, note };
  }

  async #verify(first: Opened): Promise<void> {
    const anchors = await this.#readAnchors();
    const newest = await this.#catchUp(first, anchors?.list.at(-1)?.size ?? 0);
    if (newest === undefined) return;
    const { checkpoint, note } = newest;
    this.#reporter.ok("checkpoint", `${checkpoint.origin} at ${checkpoint.size} entries`);
    // What does not extend the checkpoint seen before is looked through, and never becomes the measure.
    const extending = await this.#extendsSeen(checkpoint);
    if (extending) {
      this.#save({
        checked: NOTHING_CHECKED,
        ...this.#state,
        version: 1,
        origin: checkpoint.origin,
        seen: { size: checkpoint.size, rootHash: toHex(checkpoint.root), note },
      });
    }
    await this.#checkEntries(checkpoint, extending);
    if (anchors === undefined) return;
    const agree = await this.#checkAnchors(anchors.list, anchors.after, checkpoint);
    const anchor = anchors.list.at(-1);
    if (extending && agree && anchor !== undefined && this.#state !== undefined) {
      this.#save({ ...this.#state, anchor: { size: anchor.size, rootHash: anchor.rootHash } });
    }
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
    let { headHash, lastAt } = resumed;
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
    for (let i = 0; i < count; i++) {
      ask();
      const next = ahead.shift();
      if (next === undefined) break;
      const index = start + i;
      const width = widthOf(index);
      const entries = await this.#entriesOf(index, width, await next.bundle);
      const level0 = await next.tile;
      if (entries === undefined) return;
      const expected: ExpectedTile[] = [];
      const leaves = entries.map((bytes, offset) => {
        const seq = index * TILE_WIDTH + offset;
        const leaf = leafHash(bytes);
        const entry = decodeEntry(bytes);
        if (entry === undefined) this.#found("entry-unreadable", `entry ${seq} is not in canonical form`);
        else {
          if (entry.seq !== seq) this.#found("seq-gap", `entry ${seq} says it is entry ${entry.seq}`);
          if (entry.prev !== headHash)
            this.#found("prev-mismatch", `entry ${seq} does not name its predecessor's hash`);
          if (entry.at < lastAt) this.#found("time-runs-backwards", `entry ${seq} is earlier than its predecessor`);
          lastAt = entry.at;
        }
        headHash = toHex(leaf);
        expected.push(...tree.push(leaf));
        return leaf;
      });
      if (level0 === undefined || !isTile(level0, leaves)) {
        this.#found("tile-mismatch", `tile/0 of entries ${index * TILE_WIDTH} on has not the hashes of its entries`);
        if (level0 !== undefined) this.#nameEntries(index, leaves, level0);
      }
      await this.#checkTiles(expected.filter(({ tile }) => tile.level > 0));
      const full = width === TILE_WIDTH;
      const pause = full && ((i + 1) % SAVE_EVERY_BUNDLES === 0 || tree.size + TILE_WIDTH > size);
      if (pause && remember && this.#state !== undefined && this.#reporter.findingCount === before) {
        const levels = tree.state().levels.map((hashes) => [...hashes]);
        this.#save({ ...this.#state, checked: { size: tree.size, headHash, lastAt, levels } });
      }
      this.#options.onProgress?.(tree.size, size);
    }
    await this.#checkTiles(tree.partial().filter(({ tile }) => tile.level > 0));
    if (toHex(tree.root()) !== toHex(checkpoint.root)) {
      this.#found("root-mismatch", `the tree over the ${size} entries has another root than the checkpoint`);
    }
    const whole = this.#reporter.findingCount === before;
    const told = resumed === undefined || resumed.size === 0 ? `all ${size}` : `${resumed.size} to ${size}`;
    if (whole)
      this.#reporter.ok("entries and tiles", `entries ${told} were read and hashed; their tiles and root agree`);
    else this.#reporter.skip("entries and tiles", "see the findings");
  }

  /** The checkpoint promises the entries: a bundle that is not there is a promise broken, not a lost connection. */
  async #entriesOf(
    index: number,
    width: number,
    fetched: Uint8Array | undefined,
  ): Promise<readonly Uint8Array[] | undefined> {
    const bytes = fetched ?? (await this.#source.fetchFile(tilePath({ kind: "entries", index, width: TILE_WIDTH })));
    const entries = bytes && splitBundle(bytes)?.slice(0, width);
    if (entries !== undefined && entries.length === width) return entries;
    const there = index * TILE_WIDTH + (entries?.length ?? 0);
    this.#found("truncated", `the checkpoint promises entry ${there}; the log does not serve it`);
    return undefined;
  }

  #nameEntries(index: number, leaves: readonly Uint8Array[], tile: Uint8Array): void {
    for (const [offset, leaf] of leaves.entries()) {
      const served = tile.slice(offset * HASH_BYTES, (offset + 1) * HASH_BYTES);
      if (toHex(served) === toHex(leaf)) continue;
      const seq = index * TILE_WIDTH + offset;
      this.#found("entry-hash-mismatch", `entry ${seq} does not hash to the hash in its tile`);
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

  async #readAnchors(): Promise<
    { readonly list: readonly ChainAnchor[]; readonly after: VerifierState["anchor"] } | undefined
  > {
    const { chain } = this.#pins;
    if (chain === undefined) {
      this.#reporter.skip("anchors", "the chain was not asked (--rpc, --chain-id, --contract)");
      return undefined;
    }
    try {
      await checkChain(chain);
      const known = this.#state?.anchor;
      const { anchors, reachesKnown, faults } = await readAnchors(chain, known);
      for (const fault of faults) this.#found("anchor-mismatch", fault);
      return { list: anchors, after: reachesKnown ? known : undefined };
    } catch (error) {
      if (!(error instanceof ChainUnavailable)) throw error;
      this.#reporter.unverified("anchors", error.message);
      return undefined;
    }
  }

  /** Each anchor extends the one before it, and the checkpoint the last: by proofs from the log's own tiles. */
  async #checkAnchors(
    anchors: readonly ChainAnchor[],
    after: VerifierState["anchor"],
    checkpoint: Checkpoint,
  ): Promise<boolean> {
    const before = this.#reporter.findingCount;
    let previous = after;
    for (const anchor of anchors) {
      if (anchor.size > checkpoint.size) {
        this.#found("truncated", `the chain anchors ${anchor.size} entries, the checkpoint has ${checkpoint.size}`);
        continue;
      }
      const from = previous;
      previous = { size: anchor.size, rootHash: anchor.rootHash };
      if (from === undefined) continue;
      const to = { size: anchor.size, root: fromHex(anchor.rootHash) };
      if (!(await this.#isConsistent(from, to, checkpoint.size))) {
        this.#found("anchor-mismatch", `the anchor of ${anchor.size} entries does not extend that of ${from.size}`);
      }
    }
    if (previous !== undefined && !(await this.#isConsistent(previous, checkpoint, checkpoint.size))) {
      this.#found("anchor-mismatch", `the checkpoint does not extend the anchor of ${previous.size} entries`);
    }
    const agree = this.#reporter.findingCount === before;
    if (!agree) this.#reporter.skip("anchors", "see the findings");
    else if (previous === undefined) this.#reporter.ok("anchors", "the chain holds no anchor yet");
    else {
      const since = after === undefined ? "" : ` since that of ${after.size} entries`;
      this.#reporter.ok(
        "anchors",
        `${anchors.length} anchors on the chain${since}, each extends the one before; the newest holds ${previous.size} entries`,
      );
    }
    return agree;
  }

  #found(type: Parameters<Reporter["finding"]>[0], detail: string): void {
    if (this.#reporter.findingCount < MAX_LISTED) this.#reporter.finding(type, detail);
  }

  #save(state: VerifierState): void {
    this.#state = state;
    const { stateFile } = this.#options;
    if (stateFile !== undefined) writeAtomically(stateFile, `${JSON.stringify(state)}\n`);
  }
}

/** Entries of a bundle: uint16 big-endian length, then the bytes; undefined when it does not end where an entry ends. */
function splitBundle(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const entries: Uint8Array[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  while (offset < bytes.length) {
    if (offset + 2 > bytes.length) return undefined;
    const end = offset + 2 + view.getUint16(offset);
    if (end > bytes.length) return undefined;
    entries.push(bytes.slice(offset + 2, end));
    offset = end;
  }
  return entries;
}
