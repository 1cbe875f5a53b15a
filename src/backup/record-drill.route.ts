/** POST /operations/restore-drills: what a drill that was run by hand came to. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { insertDrill } from "./drill.store.ts";

const bodySchema = z
  .object({
    snapshot: z.string().regex(/^[0-9A-Za-z-]{1,80}$/),
    good: z.boolean(),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime(),
    entries: z.number().int().nonnegative(),
    reason: z.string().max(500).nullable(),
    report: z.record(z.string().max(60), z.union([z.string().max(300), z.number(), z.boolean(), z.null()])),
  })
  .openapi("RestoreDrillResult");

const route = createRoute({
  method: "post",
  path: "/operations/restore-drills",
  tags: ["operations"],
  summary: "Record a restore drill",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    201: { description: "Recorded.", content: { "application/json": { schema: z.object({ recorded: z.boolean() }) } } },
    ...problemResponses(400, 401, 403, 413, 415, 429, 503),
  },
});

export function registerRecordDrill(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { good, report, startedAt, finishedAt, ...drill } = c.req.valid("json");
    const refused = await recordOperatorAction(c, { action: "RESTORE_DRILL", target: drill.snapshot });
    if (refused !== undefined) return answerProblem(c, refused);
    await insertDrill(c.env.DB, {
      ...drill,
      source: "command",
      state: good ? "good" : "failed",
      startedAt: Date.parse(startedAt),
      finishedAt: Date.parse(finishedAt),
      report: JSON.stringify(report),
    });
    return c.json({ recorded: true }, 201);
  });
}
