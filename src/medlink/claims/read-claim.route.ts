import { z } from "@hono/zod-openapi";
import { view } from "../audit/audited.edge.ts";
import { showSubmission } from "../auto-submit/submit.edge.ts";
import { cachedInsurers, cachedProviders } from "../cache/record-cache.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import type { Claim } from "./claim.ts";
import { readWholeClaim } from "./claims.store.ts";
import { claimSchema, showClaim, submissionSchema } from "./show-claim.ts";

/** What core says of a request: passed on as it is, for core's contract to define. */
const coreViewSchema = z.object({
  available: z.boolean(),
  state: z.unknown().optional(),
  ledger: z.unknown().optional(),
  anchor: z.unknown().optional(),
});

const timelineSchema = z.object({
  kind: z.string(),
  status: z.string(),
  actor: z.string(),
  detail: z.string().nullable(),
  eventId: z.string().nullable(),
  ledgerSeq: z.number().int().nullable(),
  entryHash: z.string().nullable(),
  at: z.string(),
});

export const readClaim = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}",
    summary: "One claim with its timeline and, once submitted, its place in the ledger and its anchor",
    params: z.object({ claimId: z.string() }),
    body: none,
    answers: {
      200: {
        description: "The claim",
        schema: claimSchema.extend({
          providerName: z.string().nullable(),
          insurerName: z.string().nullable(),
          correctedBy: z.object({ claimId: z.string(), submitted: z.boolean() }).nullable(),
          timeline: z.array(timelineSchema),
          itransSubmission: submissionSchema.optional(),
          itrans: coreViewSchema.nullable(),
        }),
      },
    },
  },
  async (input) => {
    const { hub, user, params, correlationId } = input;
    const { claimId } = params;
    const whole = await readWholeClaim(hub.db, hub.fields, user.clinicId, claimId, [
      view(input, "claim.view", claimId, { onlyWithClaim: claimId }),
    ]);
    if (whole === undefined) return notFound("claim");
    const { claim, timeline, job, correction } = whole;
    const [itrans, providers, insurers] = await Promise.all([
      readCoreView(hub, claim, correlationId),
      cachedProviders(hub, user.clinicId, [claim.providerId]),
      cachedInsurers(hub, user.clinicId, [claim.insurerId]),
    ]);
    return ok(200, {
      ...showClaim(claim),
      providerName: providers.get(claim.providerId)?.name ?? null,
      insurerName: insurers.get(claim.insurerId)?.name ?? null,
      correctedBy:
        correction === undefined ? null : { claimId: correction.claimId, submitted: correction.requestId !== null },
      ...(job === undefined ? {} : { itransSubmission: showSubmission(job) }),
      timeline: timeline.map(({ kind, status, actor, detail, eventId, ledgerSeq, entryHash, at }) => ({
        kind,
        status,
        actor,
        detail,
        eventId,
        ledgerSeq,
        entryHash,
        at: iso(at),
      })),
      itrans,
    });
  },
);

/** @returns null while the claim is not at core; `available: false` when core does not answer in time. */
async function readCoreView(
  hub: Hub,
  claim: Claim,
  correlationId: string,
): Promise<z.output<typeof coreViewSchema> | null> {
  if (claim.requestId === undefined) return null;
  const answer = await hub.core.call({
    method: "GET",
    path: `/workflow/requests/${encodeURIComponent(claim.requestId)}`,
    surface: "workflow",
    correlationId,
    timeoutMs: hub.settings.ITRANS_READ_TIMEOUT_MS,
  });
  if (answer.type !== "answered" || answer.status !== 200) return { available: false };
  try {
    const view = z
      .object({ state: z.unknown(), ledger: z.unknown(), anchor: z.unknown() })
      .partial()
      .parse(JSON.parse(answer.text));
    return { available: true, ...view };
  } catch {
    return { available: false };
  }
}
