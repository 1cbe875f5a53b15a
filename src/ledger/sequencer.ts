/**
 * The commit loop: the only way an entry comes to be.
 *
 * Invariant: one commit is under way at a time, and what it builds on was read from, or written to, the database by this
 * loop. A Durable Object's input gate does not give that: awaiting D1 lets other calls in. So callers wait in a list, and
 * one loop takes from it.
 *
 * Order: take a group -> read the states it touches -> plan (decide, evolve, link) -> one database batch -> remember the new
 * head -> answer the callers -> wake the queue. Nothing is answered before the batch is known to have committed, rejections
 * neither: they may rest on the group's own changes.
 *
 * When anything fails between reading and knowing, the outcome is unknown. The loop then forgets the head, reads again and
 * decides again: a command that did commit is recognized by its state and answered with its first result, one that did not
 * is decided afresh. A batch that still floats about can not hurt: the head's version and the entries' keys let only one of
 * two through.
 */

export interface Plan<Head, Result> {
  readonly head: Head;
  /** One for each command, in order. */
  readonly results: readonly Result[];
  /** False when no command changed anything: there is nothing to write. */
  readonly changes: boolean;
}

export interface SequencerPort<Command, Head, Context, Result, Planned extends Plan<Head, Result>, Receipt> {
  /** Reads the head. A read that fails throws; it is never taken for an empty ledger. */
  loadHead(): Promise<Head>;
  /** Reads all states that the commands touch. */
  loadContext(commands: readonly Command[]): Promise<Context>;
  /** Decides and links. Pure. */
  plan(head: Head, context: Context, commands: readonly Command[], nowMs: number): Planned;
  /** Writes the plan in one transaction that fails as a whole when the head is not the one planned on. */
  commit(planned: Planned): Promise<Receipt>;
  /** After the callers were answered; must not throw. */
  committed(receipt: Receipt): void;
  sizeOf(command: Command): number;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Something failed and the outcome is unknown; `attempt` counts from 1. */
  uncertain(error: unknown, attempt: number): void;
}

export interface SequencerLimits {
  readonly commitMaxCommands: number;
  readonly commitMaxBytes: number;
  readonly waitingMaxCommands: number;
  readonly waitingMaxBytes: number;
  /**
   * Under load, how long to wait for another caller before a commit, as long as they keep coming: a commit costs much the same
   * for one as for fifty.
   */
  readonly gatherMs: number;
  /** Times that a group is decided before its callers are told that the outcome is unknown. */
  readonly maxAttempts: number;
  readonly retryDelayMs: number;
}

export type Appended<Result> =
  | { readonly type: "done"; readonly result: Result }
  /** The waiting list is full; nothing was kept. */
  | { readonly type: "overloaded" }
  /** The database could not be reached, or not for long enough to know: the caller must ask again with the same command. */
  | { readonly type: "unavailable" };

const MAX_GATHER_TURNS = 10;
/** Turns without a new caller after which no more are waited for. */
const QUIET_TURNS = 2;

interface Waiting<Command, Result> {
  readonly command: Command;
  readonly bytes: number;
  readonly answer: (appended: Appended<Result>) => void;
}

export class Sequencer<Command, Head, Context, Result, Planned extends Plan<Head, Result>, Receipt> {
  readonly #port: SequencerPort<Command, Head, Context, Result, Planned, Receipt>;
  readonly #limits: SequencerLimits;
  #waiting: Waiting<Command, Result>[] = [];
  #waitingBytes = 0;
  #running = false;
  #head: Head | undefined;

  constructor(port: SequencerPort<Command, Head, Context, Result, Planned, Receipt>, limits: SequencerLimits) {
    this.#port = port;
    this.#limits = limits;
  }

  append(command: Command): Promise<Appended<Result>> {
    const bytes = this.#port.sizeOf(command);
    if (
      this.#waiting.length >= this.#limits.waitingMaxCommands ||
      this.#waitingBytes + bytes > this.#limits.waitingMaxBytes
    ) {
      return Promise.resolve({ type: "overloaded" });
    }
    return new Promise((answer) => {
      this.#waiting.push({ command, bytes, answer });
      this.#waitingBytes += bytes;
      if (!this.#running) {
        this.#running = true;
        void this.#run();
      }
    });
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const group = this.#takeGroup();
        await this.#commitGroup(group);
        if (group.length > 1) await this.#gather();
      }
    } finally {
      this.#running = false;
    }
  }

  /**
   * Callers that were answered come back at once, and others are on their way: waits while they keep coming, or the next group
   * would be the first few of them.
   */
  async #gather(): Promise<void> {
    let quietTurns = 0;
    for (let turn = 0; turn < MAX_GATHER_TURNS && quietTurns < QUIET_TURNS; turn++) {
      const before = this.#waiting.length;
      if (before >= this.#limits.commitMaxCommands || this.#waitingBytes >= this.#limits.commitMaxBytes) return;
      await this.#port.sleep(this.#limits.gatherMs);
      quietTurns = this.#waiting.length > before ? 0 : quietTurns + 1;
    }
  }

  #takeGroup(): readonly Waiting<Command, Result>[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#waiting) {
      if (count === this.#limits.commitMaxCommands) break;
      if (count > 0 && bytes + waiting.bytes > this.#limits.commitMaxBytes) break;
      bytes += waiting.bytes;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  async #commitGroup(group: readonly Waiting<Command, Result>[]): Promise<void> {
    const commands = group.map((waiting) => waiting.command);
    for (let attempt = 1; attempt <= this.#limits.maxAttempts; attempt++) {
      try {
        const { results, receipt } = await this.#tryCommit(commands);
        for (const [index, waiting] of group.entries()) {
          const result = results[index];
          waiting.answer(result === undefined ? { type: "unavailable" } : { type: "done", result });
        }
        if (receipt !== undefined) this.#port.committed(receipt);
        return;
      } catch (error) {
        this.#head = undefined; // whatever was assumed may be wrong now
        this.#port.uncertain(error, attempt);
        if (attempt < this.#limits.maxAttempts) await this.#port.sleep(this.#limits.retryDelayMs * attempt);
      }
    }
    for (const waiting of group) waiting.answer({ type: "unavailable" });
  }

  async #tryCommit(
    commands: readonly Command[],
  ): Promise<{ readonly results: readonly Result[]; readonly receipt: Receipt | undefined }> {
    const head = this.#head ?? (await this.#port.loadHead());
    const context = await this.#port.loadContext(commands);
    const planned = this.#port.plan(head, context, commands, this.#port.now());
    if (planned.results.length !== commands.length) throw new Error("a plan answers every command");
    const receipt = planned.changes ? await this.#port.commit(planned) : undefined;
    this.#head = planned.head;
    return { results: planned.results, receipt };
  }
}
