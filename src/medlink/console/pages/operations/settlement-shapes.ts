/** What the pages about money take from core's answers; whatever else they say is left alone. */
import * as z from "zod";

export const STATUSES = ["PENDING", "PROCESSING", "COMPLETED", "REJECTED", "FAILED"] as const;
export const TYPES = ["payment", "reversal", "adjustment"] as const;

const moment = z.iso.datetime().transform((text) => Date.parse(text));

const settlement = {
  refId: z.string(),
  claimId: z.string(),
  subject: z.string(),
  tenantId: z.string(),
  type: z.enum(TYPES),
  amountCents: z.number(),
  currency: z.string(),
  status: z.enum(STATUSES),
  operatorTransactionId: z.string().nullable(),
  reason: z.string().nullable(),
  reverses: z.string().nullable(),
  replays: z.number(),
  createdAt: moment,
  updatedAt: moment,
};

export const settlementsShape = z.object({
  settlements: z.array(z.object(settlement)),
  nextCursor: z.number().nullable(),
});
export type Settlements = z.output<typeof settlementsShape>;
export type SettlementLine = Settlements["settlements"][number];

export const settlementShape = z.object({
  ...settlement,
  events: z.array(
    z.object({
      type: z.string(),
      at: moment,
      seq: z.number(),
      entryHash: z.string(),
      data: z.record(z.string(), z.unknown()),
    }),
  ),
  operator: z
    .object({
      dueAt: moment.nullable(),
      inDoubt: z.boolean(),
      sends: z.number(),
      waits: z.number(),
      lastAnswer: z.string().nullable(),
      askedAt: moment.nullable(),
      correlationId: z.string(),
    })
    .nullable(),
});
export type Settlement = z.output<typeof settlementShape>;

const run = z.object({
  runId: z.string(),
  kind: z.enum(["daily", "custom"]),
  from: z.string(),
  to: z.string(),
  state: z.enum(["running", "completed", "failed"]),
  progress: z.number(),
  ours: z.number(),
  theirs: z.number(),
  agreed: z.number(),
  inFlight: z.number(),
  asked: z.number(),
  mismatches: z.number(),
  reason: z.string().nullable(),
  startedAt: z.number(),
});
export type Run = z.output<typeof run>;

export const runsShape = z.object({ openItems: z.number(), runs: z.array(run), next: z.string().nullable() });
export type Runs = z.output<typeof runsShape>;

export const KINDS = ["missing_at_operator", "missing_here", "type", "amount", "currency", "status"] as const;
export const ITEM_STATES = ["open", "resolved"] as const;

const side = z.object({
  type: z.string(),
  amountCents: z.number(),
  currency: z.string(),
  status: z.string(),
  operatorTransactionId: z.string().optional(),
});
export type Side = z.output<typeof side>;

export const itemShape = z.object({
  itemId: z.number(),
  refId: z.string(),
  kind: z.enum(KINDS),
  day: z.string(),
  tenantId: z.string().nullable(),
  ours: side.nullable(),
  theirs: side.nullable(),
  state: z.enum(ITEM_STATES),
  owner: z.string().nullable(),
  resolution: z.string().nullable(),
  reason: z.string().nullable(),
  resolvedBy: z.string().nullable(),
  runId: z.string(),
  foundAt: z.number(),
  seenAt: z.number(),
  resolvedAt: z.number().nullable(),
});
export type Item = z.output<typeof itemShape>;

export const itemsShape = z.object({
  openItems: z.number(),
  items: z.array(itemShape),
  nextBefore: z.number().nullable(),
});
export type Items = z.output<typeof itemsShape>;

export const KEY_STATES = ["PROCESSING", "COMPLETED"] as const;

export const keysShape = z.object({
  keys: z.array(
    z.object({
      keyId: z.string(),
      scope: z.string(),
      tenantId: z.string(),
      state: z.enum(KEY_STATES),
      effectId: z.string(),
      status: z.number().nullable(),
      correlationId: z.string(),
      resolvedBy: z.string().nullable(),
      busyUntil: moment,
      createdAt: moment,
    }),
  ),
});
export type Keys = z.output<typeof keysShape>;
