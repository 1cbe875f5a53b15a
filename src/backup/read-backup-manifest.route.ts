/** GET /operations/backups/:name/manifest, its bytes as they were written. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { nameParams } from "./backup-schema.ts";
import { askForManifest, NO_BACKUPS } from "./backup-service.edge.ts";

const route = createRoute({
  method: "get",
  path: "/operations/backups/{name}/manifest",
  tags: ["operations"],
  summary: "The manifest of a good snapshot",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: nameParams },
  responses: {
    200: { description: "The manifest.", content: { "text/plain": { schema: z.string() } } },
    ...problemResponses(400, 401, 403, 404, 429, 503),
  },
});

export function registerReadBackupManifest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    const asked = parts === undefined ? NO_BACKUPS : await askForManifest(parts, c.req.valid("param").name);
    if (!asked.ok) return answerProblem(c, asked.problem);
    return c.text(asked.value, 200);
  });
}
