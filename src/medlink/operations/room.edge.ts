import type { Operation } from "../operation.edge.ts";
import { listHubSecrets } from "../secrets/secrets.route.ts";
import { acknowledgeAlert, endAlertSilence, silenceAlerts, testAlerts } from "./alerts.route.ts";
import { putContacts, showContacts } from "./contacts.route.ts";
import { pauseDestination, pauseRelay, resumeDestination, resumeRelay } from "./control-relay.route.ts";
import { discardDeadLetter, replayDeadLetter, replayDeadLetters } from "./dead-letters.route.ts";
import { resolveIdempotencyKey } from "./idempotency-keys.route.ts";
import { putMaintenance, showMaintenance } from "./maintenance.route.ts";
import { readMetrics } from "./metrics.route.ts";
import { readOverview } from "./overview.route.ts";
import { readEntryProof } from "./read-entry-proof.route.ts";
import {
  continueReconciliation,
  ownReconciliationItem,
  readReconciliationReport,
  resolveReconciliationItem,
  startReconciliation,
} from "./reconciliation.route.ts";
import { readSeriesOf } from "./series.route.ts";
import { replaySettlement, resolveSettlement } from "./settlements.route.ts";

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
  resolveSettlement,
  replaySettlement,
  startReconciliation,
  continueReconciliation,
  readReconciliationReport,
  ownReconciliationItem,
  resolveReconciliationItem,
  resolveIdempotencyKey,
  showContacts,
  putContacts,
  silenceAlerts,
  testAlerts,
  endAlertSilence,
  acknowledgeAlert,
  listHubSecrets,
];
