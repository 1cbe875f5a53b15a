import { z } from "@hono/zod-openapi";
import { accountOperation, none, ok, refuse } from "../operation.edge.ts";
import { findUserById } from "./accounts.store.ts";
import { backupCodesSchema } from "./enable-totp.route.ts";
import { codeField } from "./schemas.ts";
import { backupCodesReplace, findSecondFactor } from "./second-factor.store.ts";
import { accountAudit, admitAttempt, failAttempt, passAttempt, spendProof } from "./sign-in.edge.ts";
import { newBackupCodes } from "./totp.ts";

const NO_FACTOR = refuse("conflict", "There is no second factor in force.");

export const renewBackupCodes = accountOperation(
  {
    method: "post",
    path: "/api/auth/totp/backup-codes",
    summary: "New backup codes; the old ones are void",
    params: none,
    body: z.object({ code: codeField }),
    answers: { 200: { description: "The new codes", schema: backupCodesSchema } },
  },
  async ({ hub, signedIn, request, body, correlationId }) => {
    const { user } = signedIn;
    const found = await findUserById(hub.db, hub.fields, user.userId);
    if (found === undefined) return refuse("unauthenticated", "Sign in first.");
    if (!found.secondFactor) return NO_FACTOR;
    const account = found.emailHash;
    const admission = await admitAttempt(hub, request, account);
    if (!admission.ok) return admission.answer;
    const { attemptId } = admission;
    if (!(await spendProof(hub, user.userId, body))) {
      await failAttempt(hub, { attemptId, account }, user, "code", correlationId);
      return refuse("forbidden", "The code is wrong, or was used already.");
    }
    const factor = await findSecondFactor(hub.db, hub.fields, user.userId);
    if (factor === undefined) return NO_FACTOR;
    const backupCodes = newBackupCodes(hub.random);
    await hub.db.batch([
      passAttempt(hub, attemptId),
      ...backupCodesReplace(hub.db, factor.secret, user.userId, backupCodes),
      accountAudit(hub, user, { action: "account.backupCodes", correlationId }, hub.now()),
    ]);
    return ok(200, { backupCodes }, { "cache-control": "no-store" });
  },
);
