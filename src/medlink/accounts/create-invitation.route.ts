import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { isMissingClinic } from "../batch.store.ts";
import { newId } from "../ids.ts";
import { clinicInReach, none, notFound, ok, refuse, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { findUserByEmail } from "./accounts.store.ts";
import { insertInvitation } from "./links.store.ts";
import { publicOrigin } from "./public-origin.edge.ts";
import { emailField, linkSchema, nameField } from "./schemas.ts";
import { INVITATION_MS, invitationUrl, newSecretToken } from "./secret-token.ts";
import { clinicOf } from "./sign-in.edge.ts";
import { ACCOUNT_ROLES, placementOf } from "./user.ts";

const OPEN_INVITATIONS = 100;

/** An address that has an account elsewhere is invited all the same: who is whose patient's clinic is nobody's business. */
export const createInvitation = staffOperation(
  {
    method: "post",
    path: "/api/invitations",
    summary: "A link with which someone makes their account: good once, for seven days",
    roles: ["admin"],
    tokens: false,
    params: none,
    body: z.object({
      email: emailField,
      name: nameField,
      role: z.enum(ACCOUNT_ROLES),
      clinicId: z.string().max(64).optional().openapi({ description: "The operator's choice; else one's own" }),
    }),
    trail: ({ body }) => ({
      action: "HUB_INVITATION_CREATE",
      to: [body.role, body.clinicId === undefined ? undefined : toldId(body.clinicId)],
    }),
    answers: {
      201: {
        description: "The link, to be handed on",
        schema: linkSchema("invitationUrl").extend({ invitationId: z.string() }),
      },
    },
  },
  async ({ hub, actor, body, request, correlationId }) => {
    const reach = clinicInReach(actor, body.clinicId);
    if (!reach.ok) return reach.answer;
    if (body.role === "operator" && actor.clinicId !== undefined) {
      return refuse("forbidden", "Only an operator makes operators.");
    }
    const placement = placementOf(body.role === "operator" ? null : (reach.clinicId ?? null), body.role);
    if (placement === undefined) return refuse("invalid_body", "Say which clinic: clinicId is missing.");
    const known = await findUserByEmail(hub.db, hub.fields, body.email);
    if (known !== undefined && known.user.clinicId === placement.clinicId) {
      return refuse("conflict", "This address has an account here already.");
    }
    const { token, hash } = newSecretToken(hub.random);
    const now = hub.now();
    const expiresAt = now + INVITATION_MS;
    const invitationId = newId("inv", hub.random);
    const { email, name } = body;
    const invitation = { invitationId, placement, email, name, createdAt: now, expiresAt };
    let written: number;
    try {
      const row = { ...invitation, tokenHash: hash, createdBy: actor.name };
      written = await insertInvitation(hub.db, hub.fields, row, OPEN_INVITATIONS);
    } catch (thrown) {
      if (!isMissingClinic(thrown)) throw thrown;
      return notFound("clinic");
    }
    if (written === 0)
      return refuse("conflict", `There are ${OPEN_INVITATIONS} open invitations. Withdraw some first.`);
    await auditInsert(hub.db, {
      clinicId: clinicOf(placement),
      actor: actor.name,
      action: "invitation.create",
      subject: invitationId,
      detail: placement.role,
      correlationId,
      at: now,
    }).run();
    const link = invitationUrl(publicOrigin(hub, request), token);
    const shown = { invitationId, invitationUrl: link, expiresAt: iso(expiresAt) };
    return ok(201, shown, { "cache-control": "no-store" });
  },
);
