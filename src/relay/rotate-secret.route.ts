/**
 * POST /relay/destinations/:destinationId/secret: gives a destination a new signing secret. Until the overlap is over both sign:
 * webhook-signature lists two signatures, and x-itrans-relay-signature has the one that was chosen.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { toHex } from "../platform/encoding.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { rotateSecret } from "./destination-secrets.store.ts";
import { findDestination } from "./destinations.store.ts";
import { secretPlace } from "./destinations.ts";
import { NO_DESTINATION } from "./no-destination.ts";
import { destinationIdParams, destinationSchema, destinationView, secretSchema } from "./relay-view.ts";
import { makeSealer } from "./sealer.edge.ts";
import { tenantInView } from "./tenant-in-view.ts";

const MAX_OVERLAP_S = 30 * 86_400;

const bodySchema = z
  .strictObject({
    secret: secretSchema.optional().openapi({ description: "Without it one is made, and shown in this answer only." }),
    overlapSeconds: z.number().int().min(0).max(MAX_OVERLAP_S).default(86_400).openapi({
      description: "How long the secret it has now goes on signing beside the new one; 0: it stops at once.",
    }),
    itransSignature: z.enum(["current", "previous"]).default("current").openapi({
      description: "Which of the two makes the one signature of x-itrans-relay-signature during the overlap.",
    }),
    dropPrevious: z.boolean().default(false).openapi({
      description: "Give up the secret of a rotation that is not over yet.",
    }),
  })
  .openapi("RotateSecret");

const answerSchema = z
  .object({
    destination: destinationSchema,
    secret: z.string().optional().openapi({ description: "The one that was made; shown once." }),
  })
  .openapi("RotatedSecret");

const route = createRoute({
  method: "post",
  path: "/relay/destinations/{destinationId}/secret",
  tags: ["relay"],
  summary: "Rotate a destination's signing secret, with an overlap",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "operate"), jsonBody({ optional: true })] as const,
  request: {
    params: destinationIdParams,
    body: { required: false, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    200: { description: "Rotated.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503),
  },
});

export function registerRotateSecret(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { destinationId } = c.req.valid("param");
    const { secret, overlapSeconds, itransSignature, dropPrevious } = bodySchema.parse(c.var.received);
    const now = systemNow();
    const tenantId = tenantInView(c.var.principal);
    const found = await findDestination(c.env.DB, destinationId, tenantId, now);
    if (found === undefined) return answerProblem(c, NO_DESTINATION);
    if (!found.hasSecret) {
      const detail =
        "It signs with RELAY_WEBHOOK_SIGNING_SECRET; rotate that, with _PREVIOUS beside it for the overlap.";
      return answerProblem(c, { code: "conflict", detail });
    }
    const made = secret ?? toHex(systemRandomBytes(32));
    const sealer = await makeSealer({ ...c.env });
    const refused = await recordOperatorAction(c, { action: "DESTINATION_SECRET_ROTATE", target: destinationId });
    if (refused !== undefined) return answerProblem(c, refused);
    const rotated = await rotateSecret(
      c.env.DB,
      destinationId,
      {
        sealedSecret: await sealer(made, secretPlace(destinationId)),
        previousExpiresAt: now + overlapSeconds * 1_000,
        itransSignature,
        dropPrevious,
      },
      now,
    );
    if (rotated === "overlapping") {
      const detail =
        "The rotation before this one is not over. Wait for it, or send dropPrevious to give its old secret up.";
      return answerProblem(c, { code: "conflict", detail });
    }
    c.var.log("info", "relay.secret_rotated", { destinationId, correlationId: c.var.correlationId });
    const destination = await findDestination(c.env.DB, destinationId, tenantId, now);
    if (destination === undefined) return answerProblem(c, NO_DESTINATION);
    const view = destinationView(destination);
    return c.json(secret === undefined ? { destination: view, secret: made } : { destination: view }, 200);
  });
}
