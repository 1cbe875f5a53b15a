/** itrans-relay: consumes hints, delivers webhooks. Deleting it stops delivery and loses nothing. */

import { makeLog, newUuid } from "../platform/clock.edge.ts";
import { correlationIdOf } from "../platform/correlation.ts";
import { problemResponse } from "../platform/problem.ts";
import { secretFaults } from "../platform/secrets.ts";
import { parseSettings, relaySettingsSchema } from "../platform/settings.ts";
import { VERSION } from "../platform/version.ts";
import type { RelayEnv } from "./env.ts";
import type { RelayHint } from "./port.ts";
import { consumeDeadHints, consumeHints } from "./relay.consumer.ts";

function health(env: RelayEnv): Response {
  const parsed = parseSettings(relaySettingsSchema, env);
  const faults = [...secretFaults("itrans-relay", { ...env }), ...(parsed.ok ? [] : [parsed.problem.detail])];
  return Response.json(
    { status: faults.length === 0 ? "ok" : "misconfigured", version: VERSION.version, faults },
    {
      status: faults.length === 0 ? 200 : 503,
    },
  );
}

export default {
  fetch(request, env) {
    const correlationId = correlationIdOf(request.headers.get("x-correlation-id") ?? undefined, newUuid);
    const { pathname } = new URL(request.url);
    if (pathname !== "/health" && pathname !== "/version") {
      return problemResponse(
        { code: "not_found", detail: "The relay serves /health and /version only." },
        correlationId,
      );
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return problemResponse({ code: "method_not_allowed", detail: "Use GET." }, correlationId);
    }
    return pathname === "/health" ? health(env) : Response.json(VERSION);
  },

  async queue(batch, env) {
    const log = makeLog("itrans-relay", env);
    if (batch.queue === "relay-dead-letters") {
      consumeDeadHints(batch, log);
      return;
    }
    const parsed = parseSettings(relaySettingsSchema, env);
    if (!parsed.ok) throw new Error(parsed.problem.detail);
    await consumeHints(batch, env, parsed.settings, log);
  },
} satisfies ExportedHandler<RelayEnv, RelayHint>;
