/** GET /operations/backup-keys: files that a restore takes beside a snapshot. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { reasonOf } from "../platform/log.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { coreBackupParts } from "./backup-parts.edge.ts";
import { listApart, NO_BACKUPS } from "./backup-service.edge.ts";
import { writeTail } from "./tail.edge.ts";

const answerSchema = z
  .object({
    keys: z.array(z.object({ path: z.string() })),
    tail: z.array(z.string()),
    oldestAt: z.string().nullable(),
  })
  .openapi("BackupApart");

const route = createRoute({
  method: "get",
  path: "/operations/backup-keys",
  tags: ["operations"],
  summary: "Files of wrapped keys, kept 30 days at most, and of the minutes since the last snapshot",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: {
      description: "Their paths, and when the oldest was written: a copy of them must be gone 30 days after.",
      content: { "application/json": { schema: answerSchema } },
    },
    ...problemResponses(401, 403, 429, 503),
  },
});

export function registerListBackupKeys(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const parts = await coreBackupParts(c.env, c.var.settings);
    if (parts === undefined) return answerProblem(c, NO_BACKUPS.problem);
    const refused = await recordOperatorAction(c, { action: "BACKUP_EXPORT" });
    if (refused !== undefined) return answerProblem(c, refused);
    // What is fetched reaches as far as one turn goes; what there was before is listed whatever becomes of that.
    await writeTail(parts, systemNow() + c.var.settings.BACKUP_TURN_MS).catch((error: unknown) =>
      c.var.log("warn", "backup.tail-failed", { reason: reasonOf(error) }),
    );
    return c.json(await listApart(parts), 200);
  });
}
