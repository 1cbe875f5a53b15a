/** Proofs in the API document. */
import { z } from "@hono/zod-openapi";

export const hashHex = z.string().openapi({ description: "64 lower-case hex digits." });
/** A whole number in a path or query, of decimal digits and nothing else: an empty value is not 0. */
export const wholeNumber = (least = 0) =>
  z
    .string()
    .regex(/^\d{1,15}$/, "must be a whole number")
    .transform(Number)
    .refine((value) => value >= least, `must be at least ${least}`)
    .openapi({ type: "integer", minimum: least });

export const bundleAnswerSchema = z
  .object({
    format: z.literal("itrans-proof@v1"),
    ledgerId: z.string(),
    index: z.number().int(),
    entry: z.string().openapi({ description: "Base64 of the canonical JSON that was hashed." }),
    entryHash: hashHex,
    inclusionProof: z.array(hashHex),
    checkpoint: z.string().openapi({ description: "The signed note, verbatim." }),
    anchor: z
      .object({
        chainId: z.number().int(),
        contractAddress: z.string(),
        txHash: z.string(),
        blockNumber: z.number().int(),
        blockHash: z.string(),
        logIndex: z.number().int(),
        size: z.number().int(),
        rootHash: hashHex,
        consistencyProof: z.array(hashHex),
      })
      .nullable()
      .openapi({ description: "The first final anchor that covers the entry, and the proof from its tree." }),
    anchored: z.object({
      status: z.enum(["confirmed", "submitted", "none"]),
      reason: z.string().nullable(),
      retryAfterSeconds: z.number().int().nullable(),
    }),
  })
  .openapi("ProofBundle");
