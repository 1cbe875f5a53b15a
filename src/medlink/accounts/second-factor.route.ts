import { z } from "@hono/zod-openapi";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { findUserById } from "./accounts.store.ts";
import { sessionHashOf } from "./caller.edge.ts";
import { codeField, showUser, userSchema } from "./schemas.ts";
import { countBackupCodes, findPending, takePending } from "./second-factor.store.ts";
import { PENDING_COOKIE, PENDING_MS } from "./session.ts";
import {
  accountAudit,
  admitAttempt,
  cookieHeaders,
  failAttempt,
  noPending,
  passAttempt,
  signInStatements,
  spendProof,
  startSession,
} from "./sign-in.edge.ts";

const SIGN_IN_AGAIN = refuse("unauthenticated", "Sign in with your password first; that was too long ago.");

export const secondFactor = openOperation(
  {
    method: "post",
    path: "/api/auth/second-factor",
    summary: "The second half of signing in: a code of the authenticator, or a backup code",
    params: none,
    body: z.union([z.object({ code: codeField }), z.object({ backupCode: z.string().min(1).max(40) })]),
    answers: {
      200: {
        description: "Signed in; the session is in the cookie",
        schema: z.object({ user: userSchema, backupCodesLeft: z.number().int().optional() }),
      },
    },
  },
  async ({ hub, body, request, correlationId }) => {
    const pending = sessionHashOf(hub, request, PENDING_COOKIE);
    if (pending === undefined) return SIGN_IN_AGAIN;
    const userId = await findPending(hub.db, pending, hub.now() - PENDING_MS);
    const found = userId === undefined ? undefined : await findUserById(hub.db, hub.fields, userId);
    if (found === undefined) return SIGN_IN_AGAIN;
    const { user } = found;
    const account = found.emailHash;
    const admission = await admitAttempt(hub, request, account);
    if (!admission.ok) return admission.answer;
    const { attemptId } = admission;
    const byBackupCode = "backupCode" in body;
    if (!(await spendProof(hub, user.userId, body))) {
      const detail = byBackupCode ? "backup_code" : "code";
      await failAttempt(hub, { attemptId, account }, user, detail, correlationId);
      return refuse("unauthenticated", "The code is wrong, or was used already.");
    }
    if (!(await takePending(hub.db, pending))) {
      await passAttempt(hub, attemptId).run();
      return SIGN_IN_AGAIN;
    }
    const session = startSession(hub, request, { userId: user.userId, secondFactor: true });
    const detail = byBackupCode ? "backup_code" : "second_factor";
    await hub.db.batch([
      ...signInStatements(hub, found, attemptId),
      ...session.statements,
      accountAudit(hub, user, { action: "auth.login", detail, correlationId }, hub.now()),
    ]);
    const left = byBackupCode ? { backupCodesLeft: await countBackupCodes(hub.db, user.userId) } : {};
    return ok(200, { user: showUser(user), ...left }, cookieHeaders(session.cookie, noPending(hub)));
  },
);
