import { z } from "@hono/zod-openapi";
import { isTaken } from "../batch.store.ts";
import { newId } from "../ids.ts";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { isEmailTakenBefore, userInsert } from "./accounts.store.ts";
import { findInvitation, takeInvitation } from "./links.store.ts";
import { hashPassword, passwordFault } from "./password.ts";
import { linkToken, passwordField, showUser, userSchema } from "./schemas.ts";
import { tokenHash } from "./secret-token.ts";
import { accountAudit, cookieHeaders, startSession } from "./sign-in.edge.ts";

const HAS_ACCOUNT = refuse("conflict", "This address has an account already. Sign in, or be invited under another.");
const VOID_LINK = refuse("not_found", "This invitation was used, has run out, or is not complete. Ask for a new one.");

export const acceptInvitation = openOperation(
  {
    method: "post",
    path: "/api/invitations/accept",
    summary: "Make one's account with the token of an invitation, and sign in",
    params: none,
    body: z.object({ token: linkToken, password: passwordField }),
    answers: {
      201: { description: "Signed in; the session is in the cookie", schema: z.object({ user: userSchema }) },
    },
  },
  async ({ hub, request, body, correlationId }) => {
    const invitation = await findInvitation(hub.db, hub.fields, tokenHash(body.token), hub.now());
    if (invitation === undefined) return VOID_LINK;
    const { invitationId, placement, email, name } = invitation;
    const fault = passwordFault(body.password, email);
    if (fault !== undefined) return refuse("invalid_body", fault.message, { issues: [{ path: "password", ...fault }] });
    if (await isEmailTakenBefore(hub.db, hub.fields, email)) return HAS_ACCOUNT;
    const user = { userId: newId("usr", hub.random), ...placement, email, name };
    const passwordHash = await hashPassword(body.password, hub.random);
    if (!(await takeInvitation(hub.db, invitationId))) return VOID_LINK;
    const now = hub.now();
    const session = startSession(hub, request, { userId: user.userId, secondFactor: false });
    try {
      await hub.db.batch([
        await userInsert(hub.db, hub.fields, user, passwordHash, now),
        ...session.statements,
        accountAudit(hub, user, { action: "account.create", detail: user.role, correlationId }, now),
      ]);
    } catch (thrown) {
      if (!isTaken(thrown, "users.email_hash")) throw thrown;
      return HAS_ACCOUNT;
    }
    return ok(201, { user: showUser(user) }, cookieHeaders(session.cookie));
  },
);
