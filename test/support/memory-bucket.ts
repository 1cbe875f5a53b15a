/** An R2 bucket in memory: as much of it as the log and payloads use. */

export class MemoryBucket {
  readonly objects: Map<string, Uint8Array<ArrayBuffer>>;

  constructor(objects: ReadonlyMap<string, Uint8Array<ArrayBuffer>> = new Map()) {
    this.objects = new Map(objects);
  }

  /** What code under test takes. */
  get r2(): R2Bucket {
    return this as unknown as R2Bucket;
  }

  async get(key: string) {
    const bytes = this.objects.get(key);
    if (bytes === undefined) return null;
    return { arrayBuffer: async () => bytes.slice().buffer, text: async () => new TextDecoder().decode(bytes) };
  }

  async put(key: string, value: Uint8Array | string, options?: { onlyIf?: { etagDoesNotMatch?: string } }) {
    if (options?.onlyIf?.etagDoesNotMatch === "*" && this.objects.has(key)) return null;
    this.objects.set(key, new Uint8Array(typeof value === "string" ? new TextEncoder().encode(value) : value));
    return { key };
  }

  async delete(keys: string | readonly string[]) {
    for (const key of [keys].flat()) this.objects.delete(key);
  }

  async list({ prefix = "", cursor = "", limit = 1_000 }: { prefix?: string; cursor?: string; limit?: number }) {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > cursor).sort();
    const page = keys.slice(0, limit);
    return {
      objects: page.map((key) => ({ key })),
      truncated: keys.length > limit,
      cursor: page.at(-1) ?? "",
    };
  }
}
