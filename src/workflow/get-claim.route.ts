/** GET /claims/:claimId. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { readCiphertext } from "./ciphertext.edge.ts";
import { claimFacts, claimViewSchema } from "./claim-view.ts";
import { erasedFact } from "./erased-view.ts";
import { findClaimOf } from "./id-lookup.edge.ts";
import { subjectHistory } from "./request.store.ts";
import { claimIdParam } from "./request-params.ts";

const route = createRoute({
  method: "get",
  path: "/claims/{claimId}",
  tags: ["claims"],
  summary: "A claim with its event history",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "read")] as const,
  request: { params: claimIdParam },
  responses: {
    200: { description: "The claim.", content: { "application/json": { schema: claimViewSchema } } },
    ...problemResponses(401, 403, 404, 429),
  },
});

export function registerGetClaim(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const found = await findClaimOf(c, principal.tenantId, c.req.valid("param").claimId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no claim of this id in your tenant." });
    }
    const { claim, wrappedKey } = found;
    const { events, parts } = await subjectHistory(c.env.DB, settings.LEDGER_ID, claim.claimIdHash);
    const stored = parts.find(({ part }) => part === "payload");
    // A direct claim names no insurer, so a key bound to one is never its reader.
    const readable = principal.insurerAddress === undefined ? wrappedKey : undefined;
    const opened = readable && (await (await c.get("vault")()).unwrap(claim.claimIdHash, readable));
    const payload = opened && stored && (await opened.open("payload", await readCiphertext(c.env, stored)));
    return c.json(
      {
        ...claimFacts(claim),
        submitter: claim.submitter,
        events: [...events],
        ...erasedFact(events),
        ...(payload === undefined ? {} : { offchainPayload: JSON.parse(payload) }),
        correlationId,
      },
      200,
    );
  });
}
