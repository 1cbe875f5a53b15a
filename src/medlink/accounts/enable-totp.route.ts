import { z } from "@hono/zod-openapi";
import { accountOperation, none, ok, refuse } from "../operation.edge.ts";
import { sessionsDelete } from "./accounts.store.ts";
import { codeField } from "./schemas.ts";
import { backupCodesReplace, enableSecondFactor, findSecondFactor, pendingDelete } from "./second-factor.store.ts";
import { accountAudit, cookieHeaders, startSession } from "./sign-in.edge.ts";
import { matchTotp, newBackupCodes } from "./totp.ts";

export const backupCodesSchema = z.object({
  backupCodes: z
    .array(z.string())
    .openapi({ description: "Each good once, when the authenticator is away; shown this once" }),
});

/** No attempt is counted here: the secret that is guessed at was shown to the same caller. */
export const enableTotp = accountOperation(
  {
    method: "post",
    path: "/api/auth/totp/enable",
    summary: "Put the second factor into force with its first code: other sessions, which never showed it, end",
    params: none,
    body: z.object({ code: codeField }),
    answers: { 200: { description: "In force; this session goes on under a new id", schema: backupCodesSchema } },
  },
  async ({ hub, signedIn, request, body, correlationId }) => {
    const { user } = signedIn;
    const factor = await findSecondFactor(hub.db, hub.fields, user.userId);
    if (factor === undefined) return refuse("conflict", "Begin the set-up first.");
    if (factor.enabled) return refuse("conflict", "The second factor is in force already.");
    const now = hub.now();
    const step = matchTotp(factor.secret, body.code, now, factor.lastStep);
    if (step === undefined) {
      return refuse("invalid_body", "The code is wrong. Check the authenticator's clock.", {
        issues: [{ path: "code", rule: "code", message: "not the present code" }],
      });
    }
    if (!(await enableSecondFactor(hub.db, user.userId, step, now))) {
      return refuse("conflict", "The second factor is in force already.");
    }
    const backupCodes = newBackupCodes(hub.random);
    const session = startSession(hub, request, { userId: user.userId, secondFactor: true });
    await hub.db.batch([
      ...backupCodesReplace(hub.db, factor.secret, user.userId, backupCodes),
      sessionsDelete(hub.db, user.userId),
      pendingDelete(hub.db, user.userId),
      ...session.statements,
      accountAudit(hub, user, { action: "account.secondFactor", detail: "on", correlationId }, now),
    ]);
    return ok(200, { backupCodes }, cookieHeaders(session.cookie));
  },
);
