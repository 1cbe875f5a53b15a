/** GET /operations/backup-object?path=: one file, its bytes as they were written. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordBackupExport } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { askForObject, NO_BACKUPS } from "./backup-service.edge.ts";

const querySchema = z.object({ path: z.string().max(200) });

const route = createRoute({
  method: "get",
  path: "/operations/backup-object",
  tags: ["operations"],
  summary: "One file of a snapshot, of the wrapped keys or of the tail; encrypted but for entries",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { query: querySchema },
  responses: {
    200: {
      description: "The file.",
      content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } },
    },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerReadBackupObject(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    const asked = parts === undefined ? NO_BACKUPS : await askForObject(parts, c.req.valid("query").path);
    const refused = asked.ok ? await recordBackupExport(c) : undefined;
    if (refused !== undefined) return answerProblem(c, refused);
    if (!asked.ok) return answerProblem(c, asked.problem);
    return c.body(asked.value, 200, { "content-type": "application/octet-stream" });
  });
}
