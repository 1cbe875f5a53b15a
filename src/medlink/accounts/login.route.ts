import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { findUserByEmail, passwordUpdate, sessionInsert } from "./accounts.store.ts";
import { hashPassword, NOBODY_HASH, verifyPassword } from "./password.ts";
import { newSession, SESSION_LIFETIME_MS, sessionCookie } from "./session.ts";
import { ROLES } from "./user.ts";

export const userSchema = z
  .object({
    userId: z.string(),
    clinicId: z.string(),
    role: z.enum(ROLES),
    email: z.string(),
    name: z.string(),
  })
  .openapi("User");

export const login = openOperation(
  {
    method: "post",
    path: "/api/auth/login",
    summary: "Sign in",
    params: none,
    body: z.object({ email: z.string().min(3).max(254), password: z.string().min(1).max(1_024) }),
    answers: {
      200: { description: "Signed in; the session is in the cookie", schema: z.object({ user: userSchema }) },
    },
  },
  async ({ hub, body, correlationId }) => {
    const found = await findUserByEmail(hub.db, hub.fields, body.email);
    const verified = await verifyPassword(body.password, found?.passwordHash ?? NOBODY_HASH);
    if (found === undefined || !verified.ok) return refuse("unauthenticated", "E-mail address or password is wrong.");
    const { user } = found;
    const now = hub.now();
    const session = newSession(hub.random, hub.sessionSecrets[0]);
    await hub.db.batch([
      sessionInsert(hub.db, session.hash, user.userId, now),
      auditInsert(hub.db, {
        clinicId: user.clinicId,
        actor: user.userId,
        action: "auth.login",
        subject: user.userId,
        correlationId,
        at: now,
      }),
      ...(verified.stale
        ? [passwordUpdate(hub.db, user.userId, await hashPassword(body.password, hub.random), now)]
        : []),
    ]);
    const cookie = sessionCookie(session.cookie, SESSION_LIFETIME_MS / 1_000, !hub.development);
    return ok(200, { user }, { "set-cookie": cookie, "cache-control": "no-store" });
  },
);
