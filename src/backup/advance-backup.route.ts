/** POST /operations/backups/:name/advance: one turn of a snapshot, now. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { nameParams, runSchema } from "./backup-schema.ts";
import { askToAdvance, NO_BACKUPS } from "./backup-service.edge.ts";

const route = createRoute({
  method: "post",
  path: "/operations/backups/{name}/advance",
  tags: ["operations"],
  summary: "Go on with a snapshot now, for at most BACKUP_TURN_MS",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: nameParams },
  responses: {
    200: { description: "Where it stands.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerAdvanceBackup(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    const { name } = c.req.valid("param");
    const asked =
      parts === undefined ? NO_BACKUPS : await askToAdvance(parts, name, c.var.settings.BACKUP_TURN_MS, c.var.log);
    return asked.ok ? c.json(asked.value, 200) : answerProblem(c, asked.problem);
  });
}
