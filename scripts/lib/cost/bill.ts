/** From counted operations to a bill: pure arithmetic on what the workers' tallies say. */

import { type Billed, PRICES } from "./prices.ts";
import type { Counts, TallyReport } from "./tally.ts";

export const WORKERS = ["itrans-core", "itrans-relay", "medlink-hub"] as const;
export type Worker = (typeof WORKERS)[number];

/** What is billed, counted. */
export type Bill = Readonly<Record<Billed, number>>;

export const BILLED: readonly Billed[] = [
  "requests",
  "cpuMs",
  "rowsRead",
  "rowsWritten",
  "objectRequests",
  "objectRowsRead",
  "objectRowsWritten",
  "objectGbSeconds",
  "queueOperations",
  "r2ClassA",
  "r2ClassB",
];

const billOf = (count: (what: Billed) => number): Bill => ({
  requests: count("requests"),
  cpuMs: count("cpuMs"),
  rowsRead: count("rowsRead"),
  rowsWritten: count("rowsWritten"),
  objectRequests: count("objectRequests"),
  objectRowsRead: count("objectRowsRead"),
  objectRowsWritten: count("objectRowsWritten"),
  objectGbSeconds: count("objectGbSeconds"),
  queueOperations: count("queueOperations"),
  r2ClassA: count("r2ClassA"),
  r2ClassB: count("r2ClassB"),
});

export const NO_BILL: Bill = billOf(() => 0);

export const addBills = (a: Bill, b: Bill): Bill => billOf((what) => a[what] + b[what]);
export const times = (bill: Bill, factor: number): Bill => billOf((what) => bill[what] * factor);
/** What is left of a bill without another; never below nothing. */
export const minus = (a: Bill, b: Bill): Bill => billOf((what) => Math.max(0, a[what] - b[what]));

function ofCounts(counts: Counts): Bill {
  return {
    ...NO_BILL,
    requests: counts.requests + counts.batches,
    rowsRead: counts.rowsRead,
    rowsWritten: counts.rowsWritten,
    objectRequests: counts.objectRequests + counts.alarms,
    objectRowsRead: counts.objectRowsRead,
    objectRowsWritten: counts.objectRowsWritten,
    queueOperations: counts.queueWrites + counts.queueReads + counts.queueDeletes,
    r2ClassA: counts.r2ClassA,
    r2ClassB: counts.r2ClassB,
  };
}

export const billOfTally = (tally: TallyReport): Bill =>
  Object.values(tally.byLabel).map(ofCounts).reduce(addBills, NO_BILL);

/** Dollars, nothing included. */
export const dollarsOf = (bill: Bill): number =>
  BILLED.reduce((sum, what) => sum + (bill[what] * PRICES[what].perMillion) / 1_000_000, 0);

/** Dollars for a month's operations, after what the plan includes. */
export const monthlyDollars = (month: Bill): number =>
  BILLED.reduce(
    (sum, what) => sum + (Math.max(0, month[what] - PRICES[what].included) * PRICES[what].perMillion) / 1_000_000,
    0,
  );

/** What a claim may take through its whole life, with two destinations. */
export const COST_MUST = { rowsWritten: 120, queueOperationsAlone: 12, queueOperationsLoaded: 6 } as const;

export interface Ceiling {
  readonly name: string;
  readonly value: number;
  readonly most: number;
  readonly held: boolean;
}

type Life = Pick<Bill, "rowsWritten" | "queueOperations"> & { readonly measuringRows: number };

/** A claim by itself is judged without the metrics, which cost the same in a minute of one claim and of thousands. */
export function ceilings(alone: Life, loaded: Life): readonly Ceiling[] {
  const ceiling = (name: string, value: number, most: number): Ceiling => ({ name, value, most, held: value <= most });
  return [
    ceiling(
      "D1 rows written, a claim alone, metrics apart",
      alone.rowsWritten - alone.measuringRows,
      COST_MUST.rowsWritten,
    ),
    ceiling("D1 rows written, under load, with metrics", loaded.rowsWritten, COST_MUST.rowsWritten),
    ceiling("queue operations, a claim alone", alone.queueOperations, COST_MUST.queueOperationsAlone),
    ceiling("queue operations, under load", loaded.queueOperations, COST_MUST.queueOperationsLoaded),
  ];
}
