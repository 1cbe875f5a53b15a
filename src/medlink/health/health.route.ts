import { z } from "@hono/zod-openapi";
import { VERSION } from "../../platform/version.ts";
import type { Hub } from "../hub.edge.ts";
import { none, ok, openOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { pingDatabase } from "./health.store.ts";

const CORE_TIMEOUT_MS = 2_000;

/** Workers have no clock before their first request: uptime counts from the first look at it. */
let firstSeenAt: number | undefined;

const partSchema = z.object({ ok: z.boolean(), latencyMs: z.number() });
type Part = z.output<typeof partSchema>;

async function measure(hub: Hub, check: () => Promise<boolean>): Promise<Part> {
  const startedAt = hub.now();
  const passed = await check().catch(() => false);
  return { ok: passed, latencyMs: hub.now() - startedAt };
}

export const checkDatabase = (hub: Hub): Promise<Part> => measure(hub, () => pingDatabase(hub.db).then(() => true));

/** With core out the clinic still works, and claims wait: degraded, not out. */
export const health = openOperation(
  {
    method: "get",
    path: "/api/health",
    summary: "How the hub, its database and iTrans are; 503 when the database is out",
    params: none,
    body: none,
    answers: {
      200: {
        description: "The database answers",
        schema: z.object({
          status: z.enum(["ok", "degraded", "unavailable"]),
          version: z.string(),
          uptimeSec: z.number(),
          db: partSchema,
          itrans: partSchema,
          timestamp: z.string(),
        }),
      },
    },
  },
  async ({ hub, correlationId }) => {
    const now = hub.now();
    firstSeenAt ??= now;
    const [db, itrans] = await Promise.all([
      checkDatabase(hub),
      measure(hub, async () => {
        const call = {
          method: "GET",
          path: "/health",
          surface: "open",
          correlationId,
          timeoutMs: CORE_TIMEOUT_MS,
        } as const;
        const answer = await hub.core.call(call);
        return answer.type === "answered" && answer.status === 200;
      }),
    ]);
    const status = !db.ok ? "unavailable" : itrans.ok ? "ok" : "degraded";
    const uptimeSec = Math.floor((now - firstSeenAt) / 1_000);
    return ok(db.ok ? 200 : 503, { status, version: VERSION.version, uptimeSec, db, itrans, timestamp: iso(now) });
  },
);
