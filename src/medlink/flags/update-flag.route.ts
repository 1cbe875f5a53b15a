import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { ok, operatorOperation } from "../operation.edge.ts";
import { FLAG_NAMES } from "./flag.ts";
import { flagUpsert } from "./flags.store.ts";
import { flagSchema, showFlag } from "./list-flags.route.ts";

export const flagParams = z.object({ name: z.enum(FLAG_NAMES) });

export const updateFlag = operatorOperation(
  {
    method: "put",
    path: "/api/admin/flags/{name}",
    summary: "Switch a flag, or change its share of the users; holds from the next request on",
    params: flagParams,
    body: z.object({ enabled: z.boolean(), percentage: z.number().int().min(0).max(100).default(100) }),
    trail: ({ params, body }) => ({
      action: "HUB_FLAG_UPDATE",
      to: [params.name, body.enabled ? `on_${body.percentage}` : "off"],
    }),
    answers: { 200: { description: "The flag", schema: flagSchema } },
  },
  async ({ hub, actor, params, body, correlationId }) => {
    const { name } = params;
    const at = hub.now();
    const flag = { ...body, updatedBy: actor.name, updatedAt: at };
    await hub.db.batch([
      flagUpsert(hub.db, name, flag),
      auditInsert(hub.db, {
        clinicId: WHOLE_HUB,
        actor: actor.name,
        action: "flag.update",
        subject: name,
        detail: body.enabled ? `on_${body.percentage}` : "off",
        correlationId,
        at,
      }),
    ]);
    return ok(200, showFlag(hub, new Map([[name, flag]]), name));
  },
);
