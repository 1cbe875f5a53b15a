import { z } from "@hono/zod-openapi";
import { clinicInReach, none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { type ListedUser, listUsers } from "./accounts.store.ts";
import { showUser, userSchema } from "./schemas.ts";

/** More people than any clinic has. */
const LIMIT = 1_000;

export const listedUserSchema = userSchema
  .extend({ disabled: z.boolean(), secondFactor: z.boolean(), createdAt: z.string() })
  .openapi("ListedUser");

export const showListed = ({ user, disabledAt, secondFactor, createdAt }: ListedUser) => ({
  ...showUser(user),
  disabled: disabledAt !== null,
  secondFactor,
  createdAt: iso(createdAt),
});

export const listUsersRoute = staffOperation(
  {
    method: "get",
    path: "/api/users",
    summary: "The clinic's people; for an operator those of the clinic it names, or without one the operators",
    roles: ["admin"],
    params: z.object({ clinicId: z.string().max(64).optional() }),
    body: none,
    answers: { 200: { description: "The people", schema: z.object({ users: z.array(listedUserSchema) }) } },
  },
  async ({ hub, actor, params }) => {
    const reach = clinicInReach(actor, params.clinicId);
    if (!reach.ok) return reach.answer;
    const users = await listUsers(hub.db, hub.fields, reach.clinicId ?? null, LIMIT);
    return ok(200, { users: users.map(showListed) });
  },
);
