/** GET /health and GET /version of core. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { anchorOf } from "../anchor/anchor.cron.ts";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import { scrubberOf } from "../ledger/scrub.cron.ts";
import { ledgerSize } from "../ledger/scrub.store.ts";
import { systemNow } from "../platform/clock.edge.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { VERSION } from "../platform/version.ts";
import { relayStatus } from "../relay/relay-status.store.ts";
import { evaluatorOf } from "./alerts/evaluator.edge.ts";

const healthSchema = z
  .object({
    status: z.enum(["ok", "degraded", "down"]),
    timestamp: z.string(),
    uptime: z.number().openapi({ description: "Seconds since this isolate started." }),
    database: z.object({ ok: z.boolean(), latencyMs: z.number() }),
    ledger: z.object({
      size: z.number().int().nullable(),
      lastVerifiedAt: z.string().nullable().openapi({ description: "End of the scrub's last whole round." }),
    }),
    queues: z.object({ relay: z.object({ pending: z.number().int(), deadLetters: z.number().int() }).nullable() }),
    alerts: z.object({
      evaluatedAt: z
        .string()
        .nullable()
        .openapi({ description: "When the alerts were last evaluated; null: never, or their object does not answer." }),
    }),
    chain: z.object({ state: z.string(), reason: z.string().nullable(), anchoredSize: z.number().int().nullable() }),
  })
  .openapi("Health");

type Health = z.output<typeof healthSchema>;

const content = { "application/json": { schema: healthSchema } };

const healthRoute = createRoute({
  method: "get",
  path: "/health",
  tags: ["operations"],
  summary: "What works and what does not",
  responses: {
    200: { description: "In service.", content },
    503: { description: "The database is out.", content },
  },
});

const versionRoute = createRoute({
  method: "get",
  path: "/version",
  tags: ["operations"],
  summary: "What is deployed",
  responses: {
    200: {
      description: "Version, commit and build time.",
      content: {
        "application/json": { schema: z.object({ version: z.string(), commit: z.string(), builtAt: z.string() }) },
      },
    },
  },
});

/** In workerd the clock stands still while a module loads, so the first request sets it. */
let startedAt: number | undefined;

export function registerHealth(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(healthRoute, async (c) => {
    startedAt ??= systemNow();
    const health = await healthOf(c.env, c.var.settings, startedAt);
    return c.json(health, health.database.ok ? 200 : 503);
  });
  app.openapi(versionRoute, (c) => c.json({ ...VERSION }, 200));
}

async function healthOf(env: CoreEnv, settings: CoreSettings, since: number): Promise<Health> {
  const began = systemNow();
  const [database, chain, lastVerifiedAt, evaluatedAt] = await Promise.all([
    databaseOf(env, settings),
    chainOf(env, settings),
    lastVerified(env, settings),
    lastEvaluated(env, settings),
  ]);
  const now = systemNow();
  const healthy = database.ok && (chain.state === "idle" || chain.state === "pending" || chain.state === "starting");
  return {
    status: database.ok ? (healthy ? "ok" : "degraded") : "down",
    timestamp: new Date(now).toISOString(),
    uptime: Math.round((now - since) / 1000),
    database: { ok: database.ok, latencyMs: now - began },
    ledger: { size: database.size, lastVerifiedAt },
    queues: { relay: database.relay },
    alerts: { evaluatedAt },
    chain,
  };
}

async function databaseOf(env: CoreEnv, settings: CoreSettings) {
  try {
    const [size, { pending, deadLetterCount }] = await Promise.all([
      ledgerSize(env.DB, settings.LEDGER_ID),
      relayStatus(env.DB, systemNow(), undefined),
    ]);
    return { ok: true, size, relay: { pending, deadLetters: deadLetterCount } };
  } catch {
    return { ok: false, size: null, relay: null };
  }
}

async function lastVerified(env: CoreEnv, settings: CoreSettings): Promise<string | null> {
  try {
    const { lastCompletedAt } = await scrubberOf(env, settings).status();
    return lastCompletedAt === null ? null : new Date(lastCompletedAt).toISOString();
  } catch {
    return null;
  }
}

async function lastEvaluated(env: CoreEnv, settings: CoreSettings): Promise<string | null> {
  try {
    const at = await evaluatorOf(env, settings).lastEvaluatedAt();
    return at === null ? null : new Date(at).toISOString();
  } catch {
    return null;
  }
}

async function chainOf(env: CoreEnv, settings: CoreSettings): Promise<Health["chain"]> {
  try {
    const status = await anchorOf(env, settings).status();
    const anchoredSize = status.state === "disabled" ? null : (status.confirmed?.size ?? null);
    return { state: status.state, reason: status.reason, anchoredSize };
  } catch {
    return { state: "unknown", reason: "the anchor's object did not answer", anchoredSize: null };
  }
}
