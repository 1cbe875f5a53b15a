import { z } from "@hono/zod-openapi";
import { view } from "../audit/audited.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { CLAIM_STATUSES } from "./claim.ts";
import { readWholeClaim } from "./claims.store.ts";
import { readCoreHistory } from "./core-request.edge.ts";
import { mergeTimeline } from "./timeline.ts";

const ledgerPlaceSchema = z.object({
  seq: z.number().int(),
  entryHash: z.string(),
  anchored: z.boolean().nullable().openapi({ description: "null: core did not answer" }),
  txHash: z.string().nullable(),
});

export const readTimelineRoute = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}/timeline",
    summary: "Everything that happened to a claim, with each entry's place in the ledger and its anchor",
    params: z.object({ claimId: z.string() }),
    body: none,
    answers: {
      200: {
        description: "The events, oldest first",
        schema: z.object({
          coreAvailable: z.boolean().nullable().openapi({ description: "null: the claim is not at core yet" }),
          events: z.array(
            z.object({
              kind: z.string(),
              status: z.enum(CLAIM_STATUSES),
              actor: z.string(),
              detail: z.string().nullable(),
              at: z.string(),
              ledger: ledgerPlaceSchema.nullable(),
            }),
          ),
        }),
      },
    },
  },
  async (input) => {
    const { hub, user, params, correlationId } = input;
    const { claimId } = params;
    const whole = await readWholeClaim(hub.db, hub.fields, user.clinicId, claimId, [
      view(input, "claim.view", claimId, { detail: "timeline", onlyWithClaim: claimId }),
    ]);
    if (whole === undefined) return notFound("claim");
    const { requestId } = whole.claim;
    const core = requestId === undefined ? undefined : await readCoreHistory(hub, requestId, correlationId);
    const events = mergeTimeline(whole.timeline, core?.events, core?.anchors ?? []);
    return ok(200, {
      coreAvailable: requestId === undefined ? null : core !== undefined,
      events: events.map((event) => ({ ...event, at: iso(event.at) })),
    });
  },
);
