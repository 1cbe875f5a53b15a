/**
 * Whom the log asks for cosignatures, and whom it waits for. Each witness settles on its own: one that is quick is on the
 * checkpoint when it comes out, one that is slow adds its cosignature later, and one that is dead holds up a release once in a
 * while, ever more rarely.
 */
import type { Witness } from "./log-settings.ts";
import type { NoteSignature } from "./note.ts";
import type { SignedCheckpoint } from "./publish.ts";
import type { CosignResult } from "./witness.ts";

export interface CosigningPort {
  /** Settles within a bounded time. */
  ask(witness: Witness, signed: SignedCheckpoint): Promise<CosignResult>;
  /** Takes a cosignature over, whether or not the checkpoint is the newest still. */
  save(signed: SignedCheckpoint, signature: NoteSignature): Promise<void>;
  /** The newest checkpoint, when this witness's cosignature of it is missing. */
  lacking(witness: Witness): SignedCheckpoint | undefined;
  /** Why a witness has not cosigned, or why its cosignature was not kept. */
  failed(reason: string): void;
  /** Keeps the process alive until `work` is done. */
  inBackground(work: Promise<void>): void;
  now(): number;
  wait(ms: number): Promise<void>;
}

/** After the first miss in a row; each further one doubles it. */
const FIRST_PAUSE_MS = 2_000;
const MAX_PAUSE_MS = 60_000;

interface Manners {
  asking: Promise<void> | undefined;
  /** Times in a row that it did not cosign in the time a release waits. */
  misses: number;
  /** A release does not wait for it before this. */
  awaitedFrom: number;
  /** It is not asked before this. */
  askedFrom: number;
}

export class Cosigning {
  readonly #witnesses: readonly Witness[];
  readonly #patienceMs: number;
  readonly #port: CosigningPort;
  readonly #manners = new Map<string, Manners>();

  /** @param patienceMs how long a release waits for all the witnesses together. */
  constructor(witnesses: readonly Witness[], patienceMs: number, port: CosigningPort) {
    this.#witnesses = witnesses;
    this.#patienceMs = patienceMs;
    this.#port = port;
  }

  /** Asks whoever has not cosigned the newest checkpoint, and waits for those that were quick lately. */
  async gather(): Promise<void> {
    const now = this.#port.now();
    const awaited = this.#witnesses.flatMap((witness) => {
      const busy = this.#mannersOf(witness).asking !== undefined;
      const asking = this.#ask(witness);
      return asking === undefined || busy || this.#mannersOf(witness).awaitedFrom > now ? [] : [asking];
    });
    if (awaited.length > 0) await Promise.race([Promise.all(awaited), this.#port.wait(this.#patienceMs)]);
  }

  /** The same without waiting. */
  askMissing(): void {
    for (const witness of this.#witnesses) this.#ask(witness);
  }

  #mannersOf(witness: Witness): Manners {
    const known = this.#manners.get(witness.key.name);
    if (known !== undefined) return known;
    const manners: Manners = { asking: undefined, misses: 0, awaitedFrom: 0, askedFrom: 0 };
    this.#manners.set(witness.key.name, manners);
    return manners;
  }

  #ask(witness: Witness): Promise<void> | undefined {
    const manners = this.#mannersOf(witness);
    if (manners.asking !== undefined) return manners.asking;
    const signed = this.#port.lacking(witness);
    if (signed === undefined || manners.askedFrom > this.#port.now()) return undefined;
    manners.asking = this.#askOne(witness, signed, manners)
      .catch((error: unknown) => this.#port.failed(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        manners.asking = undefined;
        // While it took its time a newer checkpoint may have come out.
        if (this.#port.lacking(witness)?.note !== signed.note) this.#ask(witness);
      });
    this.#port.inBackground(manners.asking);
    return manners.asking;
  }

  async #askOne(witness: Witness, signed: SignedCheckpoint, manners: Manners): Promise<void> {
    const began = this.#port.now();
    const result = await this.#port.ask(witness, signed).catch((): CosignResult => ({ type: "unreachable" }));
    const now = this.#port.now();
    const cosigned = result.type === "cosigned";
    if (cosigned && now - began <= this.#patienceMs) {
      manners.misses = 0;
      manners.awaitedFrom = 0;
      manners.askedFrom = 0;
    } else {
      const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(manners.misses, 10));
      manners.misses += 1;
      manners.awaitedFrom = now + pause;
      manners.askedFrom = cosigned ? 0 : now + pause; // a slow one is asked all the same
    }
    if (cosigned) await this.#port.save(signed, result.signature);
    else this.#port.failed(result.type);
  }
}
