import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { revokeApiToken } from "./api-tokens.store.ts";

export const revokeToken = operation(
  {
    method: "delete",
    path: "/api/tokens/{tokenId}",
    summary: "Revoke an API token: its next request is refused",
    roles: ["admin"],
    tokens: false,
    params: z.object({ tokenId: z.string().max(64) }),
    body: none,
    answers: { 204: { description: "Revoked" } },
  },
  async ({ hub, user, params, correlationId }) => {
    const now = hub.now();
    if (!(await revokeApiToken(hub.db, user.clinicId, params.tokenId, now))) return notFound("token");
    await auditInsert(hub.db, {
      clinicId: user.clinicId,
      actor: user.userId,
      action: "token.revoke",
      subject: params.tokenId,
      correlationId,
      at: now,
    }).run();
    return ok(204, undefined);
  },
);
