/** PUT /relay/destinations/:destinationId: creates or replaces an insurer's destination. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { authenticate } from "../core/authenticate.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { utf8 } from "../platform/encoding.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { acceptedValues, isPlaceholderSecret } from "../platform/secrets.ts";
import { insurerAddressSchema } from "../workflow/payload.ts";
import { putInsurerDestination, type RefusedDestination } from "./destinations.store.ts";
import { destinationUrlFault, secretPlace } from "./destinations.ts";
import { EVENT_TYPES } from "./port.ts";
import { destinationSchema, destinationView } from "./relay-view.ts";

const paramsSchema = z.object({
  destinationId: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "must be lower-case letters, digits and hyphens, at most 64")
    .openapi({ param: { name: "destinationId", in: "path" }, example: "sunrise-insurance" }),
});

const bodySchema = z
  .strictObject({
    kind: z.literal("INSURER"),
    tenantId: z.string().max(64).optional().openapi({ description: "Without it, the caller's own tenant." }),
    insurerAddress: insurerAddressSchema,
    url: z.string().max(2_048).openapi({ example: "https://hooks.insurer.ca/itrans" }),
    secret: z
      .string()
      .regex(/^[\x21-\x7e]{24,256}$/, "must be 24 to 256 printable ASCII characters without spaces")
      .refine((secret) => !isPlaceholderSecret(secret), "looks like a placeholder")
      .optional()
      .openapi({ description: "Signs the webhooks; never shown again. Without it, the one it has is kept." }),
    deliverAfter: z.enum(["commit", "anchor"]).default("anchor"),
    eventTypes: z
      .array(z.enum(EVENT_TYPES))
      .min(1)
      .refine((types) => new Set(types).size === types.length, "names a type twice")
      .default([...EVENT_TYPES]),
    requestsPerMinute: z.number().int().min(1).max(1_000_000).default(240),
    timeoutMs: z.number().int().min(100).max(60_000).optional().openapi({ description: "Without it, the setting's." }),
  })
  .openapi("PutDestination");

const content = { "application/json": { schema: destinationSchema } };

const route = createRoute({
  method: "put",
  path: "/relay/destinations/{destinationId}",
  tags: ["relay"],
  summary: "Create or replace an insurer's destination",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: false })] as const,
  request: { params: paramsSchema, body: { required: true, content: { "application/json": { schema: bodySchema } } } },
  responses: {
    200: { description: "Replaced.", content },
    201: { description: "Created.", content },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429),
  },
});

export function registerPutDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const { kind: _, secret, tenantId, timeoutMs, ...body } = c.req.valid("json");
    const { settings, principal } = c.var;
    const fault = destinationUrlFault(body.url, settings.ENVIRONMENT);
    if (fault !== undefined) {
      return answerProblem(c, { code: "invalid_body", detail: fault, issues: [{ path: "url", message: fault }] });
    }
    const put = await putInsurerDestination(
      c.env.DB,
      {
        ...body,
        destinationId,
        tenantId: tenantId ?? principal.tenantId,
        timeoutMs: timeoutMs ?? settings.RELAY_WEBHOOK_TIMEOUT_MS,
        sealedSecret: secret === undefined ? undefined : await sealSecret({ ...c.env }, destinationId, secret),
      },
      systemNow(),
    );
    if (!("destination" in put)) return answerProblem(c, problemOf(put));
    const view = destinationView(put.destination);
    return put.type === "created" ? c.json(view, 201) : c.json(view, 200);
  });
}

async function sealSecret(env: Readonly<Record<string, unknown>>, destinationId: string, secret: string) {
  const keyring = await makeKeyring(acceptedValues(env, "DESTINATION_WRAPPING_KEY"), "destination");
  return keyring.seal(utf8(secret), secretPlace(destinationId), systemRandomBytes);
}

function problemOf({ type }: RefusedDestination): Problem {
  switch (type) {
    case "no-secret": {
      const detail = "A new destination needs a secret.";
      return { code: "invalid_body", detail, issues: [{ path: "secret", message: detail }] };
    }
    case "no-tenant":
      return { code: "not_found", detail: "There is no tenant of this id." };
    case "id-taken":
      return {
        code: "conflict",
        detail: "This id is taken by a destination of another kind or tenant. Choose another.",
      };
    case "address-taken":
      return {
        code: "conflict",
        detail: "Another destination of this tenant has this insurer's address. Replace that one.",
      };
  }
}
