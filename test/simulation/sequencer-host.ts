/** Sequencer instances as the platform runs them: one, evicted at any await with all who wait on it, now and then two. */
import type { Head } from "../../src/ledger/head.ts";
import { type Appended, Sequencer } from "../../src/ledger/sequencer.ts";
import type { CommitReceipt } from "../../src/workflow/commit.store.ts";
import {
  type Command,
  type CommandResult,
  type CommitContext,
  type CommitPlan,
  commandBytes,
} from "../../src/workflow/commit-plan.ts";
import type { Database } from "./database.ts";
import type { Parts } from "./parts.ts";
import type { HintQueue } from "./queue.ts";
import { Life } from "./scheduler.ts";
import { CHAIN_ID, LEDGER_ID, type World } from "./world.ts";

type LedgerSequencer = Sequencer<Command, Head, CommitContext, CommandResult, CommitPlan, CommitReceipt>;

interface Instance {
  readonly name: string;
  readonly life: Life;
  readonly sequencer: LedgerSequencer;
  /** Callers to tell that the object went away. */
  readonly calls: Set<(error: Error) => void>;
}

export class SequencerHost {
  readonly #world: World;
  readonly #database: Database;
  readonly #queue: HintQueue;
  readonly #parts: Parts;
  readonly #answered: (command: Command, appended: Appended<CommandResult>) => void;
  #instances: readonly Instance[];
  #started = 0;

  /** @param answered called with each answer at the moment it leaves the sequencer. */
  constructor(
    world: World,
    database: Database,
    queue: HintQueue,
    parts: Parts,
    answered: (command: Command, appended: Appended<CommandResult>) => void,
  ) {
    this.#world = world;
    this.#database = database;
    this.#queue = queue;
    this.#parts = parts;
    this.#answered = answered;
    this.#instances = [this.#start()];
  }

  /** Rejects when the instance goes away before it has answered. */
  append(command: Command): Promise<Appended<CommandResult>> {
    const instance = this.#world.random.pick(this.#instances);
    return new Promise((resolve, reject) => {
      instance.calls.add(reject);
      instance.sequencer.append(command).then((appended) => {
        if (!instance.life.alive) return;
        this.#answered(command, appended);
        instance.calls.delete(reject);
        resolve(appended);
      }, reject);
    });
  }

  /** A new instance starts; the old one ends now, or after both have run for a while. */
  evict(): void {
    const { random, scheduler, options } = this.#world;
    const old = this.#instances;
    const fresh = this.#start();
    const overlapMs = random.chance(options.sequencerOverlaps) ? random.between(10, 20_000) : 0;
    this.#world.trace("sequencer", "evicted", fresh.name, "starts, overlap ms", overlapMs);
    const end = (): void => {
      for (const instance of old) this.#end(instance);
      this.#instances = this.#instances.filter((instance) => !old.includes(instance));
    };
    // The old one may stand still meanwhile and go on with what it remembers.
    if (overlapMs > 0 && random.chance(0.5)) {
      for (const { life } of old) life.stalledUntil = this.#world.now() + random.between(0, overlapMs);
    }
    this.#instances = [...old, fresh];
    if (overlapMs === 0) end();
    else scheduler.after(overlapMs, end);
  }

  #end(instance: Instance): void {
    instance.life.end();
    for (const reject of instance.calls) reject(new Error("the object was reset"));
    instance.calls.clear();
  }

  #start(): Instance {
    this.#started += 1;
    const name = `sequencer-${this.#started}`;
    const life = new Life();
    const { scheduler, coreClock } = this.#world;
    const { loadHead, loadContext, planCommit, writeCommit } = this.#parts;
    const db = this.#database.connect(life, name);
    const queue = this.#queue.binding(life);
    const sequencer: LedgerSequencer = new Sequencer(
      {
        loadHead: () => loadHead(db, LEDGER_ID),
        loadContext: (commands) => loadContext(db, LEDGER_ID, commands),
        plan: (head, context, commands, nowMs) =>
          planCommit(head, context, commands, nowMs, { ledgerId: LEDGER_ID, chainId: CHAIN_ID }),
        commit: (plan) => writeCommit(db, LEDGER_ID, plan),
        committed: ({ dueOutboxIds }) => {
          if (dueOutboxIds.length > 0) void queue.send({ outboxIds: dueOutboxIds }).catch(() => {});
        },
        sizeOf: commandBytes,
        now: coreClock.now,
        sleep: (ms) => scheduler.sleep(life, ms),
        uncertain: (error, attempt) =>
          this.#world.trace(name, "uncertain", attempt, error instanceof Error ? error.message : String(error)),
      },
      this.#world.options.sequencer,
    );
    return { name, life, sequencer, calls: new Set() };
  }
}
