/** Time that passes only when everything waits. */
export class VirtualClock {
  #now: number;
  #timers: { readonly at: number; readonly fire: () => void }[] = [];

  constructor(startMs: number) {
    this.#now = startMs;
  }

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number): Promise<void> =>
    new Promise((fire) => {
      this.#timers.push({ at: this.#now + ms, fire });
    });

  /** Lets time pass until `work` has ended; fails when nothing is left to wait for. */
  async run<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const watched = work.finally(() => {
      ended = true;
    });
    watched.catch(() => {});
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (ended) return watched;
      this.#timers.sort((a, b) => a.at - b.at);
      const next = this.#timers.shift();
      if (next === undefined) throw new Error("stuck: nothing will ever happen again");
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
  }
}
