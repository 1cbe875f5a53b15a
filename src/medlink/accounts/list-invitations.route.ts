import { z } from "@hono/zod-openapi";
import { clinicInReach, none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { listInvitations } from "./links.store.ts";
import { ACCOUNT_ROLES } from "./user.ts";

const LIMIT = 200;

export const listInvitationsRoute = staffOperation(
  {
    method: "get",
    path: "/api/invitations",
    summary: "Open invitations, newest first: of the clinic, or of operators",
    roles: ["admin"],
    tokens: false,
    params: z.object({ clinicId: z.string().max(64).optional() }),
    body: none,
    answers: {
      200: {
        description: "The invitations",
        schema: z.object({
          invitations: z.array(
            z.object({
              invitationId: z.string(),
              email: z.string(),
              name: z.string(),
              role: z.enum(ACCOUNT_ROLES),
              createdAt: z.string(),
              expiresAt: z.string(),
            }),
          ),
        }),
      },
    },
  },
  async ({ hub, actor, params }) => {
    const reach = clinicInReach(actor, params.clinicId);
    if (!reach.ok) return reach.answer;
    const invitations = await listInvitations(hub.db, hub.fields, reach.clinicId ?? null, hub.now(), LIMIT);
    return ok(200, {
      invitations: invitations.map(({ invitationId, email, name, placement, createdAt, expiresAt }) => ({
        invitationId,
        email,
        name,
        role: placement.role,
        createdAt: iso(createdAt),
        expiresAt: iso(expiresAt),
      })),
    });
  },
);
