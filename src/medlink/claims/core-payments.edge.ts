/** What core says was paid for a claim. */
import * as z from "zod";
import type { Hub } from "../hub.edge.ts";
import { readAnswer } from "../operations/core-view.ts";
import { type ClaimPayment, PAYMENT_STATUSES, PAYMENT_TYPES } from "./claim-payments.ts";

/** A claim has at most a hundred. */
const MOST = 100;

const foundSchema = z.object({
  settlements: z.array(
    z.object({
      refId: z.string(),
      type: z.enum(PAYMENT_TYPES),
      status: z.enum(PAYMENT_STATUSES),
      amountCents: z.int(),
      currency: z.string(),
      updatedAt: z.iso.datetime(),
    }),
  ),
});

/** Oldest first. @returns undefined when core does not answer, or not with what this understands. */
export async function readPayments(
  hub: Hub,
  requestId: string,
  correlationId: string,
): Promise<readonly ClaimPayment[] | undefined> {
  const answer = await hub.core.call({
    method: "POST",
    path: "/settlements/search",
    surface: "workflow",
    body: { requestId, limit: MOST },
    correlationId,
    timeoutMs: hub.settings.ITRANS_READ_TIMEOUT_MS,
  });
  const found = answer.type === "answered" && answer.status === 200 ? readAnswer(foundSchema, answer.text) : undefined;
  return found?.settlements
    .map(({ amountCents, currency, updatedAt, ...rest }) => ({
      ...rest,
      amount: { minor: amountCents, currency },
      at: Date.parse(updatedAt),
    }))
    .toReversed();
}
