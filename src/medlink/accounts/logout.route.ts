import { parse } from "hono/utils/cookie";
import { none, ok, openOperation } from "../operation.edge.ts";
import { sessionDelete } from "./accounts.store.ts";
import { readSessionCookie, SESSION_COOKIE, sessionCookie } from "./session.ts";

export const logout = openOperation(
  {
    method: "post",
    path: "/api/auth/logout",
    summary: "Sign out: ends this session",
    params: none,
    body: none,
    answers: { 204: { description: "Signed out, or was not signed in" } },
  },
  async ({ hub, request }) => {
    const cookie = parse(request.headers.get("cookie") ?? "", SESSION_COOKIE)[SESSION_COOKIE];
    const hash = cookie === undefined ? undefined : readSessionCookie(cookie, hub.sessionSecrets);
    if (hash !== undefined) await sessionDelete(hub.db, hash).run();
    return ok(204, undefined, { "set-cookie": sessionCookie("", 0, !hub.development) });
  },
);
