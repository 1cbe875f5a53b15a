/** Runs and items as the API shows them. */
import { z } from "@hono/zod-openapi";
import { reasonSchema } from "../../relay/dead-letter-query.ts";
import { MISMATCH_KINDS } from "./compare.ts";
import { type Item, RESOLUTIONS } from "./items.ts";
import { progressOf, RUN_STATES, type Run } from "./run.ts";

export const daySchema = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}$/, "must be YYYY-MM-DD")
  .openapi({ example: "2026-11-21", description: "UTC." });

export const runIdParams = z.object({
  runId: z
    .string()
    .regex(/^[a-z0-9-]{1,80}$/, "is not one of ours")
    .openapi({ param: { name: "runId", in: "path" }, example: "daily-2026-11-21" }),
});

export const itemIdParams = z.object({
  itemId: z.coerce
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .openapi({ param: { name: "itemId", in: "path" } }),
});

/** An opaque name of somebody, such as a key's id: it names no person. */
export const ownerSchema = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,64}$/, "must be an opaque id of letters, digits, dots, colons, underscores and hyphens");

export { reasonSchema };

const moment = z.number().int().openapi({ description: "Epoch ms." });
const count = z.number().int();

export const runSchema = z
  .object({
    runId: z.string(),
    kind: z.enum(["daily", "custom"]),
    from: daySchema,
    to: daySchema,
    state: z.enum(RUN_STATES),
    startedBy: z.string(),
    day: daySchema.openapi({ description: "Under way; the last one when it is completed." }),
    progress: z.number().openapi({ description: "0 to 1." }),
    ours: count.openapi({ description: "Settlements of ours compared so far." }),
    theirs: count,
    agreed: count,
    inFlight: count,
    asked: count.openapi({ description: "Questions about what is missing in the operator's list." }),
    mismatches: count.openapi({ description: "Found in this run, those known before included." }),
    failures: count.openapi({ description: "Steps in a row that the operator did not answer." }),
    reason: z.string().nullable(),
    dueAt: moment,
    startedAt: moment,
    endedAt: moment.nullable(),
  })
  .openapi("ReconciliationRun");

export const runView = (run: Run): z.output<typeof runSchema> => ({
  runId: run.runId,
  kind: run.kind,
  from: run.fromDay,
  to: run.toDay,
  state: run.state,
  startedBy: run.startedBy,
  day: run.day,
  progress: progressOf(run),
  ours: run.ours,
  theirs: run.theirs,
  agreed: run.agreed,
  inFlight: run.inFlight,
  asked: run.asked,
  mismatches: run.mismatches,
  failures: run.failures,
  reason: run.reason,
  dueAt: run.dueAt,
  startedAt: run.startedAt,
  endedAt: run.endedAt,
});

const side = {
  type: z.string(),
  amountCents: z.number().int().openapi({ description: "Minor units of the currency." }),
  currency: z.string(),
  status: z.string(),
};

export const itemSchema = z
  .object({
    itemId: z.number().int(),
    refId: z.string(),
    kind: z.enum(MISMATCH_KINDS),
    day: daySchema,
    tenantId: z.string().nullable(),
    ours: z.object(side).nullable().openapi({ description: "Null: not here." }),
    theirs: z
      .object({ ...side, operatorTransactionId: z.string() })
      .nullable()
      .openapi({ description: "Null: not at the operator." }),
    state: z.enum(["open", "resolved"]),
    owner: z.string().nullable(),
    resolution: z.enum(RESOLUTIONS).nullable(),
    reason: z.string().nullable(),
    resolvedBy: z.string().nullable(),
    runId: z.string().openapi({ description: "That found it first." }),
    foundAt: moment,
    seenAt: moment,
    resolvedAt: moment.nullable(),
  })
  .openapi("ReconciliationItem");

export const itemView = (item: Item): z.output<typeof itemSchema> => ({ ...item });

export const NO_RUN = { code: "not_found", detail: "There is no run of this id." } as const;
export const NO_ITEM = { code: "not_found", detail: "There is no item of this id." } as const;
export const NOT_OPEN = { code: "conflict", detail: "This item is resolved already." } as const;
