import { z } from "@hono/zod-openapi";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { findUserById, passwordUpdate, sessionsDelete } from "./accounts.store.ts";
import { findReset, takeReset } from "./links.store.ts";
import { hashPassword, passwordFault } from "./password.ts";
import { linkToken, passwordField } from "./schemas.ts";
import { pendingDelete } from "./second-factor.store.ts";
import { tokenHash } from "./secret-token.ts";
import { accountAudit } from "./sign-in.edge.ts";
import { failuresDelete } from "./sign-in-attempts.store.ts";

const VOID_LINK = refuse("not_found", "This link was used, has run out, or is not complete. Ask for a new one.");

export const resetPassword = openOperation(
  {
    method: "post",
    path: "/api/auth/password-reset",
    summary: "Set a new password with the token of a link: all sessions end, a second factor stays",
    params: none,
    body: z.object({ token: linkToken, password: passwordField }),
    answers: { 204: { description: "Set; sign in with it" } },
  },
  async ({ hub, body, correlationId }) => {
    const hash = tokenHash(body.token);
    const userId = await findReset(hub.db, hash, hub.now());
    const found = userId === undefined ? undefined : await findUserById(hub.db, hub.fields, userId);
    if (found === undefined) return VOID_LINK;
    const { user } = found;
    const fault = passwordFault(body.password, user.email);
    if (fault !== undefined) return refuse("invalid_body", fault.message, { issues: [{ path: "password", ...fault }] });
    const passwordHash = await hashPassword(body.password, hub.random);
    if (!(await takeReset(hub.db, hash))) return VOID_LINK;
    const now = hub.now();
    await hub.db.batch([
      passwordUpdate(hub.db, user.userId, passwordHash, now),
      failuresDelete(hub.db, found.emailHash),
      sessionsDelete(hub.db, user.userId),
      pendingDelete(hub.db, user.userId),
      accountAudit(hub, user, { action: "account.password", detail: "reset", correlationId }, now),
    ]);
    return ok(204, undefined);
  },
);
