import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { notFound, ok, refuse, staffOperation } from "../operation.edge.ts";
import { changeUser, findListedUser, sessionsDelete } from "./accounts.store.ts";
import { resetDelete } from "./links.store.ts";
import { listedUserSchema, showListed } from "./list-users.route.ts";
import { pendingDelete } from "./second-factor.store.ts";
import { clinicOf } from "./sign-in.edge.ts";
import { ROLES } from "./user.ts";

export const updateUser = staffOperation(
  {
    method: "patch",
    path: "/api/users/{userId}",
    summary: "Change someone's role, or switch their account off or on; a role holds from their next request on",
    roles: ["admin"],
    tokens: false,
    params: z.object({ userId: z.string().max(64) }),
    body: z.object({ role: z.enum(ROLES).optional(), disabled: z.boolean().optional() }),
    trail: ({ params, body }) => ({
      action: "HUB_USER_UPDATE",
      to: [toldId(params.userId), body.role, body.disabled === undefined ? undefined : body.disabled ? "off" : "on"],
    }),
    answers: { 200: { description: "The person", schema: listedUserSchema } },
  },
  async ({ hub, actor, params, body, correlationId }) => {
    const listed = await findListedUser(hub.db, hub.fields, params.userId, actor.clinicId);
    if (listed === undefined) return notFound("user");
    const { userId, role, clinicId } = listed.user;
    if (userId === actor.name) return refuse("conflict", "You cannot change your own role or account. Ask another.");
    if (body.role !== undefined && role === "operator") return refuse("conflict", "An operator keeps that role.");
    const wasDisabled = listed.disabledAt !== null;
    const change = { userId, role: body.role ?? role, disabled: body.disabled ?? wasDisabled };
    const now = hub.now();
    if (!(await changeUser(hub.db, change, now))) {
      return refuse("conflict", "A clinic keeps at least one administrator. Make someone else one first.");
    }
    const audit = (action: string, detail: string) =>
      auditInsert(hub.db, {
        clinicId: clinicOf({ clinicId }),
        actor: actor.name,
        action,
        subject: userId,
        detail,
        correlationId,
        at: now,
      });
    const ends = change.disabled && !wasDisabled;
    const statements = [
      ...(ends ? [sessionsDelete(hub.db, userId), pendingDelete(hub.db, userId), resetDelete(hub.db, userId)] : []),
      ...(change.role === role ? [] : [audit("user.role", change.role)]),
      ...(change.disabled === wasDisabled ? [] : [audit("user.account", change.disabled ? "off" : "on")]),
    ];
    if (statements.length > 0) await hub.db.batch(statements);
    const changed = await findListedUser(hub.db, hub.fields, userId, actor.clinicId);
    return changed === undefined ? notFound("user") : ok(200, showListed(changed));
  },
);
