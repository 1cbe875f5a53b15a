/** GET /operations/backups/:name. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { nameParams, runSchema } from "./backup-schema.ts";
import { askForRun, NO_BACKUPS } from "./backup-service.edge.ts";

const route = createRoute({
  method: "get",
  path: "/operations/backups/{name}",
  tags: ["operations"],
  summary: "Where a snapshot stands",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: nameParams },
  responses: {
    200: { description: "The run.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerGetBackup(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    const asked = parts === undefined ? NO_BACKUPS : await askForRun(parts, c.req.valid("param").name);
    return asked.ok ? c.json(asked.value, 200) : answerProblem(c, asked.problem);
  });
}
