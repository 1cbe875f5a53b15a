/** A queue that loses, doubles, delays and reorders, with the consumer's limits of wrangler.relay.toml. */
import type { RelayHint } from "../../src/relay/port.ts";
import type { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

const MAX_BATCH = 10;
const MAX_RETRIES = 3;
/** How long a batch whose consumer vanished stays hidden. */
const VISIBILITY_MS = 15_000;

interface Message {
  readonly body: RelayHint;
  readonly attempt: number;
}

export type BatchEnd = "acknowledged" | "threw" | "vanished";

/** Runs one invocation. */
export type Consume = (end: (how: BatchEnd) => void) => void;

export class HintQueue {
  readonly #world: World;
  #ready: Message[] = [];
  #delayed = 0;
  #running = 0;
  #dispatching = false;
  #consume: Consume | undefined;
  #wiped = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Undefined: the consumer is not deployed; messages wait. */
  set consumer(consume: Consume | undefined) {
    this.#consume = consume;
    this.#dispatch();
  }

  get empty(): boolean {
    return this.#ready.length === 0 && this.#delayed === 0 && this.#running === 0;
  }

  wipe(): void {
    this.#world.trace("queue", "wiped", this.#ready.length + this.#delayed);
    this.#wiped += 1;
    this.#ready = [];
  }

  /** The producer's binding in a process. */
  binding(life: Life): Queue<RelayHint> {
    const send = async (bodies: readonly { body: RelayHint; delaySeconds?: number }[]): Promise<void> => {
      const { random, scheduler, faults } = this.#world;
      await scheduler.sleep(life, random.between(1, 10));
      if (random.chance(faults.queue.sendFails)) {
        this.#world.trace("queue", "send fails");
        throw new Error("the queue is unavailable");
      }
      for (const { body, delaySeconds } of bodies) this.#take(body, (delaySeconds ?? 0) * 1_000);
    };
    const metrics = { backlogCount: 0, backlogBytes: 0 };
    return {
      metrics: () => Promise.resolve(metrics),
      send: async (body, options) => {
        await send([{ body, ...options }]);
        return { metadata: { metrics } };
      },
      sendBatch: async (messages) => {
        await send([...messages]);
        return { metadata: { metrics } };
      },
    };
  }

  #take(body: RelayHint, delayMs: number): void {
    const { random, faults } = this.#world;
    if (random.chance(faults.queue.lost)) {
      this.#world.trace("queue", "loses a hint");
      return;
    }
    const copies = random.chance(faults.queue.doubled) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const lateMs = random.chance(faults.queue.late) ? random.between(100, 30_000) : random.between(1, 50);
      this.#later({ body, attempt: 1 }, delayMs + lateMs);
    }
  }

  #later(message: Message, delayMs: number): void {
    const wiped = this.#wiped;
    this.#delayed += 1;
    this.#world.scheduler.after(delayMs, () => {
      this.#delayed -= 1;
      if (wiped !== this.#wiped) return;
      this.#ready.push(message);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    const consume = this.#consume;
    const { random, scheduler, options } = this.#world;
    if (consume === undefined || this.#dispatching || this.#ready.length === 0) return;
    if (this.#running >= options.consumers) return;
    this.#dispatching = true;
    scheduler.after(random.between(0, 20), () => {
      this.#dispatching = false;
      const batch = this.#ready.splice(0, MAX_BATCH);
      if (batch.length === 0) return;
      this.#running += 1;
      consume((how) => {
        this.#running -= 1;
        if (how !== "acknowledged") this.#again(batch, how === "threw" ? 1_000 : VISIBILITY_MS);
        this.#dispatch();
      });
      this.#dispatch();
    });
  }

  /** Past its last attempt a message is given up: the dead-letter queue's consumer drops it. */
  #again(batch: readonly Message[], delayMs: number): void {
    for (const { body, attempt } of batch) {
      if (attempt <= MAX_RETRIES) this.#later({ body, attempt: attempt + 1 }, delayMs);
    }
  }
}
