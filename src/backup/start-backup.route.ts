/** POST /operations/backups: begins a snapshot; the cron, or /advance, makes it. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { runSchema } from "./backup-schema.ts";
import { askToBegin, NO_BACKUPS } from "./backup-service.edge.ts";

const bodySchema = z.object({
  tag: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,32}$/)
    .optional(),
});

const route = createRoute({
  method: "post",
  path: "/operations/backups",
  tags: ["operations"],
  summary: "Begin a snapshot",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: true })] as const,
  request: { body: { content: { "application/json": { schema: bodySchema } } } },
  responses: {
    202: { description: "It has begun.", content: { "application/json": { schema: runSchema } } },
    ...problemResponses(400, 401, 403, 409, 413, 415, 429, 503),
  },
});

export function registerStartBackup(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    if (parts === undefined) return answerProblem(c, NO_BACKUPS.problem);
    const { tag } = c.req.valid("json");
    const refused = await recordOperatorAction(c, { action: "BACKUP_CREATE", target: tag });
    if (refused !== undefined) return answerProblem(c, refused);
    const asked = await askToBegin(parts, tag);
    return asked.ok ? c.json(asked.value, 202) : answerProblem(c, asked.problem);
  });
}
