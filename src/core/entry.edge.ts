/** What happens to every request of core before its route: correlation id, settings, log line, errors. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { refusedByMaintenance } from "../operations/maintenance/maintenance.edge.ts";
import { flushLater, measureOf, metricSink } from "../operations/meter.edge.ts";
import { methodLabel, statusLabel } from "../operations/metrics.ts";
import { makeLog, newUuid, systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { correlationIdOf } from "../platform/correlation.ts";
import { KeyNotHeldError, makeKeyring } from "../platform/keyring.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import { problemFromZod } from "../platform/openapi.ts";
import { type Problem, problemResponse } from "../platform/problem.ts";
import { setSecurityHeaders } from "../platform/response-headers.ts";
import { acceptedValues, secretFaults } from "../platform/secrets.ts";
import { type CoreSettings, coreSettingsSchema, parseSettings } from "../platform/settings.ts";
import { makeVault, type Vault } from "../workflow/vault.ts";
import type { CoreAppEnv } from "./app.ts";
import type { CoreEnv } from "./env.ts";

interface Services {
  readonly env: CoreEnv;
  readonly log: Log;
  readonly settings: CoreSettings;
  readonly providerSecrets: readonly string[];
  readonly vault: () => Promise<Vault>;
}

let services: Services | undefined;

/** Settings and keys, parsed once for each isolate. Outside development weak secrets stop the service, by name. */
export function servicesOf(
  env: CoreEnv,
): { readonly ok: true; readonly services: Services } | { readonly ok: false; readonly problem: Problem } {
  if (services?.env === env) return { ok: true, services };
  const parsed = parseSettings(coreSettingsSchema, env);
  if (!parsed.ok) return parsed;
  const { settings } = parsed;
  const faults = secretFaults("itrans-core", { ...env });
  if (settings.ENVIRONMENT !== "development" && faults.length > 0) {
    return {
      ok: false,
      problem: { code: "unavailable", detail: `Secrets are not fit for use: ${faults.join("; ")}.` },
    };
  }
  let vault: Vault | undefined;
  services = {
    env,
    log: makeLog("itrans-core", env),
    settings,
    providerSecrets: acceptedValues({ ...env }, "PROVIDER_SIGNATURE_HMAC_SECRET"),
    // The value is kept, not the promise: a promise belongs to the request that made it, and can die with it.
    vault: async () => {
      vault ??= makeVault(
        await makeKeyring(acceptedValues({ ...env }, "PAYLOAD_MASTER_KEY"), "payload"),
        settings.LEDGER_ID,
        systemRandomBytes,
      );
      return vault;
    },
  };
  return { ok: true, services };
}

/** What operators, the relay and auditors do goes on during maintenance. */
const isRefusedInMaintenance = (path: string): boolean =>
  /^\/(claims|workflow|settlements(?!\/reconciliation\/))(\/|$)/.test(path);

const enter: MiddlewareHandler<CoreAppEnv> = async (c, next) => {
  const startedAt = systemNow();
  const correlationId = correlationIdOf(c.req.header("x-correlation-id"), newUuid);
  c.set("correlationId", correlationId);
  const ready = servicesOf(c.env);
  if (!ready.ok) {
    c.res = problemResponse(ready.problem, correlationId);
    setSecurityHeaders(c.res.headers, false);
    const said = { correlationId, method: c.req.method, status: c.res.status, reason: ready.problem.detail };
    return makeLog("itrans-core", c.env)("error", "request", { ...said, durationMs: systemNow() - startedAt });
  }
  const { log } = ready.services;
  c.set("log", log);
  c.set("settings", ready.services.settings);
  c.set("providerSecrets", ready.services.providerSecrets);
  c.set("vault", ready.services.vault);
  const refused = isRefusedInMaintenance(c.req.path) ? await refusedByMaintenance(c.env.DB, c.req.method) : undefined;
  if (refused === undefined) await next();
  else c.res = problemResponse(refused, correlationId);
  c.res.headers.set("x-correlation-id", correlationId);
  setSecurityHeaders(c.res.headers, ready.services.settings.ENVIRONMENT !== "development");
  const status = c.res.status;
  const failure = c.get("failure");
  measureRequest(c, systemNow() - startedAt);
  log(status >= 500 ? "error" : "info", "request", {
    correlationId,
    method: c.req.method,
    // The pattern, not the path: ids stay out of the log.
    route: c.req.routePath,
    status,
    durationMs: systemNow() - startedAt,
    ...(failure === undefined ? {} : { reason: failure }),
  });
};

function measureRequest(c: Context<CoreAppEnv>, durationMs: number): void {
  const measure = measureOf("itrans-core", c.env);
  const method = methodLabel(c.req.method);
  // The last pattern that matched: of an unknown path, the one of this middleware.
  const route = c.req.routePath === "/*" ? "unmatched" : c.req.routePath;
  measure.add("itrans_core_http_requests_total", { method, route, status: statusLabel(c.res.status) });
  measure.observe("itrans_core_http_request_duration_seconds", { method, route }, durationMs / 1000);
  flushLater("itrans-core", c.env, metricSink(c.env), (work) => c.executionCtx.waitUntil(work));
}

const KEY_NOT_HELD: Problem = {
  code: "unavailable",
  detail:
    "What is stored was sealed under a master key that this service does not hold. An operator sets PAYLOAD_MASTER_KEY to " +
    "that key again, or PAYLOAD_MASTER_KEY_PREVIOUS to it during a rotation.",
};

/** The app that routes register on. */
export function makeCoreApp(): OpenAPIHono<CoreAppEnv> {
  const app = new OpenAPIHono<CoreAppEnv>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const code = result.target === "json" ? "invalid_body" : "invalid_query";
      return problemResponse(problemFromZod(code, result.error), c.get("correlationId"));
    },
  });
  app.use(enter);
  app.notFound((c) =>
    problemResponse({ code: "not_found", detail: "There is nothing at this address." }, c.get("correlationId")),
  );
  app.onError((error, c) => {
    const correlationId = c.get("correlationId") ?? newUuid();
    if (error instanceof HTTPException && error.status === 400) {
      return problemResponse(
        { code: "invalid_json", detail: "The body is not complete, well-formed JSON." },
        correlationId,
      );
    }
    c.set("failure", reasonOf(error));
    if (error instanceof KeyNotHeldError) return problemResponse(KEY_NOT_HELD, correlationId);
    return problemResponse(
      { code: "internal", detail: "Something failed on our side. Try again; if it stays, report the correlation id." },
      correlationId,
    );
  });
  return app;
}
