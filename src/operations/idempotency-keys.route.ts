/** /operations/idempotency-keys: which requests are being carried out, and what became of one that nobody finished. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { findKey, listKeys } from "../platform/idempotency/idempotency.store.ts";
import { KEY_STATES } from "../platform/idempotency/idempotency.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { resolveKey } from "../settlement/idempotency.cron.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";

const instant = z.string().openapi({ example: "2026-11-22T10:00:00.000Z" });

const keySchema = z
  .object({
    keyId: z.string().openapi({ description: "A keyed hash; the key itself is not kept." }),
    scope: z.string(),
    tenantId: z.string(),
    state: z.enum(KEY_STATES),
    effectId: z.string().openapi({ description: "Of a settlement, its refId." }),
    status: z.number().int().nullable(),
    correlationId: z.string(),
    resolvedBy: z.string().nullable(),
    busyUntil: instant,
    createdAt: instant,
    updatedAt: instant,
    expiresAt: instant,
  })
  .openapi("IdempotencyKey");

const listRoute = createRoute({
  method: "get",
  path: "/operations/idempotency-keys",
  tags: ["operations"],
  summary: "Idempotency-Keys, newest first",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate")] as const,
  request: {
    query: z.object({
      state: z.enum(KEY_STATES).optional(),
      tenantId: z.string().max(64).optional(),
      before: z.iso.datetime({ offset: true }).optional().openapi({ description: "Begun before then." }),
      limit: z.coerce.number().int().min(1).max(500).default(50),
    }),
  },
  responses: {
    200: {
      description: "The keys.",
      content: {
        "application/json": { schema: z.object({ count: z.number().int(), keys: z.array(keySchema) }) },
      },
    },
    ...problemResponses(400, 401, 403, 429),
  },
});

const resolveRoute = createRoute({
  method: "post",
  path: "/operations/idempotency-keys/{keyId}/resolve",
  tags: ["operations"],
  summary: "Finish a key that was left PROCESSING, as the ledger says what happened",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: true })] as const,
  request: {
    params: z.object({
      keyId: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .openapi({ param: { name: "keyId", in: "path" } }),
    }),
  },
  responses: {
    200: {
      description: "What it came to: completed, or released for another try because nothing had happened.",
      content: {
        "application/json": {
          schema: z.object({ keyId: z.string(), outcome: z.enum(["completed", "released"]), effectId: z.string() }),
        },
      },
    },
    ...problemResponses(400, 401, 403, 404, 409, 429, 503),
  },
});

const iso = (ms: number): string => new Date(ms).toISOString();

export function registerIdempotencyKeys(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(listRoute, async (c) => {
    const { before, limit, ...filter } = c.req.valid("query");
    const keys = await listKeys(
      c.env.DB,
      { ...filter, before: before === undefined ? undefined : Date.parse(before) },
      limit,
    );
    const shown = keys.map((key) => ({
      ...key,
      busyUntil: iso(key.busyUntil),
      createdAt: iso(key.createdAt),
      updatedAt: iso(key.updatedAt),
      expiresAt: iso(key.expiresAt),
    }));
    return c.json({ count: shown.length, keys: shown }, 200);
  });

  app.openapi(resolveRoute, async (c) => {
    const { keyId } = c.req.valid("param");
    const { settings, principal } = c.var;
    const now = systemNow();
    const stored = await findKey(c.env.DB, keyId);
    if (stored === undefined) return answerProblem(c, { code: "not_found", detail: "There is no key of this id." });
    const { effectId } = stored;
    if (stored.state === "COMPLETED") return c.json({ keyId, outcome: "completed" as const, effectId }, 200);
    const refused = await recordOperatorAction(c, { action: "IDEMPOTENCY_RESOLVE", target: keyId });
    if (refused !== undefined) return answerProblem(c, refused);
    const outcome = await resolveKey(c.env.DB, settings.LEDGER_ID, stored, principal.keyId, now);
    if (outcome === "busy") {
      return answerProblem(c, {
        code: "in_progress",
        detail: "The request may still be at work. Ask again when its time is over.",
        retryAfterSeconds: Math.max(1, Math.ceil((stored.busyUntil - now) / 1000)),
      });
    }
    return c.json({ keyId, outcome, effectId }, 200);
  });
}
