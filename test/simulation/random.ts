/** The one source of chance of a run: the same seed gives the same run. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed a safe integer. */
  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9;
    for (let i = 0; i < 12; i++) this.#word(); // near seeds begin alike
  }

  /** sfc32 (PractRand): fast, and good enough to have no pattern that a test could lean on. */
  #word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1). */
  readonly next = (): number => this.#word() / 2 ** 32;

  readonly word = (): number => this.#word();

  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** An integer, both ends included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  /** Absent in half of the runs, else up to `max`: faults that are always there hide what happens without them. */
  probability(max: number): number {
    return this.chance(0.5) ? this.next() * max : 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#word() & 0xff);
  }
}
