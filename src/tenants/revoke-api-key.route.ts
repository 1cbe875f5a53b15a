/** DELETE /tenants/:tenantId/keys/:keyId: the key opens nothing any more, for good. Again changes nothing. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { keyState, revokeApiKey } from "./api-keys.store.ts";
import { authenticate, forgetKeys } from "./authenticate.edge.ts";

const route = createRoute({
  method: "delete",
  path: "/tenants/{tenantId}/keys/{keyId}",
  tags: ["tenants"],
  summary: "Revoke an API key",
  description: "It is felt at once where the revocation was made, and within a second everywhere else.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  request: { params: z.object({ tenantId: z.string(), keyId: z.string() }) },
  responses: {
    204: { description: "Revoked." },
    ...problemResponses(401, 403, 404, 429, 503),
  },
});

export function registerRevokeApiKey(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId, keyId } = c.req.valid("param");
    const state = await keyState(c.env.DB, tenantId, keyId);
    if (state === "unknown") {
      const detail = "This tenant has no key of this id. Keys of the settings are rotated, not revoked.";
      return answerProblem(c, { code: "not_found", detail });
    }
    if (state === "live") {
      const refused = await recordOperatorAction(c, { action: "KEY_REVOKE", target: keyId });
      if (refused !== undefined) return answerProblem(c, refused);
      await revokeApiKey(c.env.DB, tenantId, keyId, c.var.principal.keyId, systemNow());
      forgetKeys();
    }
    return c.body(null, 204);
  });
}
