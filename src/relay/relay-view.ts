/** How destinations and deliveries look in the API. */
import { z } from "@hono/zod-openapi";
import { isPlaceholderSecret } from "../platform/secrets.ts";
import type { Destination } from "./destinations.ts";
import { EVENT_TYPES } from "./event-type.ts";

const epochMs = z.number().int().openapi({ description: "Epoch ms." });

export const destinationIdParams = z.object({
  destinationId: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "must be lower-case letters, digits and hyphens, at most 64")
    .openapi({ param: { name: "destinationId", in: "path" }, example: "sunrise-insurance" }),
});

export const secretSchema = z
  .string()
  .regex(/^[\x21-\x7e]{24,256}$/, "must be 24 to 256 printable ASCII characters without spaces")
  .refine((secret) => !isPlaceholderSecret(secret), "looks like a placeholder");

export const destinationSchema = z
  .object({
    destinationId: z.string(),
    tenantId: z.string(),
    kind: z.enum(["MEDLINK", "INSURER"]),
    insurerAddress: z.string().optional(),
    url: z.string(),
    hasSecret: z.boolean().openapi({ description: "False: signed with the secret of the relay's settings." }),
    deliverAfter: z.enum(["commit", "anchor"]),
    eventTypes: z.array(z.enum(EVENT_TYPES)).readonly(),
    requestsPerMinute: z.number().int(),
    timeoutMs: z.number().int(),
    state: z
      .enum(["active", "paused", "broken"])
      .openapi({ description: "Broken: its breaker is open; it closes by itself once a probe is answered." }),
    headerNames: z.array(z.string()).readonly().openapi({ description: "Values are never shown." }),
    pingEvents: z.boolean(),
    itransSignature: z.enum(["current", "previous"]),
    secret: z.object({
      rotatedAt: epochMs.nullable(),
      lastUsedAt: epochMs.nullable(),
      previous: z.object({ expiresAt: epochMs, lastUsedAt: epochMs.nullable() }).nullable(),
    }),
    lastPing: z
      .object({
        requestedAt: epochMs,
        answeredAt: epochMs.nullable(),
        reachable: z.boolean().nullable().openapi({ description: "It answered, whatever it said." }),
        status: z.number().int().nullable(),
        error: z.string().nullable(),
        durationMs: z.number().int().nullable(),
      })
      .nullable(),
    createdAt: epochMs,
    updatedAt: epochMs,
  })
  .openapi("Destination");

export function destinationView({ insurerAddress, ...destination }: Destination): z.output<typeof destinationSchema> {
  return insurerAddress === undefined ? destination : { ...destination, insurerAddress };
}
