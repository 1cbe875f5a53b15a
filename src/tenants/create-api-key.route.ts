/** POST /tenants/:tenantId/keys. The key is in the answer and nowhere else: only its hash is kept. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { newUuid, systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { toHex } from "../platform/encoding.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { insurerAddressSchema } from "../workflow/payload.ts";
import { insertApiKey, tenantState } from "./api-keys.store.ts";
import { authenticate, forgetKeys, keyHashOf } from "./authenticate.edge.ts";
import { DEFAULT_TENANT, SCOPES, type Scope, SURFACES } from "./principal.ts";

const NOT_OPERATORS: readonly Scope[] = ["submit", "adjudicate"];

const bodySchema = z
  .object({
    surface: z
      .enum(SURFACES)
      .openapi({ description: "An operator's is made in the default tenant, one for each person." }),
    scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length),
    insurerAddress: insurerAddressSchema.optional().openapi({ description: "Adjudicates for this insurer only." }),
    requestsPerMinute: z.number().int().min(1).max(1_000_000).optional(),
    label: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$/)
      .optional()
      .openapi({ description: "What it is for. It is shown in lists; leave names of people out." }),
  })
  .refine((body) => body.surface === "operator" || !body.scopes.includes("operate"), {
    message: "is the operator's alone",
    path: ["scopes"],
  })
  .refine((body) => body.surface !== "operator" || !body.scopes.some((scope) => NOT_OPERATORS.includes(scope)), {
    message: "an operator neither files nor decides",
    path: ["scopes"],
  })
  .refine((body) => body.surface !== "operator" || body.insurerAddress === undefined, {
    message: "an operator is no insurer",
    path: ["insurerAddress"],
  })
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
    ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503),
  },
});

export const NO_TENANT = { code: "not_found", detail: "There is no open tenant of this id." } as const;

export function registerCreateApiKey(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { tenantId } = c.req.valid("param");
    const { surface, scopes, insurerAddress, requestsPerMinute, label } = c.req.valid("json");
    if (surface === "operator" && tenantId !== DEFAULT_TENANT) {
      const detail = "An operator stands outside any tenant: make this key in the default one.";
      return answerProblem(c, { code: "invalid_body", detail, issues: [{ path: "surface", message: detail }] });
    }
    if ((await tenantState(c.env.DB, tenantId)) !== "open") return answerProblem(c, NO_TENANT);
    const keyId = `key_${newUuid()}`;
    const key = `itk_${toHex(systemRandomBytes(24))}`;
    const refused = await recordOperatorAction(c, { action: "KEY_CREATE", target: keyId });
    if (refused !== undefined) return answerProblem(c, refused);
    const createdBy = c.var.principal.keyId;
    const record = { keyId, tenantId, surface, scopes, insurerAddress, requestsPerMinute, label, createdBy };
    if (!(await insertApiKey(c.env.DB, keyHashOf(key), record, systemNow()))) return answerProblem(c, NO_TENANT);
    forgetKeys();
    return c.json({ keyId, key, tenantId }, 201);
  });
}
