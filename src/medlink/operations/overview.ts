/** The whole system at a glance, as the API and the console show it. What is not known is null. */
import * as z from "zod";

const count = z.number().int();

export const overviewSchema = z.object({
  timestamp: z.string(),
  /** The worst of the three. */
  status: z.enum(["ok", "degraded", "down"]),
  hub: z.object({
    status: z.enum(["ok", "down"]),
    version: z.string(),
    commit: z.string(),
    database: z.object({ ok: z.boolean(), latencyMs: z.number() }),
  }),
  core: z.object({
    status: z.enum(["ok", "degraded", "down", "unreachable"]),
    version: z.string().nullable(),
    commit: z.string().nullable(),
    uptimeSec: z.number().nullable(),
    database: z.object({ ok: z.boolean(), latencyMs: z.number() }).nullable(),
  }),
  relay: z.object({
    status: z.enum(["idle", "delivering", "paused", "stalled", "unknown"]),
    destinations: z.array(
      z.object({
        destinationId: z.string(),
        kind: z.string(),
        state: z.enum(["active", "paused", "broken"]),
        pending: count,
        deadLetters: count,
      }),
    ),
  }),
  ledger: z.object({ size: count.nullable(), lastVerifiedAt: z.string().nullable() }),
  anchor: z.object({
    state: z.string(),
    reason: z.string().nullable(),
    anchoredSize: count.nullable(),
    last: z
      .object({
        size: count,
        txHash: z.string().nullable(),
        blockNumber: count.nullable(),
        confirmedAt: z.string().nullable(),
      })
      .nullable(),
  }),
  queues: z.object({
    autoSubmit: z.object({ depth: count, failed: count, oldestDueAgeSec: z.number().nullable() }).nullable(),
    outbox: z
      .object({
        pending: count,
        retrying: count,
        waiting: count,
        deadLetters: count,
        delivered: count,
        oldestPendingAgeSec: z.number().nullable(),
      })
      .nullable(),
  }),
  autoSubmit: z
    .object({ enabled: z.boolean(), heldByOperator: z.boolean(), core: z.enum(["closed", "open", "ramping"]) })
    .nullable(),
});

export type Overview = z.output<typeof overviewSchema>;
