/** What the overview takes from core's answers; whatever else they say is left alone. */
import * as z from "zod";

export const coreHealthSchema = z.object({
  status: z.enum(["ok", "degraded", "down"]),
  uptime: z.number(),
  database: z.object({ ok: z.boolean(), latencyMs: z.number() }),
  ledger: z.object({ size: z.number().nullable(), lastVerifiedAt: z.string().nullable() }),
  chain: z.object({ state: z.string(), reason: z.string().nullable(), anchoredSize: z.number().nullable() }),
});

export const coreVersionSchema = z.object({ version: z.string(), commit: z.string() });

const counts = {
  pending: z.number(),
  retrying: z.number(),
  waiting: z.number(),
  deadLetterCount: z.number(),
  oldestPendingAgeMs: z.number().nullable(),
};

export const relayStatusSchema = z.object({
  status: z.enum(["idle", "backlog"]),
  paused: z.boolean(),
  deliveredCount: z.number(),
  ...counts,
  destinations: z.array(
    z.object({ destinationId: z.string(), kind: z.string(), state: z.enum(["active", "paused", "broken"]), ...counts }),
  ),
});

export type RelayStatusView = z.output<typeof relayStatusSchema>;

const anchorSchema = z.object({
  size: z.number(),
  state: z.string(),
  txHash: z.string(),
  blockNumber: z.number().nullable(),
  confirmedAt: z.string().nullable(),
});

export const anchorsSchema = z.object({ anchors: z.array(anchorSchema) });

/** A receiver that takes its whole timeout, and one try more. */
const STALLED_AFTER_MS = 120_000;

export type RelayState = "idle" | "delivering" | "paused" | "stalled" | "unknown";

/**
 * The relay has no address that the hub could ask; what it does shows it. Stalled: something that neither waits for an anchor
 * nor was tried before has been on its way for two minutes at a destination that is not paused or broken.
 */
export function relayStateOf(status: RelayStatusView | undefined): RelayState {
  if (status === undefined) return "unknown";
  if (status.paused) return "paused";
  const stalled = status.destinations.some(
    ({ state, pending, retrying, waiting, oldestPendingAgeMs }) =>
      state === "active" && pending > retrying + waiting && (oldestPendingAgeMs ?? 0) > STALLED_AFTER_MS,
  );
  if (stalled) return "stalled";
  return status.pending > 0 ? "delivering" : "idle";
}

/** @returns undefined when the text is not of this shape: an answer that cannot be read is no answer. */
export function readAnswer<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
