import type { Operation } from "../operation.edge.ts";
import { pauseDestination, pauseRelay, resumeDestination, resumeRelay } from "./control-relay.route.ts";
import { discardDeadLetter, replayDeadLetter, replayDeadLetters } from "./dead-letters.route.ts";
import { putMaintenance, showMaintenance } from "./maintenance.route.ts";
import { readMetrics } from "./metrics.route.ts";
import { readOverview } from "./overview.route.ts";
import { readEntryProof } from "./read-entry-proof.route.ts";
import { readSeriesOf } from "./series.route.ts";

export const OPERATIONS: readonly Operation[] = [
  readMetrics,
  readSeriesOf,
  pauseRelay,
  resumeRelay,
  pauseDestination,
  resumeDestination,
  replayDeadLetters,
  replayDeadLetter,
  discardDeadLetter,
  readEntryProof,
  readOverview,
  showMaintenance,
  putMaintenance,
];
