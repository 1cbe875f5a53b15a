import { z } from "@hono/zod-openapi";
import { accountOperation, none, ok, refuse } from "../operation.edge.ts";
import { findUserById } from "./accounts.store.ts";
import { verifyPassword } from "./password.ts";
import { codeField, passwordField } from "./schemas.ts";
import { secondFactorDelete } from "./second-factor.store.ts";
import { accountAudit, admitAttempt, failAttempt, passAttempt, spendProof } from "./sign-in.edge.ts";

export const disableTotp = accountOperation(
  {
    method: "post",
    path: "/api/auth/totp/disable",
    summary: "Take one's second factor away, with the password and a code",
    params: none,
    body: z.object({ password: passwordField, code: codeField }),
    answers: { 204: { description: "Taken away, with its backup codes" } },
  },
  async ({ hub, signedIn, request, body, correlationId }) => {
    const { user } = signedIn;
    const found = await findUserById(hub.db, hub.fields, user.userId);
    if (found === undefined) return refuse("unauthenticated", "Sign in first.");
    if (!found.secondFactor) return refuse("conflict", "There is no second factor in force.");
    const account = found.emailHash;
    const admission = await admitAttempt(hub, request, account);
    if (!admission.ok) return admission.answer;
    const { attemptId } = admission;
    const passed =
      (await verifyPassword(body.password, found.passwordHash)).ok && (await spendProof(hub, user.userId, body));
    if (!passed) {
      await failAttempt(hub, { attemptId, account }, user, "code", correlationId);
      return refuse("forbidden", "The password or the code is wrong, or the code was used already.");
    }
    await hub.db.batch([
      passAttempt(hub, attemptId),
      ...secondFactorDelete(hub.db, user.userId),
      accountAudit(hub, user, { action: "account.secondFactor", detail: "off", correlationId }, hub.now()),
    ]);
    return ok(204, undefined);
  },
);
