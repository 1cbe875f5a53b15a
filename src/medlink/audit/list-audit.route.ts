import { z } from "@hono/zod-openapi";
import { none, ok, refuse, staffOperation } from "../operation.edge.ts";
import { iso, pageQuery } from "../page-query.ts";
import { listAuditEvents, WHOLE_HUB } from "./audit.store.ts";

export const listAudit = staffOperation(
  {
    method: "get",
    path: "/api/audit",
    summary: "Who did and saw what, newest first",
    roles: ["admin"],
    params: z.object({
      ...pageQuery,
      subject: z.string().min(1).max(128).optional().openapi({ description: "The id of what was done or seen" }),
      changesOnly: z.stringbool().default(false).openapi({ type: "boolean", description: "Leave views out" }),
      clinicId: z.string().max(64).optional().openapi({ description: "The operator's choice; else the hub's own" }),
    }),
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({
          events: z.array(
            z.object({
              auditEventId: z.number().int(),
              actor: z.string(),
              action: z.string(),
              subject: z.string(),
              detail: z.string().nullable(),
              view: z.boolean(),
              correlationId: z.string(),
              at: z.string(),
            }),
          ),
          nextCursor: z.string().nullable(),
        }),
      },
    },
  },
  async ({ hub, actor, params }) => {
    const { limit, cursor, subject, changesOnly } = params;
    if (actor.clinicId !== undefined && params.clinicId !== undefined && params.clinicId !== actor.clinicId) {
      return refuse("forbidden", "That is another clinic.");
    }
    const clinicId = actor.clinicId ?? params.clinicId ?? WHOLE_HUB;
    const page = await listAuditEvents(hub.db, { clinicId, subject, changesOnly }, { limit, after: cursor });
    return ok(200, {
      events: page.items.map(({ clinicId: _, isView, at, ...event }) => ({ ...event, view: isView, at: iso(at) })),
      nextCursor: page.nextCursor ?? null,
    });
  },
);
