/**
 * A cache with a bound and an age: what was used least recently goes first, and nothing is older than `ttlMs`. It counts what
 * it answered and what it could not.
 */
export interface CacheStats {
  readonly entries: number;
  readonly capacity: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

/** Of all that was asked for; 0 when nothing was. */
export const hitRatioOf = ({ hits, misses }: Pick<CacheStats, "hits" | "misses">): number =>
  hits + misses === 0 ? 0 : hits / (hits + misses);

export class BoundedCache<Value> {
  readonly #capacity: number;
  readonly #ttlMs: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, { readonly value: Value; readonly until: number }>();
  #hits = 0;
  #misses = 0;
  #evictions = 0;

  constructor(options: { readonly capacity: number; readonly ttlMs: number }) {
    if (!Number.isInteger(options.capacity) || options.capacity < 1) throw new RangeError("a cache holds at least one");
    this.#capacity = options.capacity;
    this.#ttlMs = options.ttlMs;
  }

  get(key: string, now: number): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.until <= now) {
      this.#entries.delete(key);
      this.#misses++;
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#hits++;
    return entry.value;
  }

  set(key: string, value: Value, now: number): void {
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#capacity) break;
      this.#entries.delete(oldest);
      this.#evictions++;
    }
    this.#entries.set(key, { value, until: now + this.#ttlMs });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  stats(): CacheStats {
    return {
      entries: this.#entries.size,
      capacity: this.#capacity,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions,
    };
  }
}
