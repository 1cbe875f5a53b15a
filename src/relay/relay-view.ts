/** How destinations and deliveries look in the API. */
import { z } from "@hono/zod-openapi";
import type { Destination } from "./destinations.ts";
import { EVENT_TYPES } from "./port.ts";

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
    state: z.enum(["active", "paused"]),
    createdAt: z.number().int().openapi({ description: "Epoch ms." }),
    updatedAt: z.number().int().openapi({ description: "Epoch ms." }),
  })
  .openapi("Destination");

export function destinationView({ insurerAddress, ...destination }: Destination): z.output<typeof destinationSchema> {
  return insurerAddress === undefined ? destination : { ...destination, insurerAddress };
}
