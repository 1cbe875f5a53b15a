/**
 * Telling the publisher of commits, few times and never too few: after each commit a round is due that begins later than it.
 * The publisher says when its next round begins, so commits until then need no call.
 */

/** Clocks of two machines may differ by this much. */
const MARGIN_MS = 100;

export interface WakerPort {
  /** Asks for a round. @returns when it begins, epoch ms. */
  wake(): Promise<number>;
  now(): number;
  /** The call was lost: the cron will find what it would have published. */
  failed(error: unknown): void;
}

export class PublishWaker {
  readonly #port: WakerPort;
  #coveredUntil = 0;
  #calling: Promise<void> | undefined;
  #uncovered = false;

  constructor(port: WakerPort) {
    this.#port = port;
  }

  /** @returns what to wait for before the isolate may rest; undefined when no call is needed or one is under way. */
  committed(): Promise<void> | undefined {
    if (this.#port.now() < this.#coveredUntil) return undefined;
    this.#uncovered = true;
    if (this.#calling !== undefined) return undefined;
    this.#calling = this.#call().finally(() => {
      this.#calling = undefined;
    });
    return this.#calling;
  }

  async #call(): Promise<void> {
    try {
      while (this.#uncovered) {
        this.#uncovered = false;
        this.#coveredUntil = (await this.#port.wake()) - MARGIN_MS;
        // What was committed during the call is covered by the round it asked for, unless that has begun.
        if (this.#port.now() < this.#coveredUntil) this.#uncovered = false;
      }
    } catch (error) {
      this.#uncovered = false;
      this.#coveredUntil = 0;
      this.#port.failed(error);
    }
  }
}
