/** GET /operations/backups: snapshots, restore drills, and how much of the ledger the bucket holds. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { drillSchema, runSchema } from "./backup-schema.ts";
import { listBackups, NO_BACKUPS } from "./backup-service.edge.ts";

const answerSchema = z
  .object({
    runs: z.array(runSchema).readonly(),
    drills: z.array(drillSchema).readonly(),
    snapshots: z
      .array(z.string())
      .readonly()
      .openapi({ description: "Names in the bucket, newest first; after a loss, those of the lost database." }),
    covered: z.number().int().openapi({ description: "Entries that the bucket holds, the last minutes' among them." }),
    damaged: z.number().int().openapi({ description: "Objects that were found lost or changed, ever." }),
  })
  .openapi("Backups");

const route = createRoute({
  method: "get",
  path: "/operations/backups",
  tags: ["operations"],
  summary: "Snapshots and restore drills, newest first",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", ["operate", "read"])] as const,
  responses: {
    200: { description: "What there is.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(401, 403, 429, 503),
  },
});

export function registerListBackups(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    if (parts === undefined) return answerProblem(c, NO_BACKUPS.problem);
    return c.json(await listBackups(parts), 200);
  });
}
