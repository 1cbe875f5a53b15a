/** Maintenance as the APIs of core and the hub take and show it. */
import { z } from "@hono/zod-openapi";
import type { Maintenance } from "./maintenance.ts";

export const putMaintenanceSchema = z
  .discriminatedUnion("on", [
    z.strictObject({
      on: z.literal(true),
      minutes: z.number().int().min(1).max(1_440).openapi({ description: "How long it is expected to last." }),
      reason: z
        .string()
        .regex(/^[A-Z0-9-]{1,40}$/, "is not 1 to 40 of A-Z, 0-9 and -")
        .openapi({ example: "CHG-311" }),
    }),
    z.strictObject({ on: z.literal(false) }),
  ])
  .openapi("PutMaintenance");

export const maintenanceSchema = z
  .object({
    on: z.boolean(),
    startedAt: z.string().nullable(),
    until: z.string().nullable(),
    reason: z.string().nullable(),
  })
  .openapi("Maintenance");

const isoOrNull = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString());

export const maintenanceView = ({ startedAt, until, reason }: Maintenance): z.output<typeof maintenanceSchema> => ({
  on: startedAt !== undefined,
  startedAt: isoOrNull(startedAt),
  until: isoOrNull(until),
  reason: reason ?? null,
});
