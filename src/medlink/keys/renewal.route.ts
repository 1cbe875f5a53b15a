import { z } from "@hono/zod-openapi";
import { none, type Operation, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { RE_ENCRYPT } from "./re-encrypt.edge.ts";
import { RE_HASH } from "./re-hash.edge.ts";
import { type Renewal, readRenewal, startRenewal, stepRenewal } from "./renewal.edge.ts";
import type { RenewalState } from "./renewal.ts";

const MAX_ROWS_A_CALL = 2_000;

const statusSchema = z
  .object({
    state: z.enum(["never", "running", "complete"]),
    keyId: z.string().openapi({ description: "The current key; not a secret" }),
    done: z.number().int(),
    total: z.number().int(),
    changed: z.number().int(),
    held: z.number().int().openapi({ description: "Rows left as they are: another has the same value" }),
    startedAt: z.string().nullable(),
    finishedAt: z.string().nullable(),
  })
  .openapi("Renewal");

function show(state: RenewalState | undefined, keyId: string): z.output<typeof statusSchema> {
  if (state === undefined) {
    return { state: "never", keyId, done: 0, total: 0, changed: 0, held: 0, startedAt: null, finishedAt: null };
  }
  const { done, total, changed, held, startedAt, finishedAt } = state;
  return {
    state: state.state,
    keyId: state.keyId,
    done,
    total,
    changed,
    held,
    startedAt: iso(startedAt),
    finishedAt: finishedAt === null ? null : iso(finishedAt),
  };
}

const operationsOf = (renewal: Renewal, what: string): readonly [Operation, Operation] => [
  staffOperation(
    {
      method: "post",
      path: `/api/admin/${renewal.task}`,
      summary: `${what}: begins, or does the next rows; the cron goes on by itself`,
      roles: [],
      params: none,
      body: z.object({
        start: z.boolean().default(false).openapi({ description: "Begin; what runs already goes on" }),
        rows: z.number().int().min(0).max(MAX_ROWS_A_CALL).default(1_000),
      }),
      trail: ({ body }) => (body.start ? { action: "HUB_RENEWAL_START", to: [renewal.task] } : undefined),
      answers: { 200: { description: "Where it stands", schema: statusSchema } },
    },
    async ({ hub, actor, body, correlationId }) => {
      if (body.start) await startRenewal(renewal, hub, { name: actor.name, correlationId });
      const state = body.rows === 0 ? await readRenewal(renewal, hub) : await stepRenewal(renewal, hub, body.rows);
      return ok(200, show(state, renewal.keyId(hub)));
    },
  ),
  staffOperation(
    {
      method: "get",
      path: `/api/admin/${renewal.task}`,
      summary: `${what}: how far it is`,
      roles: [],
      params: none,
      body: none,
      answers: { 200: { description: "Where it stands", schema: statusSchema } },
    },
    async ({ hub }) => ok(200, show(await readRenewal(renewal, hub), renewal.keyId(hub))),
  ),
];

export const RENEWALS: readonly Operation[] = [
  ...operationsOf(RE_ENCRYPT, "Seal personal fields under the current key"),
  ...operationsOf(RE_HASH, "Make the hashes that are searched by anew under the current key"),
];
