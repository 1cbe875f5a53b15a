/** GET /settlements/reconciliation/runs. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../../core/app.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { countOpenItems, listRuns } from "./reconciliation.store.ts";
import { runSchema, runView } from "./view.ts";

const querySchema = z.object({
  cursor: z
    .string()
    .regex(/^\d{1,16}\.[a-z0-9-]{1,80}$/, "is not one of ours")
    .optional()
    .openapi({ param: { name: "cursor", in: "query" }, description: "`next` of the page before." }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(20)
    .openapi({ param: { name: "limit", in: "query" } }),
});

const answerSchema = z
  .object({
    openItems: z.number().int().openapi({ description: "Of all runs." }),
    runs: z.array(runSchema).openapi({ description: "Newest first." }),
    next: z.string().nullable(),
  })
  .openapi("ReconciliationRuns");

const route = createRoute({
  method: "get",
  path: "/settlements/reconciliation/runs",
  tags: ["reconciliation"],
  summary: "Runs of reconciliation, and how many items are open",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "read")] as const,
  request: { query: querySchema },
  responses: {
    200: { description: "A page of runs.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListRuns(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { cursor, limit } = c.req.valid("query");
    const ledgerId = c.var.settings.LEDGER_ID;
    const dot = cursor?.indexOf(".") ?? 0;
    const before =
      cursor === undefined ? undefined : { startedAt: Number(cursor.slice(0, dot)), runId: cursor.slice(dot + 1) };
    const [found, openItems] = await Promise.all([
      listRuns(c.env.DB, ledgerId, limit + 1, before),
      countOpenItems(c.env.DB, ledgerId),
    ]);
    const runs = found.slice(0, limit);
    const last = found.length > limit ? runs.at(-1) : undefined;
    const next = last === undefined ? null : `${last.startedAt}.${last.runId}`;
    return c.json({ openItems, runs: runs.map(runView), next }, 200);
  });
}
