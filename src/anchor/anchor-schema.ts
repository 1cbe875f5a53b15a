/** The anchor view in the API document. */
import { z } from "@hono/zod-openapi";
import type { AnchorView } from "./anchor-view.ts";

export const anchorViewSchema = z
  .object({
    status: z.enum(["none", "submitted", "confirmed"]),
    anchored: z.boolean(),
    txHash: z.string().nullable(),
    blockNumber: z.number().int().nullable(),
    blockHash: z.string().nullable(),
    logIndex: z.number().int().nullable(),
    confirmations: z.number().int().nullable(),
    chainId: z.number().int().nullable(),
    contractAddress: z.string().nullable(),
    size: z.number().int().nullable().openapi({ description: "The anchored tree size." }),
    rootHash: z.string().nullable(),
    submittedAt: z.string().nullable(),
    confirmedAt: z.string().nullable(),
    reason: z.string().nullable().openapi({ description: "Why it is not confirmed." }),
    retryAfterSeconds: z.number().int().nullable(),
  })
  .openapi("Anchor") satisfies z.ZodType<AnchorView>;
