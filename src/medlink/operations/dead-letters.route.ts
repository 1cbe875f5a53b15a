/** Dead letters, decided over the hub: replayed one by one or many at once, or given up for good. Core decides; the hub notes who asked. */
import { z } from "@hono/zod-openapi";
import { none, operatorOperation } from "../operation.edge.ts";
import { operateCore } from "./core-answer.edge.ts";
import { reasonCode } from "./reason-code.ts";

const LETTERS = "/relay/workflow/dead-letters";

const answers = { 200: { description: "As iTrans answers" } };

const oneLetter = z.object({ outboxId: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER) });

export const replayDeadLetter = operatorOperation(
  {
    method: "post",
    path: "/api/operations/relay/dead-letters/{outboxId}/replay",
    summary: "Send a dead letter again, with all its retries; the later events of its request follow it",
    params: oneLetter,
    body: none,
    answers,
  },
  (input) => {
    const { outboxId } = input.params;
    const path = `${LETTERS}/${outboxId}/replay`;
    return operateCore({ ...input, body: undefined, action: "relay.replay", subject: String(outboxId), path });
  },
);

const epochMs = z.number().int().nonnegative();

export const replayDeadLetters = operatorOperation(
  {
    method: "post",
    path: "/api/operations/relay/dead-letters/replay",
    summary: "Send many dead letters again, by destination, time or error, in the order of the ledger",
    params: none,
    body: z
      .strictObject({
        destinationId: z.string().max(64).optional(),
        since: epochMs.optional().openapi({ description: "Given up at this time or later; epoch ms" }),
        until: epochMs.optional().openapi({ description: "Given up before; epoch ms" }),
        errorClass: z.string().max(40).optional(),
        limit: z.number().int().min(1).max(1_000).default(500),
        perMinute: z.number().int().min(1).max(60_000).default(120),
      })
      .refine((body) => Object.values(body).filter((value) => value !== undefined).length > 2, {
        message: "Name a destination, a time or an error: everything at once is never meant.",
      }),
    answers,
  },
  (input) => {
    const { destinationId = "relay" } = input.body;
    return operateCore({ ...input, action: "relay.replayMany", subject: destinationId, path: `${LETTERS}/replay` });
  },
);

export const discardDeadLetter = operatorOperation(
  {
    method: "post",
    path: "/api/operations/relay/dead-letters/{outboxId}/discard",
    summary: "Give a dead letter up, for good, and the later events of its request with it or not",
    params: oneLetter,
    body: z.strictObject({
      reason: reasonCode,
      rest: z.enum(["discard", "release"]).default("discard"),
    }),
    answers,
  },
  (input) => {
    const subject = String(input.params.outboxId);
    const path = `${LETTERS}/${subject}/discard`;
    return operateCore({ ...input, action: "relay.discard", subject, detail: input.body.reason, path });
  },
);
