import { z } from "@hono/zod-openapi";
import { timingSafeEqual } from "../../platform/timing-safe.ts";
import { none, notFound, ok, openOperation } from "../operation.edge.ts";
import { insurerFields } from "../records/schemas.ts";
import { seedDemo } from "./seed.edge.ts";
import { SEED_TOKEN_HEADER, seedToken } from "./seed-token.ts";

export const seededSchema = z.object({
  clinicId: z.string(),
  users: z.array(z.object({ userId: z.string(), role: z.string(), email: z.string() })),
  patientIds: z.array(z.string()),
  providerIds: z.array(z.string()),
  insurerIds: z.array(z.string()),
});

/** Outside development, and without the token, it is as if it were not there. */
export const seed = openOperation(
  {
    method: "post",
    path: "/api/dev/seed",
    summary: "Development only: put the demo clinic into the database",
    gate: (hub, request) => {
      const token = request.headers.get(SEED_TOKEN_HEADER) ?? "";
      const admitted = hub.development && timingSafeEqual(token, seedToken(hub.sessionSecrets[0]));
      return admitted ? undefined : notFound("page");
    },
    params: none,
    body: z.object({
      adminEmail: z.email().max(254),
      adminPassword: z.string().min(12).max(1_024),
      insurerAddress: insurerFields.shape.insurerAddress,
    }),
    answers: {
      200: {
        description: "The ids",
        schema: seededSchema,
      },
    },
  },
  async ({ hub, body }) => ok(200, await seedDemo(hub, body, "set")),
);
