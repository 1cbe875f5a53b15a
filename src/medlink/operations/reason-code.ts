/** Why an operator decided so: a code, so that nothing personal gets in. */
import { z } from "@hono/zod-openapi";

export const REASON_CODE = /^[A-Z0-9-]{1,40}$/;

export const reasonCode = z
  .string()
  .regex(REASON_CODE)
  .openapi({ description: "A code, such as a ticket's number", example: "TICKET-1234" });
