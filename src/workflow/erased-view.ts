/** What is said in place of a payload that was erased. */
import { z } from "@hono/zod-openapi";
import type { LedgerEvent } from "./subject-rows.ts";

export const erasedFactSchema = z
  .object({ at: z.string(), reason: z.string() })
  .optional()
  .openapi({ description: "Only once the personal data was erased: payload, notes and the id are gone then." });

export function erasedFact(events: readonly LedgerEvent[]): { erased?: { at: string; reason: string } } {
  const event = events.find(({ type }) => type === "ERASED");
  return event === undefined ? {} : { erased: { at: event.at, reason: String(event.data.reason) } };
}
