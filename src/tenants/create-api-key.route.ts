/** POST /tenants/:tenantId/keys. The key is in the answer and nowhere else: only its hash is kept. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { newUuid, systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { toHex } from "../platform/encoding.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { insurerAddressSchema } from "../workflow/payload.ts";
import { insertApiKey } from "./api-keys.store.ts";
import { authenticate, keyHashOf } from "./authenticate.edge.ts";
import { SCOPES } from "./principal.ts";

const bodySchema = z
  .object({
    surface: z.enum(["claims", "workflow"]),
    scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
    insurerAddress: insurerAddressSchema.optional().openapi({ description: "Adjudicates for this insurer only." }),
    requestsPerMinute: z.number().int().min(1).max(1_000_000).optional(),
  })
  .refine((body) => !body.scopes.includes("operate"), { message: "is the operator's alone", path: ["scopes"] })
  .openapi("CreateApiKey");

const answerSchema = z
  .object({ keyId: z.string(), key: z.string().openapi({ description: "Shown once." }), tenantId: z.string() })
  .openapi("CreatedApiKey");

const route = createRoute({
  method: "post",
  path: "/tenants/{tenantId}/keys",
  tags: ["tenants"],
  summary: "Make an API key",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: z.object({ tenantId: z.string() }),
    body: { required: true, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    201: { description: "Made.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 413, 415, 429),
  },
});

export function registerCreateApiKey(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId } = c.req.valid("param");
    const { surface, scopes, insurerAddress, requestsPerMinute } = c.req.valid("json");
    const keyId = `key_${newUuid()}`;
    const key = `itk_${toHex(systemRandomBytes(24))}`;
    const record = { keyId, tenantId, surface, scopes, insurerAddress, requestsPerMinute };
    if (await insertApiKey(c.env.DB, keyHashOf(key), record, systemNow())) return c.json({ keyId, key, tenantId }, 201);
    return answerProblem(c, { code: "not_found", detail: "There is no tenant of this id." });
  });
}
