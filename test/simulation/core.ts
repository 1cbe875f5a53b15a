/** Core's side of delivery: the port the relay calls, the sweep, confirmed anchors. What port.edge.ts does with bindings, on virtual ones. */
import { recordConfirmedStatements } from "../../src/anchor/anchor.store.ts";
import { beginSuspected, claimWake } from "../../src/relay/leases.store.ts";
import type { ScheduledRetry } from "../../src/relay/outcomes.store.ts";
import type { DeliveryOutcome, Lease, RelayHint, RelayPortApi } from "../../src/relay/port.ts";
import { sweepRelay } from "../../src/relay/sweep.cron.ts";
import { remoteCall } from "./calls.ts";
import type { Database } from "./database.ts";
import type { Parts } from "./parts.ts";
import type { HintQueue } from "./queue.ts";
import { Life } from "./scheduler.ts";
import { CHAIN_ID, LEDGER_ID, type World } from "./world.ts";

const MAX_MESSAGES_A_SEND = 100;

/** One message for all retries that fall due in the same second. */
function retryHints(retries: readonly ScheduledRetry[], now: number): readonly MessageSendRequest<RelayHint>[] {
  const bySecond = new Map<number, number[]>();
  for (const { outboxId, dueAt } of retries) {
    const delaySeconds = Math.max(0, Math.ceil((dueAt - now) / 1_000));
    bySecond.set(delaySeconds, [...(bySecond.get(delaySeconds) ?? []), outboxId]);
  }
  return [...bySecond].map(([delaySeconds, outboxIds]) => ({ body: { outboxIds }, delaySeconds }));
}

export class Core {
  readonly #world: World;
  readonly #database: Database;
  readonly #queue: HintQueue;
  readonly #parts: Parts;
  #anchoredSize = 0;

  constructor(world: World, database: Database, queue: HintQueue, parts: Parts) {
    this.#world = world;
    this.#database = database;
    this.#queue = queue;
    this.#parts = parts;
  }

  /** @param relay the invocation that holds it. */
  port(relay: Life): RelayPortApi {
    return {
      lease: (limit, exclude) => remoteCall(this.#world, relay, "lease", (core) => this.#lease(core, limit, exclude)),
      begin: (outboxId, leaseToken) =>
        remoteCall(this.#world, relay, "begin", (core) =>
          beginSuspected(this.#database.connect(core, "begin"), outboxId, leaseToken),
        ),
      record: (outcomes) => remoteCall(this.#world, relay, "record", (core) => this.#record(core, outcomes)),
      wake: (delayMs) => remoteCall(this.#world, relay, "wake", (core) => this.#wake(core, delayMs)),
    };
  }

  async #lease(core: Life, limit: number, exclude: readonly string[]): Promise<Lease> {
    const { options, coreClock } = this.#world;
    return this.#parts.leaseDue(this.#database.connect(core, "lease"), {
      now: coreClock.now(),
      limit,
      perDestination: Math.ceil(limit / 2),
      exclude,
      afterTimeoutWaitMs: options.policy.afterTimeoutWaitMs,
    });
  }

  async #record(core: Life, outcomes: readonly DeliveryOutcome[]) {
    const { options, coreClock, random } = this.#world;
    const now = coreClock.now();
    const db = this.#database.connect(core, "record");
    const recorded = await this.#parts.recordOutcomes(db, outcomes, options.policy, now, random.next);
    const hints = retryHints(recorded.retries, now);
    const queue = this.#queue.binding(core);
    for (let from = 0; from < hints.length; from += MAX_MESSAGES_A_SEND) {
      await queue.sendBatch(hints.slice(from, from + MAX_MESSAGES_A_SEND));
    }
    return { recorded: recorded.recorded, due: recorded.due };
  }

  async #wake(core: Life, delayMs: number): Promise<void> {
    const now = this.#world.coreClock.now();
    const delaySeconds = Math.max(0, Math.ceil(delayMs / 1_000));
    if (!(await claimWake(this.#database.connect(core, "wake"), now, now + delaySeconds * 1_000))) return;
    await this.#queue.binding(core).send({ outboxIds: [] }, { delaySeconds });
  }

  /** The cron of each minute, which may be missed, doubled, or fail. */
  sweep(): void {
    const { random, faults, coreClock } = this.#world;
    if (!this.#parts.sweeps || random.chance(faults.cronMissed)) return;
    for (let runs = random.chance(faults.cronDoubled) ? 2 : 1; runs > 0; runs--) {
      const life = new Life();
      const env = { DB: this.#database.connect(life, "sweep"), RELAY_QUEUE: this.#queue.binding(life) };
      sweepRelay(env, coreClock.now()).then(
        ({ due, held }) => {
          if (due + held > 0) this.#world.trace("sweep", "due", due, "held", held);
        },
        () => this.#world.trace("sweep", "failed"),
      );
    }
  }

  /** The chain has confirmed an anchor over everything that is committed now; its record is tried until the database takes it. */
  async confirmAnchor(block: number): Promise<void> {
    const { scheduler, random, coreClock } = this.#world;
    const head = this.#world.row("SELECT size, root_hash FROM ledger_heads WHERE ledger_id = ?", LEDGER_ID);
    const size = Number(head?.size ?? 0);
    if (size <= this.#anchoredSize) return;
    const hash = (of: string): string => `0x${Buffer.from(`${of} ${block}`).toString("hex").padStart(64, "0")}`;
    const anchor = {
      size,
      root: String(head?.root_hash),
      previousSize: this.#anchoredSize,
      txHash: hash("transaction"),
      blockNumber: block,
      blockHash: hash("block"),
      logIndex: 0,
      confirmedAt: coreClock.now(),
      sent: undefined,
    };
    this.#anchoredSize = size;
    const target = { ledgerId: LEDGER_ID, chainId: CHAIN_ID, contractAddress: `0x${"c0".repeat(20)}` };
    const life = new Life();
    const db = this.#database.connect(life, "anchor");
    await scheduler.sleep(life, random.between(1, 10_000));
    for (;;) {
      try {
        await db.batch([...recordConfirmedStatements(db, target, { type: "confirmed", anchor })]);
        this.#world.trace("anchor", "confirmed", "size", size);
        await this.#queue.binding(life).send({ outboxIds: [] });
        return;
      } catch {
        await scheduler.sleep(life, 5_000);
      }
    }
  }
}
