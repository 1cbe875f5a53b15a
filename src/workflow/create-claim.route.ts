/** POST /claims. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { newUuid } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { ciphertextPrefix, storeCiphertext } from "./ciphertext.edge.ts";
import { answerClaimCommand } from "./claim-command.edge.ts";
import { claimAnswerSchema } from "./claim-view.ts";
import { idLookup } from "./id-lookup.edge.ts";
import { offchainPayloadSchema, providerSignatureSchema } from "./payload.ts";
import { sealReceived } from "./receive-payload.edge.ts";

const bodySchema = z
  .object({ offchainPayload: offchainPayloadSchema, providerSignature: providerSignatureSchema })
  .openapi("CreateClaim");

const route = createRoute({
  method: "post",
  path: "/claims",
  tags: ["claims"],
  summary: "Record a claim",
  security: [{ apiKey: [] }],
  middleware: [authenticate("claims", "submit"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    201: { description: "Recorded in the ledger.", content: { "application/json": { schema: claimAnswerSchema } } },
    ...problemResponses(400, 401, 403, 413, 415, 429, 503),
  },
});

export function registerCreateClaim(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal, correlationId } = c.var;
    const claimId = newUuid();
    const received = await sealReceived(c, claimId, c.req.valid("json"));
    if (received.type === "problem") return answerProblem(c, received.problem);
    const { opened, wrappedKey, payloadHash, total, sealed } = received;
    const result = await answerClaimCommand(c, {
      type: "CreateClaim",
      tenantId: principal.tenantId,
      claimId,
      lookup: (await idLookup(c))("claim", principal.tenantId, claimId),
      claimIdHash: opened.subject,
      submitter: principal.keyId,
      payloadHash,
      amountMinor: total.minor,
      currency: total.currency,
      payload: await storeCiphertext(c.env, `${ciphertextPrefix(settings.LEDGER_ID, opened.subject)}payload`, sealed),
      wrappedKey,
      correlationId,
    });
    return result.type === "problem" ? answerProblem(c, result.problem) : c.json(result.answer, 201);
  });
}
