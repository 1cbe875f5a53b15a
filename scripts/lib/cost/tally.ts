/** What a counting worker says of itself (bench/workers/tally.ts). */

/** What is counted under one label: a kind of invocation, or a class of objects. */
export interface Counts {
  requests: number;
  /** Invocations by a queue or a cron. */
  batches: number;
  /** Calls to another worker through a binding, which cost nothing. */
  calls: number;
  statements: number;
  rowsRead: number;
  rowsWritten: number;
  /** Of them those of the metrics, which are written by the minute and the series, not by the claim. */
  rowsMeasuring: number;
  queueWrites: number;
  queueReads: number;
  queueDeletes: number;
  objectRequests: number;
  alarms: number;
  objectRowsRead: number;
  objectRowsWritten: number;
  r2ClassA: number;
  r2ClassB: number;
}

export const NO_COUNTS: Readonly<Counts> = {
  requests: 0,
  batches: 0,
  calls: 0,
  statements: 0,
  rowsRead: 0,
  rowsWritten: 0,
  rowsMeasuring: 0,
  queueWrites: 0,
  queueReads: 0,
  queueDeletes: 0,
  objectRequests: 0,
  alarms: 0,
  objectRowsRead: 0,
  objectRowsWritten: 0,
  r2ClassA: 0,
  r2ClassB: 0,
};

export interface TallyReport {
  readonly byLabel: Readonly<Record<string, Counts>>;
  /** Rows written, by the table that a statement names. */
  readonly byTable: Readonly<Record<string, number>>;
  /** Rows written and how often, by the beginning of a statement. */
  readonly byStatement: Readonly<Record<string, { readonly rows: number; readonly times: number }>>;
}
