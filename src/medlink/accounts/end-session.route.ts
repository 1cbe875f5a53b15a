import { z } from "@hono/zod-openapi";
import { accountOperation, none, notFound, ok } from "../operation.edge.ts";
import { deleteSessionById } from "./accounts.store.ts";
import { accountAudit } from "./sign-in.edge.ts";

export const endSession = accountOperation(
  {
    method: "delete",
    path: "/api/auth/sessions/{sessionId}",
    summary: "End one of one's own sessions",
    params: z.object({ sessionId: z.string().max(64) }),
    body: none,
    answers: { 204: { description: "Ended" } },
  },
  async ({ hub, signedIn, params, correlationId }) => {
    const { user } = signedIn;
    if (!(await deleteSessionById(hub.db, user.userId, params.sessionId))) return notFound("session");
    const event = { action: "auth.logout", subject: params.sessionId, correlationId };
    await accountAudit(hub, user, event, hub.now()).run();
    return ok(204, undefined);
  },
);
