/**
 * Checks a whole log from outside, over HTTP: signature, every entry, every tile, growth since the last look, and every anchor
 * on the chain. It remembers what it has checked and the newest checkpoint it has seen, so the next run goes on from there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Checkpoint, openCheckpoint } from "../../src/ledger/checkpoint.ts";
import { parseVerifierKey, type VerifierKey } from "../../src/ledger/note.ts";
import { fromUtf8, toHex } from "../../src/platform/encoding.ts";
import { type LogSource, LogUnavailable, logSource } from "./log-source.ts";
import { ServedLog } from "./served-log.ts";
import { type ChainView, checkAnchors, readChainView } from "./verify-anchors.ts";
import type { ChainPins } from "./verify-chain.ts";
import { checkEntries } from "./verify-entries.ts";
import { chainOf, type Pins } from "./verify-pins.ts";
import { type Report, Reporter } from "./verify-report.ts";
import { checkOrigin, readVerifierState, type VerifierState, withSeen, writeVerifierState } from "./verify-state.ts";

export interface LogOptions {
  readonly token: string | undefined;
  readonly stateFile: string | undefined;
  readonly fetchesAtOnce: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** How long an anchor may be ahead of the newest checkpoint before that counts. */
const LAG_ATTEMPTS = 4;
const LAG_PAUSE_MS = 1_500;

/** @param url the log's base URL, or that of the service whose log is at /ledger/log. */
export async function verifyLog(url: string, pins: Pins, options: LogOptions): Promise<Report> {
  const run = new LogVerification(url, pins, options);
  return run.report();
}

interface Opened {
  readonly checkpoint: Checkpoint;
  readonly note: string;
}

class LogVerification {
  readonly #url: string;
  readonly #pins: Pins;
  readonly #chain: ChainPins | undefined;
  readonly #options: LogOptions;
  readonly #reporter = new Reporter();
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
    const log = new ServedLog(this.#source, this.#reporter);
    // What does not extend the checkpoint seen before is looked through, and never becomes the measure.
    const extending = await this.#extendsSeen(checkpoint, log);
    if (extending) this.#save(withSeen(this.#state, checkpoint, note));
    await checkEntries(checkpoint, {
      log,
      reporter: this.#reporter,
      earlier: extending ? this.#state?.checked : undefined,
      fetchesAtOnce: this.#options.fetchesAtOnce,
      onChecked: (checked) => {
        if (extending && this.#state !== undefined) this.#save({ ...this.#state, checked });
      },
      onProgress: (done, total) => this.#options.onProgress?.(done, total),
    });
    if (chain === undefined) return;
    const agree = await checkAnchors(chain, checkpoint, log, this.#reporter);
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

  /** Against the newest checkpoint that an earlier run has seen. */
  async #extendsSeen(checkpoint: Checkpoint, log: ServedLog): Promise<boolean> {
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
    if (!(await log.isConsistent(seen, checkpoint, checkpoint.size))) {
      return fail("checkpoint-not-extending", `it does not extend the checkpoint of ${seen.size} entries seen before`);
    }
    this.#reporter.ok("growth", `it extends the checkpoint of ${seen.size} entries seen before`);
    return true;
  }

  async #readAnchors(): Promise<ChainView | undefined> {
    if (this.#chain !== undefined) return readChainView(this.#chain, this.#state?.anchor, this.#reporter);
    const why = this.#pins.withoutChain ? "--no-chain" : "no node was named (--rpc)";
    this.#reporter.skip("anchors", `the chain was not asked: ${why}`);
    return undefined;
  }

  #save(state: VerifierState): void {
    this.#state = state;
    const { stateFile } = this.#options;
    if (stateFile !== undefined) writeVerifierState(stateFile, state);
  }
}
