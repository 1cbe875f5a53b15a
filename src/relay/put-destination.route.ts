/** PUT /relay/destinations/:destinationId: creates or replaces a destination. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { insurerAddressSchema } from "../workflow/payload.ts";
import { putDestination, type RefusedDestination } from "./destinations.store.ts";
import { destinationUrlFault, extraHeadersFault, headersPlace, secretPlace } from "./destinations.ts";
import { EVENT_TYPES, REQUEST_EVENT_TYPES } from "./event-type.ts";
import { destinationIdParams, destinationSchema, destinationView, secretSchema } from "./relay-view.ts";
import { makeSealer, type Sealer } from "./sealer.edge.ts";

const bodySchema = z
  .strictObject({
    kind: z.enum(["INSURER", "MEDLINK"]),
    tenantId: z.string().max(64).optional().openapi({ description: "Without it, the caller's own tenant." }),
    insurerAddress: insurerAddressSchema
      .optional()
      .openapi({ description: "Of an insurer's destination; no other has one." }),
    url: z.string().max(2_048).openapi({ example: "https://hooks.insurer.ca/itrans" }),
    secret: secretSchema
      .optional()
      .openapi({ description: "Signs the webhooks; never shown again. Without it, the one it has is kept." }),
    deliverAfter: z
      .enum(["commit", "anchor"])
      .optional()
      .openapi({ description: "Without it, an insurer's waits for the anchor and a MedLink's does not." }),
    eventTypes: z
      .array(z.enum(EVENT_TYPES))
      .min(1)
      .refine((types) => new Set(types).size === types.length, "names a type twice")
      .default([...REQUEST_EVENT_TYPES])
      .openapi({ description: "Without it, those of requests; settlement events come only to who names them." }),
    requestsPerMinute: z.number().int().min(1).max(1_000_000).default(240),
    timeoutMs: z.number().int().min(100).max(60_000).optional().openapi({ description: "Without it, the setting's." }),
    headers: z
      .record(z.string(), z.string())
      .optional()
      .openapi({ description: "Sent along, never shown again. Without it, those it has are kept; {} removes them." }),
    pingEvents: z
      .boolean()
      .default(false)
      .openapi({ description: "It knows PING events. Without them a ping is a HEAD, which is no event." }),
    itransSignature: z
      .enum(["current", "previous"])
      .default("current")
      .openapi({ description: "During a rotation: which secret makes the one signature of x-itrans-relay-signature." }),
  })
  .refine(({ kind, insurerAddress }) => (kind === "INSURER") === (insurerAddress !== undefined), {
    message: "an insurer's destination has one, and no other",
    path: ["insurerAddress"],
  })
  .openapi("PutDestination");

const content = { "application/json": { schema: destinationSchema } };

const route = createRoute({
  method: "put",
  path: "/relay/destinations/{destinationId}",
  tags: ["relay"],
  summary: "Create or replace a destination",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: destinationIdParams,
    body: { required: true, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    200: { description: "Replaced.", content },
    201: { description: "Created.", content },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
  },
});

export function registerPutDestination(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const { secret, tenantId, timeoutMs, headers, insurerAddress, deliverAfter, ...body } = c.req.valid("json");
    const { settings, principal } = c.var;
    const refuse = (path: string, message: string) =>
      answerProblem(c, { code: "invalid_body", detail: message, issues: [{ path, message }] });
    const urlFault = destinationUrlFault(body.url, settings.ENVIRONMENT);
    if (urlFault !== undefined) return refuse("url", urlFault);
    const headersFault = headers === undefined ? undefined : extraHeadersFault(headers);
    if (headersFault !== undefined) return refuse("headers", headersFault);
    const sealer = await makeSealer({ ...c.env });
    const refused = await recordOperatorAction(c, { action: "DESTINATION_PUT", target: destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    const put = await putDestination(
      c.env.DB,
      {
        ...body,
        destinationId,
        insurerAddress,
        tenantId: tenantId ?? principal.tenantId,
        deliverAfter: deliverAfter ?? (body.kind === "INSURER" ? "anchor" : "commit"),
        timeoutMs: timeoutMs ?? settings.RELAY_WEBHOOK_TIMEOUT_MS,
        sealedSecret: secret === undefined ? undefined : await sealer(secret, secretPlace(destinationId)),
        headers: headers === undefined ? undefined : await sealedHeaders(headers, destinationId, sealer),
      },
      systemNow(),
    );
    if (!("destination" in put)) return answerProblem(c, problemOf(put));
    const view = destinationView(put.destination);
    return put.type === "created" ? c.json(view, 201) : c.json(view, 200);
  });
}

async function sealedHeaders(headers: Readonly<Record<string, string>>, destinationId: string, sealer: Sealer) {
  const names = Object.keys(headers);
  const sealed = names.length === 0 ? undefined : await sealer(JSON.stringify(headers), headersPlace(destinationId));
  return { names, sealed };
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
    case "settings":
      return {
        code: "conflict",
        detail: "The default tenant's MedLink is set by RELAY_MEDLINK_WEBHOOK_URL. Change that setting.",
      };
    case "medlink-taken":
      return { code: "conflict", detail: "This tenant has a MedLink destination already. Replace that one." };
    case "address-taken":
      return {
        code: "conflict",
        detail: "Another destination of this tenant has this insurer's address. Replace that one.",
      };
  }
}
