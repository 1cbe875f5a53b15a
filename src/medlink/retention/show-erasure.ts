/** An erasure as the API shows it. */
import { z } from "@hono/zod-openapi";
import { iso } from "../page-query.ts";
import type { Erasure } from "./retention.ts";

export const erasureSchema = z
  .object({
    patientId: z.string(),
    state: z.enum(["running", "complete"]),
    reason: z.string(),
    claimsErased: z.number().int(),
    waitingFor: z.string().nullable().openapi({ description: "Why it could not go on; it is tried again by itself" }),
    requestedAt: z.string(),
    completedAt: z.string().nullable(),
    completeEverywhereBy: z
      .string()
      .nullable()
      .openapi({ description: "Once it is complete: from then on no copy is left, backups and history included" }),
  })
  .openapi("Erasure");

export const showErasure = (erasure: Erasure): z.output<typeof erasureSchema> => ({
  patientId: erasure.patientId,
  state: erasure.state,
  reason: erasure.reason,
  claimsErased: erasure.claimsErased,
  waitingFor: erasure.lastError,
  requestedAt: iso(erasure.requestedAt),
  completedAt: erasure.completedAt === null ? null : iso(erasure.completedAt),
  completeEverywhereBy:
    erasure.state === "complete" && erasure.completeEverywhereAt !== null ? iso(erasure.completeEverywhereAt) : null,
});
