/** The code under test, by name, so that a mutation can put something broken in its place. */

import { leaseDue } from "../../src/relay/leases.store.ts";
import { recordOutcomes } from "../../src/relay/outcomes.store.ts";
import type { LeasedDelivery, PostResult } from "../../src/relay/port.ts";
import { loadContext, loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { planCommit } from "../../src/workflow/commit-plan.ts";
import type { DatabaseParts } from "./database.ts";

export interface Parts extends DatabaseParts {
  readonly loadHead: typeof loadHead;
  readonly loadContext: typeof loadContext;
  readonly planCommit: typeof planCommit;
  readonly writeCommit: typeof writeCommit;
  readonly leaseDue: typeof leaseDue;
  readonly recordOutcomes: typeof recordOutcomes;
  /** Between core and the relay's loop. */
  readonly received: (delivery: LeasedDelivery) => LeasedDelivery;
  /** Between the receiver and the relay's loop. */
  readonly reported: (result: PostResult) => PostResult;
  readonly sweeps: boolean;
  /** Run on the empty database. */
  readonly alterSchema: string | undefined;
}

export const REAL_PARTS: Parts = {
  loadHead,
  loadContext,
  planCommit,
  writeCommit,
  leaseDue,
  recordOutcomes,
  received: (delivery) => delivery,
  reported: (result) => result,
  sweeps: true,
  alterSchema: undefined,
  rewriteSql: undefined,
  atomicBatches: true,
};
