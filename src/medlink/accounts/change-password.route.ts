import { z } from "@hono/zod-openapi";
import { accountOperation, none, ok, refuse } from "../operation.edge.ts";
import { findUserById, passwordUpdate, sessionsDelete } from "./accounts.store.ts";
import { hashPassword, passwordFault, verifyPassword } from "./password.ts";
import { passwordField } from "./schemas.ts";
import { pendingDelete } from "./second-factor.store.ts";
import { accountAudit, admitAttempt, cookieHeaders, failAttempt, passAttempt, startSession } from "./sign-in.edge.ts";

export const changePassword = accountOperation(
  {
    method: "post",
    path: "/api/auth/change-password",
    summary: "Change one's own password: all other sessions end, and this one goes on under a new id",
    params: none,
    body: z.object({ currentPassword: passwordField, newPassword: passwordField }),
    answers: { 204: { description: "Changed; the new session is in the cookie" } },
  },
  async ({ hub, signedIn, request, body, correlationId }) => {
    const { user } = signedIn;
    const fault = passwordFault(body.newPassword, user.email);
    if (fault !== undefined) {
      return refuse("invalid_body", fault.message, { issues: [{ path: "newPassword", ...fault }] });
    }
    const found = await findUserById(hub.db, hub.fields, user.userId);
    if (found === undefined) return refuse("unauthenticated", "Sign in first.");
    const account = found.emailHash;
    const admission = await admitAttempt(hub, request, account);
    if (!admission.ok) return admission.answer;
    const { attemptId } = admission;
    if (!(await verifyPassword(body.currentPassword, found.passwordHash)).ok) {
      await failAttempt(hub, { attemptId, account }, user, "password", correlationId);
      return refuse("forbidden", "The current password is wrong.");
    }
    const hash = await hashPassword(body.newPassword, hub.random);
    const now = hub.now();
    const session = startSession(hub, request, { userId: user.userId, secondFactor: found.secondFactor });
    await hub.db.batch([
      passAttempt(hub, attemptId),
      passwordUpdate(hub.db, user.userId, hash, now),
      sessionsDelete(hub.db, user.userId),
      pendingDelete(hub.db, user.userId),
      ...session.statements,
      accountAudit(hub, user, { action: "account.password", correlationId }, now),
    ]);
    return ok(204, undefined, cookieHeaders(session.cookie));
  },
);
