/**
 * A seeded simulation of the write path and the delivery path (after TigerBeetle's VOPR): the real code on the real SQL under a
 * virtual clock, with every fault drawn from the seed, invariants checked at each step; then the faults end and all must settle.
 */
import { Clients } from "./clients.ts";
import { Core } from "./core.ts";
import { Database } from "./database.ts";
import { Edge } from "./edge.ts";
import { Judge } from "./judge.ts";
import { LedgerWitness } from "./ledger-witness.ts";
import { drawOptions, type WorldOptions } from "./options.ts";
import { type Parts, REAL_PARTS } from "./parts.ts";
import { HintQueue } from "./queue.ts";
import { Random } from "./random.ts";
import { Receivers } from "./receivers.ts";
import { relayConsumer } from "./relay.ts";
import { SequencerHost } from "./sequencer-host.ts";
import { START_MS, TENANT_ID, type Violation, World } from "./world.ts";

const MINUTE_MS = 60_000;
/** How often it is asked whether all has settled. */
const LOOK_MS = 5_000;

export interface SimulationOptions {
  readonly seed: number;
  /** Drawn from the seed when left out. */
  readonly options?: (drawn: WorldOptions) => WorldOptions;
  readonly parts?: Parts;
  /** Gets every event as it happens. */
  readonly print?: (line: string) => void;
  /** More that happens to this world, by name. */
  readonly happenings?: (simulation: Simulation) => void;
}

export interface SimulationResult {
  readonly seed: number;
  readonly violation: Violation | undefined;
  /** The last events before the violation. */
  readonly trace: readonly string[];
  readonly entries: number;
  readonly posts: number;
  readonly events: number;
  readonly deadLetters: number;
  /** Virtual ms from the start until all had settled. */
  readonly virtualMs: number;
}

export class Simulation {
  readonly world: World;
  readonly queue: HintQueue;
  readonly receivers: Receivers;
  readonly judge: Judge;
  readonly core: Core;
  readonly #witness: LedgerWitness;
  readonly #sequencers: SequencerHost;
  readonly #clients: Clients;
  readonly #consume: ReturnType<typeof relayConsumer>;
  #anchoring = 0;
  #block = 1;

  constructor(world: World, parts: Parts) {
    this.world = world;
    if (parts.alterSchema !== undefined) world.sqlite.exec(parts.alterSchema);
    this.#addDestinations();
    this.#witness = new LedgerWitness(world);
    this.receivers = new Receivers(world);
    this.judge = new Judge(world, this.#witness, this.receivers);
    const database = new Database(world, parts, () => {
      this.#witness.changed();
      this.judge.changed();
    });
    this.queue = new HintQueue(world);
    this.#sequencers = new SequencerHost(world, database, this.queue, parts, this.judge.answered);
    this.core = new Core(world, database, this.queue, parts);
    this.#clients = new Clients(world, new Edge(world, database, this.#sequencers), this.judge.promised);
    this.#consume = relayConsumer(world, this.core, this.receivers.post, parts);
    this.deployRelay();
  }

  deployRelay(): void {
    this.queue.consumer = this.#consume;
  }

  async run(): Promise<void> {
    const { scheduler, options } = this.world;
    this.#clients.start();
    this.#scheduleFaults();
    this.#minutes();
    const failed = (): boolean => this.world.violation !== undefined;
    const healsAt = START_MS + options.faultyMs;
    await scheduler.run(failed, healsAt);
    if (options.faultsGoOn) await this.#settle();
    if (failed()) return;
    this.#heal();
    await this.#settle();
    if (!failed()) this.judge.final();
  }

  /** Goes on until nothing is under way; it is a violation when that takes too long. */
  async #settle(): Promise<void> {
    const { scheduler, options } = this.world;
    const failed = (): boolean => this.world.violation !== undefined;
    let settled = false;
    const look = (): void => {
      settled = this.#clients.idle && this.#anchoring === 0 && this.queue.empty && this.judge.unsettled() === 0;
      if (!settled) scheduler.after(LOOK_MS, look);
    };
    look();
    await scheduler.run(() => failed() || settled, scheduler.now() + options.settleMs);
    if (settled) return;
    const left = this.judge.unsettled();
    this.world.violate(
      "liveness",
      `${left} rows have not settled, clients ${this.#clients.idle ? "idle" : "busy"}, queue ${this.queue.empty ? "empty" : "busy"}`,
    );
  }

  result(seed: number): SimulationResult {
    const { violation, scheduler } = this.world;
    return {
      seed,
      violation,
      trace: violation === undefined ? [] : this.world.recentTrace(),
      entries: this.#witness.size,
      posts: this.receivers.posts,
      events: scheduler.events,
      deadLetters: Number(this.world.row("SELECT COUNT(*) AS n FROM outbox WHERE state = 'dead'")?.n),
      virtualMs: scheduler.now() - START_MS,
    };
  }

  setPaused(destinationId: string, paused: boolean): void {
    this.world.trace("destination", destinationId, paused ? "paused" : "active");
    this.world.row(
      "UPDATE destinations SET state = ? WHERE destination_id = ?",
      paused ? "paused" : "active",
      destinationId,
    );
  }

  anchor(): void {
    this.#anchoring += 1;
    this.#block += 1;
    void this.core.confirmAnchor(this.#block).then(() => {
      this.#anchoring -= 1;
    });
  }

  #addDestinations(): void {
    for (const destination of this.world.options.destinations) {
      this.world.row(
        `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, deliver_after, event_types,
           requests_per_minute, timeout_ms, state, created_at, updated_at)
         VALUES (?, ?, ?, NULLIF(?, ''), 'https://receiver.example.com/', ?,
           '["REQUEST_SUBMITTED","REQUEST_ACKNOWLEDGED","REQUEST_ADJUDICATED"]', ?, ?, 'active', 0, 0)`,
        destination.destinationId,
        TENANT_ID,
        destination.kind,
        destination.insurerAddress ?? "",
        destination.deliverAfter,
        destination.requestsPerMinute,
        destination.timeoutMs,
      );
    }
  }

  #scheduleFaults(): void {
    const { random, scheduler, options, coreClock, relayClock } = this.world;
    const sometime = (happen: () => void): void => scheduler.after(random.between(0, options.faultyMs - 1), happen);
    for (let i = 0; i < options.sequencerEvictions; i++) sometime(() => this.#sequencers.evict());
    for (let i = 0; i < options.clockSteps; i++) {
      const clock = random.pick([coreClock, relayClock]);
      sometime(() => {
        clock.errorMs = random.between(-options.clockErrorMs, options.clockErrorMs);
        this.world.trace("clock", clock === coreClock ? "core" : "relay", "is wrong by ms", clock.errorMs);
      });
    }
    for (let i = 0; i < options.pauses; i++) {
      const { destinationId } = random.pick(options.destinations);
      sometime(() => this.setPaused(destinationId, true));
      sometime(() => this.setPaused(destinationId, false));
    }
    const anchored = options.destinations.some(({ deliverAfter }) => deliverAfter === "anchor");
    for (let i = random.between(0, 4); anchored && i > 0; i--) sometime(() => this.anchor());
  }

  /** Crons: the sweep; and the anchor, once faults have ended. */
  #minutes(): void {
    this.world.scheduler.after(MINUTE_MS, () => {
      this.core.sweep();
      if (this.world.healed && this.#waiting()) this.anchor();
      this.#minutes();
    });
  }

  #waiting(): boolean {
    return this.world.row("SELECT 1 FROM outbox WHERE state = 'waiting' LIMIT 1") !== undefined;
  }

  #heal(): void {
    this.world.heal();
    for (const { destinationId } of this.world.options.destinations) this.setPaused(destinationId, false);
    this.deployRelay();
    this.#clients.afterFaults();
  }
}

export async function simulate(simulation: SimulationOptions): Promise<SimulationResult> {
  const { seed, parts = REAL_PARTS, print, happenings } = simulation;
  const random = new Random(seed);
  const drawn = drawOptions(random);
  const world = new World(simulation.options?.(drawn) ?? drawn, random, print);
  try {
    const run = new Simulation(world, parts);
    happenings?.(run);
    await run.run();
    return run.result(seed);
  } finally {
    world.close();
  }
}
