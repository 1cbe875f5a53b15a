/** itrans-core: wiring only. */
import { driveAnchor } from "../anchor/anchor.cron.ts";
import { registerGetAnchor } from "../anchor/get-anchor.route.ts";
import { registerListAnchors } from "../anchor/list-anchors.route.ts";
import { registerRetryAnchor } from "../anchor/retry-anchor.route.ts";
import { registerSupersedeAnchor } from "../anchor/supersede-anchor.route.ts";
import { registerListOperatorActions } from "../audit/list-operator-actions.route.ts";
import { registerRecordHubAction } from "../audit/record-hub-action.route.ts";
import { appendWaitingActions } from "../audit/record-operator-action.edge.ts";
import { registerAdvanceBackup } from "../backup/advance-backup.route.ts";
import { backUp } from "../backup/backup.cron.ts";
import { coreBackupParts } from "../backup/backup-parts.edge.ts";
import { advanceDrill } from "../backup/drill.edge.ts";
import { registerGetBackup } from "../backup/get-backup.route.ts";
import { registerListBackupKeys } from "../backup/list-backup-keys.route.ts";
import { registerListBackups } from "../backup/list-backups.route.ts";
import { registerReadBackupManifest } from "../backup/read-backup-manifest.route.ts";
import { registerReadBackupObject } from "../backup/read-backup-object.route.ts";
import { registerRecordDrill } from "../backup/record-drill.route.ts";
import type { SnapshotParts } from "../backup/snapshot.edge.ts";
import { registerStartBackup } from "../backup/start-backup.route.ts";
import { carryRewrapsOn } from "../keys/rewrap.edge.ts";
import { noteCoreSecrets } from "../keys/secret-ages.edge.ts";
import { registerSecrets } from "../keys/secrets.route.ts";
import { registerConsistencyProof } from "../ledger/consistency-proof.route.ts";
import { registerLedgerEntry } from "../ledger/entry.route.ts";
import { registerInclusionProof } from "../ledger/inclusion-proof.route.ts";
import { registerLogCheckpoint } from "../ledger/log-checkpoint.route.ts";
import { registerLogKey } from "../ledger/log-key.route.ts";
import { logKeysOf } from "../ledger/log-keys.edge.ts";
import { registerLogTile } from "../ledger/log-tile.route.ts";
import { publishLedger } from "../ledger/publish.cron.ts";
import { scrubLedger } from "../ledger/scrub.cron.ts";
import { registerVerifyLedger } from "../ledger/verify.route.ts";
import { registerAcknowledgeAlert } from "../operations/alerts/acknowledge-alert.route.ts";
import { registerContacts } from "../operations/alerts/contacts.route.ts";
import { registerCreateSilence } from "../operations/alerts/create-silence.route.ts";
import { registerEndSilence } from "../operations/alerts/end-silence.route.ts";
import { evaluatorOf } from "../operations/alerts/evaluator.edge.ts";
import { registerListAlerts } from "../operations/alerts/list-alerts.route.ts";
import { registerTestAlerts } from "../operations/alerts/test-alerts.route.ts";
import { type CountedBucket, countBuckets } from "../operations/bucket-count.cron.ts";
import { registerHealth } from "../operations/health.route.ts";
import { registerIdempotencyKeys } from "../operations/idempotency-keys.route.ts";
import { registerIncidents } from "../operations/incidents/incidents.route.ts";
import { registerMaintenance } from "../operations/maintenance/maintenance.route.ts";
import { measureOf } from "../operations/meter.edge.ts";
import { registerMetrics } from "../operations/metrics.route.ts";
import { recordCoreMetrics } from "../operations/record-metrics.cron.ts";
import { registerSeries } from "../operations/series.route.ts";
import { registerTrace } from "../operations/trace/trace.route.ts";
import { makeLog, systemNow } from "../platform/clock.edge.ts";
import { loggedInvocation } from "../platform/invocation.edge.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { registerDeleteDestination } from "../relay/delete-destination.route.ts";
import { registerDiscardDeadLetter } from "../relay/discard-dead-letter.route.ts";
import { registerGetDeadLetter } from "../relay/get-dead-letter.route.ts";
import { registerGetDestination } from "../relay/get-destination.route.ts";
import { registerListDeadLetters } from "../relay/list-dead-letters.route.ts";
import { registerListDeliveries } from "../relay/list-deliveries.route.ts";
import { registerListDestinations } from "../relay/list-destinations.route.ts";
import { registerPauseDestination } from "../relay/pause-destination.route.ts";
import { registerPauseRelay } from "../relay/pause-relay.route.ts";
import { registerPingDestination } from "../relay/ping-destination.route.ts";
import { pruneRelay } from "../relay/prune.cron.ts";
import { registerPutDestination } from "../relay/put-destination.route.ts";
import { registerRelayStatus } from "../relay/relay-status.route.ts";
import { registerReplayDeadLetter } from "../relay/replay-dead-letter.route.ts";
import { registerReplayDeadLetters } from "../relay/replay-dead-letters.route.ts";
import { registerResumeDestination } from "../relay/resume-destination.route.ts";
import { registerResumeRelay } from "../relay/resume-relay.route.ts";
import { registerRotateSecret } from "../relay/rotate-secret.route.ts";
import { sweepRelay } from "../relay/sweep.cron.ts";
import { registerCreateSettlement } from "../settlement/create-settlement.route.ts";
import type { SettlementHint } from "../settlement/drive.ts";
import { registerGetSettlement } from "../settlement/get-settlement.route.ts";
import { sweepKeys } from "../settlement/idempotency.cron.ts";
import { registerListSettlements } from "../settlement/list-settlements.route.ts";
import { operatorOf } from "../settlement/operator-of.edge.ts";
import { registerContinueRun } from "../settlement/reconciliation/continue-run.route.ts";
import { registerGetItem } from "../settlement/reconciliation/get-item.route.ts";
import { registerGetReport } from "../settlement/reconciliation/get-report.route.ts";
import { registerGetRun } from "../settlement/reconciliation/get-run.route.ts";
import { registerListItems } from "../settlement/reconciliation/list-items.route.ts";
import { registerListRuns } from "../settlement/reconciliation/list-runs.route.ts";
import { registerOwnItem } from "../settlement/reconciliation/own-item.route.ts";
import { reconcileDaily } from "../settlement/reconciliation/reconcile.cron.ts";
import { registerResolveItem } from "../settlement/reconciliation/resolve-item.route.ts";
import { registerStartRun } from "../settlement/reconciliation/start-run.route.ts";
import { registerResolveSettlement } from "../settlement/resolve-settlement.route.ts";
import { consumeSettlements, driveParts } from "../settlement/settlement.consumer.ts";
import { sweepSettlements } from "../settlement/sweep.cron.ts";
import { registerCloseTenant } from "../tenants/close-tenant.route.ts";
import { registerCreateApiKey } from "../tenants/create-api-key.route.ts";
import { registerCreateTenant } from "../tenants/create-tenant.route.ts";
import { registerListApiKeys } from "../tenants/list-api-keys.route.ts";
import { registerListTenants } from "../tenants/list-tenants.route.ts";
import { registerRevokeApiKey } from "../tenants/revoke-api-key.route.ts";
import { registerAcknowledgeRequest } from "../workflow/acknowledge-request.route.ts";
import { registerAdjudicateRequest } from "../workflow/adjudicate-request.route.ts";
import { registerClaimAnchor } from "../workflow/claim-anchor.route.ts";
import { registerClaimProof } from "../workflow/claim-proof.route.ts";
import { registerCreateClaim } from "../workflow/create-claim.route.ts";
import { registerEraseClaim } from "../workflow/erase-claim.route.ts";
import { registerEraseRequest } from "../workflow/erase-request.route.ts";
import { sweepErasures } from "../workflow/erasure.cron.ts";
import { registerFinalizeClaim } from "../workflow/finalize-claim.route.ts";
import { registerGetClaim } from "../workflow/get-claim.route.ts";
import { registerGetRequest } from "../workflow/get-request.route.ts";
import { registerRequestProof } from "../workflow/request-proof.route.ts";
import { registerSettleClaim } from "../workflow/settle-claim.route.ts";
import { registerSubmitRequest } from "../workflow/submit-request.route.ts";
import { registerDocs } from "./docs.route.ts";
import { makeCoreApp, servicesOf } from "./entry.edge.ts";
import type { CoreEnv } from "./env.ts";

export { AlertEvaluator } from "../../durable-objects/alert-evaluator.ts";
export { LedgerAnchor } from "../../durable-objects/ledger-anchor.ts";
export { LedgerPublisher } from "../../durable-objects/ledger-publisher.ts";
export { LedgerScrubber } from "../../durable-objects/ledger-scrubber.ts";
export { LedgerSequencer } from "../../durable-objects/ledger-sequencer.ts";
export { OperatorLimiter } from "../../durable-objects/operator-limiter.ts";
export { RateLimiter } from "../../durable-objects/rate-limiter.ts";
export { RelayPort } from "../relay/port.edge.ts";

const app = makeCoreApp();
for (const register of [
  registerSubmitRequest,
  registerGetRequest,
  registerAcknowledgeRequest,
  registerAdjudicateRequest,
  registerCreateClaim,
  registerGetClaim,
  registerFinalizeClaim,
  registerSettleClaim,
  registerCreateSettlement,
  registerListSettlements,
  registerGetSettlement,
  registerResolveSettlement,
  registerIdempotencyKeys,
  registerClaimAnchor,
  registerClaimProof,
  registerRequestProof,
  registerEraseRequest,
  registerEraseClaim,
  registerVerifyLedger,
  registerListAnchors,
  registerGetAnchor,
  registerRetryAnchor,
  registerSupersedeAnchor,
  registerLedgerEntry,
  registerInclusionProof,
  registerConsistencyProof,
  registerLogCheckpoint,
  registerLogTile,
  registerLogKey,
  registerRelayStatus,
  registerListDeadLetters,
  registerListDeliveries,
  registerReplayDeadLetters,
  registerReplayDeadLetter,
  registerGetDeadLetter,
  registerDiscardDeadLetter,
  registerListDestinations,
  registerPutDestination,
  registerRotateSecret,
  registerResumeRelay,
  registerResumeDestination,
  registerPingDestination,
  registerPauseRelay,
  registerPauseDestination,
  registerGetDestination,
  registerDeleteDestination,
  registerStartRun,
  registerListRuns,
  registerGetRun,
  registerContinueRun,
  registerGetReport,
  registerListItems,
  registerGetItem,
  registerOwnItem,
  registerResolveItem,
  registerCreateTenant,
  registerCreateApiKey,
  registerListTenants,
  registerCloseTenant,
  registerListApiKeys,
  registerRevokeApiKey,
  registerStartBackup,
  registerListBackups,
  registerGetBackup,
  registerAdvanceBackup,
  registerReadBackupManifest,
  registerListBackupKeys,
  registerReadBackupObject,
  registerRecordDrill,
  registerHealth,
  registerMetrics,
  registerSeries,
  registerTrace,
  registerListAlerts,
  registerAcknowledgeAlert,
  registerCreateSilence,
  registerEndSilence,
  registerTestAlerts,
  registerContacts,
  registerMaintenance,
  registerIncidents,
  registerListOperatorActions,
  registerRecordHubAction,
  registerSecrets,
  registerDocs,
]) {
  register(app);
}

async function backUpCore(env: CoreEnv, settings: CoreSettings, log: Log): Promise<void> {
  const parts = await coreBackupParts(env, settings);
  if (parts === undefined) return;
  try {
    await backUp(parts, { hourUtc: settings.BACKUP_HOUR_UTC, turnMs: settings.BACKUP_TURN_MS }, log);
  } finally {
    // Also when a snapshot fails: whether what there is can be restored is then asked all the more.
    await drillCore(env, settings, parts, log);
  }
}

async function drillCore(env: CoreEnv, settings: CoreSettings, parts: SnapshotParts, log: Log): Promise<void> {
  if (env.SCRATCH === undefined) return;
  const logKeys = await logKeysOf(env, settings);
  const drill = await advanceDrill({ ...parts, scratch: env.SCRATCH, logKeys }, systemNow() + settings.BACKUP_TURN_MS);
  if (drill.type === "failed") log("error", "restore-drill.failed", { reason: drill.reason });
}

const bucketsOf = ({ LEDGER, BACKUPS }: CoreEnv): readonly CountedBucket[] => [
  { name: "ledger", bucket: LEDGER },
  ...(BACKUPS === undefined ? [] : [{ name: "backups", bucket: BACKUPS }]),
];

/** @returns how many jobs failed. */
async function runCron(env: CoreEnv, scheduledTime: number, log: Log): Promise<number> {
  const startedAt = systemNow();
  const ready = servicesOf(env);
  if (!ready.ok) throw new Error(ready.problem.detail);
  const { settings } = ready.services;
  const jobs = {
    publish: () => publishLedger(env, settings),
    anchor: () => driveAnchor(env, settings),
    sweep: () => sweepRelay(env, systemNow()),
    prune: () => pruneRelay(env, settings, systemNow()),
    scrub: () => scrubLedger(env, settings),
    reconcile: () => reconcileDaily(env, settings, log, systemNow()),
    actions: () => appendWaitingActions(env, settings.LEDGER_ID),
    keys: async () => {
      await noteCoreSecrets(env);
      await carryRewrapsOn(env, settings.LEDGER_ID);
    },
    erasures: () => sweepErasures(env, settings.LEDGER_ID, systemNow(), log),
    alerts: () => evaluatorOf(env, settings).wake(),
    settlements: () => sweepSettlements(env, settings, systemNow(), log),
    idempotency: () => sweepKeys(env, settings.LEDGER_ID, systemNow()),
    backup: () => backUpCore(env, settings, log),
    "count-buckets": () => countBuckets(env.DB, bucketsOf(env), settings.ALERT_TIME_SCALE),
  };
  const measure = measureOf("itrans-core", env);
  let failed = 0;
  const run = async <Name extends keyof typeof jobs | "metrics">(job: Name, work: () => Promise<unknown>) => {
    const began = systemNow();
    let outcome: "ok" | "failed" = "ok";
    try {
      await work();
    } catch (error) {
      outcome = "failed";
      failed += 1;
      log("error", "cron.failed", { cron: job, reason: reasonOf(error) });
    }
    measure.add("itrans_core_cron_runs_total", { job, outcome });
    measure.observe("itrans_core_cron_duration_seconds", { job }, (systemNow() - began) / 1000);
  };
  await Promise.all([
    run("publish", jobs.publish),
    run("anchor", jobs.anchor),
    run("sweep", jobs.sweep),
    run("prune", jobs.prune),
    run("scrub", jobs.scrub),
    run("erasures", jobs.erasures),
    run("reconcile", jobs.reconcile),
    run("alerts", jobs.alerts),
    run("settlements", jobs.settlements),
    run("idempotency", jobs.idempotency),
    run("actions", jobs.actions),
    run("keys", jobs.keys),
    run("backup", jobs.backup),
    run("count-buckets", jobs["count-buckets"]),
  ]);
  // Last, so that the readings are those of after the jobs.
  await run("metrics", () => recordCoreMetrics(env, settings, startedAt - scheduledTime));
  return failed;
}

/** @returns how many settlements were driven. */
async function runQueue(batch: MessageBatch<SettlementHint>, env: CoreEnv, log: Log): Promise<number> {
  const ready = servicesOf(env);
  if (!ready.ok) throw new Error(ready.problem.detail);
  const { settings } = ready.services;
  const operator = operatorOf(env, settings, log);
  if (operator !== undefined) return consumeSettlements(batch, env, driveParts(env, settings, operator, log));
  batch.ackAll();
  return 0;
}

const logOf = (env: CoreEnv): Log => makeLog("itrans-core", env);

export default {
  fetch: app.fetch,
  scheduled: ({ cron, scheduledTime }, env) =>
    loggedInvocation(logOf(env), "cron", { cron }, (log) => runCron(env, scheduledTime, log)),
  queue: (batch, env) =>
    loggedInvocation(logOf(env), "queue", { queue: batch.queue, size: batch.messages.length }, (log) =>
      runQueue(batch, env, log),
    ),
} satisfies ExportedHandler<CoreEnv, SettlementHint>;
