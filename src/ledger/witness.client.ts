/** The log's side of the witness protocol: one witness is asked for its cosignature, within a bounded time. */

import { parseSize } from "./checkpoint.ts";
import type { Hash } from "./hash.ts";
import type { Witness } from "./log-settings.ts";
import { type CosignResult, cosignatureIn, formatAddCheckpoint, SIZE_CONTENT_TYPE } from "./witness.ts";

export interface CosignRequest {
  readonly size: number;
  /** The signed text of the checkpoint, and the note. */
  readonly text: string;
  readonly note: string;
  /** What the witness cosigned last, as far as we know. */
  readonly oldSize: number;
  readonly prove: (from: number) => Promise<readonly Hash[]>;
  readonly timeoutMs: number;
}

/** Asks once, and once more when the witness says which size it is at. */
export async function askWitness(witness: Witness, request: CosignRequest): Promise<CosignResult> {
  let oldSize = Math.min(request.oldSize, request.size);
  for (let attempt = 1; ; attempt++) {
    const proof = oldSize === 0 ? [] : await request.prove(oldSize);
    let answer: Response;
    let body: string;
    try {
      answer = await fetch(`${witness.url}/add-checkpoint`, {
        method: "POST",
        body: formatAddCheckpoint({ oldSize, proof, checkpoint: request.note }),
        redirect: "manual",
        signal: AbortSignal.timeout(request.timeoutMs),
      });
      body = await answer.text();
    } catch {
      return { type: "unreachable" };
    }
    if (answer.status === 200) {
      const signature = await cosignatureIn(body, request.text, witness.key);
      return signature === undefined ? { type: "refused", status: 200 } : { type: "cosigned", signature };
    }
    const known =
      answer.status === 409 && (answer.headers.get("content-type") ?? "").startsWith(SIZE_CONTENT_TYPE)
        ? parseSize(body.trim())
        : undefined;
    if (attempt > 1 || known === undefined || known === oldSize || known > request.size) {
      return { type: "refused", status: answer.status };
    }
    oldSize = known;
  }
}
