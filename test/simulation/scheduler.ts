/**
 * Virtual time. Nothing happens but what is scheduled here, in order of time, and in a seeded order at the same time; after
 * each event everything that it woke runs until it waits again.
 */
import type { Random } from "./random.ts";

/** A process: when it ends, nothing of it goes on. What it waits for never comes. */
export class Life {
  #alive = true;
  /** Nothing of it runs before then; true epoch ms. */
  stalledUntil = 0;

  get alive(): boolean {
    return this.#alive;
  }

  end(): void {
    this.#alive = false;
  }
}

interface Timer {
  /** Ms since the epoch. */
  readonly at: number;
  readonly tie: number;
  readonly order: number;
  readonly fire: () => void;
}

const before = (a: Timer, b: Timer): boolean =>
  a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.order < b.order;

export class Scheduler {
  readonly #random: Random;
  /** A binary heap, the next timer first. */
  readonly #timers: Timer[] = [];
  #now: number;
  #order = 0;

  constructor(random: Random, startMs: number) {
    this.#random = random;
    this.#now = startMs;
  }

  /** The true time, which no process sees; epoch ms. */
  readonly now = (): number => this.#now;

  get events(): number {
    return this.#order;
  }

  after(delayMs: number, fire: () => void): void {
    this.#order += 1;
    this.#push({ at: this.#now + Math.max(0, delayMs), tie: this.#random.word(), order: this.#order, fire });
  }

  /** In a process: not once it has ended, and late when it stalls. */
  within(life: Life, delayMs: number, fire: () => void): void {
    this.after(delayMs, () => {
      if (!life.alive) return;
      if (this.#now < life.stalledUntil) this.within(life, life.stalledUntil - this.#now, fire);
      else fire();
    });
  }

  sleep(life: Life, ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.within(life, ms, resolve);
    });
  }

  /** @returns whether `done` held before `untilMs` and before the timers ran out. */
  async run(done: () => boolean, untilMs: number): Promise<boolean> {
    await settled();
    for (let events = 1; !done(); events++) {
      const next = this.#timers[0];
      if (next === undefined || next.at > untilMs) return false;
      this.#pop();
      this.#now = Math.max(this.#now, next.at);
      next.fire();
      await settled();
      if (events % EVENTS_A_TURN === 0) await turn();
    }
    return true;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !before(timer, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[2 * index + 1];
      const right = heap[2 * index + 2];
      if (left === undefined) break;
      const child = right !== undefined && before(right, left) ? right : left;
      if (!before(child, last)) break;
      heap[index] = child;
      index = 2 * index + (child === right ? 2 : 1);
    }
    heap[index] = last;
  }
}

/** A tick comes when no promise has anything left to do, and costs far less than a turn of the event loop. */
const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

/** Now and then others of this process get a turn. */
const EVENTS_A_TURN = 5_000;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
