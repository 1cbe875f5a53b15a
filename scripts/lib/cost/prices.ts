/**
 * What the platform charges, in US dollars, on the Workers Paid plan. Source: Cloudflare's pricing pages for Workers, D1, Durable
 * Objects, Queues and R2 (https://developers.cloudflare.com/workers/platform/pricing/, .../d1/platform/pricing/,
 * .../durable-objects/platform/pricing/, .../queues/platform/pricing/, https://developers.cloudflare.com/r2/pricing/), as of
 * November 2026. A change of price is a change of this file, and of nothing else.
 */

interface Price {
  /** Dollars for a million. */
  readonly perMillion: number;
  /** A month, for the whole account. */
  readonly included: number;
  readonly what: string;
}

export const PRICES = {
  requests: {
    perMillion: 0.3,
    included: 10_000_000,
    what: "requests from outside; a batch of a queue and a run of a cron are taken as one each",
  },
  cpuMs: { perMillion: 0.02, included: 30_000_000, what: "milliseconds of CPU" },
  rowsRead: { perMillion: 0.001, included: 25_000_000_000, what: "D1 rows read" },
  rowsWritten: { perMillion: 1, included: 50_000_000, what: "D1 rows written, index entries among them" },
  objectRequests: { perMillion: 0.15, included: 1_000_000, what: "calls and alarms of Durable Objects" },
  objectRowsRead: { perMillion: 0.001, included: 25_000_000_000, what: "rows read in objects' own storage" },
  objectRowsWritten: { perMillion: 1, included: 50_000_000, what: "rows written in objects' own storage" },
  objectGbSeconds: { perMillion: 12.5, included: 400_000, what: "GB-seconds of objects, 128 MB each while active" },
  queueOperations: {
    perMillion: 0.4,
    included: 1_000_000,
    what: "queue operations: each write, read and delete of 64 kB",
  },
  r2ClassA: { perMillion: 4.5, included: 1_000_000, what: "R2 writes and lists" },
  r2ClassB: { perMillion: 0.36, included: 10_000_000, what: "R2 reads" },
} as const satisfies Readonly<Record<string, Price>>;

export type Billed = keyof typeof PRICES;

/** Dollars a month for the plan itself. */
export const PLAN_DOLLARS = 5;

/** Dollars for a GB kept a month. */
export const STORAGE_DOLLARS = { d1: 0.75, r2: 0.015, object: 0.2 } as const;

/** Of one Durable Object while it is active, whatever it uses. */
export const OBJECT_GB = 0.128;
