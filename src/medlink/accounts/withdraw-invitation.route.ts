import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { none, notFound, ok, staffOperation } from "../operation.edge.ts";
import { takeInvitation } from "./links.store.ts";

export const withdrawInvitation = staffOperation(
  {
    method: "delete",
    path: "/api/invitations/{invitationId}",
    summary: "Withdraw an open invitation: its link is void",
    roles: ["admin"],
    tokens: false,
    params: z.object({ invitationId: z.string().max(64) }),
    body: none,
    trail: ({ params }) => ({ action: "HUB_INVITATION_WITHDRAW", to: [toldId(params.invitationId)] }),
    answers: { 204: { description: "Withdrawn" } },
  },
  async ({ hub, actor, params, correlationId }) => {
    if (!(await takeInvitation(hub.db, params.invitationId, actor.clinicId))) return notFound("open invitation");
    await auditInsert(hub.db, {
      clinicId: actor.clinicId ?? WHOLE_HUB,
      actor: actor.name,
      action: "invitation.withdraw",
      subject: params.invitationId,
      correlationId,
      at: hub.now(),
    }).run();
    return ok(204, undefined);
  },
);
