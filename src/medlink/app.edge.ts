/** The hub's operations on one app, its OpenAPI document, and what every answer has in common. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { refusedByMaintenance } from "../operations/maintenance/maintenance.edge.ts";
import { flushLater, measureOf, metricSink } from "../operations/meter.edge.ts";
import { methodLabel, statusLabel } from "../operations/metrics.ts";
import { newUuid } from "../platform/clock.edge.ts";
import { correlationIdOf } from "../platform/correlation.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import { problemResponse } from "../platform/problem.ts";
import { setSecurityHeaders } from "../platform/response-headers.ts";
import { VERSION } from "../platform/version.ts";
import { ACCOUNTS } from "./accounts/room.edge.ts";
import { ATTACHMENTS } from "./attachments/room.edge.ts";
import { AUDIT } from "./audit/room.edge.ts";
import { AUTO_SUBMIT } from "./auto-submit/room.edge.ts";
import { BACKUPS } from "./backup/room.edge.ts";
import { BRIDGE } from "./bridge/room.edge.ts";
import { BULK } from "./bulk/room.edge.ts";
import { CACHE } from "./cache/room.edge.ts";
import { CLAIMS } from "./claims/room.edge.ts";
import { CONSOLE } from "./console/console.edge.ts";
import { errorPage, wantsPage } from "./console/page.edge.tsx";
import { EDI } from "./edi/room.edge.ts";
import type { HubEnv } from "./env.ts";
import { problemAsOutcome } from "./fhir/outcome.ts";
import { FHIR } from "./fhir/room.edge.ts";
import { FLAGS } from "./flags/room.edge.ts";
import { HEALTH } from "./health/room.edge.ts";
import { startHub } from "./hub.edge.ts";
import { INTAKE } from "./intake/room.edge.ts";
import { RENEWALS } from "./keys/renewal.route.ts";
import type { HubApp, Operation, Vars } from "./operation.edge.ts";
import { OPERATIONS } from "./operations/room.edge.ts";
import { RECORDS } from "./records/room.edge.ts";
import { REMITTANCES } from "./remittances/room.edge.ts";
import { RETENTION } from "./retention/room.edge.ts";
import { SEED } from "./seed/room.edge.ts";

/** Room by room: each exports what it offers. */
const ROOMS: readonly (readonly Operation[])[] = [
  HEALTH,
  ACCOUNTS,
  FLAGS,
  RECORDS,
  RETENTION,
  AUDIT,
  CACHE,
  RENEWALS,
  CLAIMS,
  BULK,
  ATTACHMENTS,
  REMITTANCES,
  AUTO_SUBMIT,
  INTAKE,
  BRIDGE,
  EDI,
  FHIR,
  SEED,
  CONSOLE,
  OPERATIONS,
  BACKUPS,
];

/** Signing in and out, what operators do, and what iTrans calls back: a callback refused is a callback late. */
const GOES_ON_IN_MAINTENANCE = /^\/api\/(auth|admin|operations|itrans\/(webhooks|auto-submit\/settings))(\/|$)/;

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
  flushLater("medlink-hub", env, metricSink(env), (work) => context.executionCtx.waitUntil(work));
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
    setSecurityHeaders(context.res.headers, context.env.ENVIRONMENT !== "development");
    const { status } = context.res;
    const failure = context.get("failure");
    measureRequest(context, Date.now() - startedAt);
    logOf(context.env)(status >= 500 ? "error" : "info", "request", {
      correlationId,
      method: context.req.method,
      route: context.get("route"),
      status,
      durationMs: Date.now() - startedAt,
      ...(failure === undefined ? {} : { reason: failure }),
    });
  });

  // Liveness says that the code runs, and nothing of settings, secrets or the database.
  app.get("/healthz", (context) => {
    context.set("route", "/healthz");
    return context.json({ status: "ok" });
  });

  app.use(async (context, next) => {
    const started = await startHub(context.env, logOf(context.env), (work) => context.executionCtx.waitUntil(work));
    if (!started.ok) {
      context.set("failure", started.detail);
      return wantsPage(context.req.raw)
        ? errorPage(context, 503)
        : problemResponse({ code: "unavailable", detail: started.detail }, context.get("correlationId"));
    }
    context.set("hub", started.hub);
    const { method, path } = context.req;
    const refused = GOES_ON_IN_MAINTENANCE.test(path) ? undefined : await refusedByMaintenance(context.env.DB, method);
    if (refused === undefined) return next();
    const respond = path.startsWith("/fhir/") ? problemAsOutcome : problemResponse;
    return respond(refused, context.get("correlationId"));
  });

  for (const operation of ROOMS.flat()) operation.mount(app);

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
    context.set("failure", reasonOf(thrown));
    if (wantsPage(context.req.raw)) return errorPage(context, 500);
    return problemResponse(
      { code: "internal", detail: "Something went wrong here. Try again, and name the correlation id if it stays." },
      correlationId,
    );
  });
  return app;
}
