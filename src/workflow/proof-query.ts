/** Which of a subject's entries is proved. */
import { z } from "@hono/zod-openapi";

export const proofQuery = z.object({
  seq: z.coerce.number().int().nonnegative().optional().openapi({ description: "One of the subject's own entries." }),
});

/** @param own seqs of the subject's entries, the newest first; undefined for steps not taken yet. */
export function chooseSeq(own: readonly (number | undefined)[], asked: number | undefined): number | undefined {
  const seqs = own.filter((seq) => seq !== undefined);
  return asked === undefined ? seqs[0] : seqs.find((seq) => seq === asked);
}
