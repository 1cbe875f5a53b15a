import { z } from "@hono/zod-openapi";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { readReEncryption, startReEncryption, stepReEncryption } from "./re-encrypt.edge.ts";
import type { ReEncryptState } from "./re-encrypt.ts";

const MAX_ROWS_A_CALL = 2_000;

const statusSchema = z
  .object({
    state: z.enum(["never", "running", "complete"]),
    keyId: z.string().openapi({ description: "The current key; not a secret" }),
    done: z.number().int(),
    total: z.number().int(),
    changed: z.number().int(),
    startedAt: z.string().nullable(),
    finishedAt: z.string().nullable(),
  })
  .openapi("ReEncryption");

const show = (state: ReEncryptState | undefined, keyId: string): z.output<typeof statusSchema> =>
  state === undefined
    ? { state: "never", keyId, done: 0, total: 0, changed: 0, startedAt: null, finishedAt: null }
    : {
        state: state.state,
        keyId: state.keyId,
        done: state.done,
        total: state.total,
        changed: state.changed,
        startedAt: iso(state.startedAt),
        finishedAt: state.finishedAt === null ? null : iso(state.finishedAt),
      };

export const reEncrypt = staffOperation(
  {
    method: "post",
    path: "/api/admin/re-encrypt",
    summary: "Seal personal fields under the current key: begins, or does the next rows; the cron goes on by itself",
    roles: [],
    params: none,
    body: z.object({
      start: z.boolean().default(false).openapi({ description: "Begin; what runs already goes on" }),
      rows: z.number().int().min(0).max(MAX_ROWS_A_CALL).default(1_000),
    }),
    answers: { 200: { description: "Where it stands", schema: statusSchema } },
  },
  async ({ hub, actor, body, correlationId }) => {
    if (body.start) await startReEncryption(hub, { name: actor.name, correlationId });
    const state = body.rows === 0 ? await readReEncryption(hub) : await stepReEncryption(hub, body.rows);
    return ok(200, show(state, hub.fields.currentKeyId));
  },
);

export const readReEncryptStatus = staffOperation(
  {
    method: "get",
    path: "/api/admin/re-encrypt",
    summary: "How far the sealing under the current key is",
    roles: [],
    params: none,
    body: none,
    answers: { 200: { description: "Where it stands", schema: statusSchema } },
  },
  async ({ hub }) => ok(200, show(await readReEncryption(hub), hub.fields.currentKeyId)),
);
