/** Which of a subject's entries is proved. */
import { z } from "@hono/zod-openapi";
import { wholeNumber } from "../ledger/proof-schema.ts";

export const proofQuery = z.object({
  seq: wholeNumber().optional().openapi({ description: "One of the subject's own entries." }),
});

/** @param own seqs of the subject's entries, the newest first. */
export function chooseSeq(own: readonly number[], asked: number | undefined): number | undefined {
  return asked === undefined ? own[0] : own.find((seq) => seq === asked);
}
