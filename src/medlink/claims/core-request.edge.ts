/** What core says of a claim's request. */
import * as z from "zod";
import type { Hub } from "../hub.edge.ts";
import type { AnchorFact, LedgerFact } from "./timeline.ts";

const anchorSchema = z.object({
  anchored: z.boolean(),
  txHash: z.string().nullable(),
  size: z.number().int().nullable(),
});

const requestSchema = z.object({
  events: z
    .array(
      z.object({
        type: z.string().max(60),
        at: z.iso.datetime(),
        seq: z.number().int().nonnegative(),
        entryHash: z.string().regex(/^[0-9a-f]{64}$/),
        data: z.object({ decision: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]).optional().catch(undefined) }),
      }),
    )
    .max(1_000),
  anchor: anchorSchema,
});

const proofSchema = z.object({ anchor: z.object({ size: z.number().int(), txHash: z.string() }).nullable() });

/** Proofs asked for at once, when the newest entry is not anchored and older ones may be. */
const MAX_PROOFS = 8;

export interface CoreHistory {
  readonly events: readonly LedgerFact[];
  readonly anchors: readonly AnchorFact[];
}

const parsed = <Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined => {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
};

async function ask<Schema extends z.ZodType>(
  hub: Hub,
  path: string,
  schema: Schema,
  correlationId: string,
): Promise<z.output<Schema> | undefined> {
  const answer = await hub.core.call({
    method: "GET",
    path,
    surface: "workflow",
    correlationId,
    timeoutMs: hub.settings.ITRANS_READ_TIMEOUT_MS,
  });
  return answer.type === "answered" && answer.status === 200 ? parsed(schema, answer.text) : undefined;
}

/** @returns undefined when core does not answer in time, or not with what this understands. */
export async function readCoreHistory(
  hub: Hub,
  requestId: string,
  correlationId: string,
): Promise<CoreHistory | undefined> {
  const path = `/workflow/requests/${encodeURIComponent(requestId)}`;
  const view = await ask(hub, path, requestSchema, correlationId);
  if (view === undefined) return undefined;
  const events = view.events.map(({ type, at, seq, entryHash, data }) => ({
    type,
    at: Date.parse(at),
    seq,
    entryHash,
    decision: data.decision,
  }));
  const { anchored, txHash, size } = view.anchor;
  const newest = anchored && txHash !== null && size !== null ? [{ size, txHash }] : [];
  const uncovered = events.filter(({ seq }) => !newest.some((anchor) => anchor.size > seq)).slice(0, MAX_PROOFS);
  const proofs = await Promise.all(
    uncovered.map(({ seq }) => ask(hub, `${path}/proof?seq=${seq}`, proofSchema, correlationId)),
  );
  const others = proofs.flatMap((proof) => (proof === undefined || proof.anchor === null ? [] : [proof.anchor]));
  return { events, anchors: [...newest, ...others] };
}
