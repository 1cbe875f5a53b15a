/** How dead letters are chosen in the API: the same fields for listing and for replaying many. */
import { z } from "@hono/zod-openapi";
import { ERROR_CLASS } from "./dead-letters.ts";

/** Epoch ms, or RFC 3339. @returns epoch ms. */
export const momentSchema = z
  .union([z.string(), z.number()])
  .transform((value) => (/^\d{1,16}$/.test(String(value)) ? Number(value) : Date.parse(String(value))))
  .refine((ms) => Number.isSafeInteger(ms) && ms >= 0, "must be epoch milliseconds or an RFC 3339 time")
  .openapi({ type: "string", example: "2026-11-22T12:00:00Z" });

export const filterShape = {
  destinationId: z.string().max(64).optional(),
  since: momentSchema.optional(),
  until: momentSchema.optional(),
  errorClass: z
    .string()
    .regex(ERROR_CLASS, "must be http-NNN, http-Nxx, timeout, connection-failed, not-yet-known or lease-expired")
    .optional()
    .openapi({ example: "http-5xx" }),
};

export const outboxIdParams = z.object({
  outboxId: z.coerce
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .openapi({ param: { name: "outboxId", in: "path" } }),
});

/** Of a decision that is recorded: a code, so that nothing personal gets in. */
export const reasonSchema = z
  .string()
  .regex(/^[A-Z0-9-]{1,40}$/, "must be a code of A to Z, 0 to 9 and hyphens, at most 40")
  .openapi({ example: "TICKET-1234" });
