import { accountOperation, none, ok } from "../operation.edge.ts";
import { sessionsDelete } from "./accounts.store.ts";
import { pendingDelete } from "./second-factor.store.ts";
import { sessionCookie } from "./session.ts";
import { accountAudit, cookieHeaders, noPending } from "./sign-in.edge.ts";

export const logoutEverywhere = accountOperation(
  {
    method: "post",
    path: "/api/auth/logout-everywhere",
    summary: "End all of one's own sessions, this one too",
    params: none,
    body: none,
    answers: { 204: { description: "Signed out everywhere" } },
  },
  async ({ hub, signedIn, correlationId }) => {
    const { user } = signedIn;
    await hub.db.batch([
      sessionsDelete(hub.db, user.userId),
      pendingDelete(hub.db, user.userId),
      accountAudit(hub, user, { action: "auth.logout", detail: "everywhere", correlationId }, hub.now()),
    ]);
    return ok(204, undefined, cookieHeaders(sessionCookie("", 0, !hub.development), noPending(hub)));
  },
);
