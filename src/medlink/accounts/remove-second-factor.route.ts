import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { none, notFound, ok, refuse, staffOperation } from "../operation.edge.ts";
import { findListedUser, sessionsDelete } from "./accounts.store.ts";
import { pendingDelete, secondFactorDelete } from "./second-factor.store.ts";
import { clinicOf } from "./sign-in.edge.ts";

export const removeSecondFactor = staffOperation(
  {
    method: "delete",
    path: "/api/users/{userId}/second-factor",
    summary: "Take away the second factor of someone who lost it; their sessions end",
    roles: ["admin"],
    tokens: false,
    params: z.object({ userId: z.string().max(64) }),
    body: none,
    trail: ({ params }) => ({ action: "HUB_SECOND_FACTOR_REMOVE", to: [toldId(params.userId)] }),
    answers: { 204: { description: "Taken away, or there was none" } },
  },
  async ({ hub, actor, params, correlationId }) => {
    const listed = await findListedUser(hub.db, hub.fields, params.userId, actor.clinicId);
    if (listed === undefined) return notFound("user");
    const { userId, clinicId } = listed.user;
    if (userId === actor.name) return refuse("conflict", "Take your own away in your settings, with a code.");
    await hub.db.batch([
      ...secondFactorDelete(hub.db, userId),
      sessionsDelete(hub.db, userId),
      pendingDelete(hub.db, userId),
      auditInsert(hub.db, {
        clinicId: clinicOf({ clinicId }),
        actor: actor.name,
        action: "user.secondFactor",
        subject: userId,
        detail: "off",
        correlationId,
        at: hub.now(),
      }),
    ]);
    return ok(204, undefined);
  },
);
