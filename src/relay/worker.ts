/** itrans-relay: consumes hints, delivers webhooks. Deleting it stops delivery and loses nothing. */

import { flushIfDue, flushNow, type MetricSink, measureOf, withAnalytics } from "../operations/meter.edge.ts";
import { methodLabel, statusLabel } from "../operations/metrics.ts";
import { METRICS_CONTENT_TYPE } from "../operations/metrics-text.ts";
import { mayScrape, SCRAPE_REFUSED } from "../operations/scrape-token.ts";
import { makeLog, newUuid, systemNow } from "../platform/clock.edge.ts";
import { correlationIdOf } from "../platform/correlation.ts";
import { loggedInvocation } from "../platform/invocation.edge.ts";
import type { Log } from "../platform/log.ts";
import { problemResponse } from "../platform/problem.ts";
import { setSecurityHeaders } from "../platform/response-headers.ts";
import { sightingsIn } from "../platform/secret-fingerprint.ts";
import { secretFaults, secretsOf } from "../platform/secrets.ts";
import { parseSettings, type RelaySettings, relaySettingsSchema } from "../platform/settings.ts";
import { VERSION } from "../platform/version.ts";
import type { RelayEnv } from "./env.ts";
import type { RelayHint } from "./port.ts";
import { consumeDeadHints, consumeHints, type DeliveriesApi } from "./relay.consumer.ts";

export { Deliveries } from "./deliveries.edge.ts";

/** Outside development weak or missing secrets stop the relay, by name. */
function secretsFault(env: RelayEnv, environment: RelaySettings["ENVIRONMENT"]): string | undefined {
  const faults = environment === "development" ? [] : secretFaults("itrans-relay", { ...env });
  return faults.length === 0 ? undefined : `secrets are not fit for use: ${faults.join("; ")}`;
}

let secretsNotedBy: RelayEnv | undefined;

/** Core keeps how old they are. A note that is lost is made by the next invocation. */
async function noteSecrets(env: RelayEnv): Promise<void> {
  if (secretsNotedBy === env) return;
  const names = secretsOf("itrans-relay").map(({ name }) => name);
  try {
    await env.CORE.recordSecrets(sightingsIn(names, { ...env }));
    secretsNotedBy = env;
  } catch {
    // Core is away; whoever asks it sees that.
  }
}

/** Posts go where others say: outside development the platform must keep them off private addresses. */
function reachFault(environment: RelaySettings["ENVIRONMENT"]): string | undefined {
  if (environment === "development" || Cloudflare.compatibilityFlags.global_fetch_strictly_public === true)
    return undefined;
  return "the compatibility flag global_fetch_strictly_public is not set";
}

function health(env: RelayEnv): Response {
  const parsed = parseSettings(relaySettingsSchema, env);
  const fault = parsed.ok ? reachFault(parsed.settings.ENVIRONMENT) : parsed.problem.detail;
  const faults = [...secretFaults("itrans-relay", { ...env }), ...(fault === undefined ? [] : [fault])];
  return Response.json(
    { status: faults.length === 0 ? "ok" : "misconfigured", version: VERSION.version, faults },
    {
      status: faults.length === 0 ? 200 : 503,
    },
  );
}

const ROUTES = ["/health", "/version", "/metrics"] as const;

/** The relay has no database: core keeps what it measures. */
const sinkOf = (env: RelayEnv): MetricSink =>
  withAnalytics((flushId, rows) => env.CORE.measure(flushId, rows), env.ANALYTICS);

async function metrics(request: Request, env: RelayEnv, correlationId: string): Promise<Response> {
  if (!mayScrape(request.headers.get("authorization"), { ...env })) {
    return problemResponse(SCRAPE_REFUSED, correlationId);
  }
  try {
    await flushNow("itrans-relay", env, sinkOf(env));
    return new Response(await env.CORE.metrics(), { headers: { "content-type": METRICS_CONTENT_TYPE } });
  } catch {
    return problemResponse(
      { code: "unavailable", detail: "Core, which keeps the metrics, does not answer." },
      correlationId,
    );
  }
}

async function answer(request: Request, env: RelayEnv, pathname: string, correlationId: string): Promise<Response> {
  const route = ROUTES.find((known) => known === pathname);
  if (route === undefined) {
    return problemResponse(
      { code: "not_found", detail: "The relay serves /health, /version and /metrics only." },
      correlationId,
    );
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return problemResponse({ code: "method_not_allowed", detail: "Use GET." }, correlationId);
  }
  switch (route) {
    case "/health":
      return health(env);
    case "/version":
      return Response.json(VERSION);
    case "/metrics":
      return metrics(request, env, correlationId);
  }
}

const hasDeliveries = (exports: object): exports is { readonly Deliveries: DeliveriesApi } => "Deliveries" in exports;

export async function consumeBatch(
  batch: MessageBatch<RelayHint>,
  env: RelayEnv,
  deliveries: DeliveriesApi,
  log: Log,
): Promise<void> {
  const measure = measureOf("itrans-relay", env);
  // Names end in the environment.
  const queue = batch.queue.startsWith("relay-dead-letters") ? "relay-dead-letters" : "relay";
  measure.add("itrans_relay_hints_total", { queue }, batch.messages.length);
  if (queue === "relay-dead-letters") {
    consumeDeadHints(batch, log);
    measure.add("itrans_relay_invocations_total", { queue, outcome: "ok" });
    return;
  }
  const parsed = parseSettings(relaySettingsSchema, env);
  if (!parsed.ok) throw new Error(parsed.problem.detail);
  const { ENVIRONMENT } = parsed.settings;
  const fault = reachFault(ENVIRONMENT) ?? secretsFault(env, ENVIRONMENT);
  if (fault !== undefined) throw new Error(fault);
  const startedAt = systemNow();
  let outcome: "ok" | "failed" = "failed";
  try {
    await consumeHints(batch, deliveries);
    outcome = "ok";
  } finally {
    measure.add("itrans_relay_invocations_total", { queue, outcome });
    measure.observe("itrans_relay_invocation_duration_seconds", {}, (systemNow() - startedAt) / 1000);
  }
  await flushIfDue("itrans-relay", env, sinkOf(env));
  await noteSecrets(env);
}

export default {
  async fetch(request, env, context) {
    const startedAt = systemNow();
    const { pathname } = new URL(request.url);
    const correlationId = correlationIdOf(request.headers.get("x-correlation-id") ?? undefined, newUuid);
    const answered = await answer(request, env, pathname, correlationId);
    const response = new Response(answered.body, answered);
    setSecurityHeaders(response.headers, env.ENVIRONMENT !== "development");
    // A rotation asks so, whether or not there is anything to deliver.
    if (pathname === "/health") context.waitUntil(noteSecrets(env));
    const measure = measureOf("itrans-relay", env);
    const method = methodLabel(request.method);
    const route = ROUTES.find((known) => known === pathname) ?? "unmatched";
    measure.add("itrans_relay_http_requests_total", { method, route, status: statusLabel(response.status) });
    const durationMs = systemNow() - startedAt;
    measure.observe("itrans_relay_http_request_duration_seconds", { method, route }, durationMs / 1000);
    const { status } = response;
    makeLog("itrans-relay", env)(status >= 500 ? "error" : "info", "request", {
      correlationId,
      method: request.method,
      route,
      status,
      durationMs,
    });
    return response;
  },

  queue: (batch, env, ctx) =>
    loggedInvocation(makeLog("itrans-relay", env), "queue", { queue: batch.queue }, async (log) => {
      if (!hasDeliveries(ctx.exports)) throw new Error("the relay does not find its own entry point");
      await consumeBatch(batch, env, ctx.exports.Deliveries, log);
      return batch.messages.length;
    }),
} satisfies ExportedHandler<RelayEnv, RelayHint>;
