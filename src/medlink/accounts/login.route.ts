import { z } from "@hono/zod-openapi";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { emailHash, findUserByEmail, passwordUpdate } from "./accounts.store.ts";
import { hashPassword, NOBODY_HASH, verifyPassword } from "./password.ts";
import { passwordField, showUser, userSchema } from "./schemas.ts";
import { pendingInsert } from "./second-factor.store.ts";
import { newSession, PENDING_MS, pendingCookie } from "./session.ts";
import {
  accountAudit,
  admitAttempt,
  cookieHeaders,
  failAttempt,
  passAttempt,
  signInStatements,
  startSession,
} from "./sign-in.edge.ts";

/**
 * An address without an account goes the same way as one with a wrong password: counted, hashed, recorded, and answered in
 * the same words after the same time.
 */
export const login = openOperation(
  {
    method: "post",
    path: "/api/auth/login",
    summary: "Sign in; with a second factor, the first half of it",
    params: none,
    body: z.object({ email: z.string().min(3).max(254), password: passwordField }),
    answers: {
      200: {
        description: "Signed in, the session is in the cookie; or the second factor is still to come",
        schema: z.union([z.object({ user: userSchema }), z.object({ secondFactor: z.literal("required") })]),
      },
    },
  },
  async ({ hub, body, request, correlationId }) => {
    const account = emailHash(hub.fields, body.email);
    const admission = await admitAttempt(hub, request, account);
    if (!admission.ok) return admission.answer;
    const { attemptId } = admission;
    const found = await findUserByEmail(hub.db, hub.fields, body.email);
    const verified = await verifyPassword(body.password, found?.passwordHash ?? NOBODY_HASH);
    if (found === undefined || !verified.ok) {
      await failAttempt(hub, { attemptId, account }, found?.user, "password", correlationId);
      return refuse("unauthenticated", "E-mail address or password is wrong.");
    }
    const { user } = found;
    const now = hub.now();
    const renewed = verified.stale
      ? [passwordUpdate(hub.db, user.userId, await hashPassword(body.password, hub.random), now)]
      : [];
    if (found.secondFactor) {
      const pending = newSession(hub.random, hub.sessionSecrets[0]);
      await hub.db.batch([
        passAttempt(hub, attemptId),
        pendingInsert(hub.db, pending.hash, user.userId, now),
        accountAudit(hub, user, { action: "auth.password", detail: "second_factor_required", correlationId }, now),
        ...renewed,
      ]);
      const cookie = pendingCookie(pending.cookie, PENDING_MS / 1_000, !hub.development);
      return ok(200, { secondFactor: "required" }, cookieHeaders(cookie));
    }
    const session = startSession(hub, request, { userId: user.userId, secondFactor: false });
    await hub.db.batch([
      ...signInStatements(hub, found, attemptId),
      ...session.statements,
      accountAudit(hub, user, { action: "auth.login", correlationId }, now),
      ...renewed,
    ]);
    return ok(200, { user: showUser(user) }, cookieHeaders(session.cookie));
  },
);
