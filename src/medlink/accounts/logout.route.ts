import { none, ok, openOperation } from "../operation.edge.ts";
import { findSession, sessionDelete } from "./accounts.store.ts";
import { sessionHashOf } from "./caller.edge.ts";
import { SESSION_COOKIE, sessionCookie } from "./session.ts";
import { accountAudit, cookieHeaders, noPending } from "./sign-in.edge.ts";

export const logout = openOperation(
  {
    method: "post",
    path: "/api/auth/logout",
    summary: "Sign out: ends this session",
    params: none,
    body: none,
    answers: { 204: { description: "Signed out, or was not signed in" } },
  },
  async ({ hub, request, correlationId }) => {
    const hash = sessionHashOf(hub, request, SESSION_COOKIE);
    const session = hash === undefined ? undefined : await findSession(hub.db, hub.fields, hash);
    if (session !== undefined) {
      await hub.db.batch([
        sessionDelete(hub.db, session.sessionHash),
        accountAudit(hub, session.user, { action: "auth.logout", correlationId }, hub.now()),
      ]);
    }
    return ok(204, undefined, cookieHeaders(sessionCookie("", 0, !hub.development), noPending(hub)));
  },
);
