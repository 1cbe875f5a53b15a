import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { none, notFound, ok, refuse, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { findListedUser } from "./accounts.store.ts";
import { resetUpsert } from "./links.store.ts";
import { publicOrigin } from "./public-origin.edge.ts";
import { linkSchema } from "./schemas.ts";
import { newSecretToken, PASSWORD_RESET_MS, passwordResetUrl } from "./secret-token.ts";
import { clinicOf } from "./sign-in.edge.ts";

export const createPasswordReset = staffOperation(
  {
    method: "post",
    path: "/api/users/{userId}/password-reset",
    summary:
      "A link with which someone sets a new password: good once, for an hour, and void when there is a newer one",
    roles: ["admin"],
    tokens: false,
    params: z.object({ userId: z.string().max(64) }),
    body: none,
    trail: ({ params }) => ({ action: "HUB_PASSWORD_RESET", to: [toldId(params.userId)] }),
    answers: { 201: { description: "The link, to be handed on", schema: linkSchema("resetUrl") } },
  },
  async ({ hub, actor, params, request, correlationId }) => {
    const listed = await findListedUser(hub.db, hub.fields, params.userId, actor.clinicId);
    if (listed === undefined) return notFound("user");
    if (listed.disabledAt !== null) return refuse("conflict", "This account is switched off.");
    const { userId, clinicId } = listed.user;
    const { token, hash } = newSecretToken(hub.random);
    const now = hub.now();
    const expiresAt = now + PASSWORD_RESET_MS;
    await hub.db.batch([
      resetUpsert(hub.db, { userId, tokenHash: hash, createdBy: actor.name, createdAt: now, expiresAt }),
      auditInsert(hub.db, {
        clinicId: clinicOf({ clinicId }),
        actor: actor.name,
        action: "user.passwordReset",
        subject: userId,
        correlationId,
        at: now,
      }),
    ]);
    const resetUrl = passwordResetUrl(publicOrigin(hub, request), token);
    return ok(201, { resetUrl, expiresAt: iso(expiresAt) }, { "cache-control": "no-store" });
  },
);
