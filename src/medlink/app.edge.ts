/** The hub's operations on one app, its OpenAPI document, and what every answer has in common. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { databaseSink, flushLater, measureOf } from "../operations/meter.edge.ts";
import { methodLabel, statusLabel } from "../operations/metrics.ts";
import { newUuid } from "../platform/clock.edge.ts";
import { correlationIdOf } from "../platform/correlation.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import { problemResponse } from "../platform/problem.ts";
import { VERSION } from "../platform/version.ts";
import { acceptInvitation } from "./accounts/accept-invitation.route.ts";
import { changePassword } from "./accounts/change-password.route.ts";
import { clearSessionsRoute } from "./accounts/clear-sessions.route.ts";
import { createClinic } from "./accounts/create-clinic.route.ts";
import { createInvitation } from "./accounts/create-invitation.route.ts";
import { createPasswordReset } from "./accounts/create-password-reset.route.ts";
import { createToken } from "./accounts/create-token.route.ts";
import { disableTotp } from "./accounts/disable-totp.route.ts";
import { enableTotp } from "./accounts/enable-totp.route.ts";
import { endSession } from "./accounts/end-session.route.ts";
import { listClinicsRoute } from "./accounts/list-clinics.route.ts";
import { listInvitationsRoute } from "./accounts/list-invitations.route.ts";
import { listSessionsRoute } from "./accounts/list-sessions.route.ts";
import { listTokens } from "./accounts/list-tokens.route.ts";
import { listUsersRoute } from "./accounts/list-users.route.ts";
import { login } from "./accounts/login.route.ts";
import { logout } from "./accounts/logout.route.ts";
import { logoutEverywhere } from "./accounts/logout-everywhere.route.ts";
import { me } from "./accounts/me.route.ts";
import { readAuthConfig } from "./accounts/read-auth-config.route.ts";
import { readSecondFactors } from "./accounts/read-second-factors.route.ts";
import { removeSecondFactor } from "./accounts/remove-second-factor.route.ts";
import { renewBackupCodes } from "./accounts/renew-backup-codes.route.ts";
import { resetPassword } from "./accounts/reset-password.route.ts";
import { revokeToken } from "./accounts/revoke-token.route.ts";
import { secondFactor } from "./accounts/second-factor.route.ts";
import { setupTotp } from "./accounts/setup-totp.route.ts";
import { updateMe } from "./accounts/update-me.route.ts";
import { updateUser } from "./accounts/update-user.route.ts";
import { withdrawInvitation } from "./accounts/withdraw-invitation.route.ts";
import { createAttachment } from "./attachments/create-attachment.route.ts";
import { deleteAttachment } from "./attachments/delete-attachment.route.ts";
import { listAttachmentsRoute } from "./attachments/list-attachments.route.ts";
import { readAttachment } from "./attachments/read-attachment.route.ts";
import { listAudit } from "./audit/list-audit.route.ts";
import { enqueueClaims } from "./auto-submit/enqueue-claims.route.ts";
import { readQueue } from "./auto-submit/read-queue.route.ts";
import { readAutoSubmitSettings } from "./auto-submit/read-settings.route.ts";
import { readAutoSubmitStatus } from "./auto-submit/read-status.route.ts";
import { requeueFailed } from "./auto-submit/requeue-failed.route.ts";
import { requeueJob } from "./auto-submit/requeue-job.route.ts";
import { updateAutoSubmitSettings } from "./auto-submit/update-settings.route.ts";
import {
  advanceHubBackup,
  listHubBackupKeys,
  listHubBackups,
  readHubBackup,
  readHubBackupObject,
  readHubManifest,
  startHubBackup,
} from "./backup/backups.route.ts";
import { createBridgedClaim } from "./bridge/create-bridged-claim.route.ts";
import { createWorkflowClaim } from "./bridge/create-workflow-claim.route.ts";
import { createWorkflowPreauth } from "./bridge/create-workflow-preauth.route.ts";
import { finalizeClaim } from "./bridge/finalize-claim.route.ts";
import { readAnchorStatus } from "./bridge/read-anchor-status.route.ts";
import { readBridgedClaim } from "./bridge/read-bridged-claim.route.ts";
import { readWorkflowRequest } from "./bridge/read-workflow-request.route.ts";
import { settleClaim } from "./bridge/settle-claim.route.ts";
import { bulkSubmit } from "./bulk/bulk-submit.route.ts";
import { readCache } from "./cache/read-cache.route.ts";
import { correctClaim } from "./claims/correct-claim.route.ts";
import { createClaim } from "./claims/create-claim.route.ts";
import { listClaimsRoute } from "./claims/list-claims.route.ts";
import { readClaim } from "./claims/read-claim.route.ts";
import { readProof } from "./claims/read-proof.route.ts";
import { readTimelineRoute } from "./claims/read-timeline.route.ts";
import { requeueClaim } from "./claims/requeue-claim.route.ts";
import { submitClaim } from "./claims/submit-claim.route.ts";
import { updateClaim } from "./claims/update-claim.route.ts";
import { CONSOLE } from "./console/console.edge.ts";
import { errorPage, wantsPage } from "./console/page.edge.tsx";
import { listClaimTransactions } from "./edi/list-claim-transactions.route.ts";
import { listConnectors } from "./edi/list-connectors.route.ts";
import { listEdiExchanges } from "./edi/list-exchanges.route.ts";
import { resetSandbox } from "./edi/reset-sandbox.route.ts";
import { sendClaimByEdi } from "./edi/send-claim.route.ts";
import { testConnector } from "./edi/test-connector.route.ts";
import type { HubEnv } from "./env.ts";
import { createFhirClaim } from "./fhir/create-claim.route.ts";
import { problemAsOutcome } from "./fhir/outcome.ts";
import { processBundle } from "./fhir/process-bundle.route.ts";
import { readFhirClaim } from "./fhir/read-claim.route.ts";
import { readFhirClaimResponse } from "./fhir/read-claim-response.route.ts";
import { readFhirMetadata } from "./fhir/read-metadata.route.ts";
import { searchFhirClaimResponse } from "./fhir/search-claim-response.route.ts";
import { listFlags } from "./flags/list-flags.route.ts";
import { readExposures } from "./flags/read-exposures.route.ts";
import { updateFlag } from "./flags/update-flag.route.ts";
import { health } from "./health/health.route.ts";
import { readyz } from "./health/readyz.route.ts";
import { readVersion } from "./health/version.route.ts";
import { startHub } from "./hub.edge.ts";
import { receiveWebhook } from "./intake/receive-webhook.route.ts";
import { readReEncryptStatus, reEncrypt } from "./keys/re-encrypt.route.ts";
import type { HubApp, Operation, Vars } from "./operation.edge.ts";
import { pauseDestination, pauseRelay, resumeDestination, resumeRelay } from "./operations/control-relay.route.ts";
import { discardDeadLetter, replayDeadLetter, replayDeadLetters } from "./operations/dead-letters.route.ts";
import { readMetrics } from "./operations/metrics.route.ts";
import { readOverview } from "./operations/overview.route.ts";
import { readEntryProof } from "./operations/read-entry-proof.route.ts";
import { readSeriesOf } from "./operations/series.route.ts";
import { createInsurer } from "./records/create-insurer.route.ts";
import { createPatient } from "./records/create-patient.route.ts";
import { createProvider } from "./records/create-provider.route.ts";
import { listInsurersRoute } from "./records/list-insurers.route.ts";
import { listPatientsRoute, searchPatients } from "./records/list-patients.route.ts";
import { listProvidersRoute } from "./records/list-providers.route.ts";
import { readClinic } from "./records/read-clinic.route.ts";
import { readInsurer } from "./records/read-insurer.route.ts";
import { readPatient } from "./records/read-patient.route.ts";
import { readProvider } from "./records/read-provider.route.ts";
import { updateClinic } from "./records/update-clinic.route.ts";
import { updateInsurer } from "./records/update-insurer.route.ts";
import { updatePatient } from "./records/update-patient.route.ts";
import { updateProvider } from "./records/update-provider.route.ts";
import { createRemittance } from "./remittances/create-remittance.route.ts";
import { listRemittancesRoute } from "./remittances/list-remittances.route.ts";
import { readRemittanceRoute } from "./remittances/read-remittance.route.ts";
import { erasePatientRoute, readErasure } from "./retention/erase-patient.route.ts";
import { exportPatient } from "./retention/export-patient.route.ts";
import { seed } from "./seed/seed.route.ts";
import { seedAdmin } from "./seed/seed-admin.route.ts";

const OPERATIONS: readonly Operation[] = [
  health,
  readyz,
  readVersion,
  login,
  secondFactor,
  logout,
  logoutEverywhere,
  me,
  updateMe,
  changePassword,
  setupTotp,
  enableTotp,
  disableTotp,
  renewBackupCodes,
  resetPassword,
  listSessionsRoute,
  endSession,
  listUsersRoute,
  updateUser,
  removeSecondFactor,
  createPasswordReset,
  listInvitationsRoute,
  createInvitation,
  withdrawInvitation,
  acceptInvitation,
  listTokens,
  createToken,
  revokeToken,
  listFlags,
  updateFlag,
  readExposures,
  listClinicsRoute,
  createClinic,
  clearSessionsRoute,
  readSecondFactors,
  readAuthConfig,
  listPatientsRoute,
  createPatient,
  searchPatients,
  readPatient,
  updatePatient,
  exportPatient,
  erasePatientRoute,
  readErasure,
  listProvidersRoute,
  createProvider,
  readProvider,
  updateProvider,
  listInsurersRoute,
  createInsurer,
  readInsurer,
  updateInsurer,
  readClinic,
  updateClinic,
  listAudit,
  readCache,
  reEncrypt,
  readReEncryptStatus,
  listClaimsRoute,
  createClaim,
  bulkSubmit,
  readClaim,
  updateClaim,
  submitClaim,
  requeueClaim,
  correctClaim,
  readTimelineRoute,
  readProof,
  createAttachment,
  listAttachmentsRoute,
  readAttachment,
  deleteAttachment,
  listRemittancesRoute,
  createRemittance,
  readRemittanceRoute,
  readQueue,
  readAutoSubmitSettings,
  updateAutoSubmitSettings,
  readAutoSubmitStatus,
  requeueJob,
  requeueFailed,
  enqueueClaims,
  receiveWebhook,
  createBridgedClaim,
  readBridgedClaim,
  finalizeClaim,
  settleClaim,
  readAnchorStatus,
  createWorkflowClaim,
  createWorkflowPreauth,
  readWorkflowRequest,
  sendClaimByEdi,
  listClaimTransactions,
  listConnectors,
  testConnector,
  resetSandbox,
  listEdiExchanges,
  readFhirMetadata,
  processBundle,
  createFhirClaim,
  readFhirClaim,
  readFhirClaimResponse,
  searchFhirClaimResponse,
  seed,
  ...CONSOLE,
  seedAdmin,
  readMetrics,
  readSeriesOf,
  startHubBackup,
  listHubBackups,
  readHubBackup,
  advanceHubBackup,
  readHubManifest,
  listHubBackupKeys,
  readHubBackupObject,
  pauseRelay,
  resumeRelay,
  pauseDestination,
  resumeDestination,
  replayDeadLetters,
  replayDeadLetter,
  discardDeadLetter,
  readEntryProof,
  readOverview,
];

const SIGN_IN_ROUTES = ["/api/auth/login", "/api/auth/second-factor"];

function measureRequest(context: Context<Vars>, durationMs: number): void {
  const { env, res } = context;
  const measure = measureOf("medlink-hub", env);
  const method = methodLabel(context.req.method);
  const route = context.get("route");
  measure.add("medlink_http_requests_total", { method, route, status: statusLabel(res.status) });
  measure.observe("medlink_http_request_duration_seconds", { method, route }, durationMs / 1_000);
  if (SIGN_IN_ROUTES.includes(route)) {
    if (res.status === 401) measure.add("medlink_logins_refused_total", { reason: "credentials" });
    if (res.status === 429) measure.add("medlink_logins_refused_total", { reason: "locked-out" });
  }
  flushLater("medlink-hub", env, databaseSink(env.DB), (work) => context.executionCtx.waitUntil(work));
}

export function makeApp(logOf: (env: HubEnv) => Log): HubApp {
  const app = new OpenAPIHono<Vars>();

  app.use(async (context, next) => {
    const startedAt = Date.now();
    const correlationId = correlationIdOf(context.req.header("x-correlation-id"), newUuid);
    context.set("correlationId", correlationId);
    context.set("route", "unknown");
    await next();
    if (!context.res.headers.has("x-correlation-id")) context.res.headers.set("x-correlation-id", correlationId);
    context.res.headers.set("x-content-type-options", "nosniff");
    const { status } = context.res;
    measureRequest(context, Date.now() - startedAt);
    logOf(context.env)(status >= 500 ? "error" : "info", "request", {
      correlationId,
      method: context.req.method,
      route: context.get("route"),
      status,
      durationMs: Date.now() - startedAt,
    });
  });

  // Liveness says that the code runs, and nothing of settings, secrets or the database.
  app.get("/healthz", (context) => {
    context.set("route", "/healthz");
    return context.json({ status: "ok" });
  });

  app.use(async (context, next) => {
    const started = await startHub(context.env, logOf(context.env));
    if (!started.ok) {
      return wantsPage(context.req.raw)
        ? errorPage(context, 503)
        : problemResponse({ code: "unavailable", detail: started.detail }, context.get("correlationId"));
    }
    context.set("hub", started.hub);
    return next();
  });

  for (const operation of OPERATIONS) operation.mount(app);

  app.get("/api/openapi.json", (context) => {
    context.set("route", "/api/openapi.json");
    return context.json(
      app.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "MedLink hub", version: VERSION.version } }),
    );
  });

  app.notFound((context) => {
    if (wantsPage(context.req.raw)) return errorPage(context, 404);
    const respond = context.req.path.startsWith("/fhir/") ? problemAsOutcome : problemResponse;
    return respond({ code: "not_found", detail: "There is no such page." }, context.get("correlationId"));
  });
  app.onError((thrown, context) => {
    const correlationId = context.get("correlationId");
    logOf(context.env)("error", "request.failed", {
      correlationId,
      route: context.get("route"),
      reason: reasonOf(thrown),
    });
    if (wantsPage(context.req.raw)) return errorPage(context, 500);
    return problemResponse(
      { code: "internal", detail: "Something went wrong here. Try again, and name the correlation id if it stays." },
      correlationId,
    );
  });
  return app;
}
