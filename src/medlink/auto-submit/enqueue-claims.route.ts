import { z } from "@hono/zod-openapi";
import { WHOLE_HUB } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "../claims/claim.ts";
import { isSubmittable } from "../claims/claim-state.ts";
import { type ClaimKey, findClaim, findClaimKeys, listUnsubmittedClaims } from "../claims/claims.store.ts";
import type { Hub } from "../hub.edge.ts";
import { clinicInReach, none, ok, staffOperation } from "../operation.edge.ts";
import { encodeCursor, type Page, type PageKey } from "../page.ts";
import { cursorSchema } from "../page-query.ts";
import { wakeConsumers } from "./drain.edge.ts";
import { findLiveJob } from "./jobs.store.ts";
import { queueClaim, queueRoom } from "./submit.edge.ts";

const RESULTS = ["queued", "already_queued", "already_submitted", "not_found", "changed", "queue_full"] as const;

const reportSchema = z.object({
  claimId: z.string(),
  result: z.enum(RESULTS),
  jobId: z.string().nullable(),
});
type Report = z.output<typeof reportSchema>;

const unsubmitted = z.enum(CLAIM_STATUSES).extract(["draft", "pending"]);

const bodySchema = z.union([
  z.strictObject({ claimIds: z.array(z.string().max(64)).min(1).max(200) }),
  z.strictObject({
    filter: z.object({
      clinicId: z.string().max(64).optional().openapi({ description: "The operator's choice; else one's own" }),
      status: unsubmitted.default("draft").openapi({ description: "pending: failed, or set aside by a person" }),
      type: z.enum(CLAIM_TYPES).optional(),
      since: z.iso.datetime({ offset: true }).optional().openapi({ description: "Filed at this time or later" }),
    }),
    limit: z.number().int().min(1).max(200).default(100),
    cursor: cursorSchema,
  }),
]);

/** How many claims, and the first; or whose, and in which status. */
function toldClaims(body: z.output<typeof bodySchema>): readonly string[] {
  if ("claimIds" in body) return [`claims_${body.claimIds.length}`, ...body.claimIds.slice(0, 1).map(toldId)];
  const { clinicId, status } = body.filter;
  return [clinicId === undefined ? WHOLE_HUB : toldId(clinicId), status];
}

export const enqueueClaims = staffOperation(
  {
    method: "post",
    path: "/api/itrans/auto-submit/enqueue",
    summary:
      "Queue claims that are not submitted: those named, or those a filter finds; go on with nextCursor until it is null",
    roles: ["billing", "admin"],
    params: none,
    body: bodySchema,
    trail: ({ body }) => ({ action: "HUB_AUTO_SUBMIT_ENQUEUE", to: toldClaims(body) }),
    answers: {
      200: {
        description: "What became of each claim; a claim has at most one live job",
        schema: z.object({
          queued: z.number().int(),
          claims: z.array(reportSchema),
          queueFull: z.boolean(),
          nextCursor: z.string().nullable(),
        }),
      },
    },
  },
  async ({ hub, actor, body, correlationId }) => {
    let page: Page<ClaimKey>;
    const missing: Report[] = [];
    let after: PageKey | undefined;
    if ("claimIds" in body) {
      const ids = [...new Set(body.claimIds)];
      const found = await findClaimKeys(hub.db, actor.clinicId, ids);
      const known = new Set(found.map(({ claimId }) => claimId));
      for (const claimId of ids) if (!known.has(claimId)) missing.push({ claimId, result: "not_found", jobId: null });
      page = { items: found, nextCursor: undefined };
    } else {
      const reach = clinicInReach(actor, body.filter.clinicId);
      if (!reach.ok) return reach.answer;
      const { status, type, since } = body.filter;
      const filter = { clinicId: reach.clinicId, status, type, since: since === undefined ? 0 : Date.parse(since) };
      after = body.cursor;
      page = await listUnsubmittedClaims(hub.db, filter, { limit: body.limit, after });
    }
    const reports: Report[] = [];
    let room = await queueRoom(hub);
    let stopped = false;
    for (const key of page.items) {
      if (stopped) {
        if ("claimIds" in body) reports.push({ claimId: key.claimId, result: "queue_full", jobId: null });
        continue;
      }
      const report = await enqueue(hub, key, { userId: actor.name, correlationId }, room > 0);
      reports.push(report);
      if (report.result === "queued") room--;
      if (report.result === "queue_full") stopped = true;
      else after = { createdAt: key.createdAt, id: key.claimId };
    }
    const queued = reports.filter(({ result }) => result === "queued").length;
    if (queued > 0) await wakeConsumers(hub);
    const stoppedAt = after === undefined ? "" : encodeCursor(after);
    const nextCursor = "claimIds" in body ? null : stopped ? stoppedAt : (page.nextCursor ?? null);
    return ok(200, { queued, claims: [...reports, ...missing], queueFull: stopped, nextCursor });
  },
);

async function enqueue(
  hub: Hub,
  { claimId, clinicId }: ClaimKey,
  by: { readonly userId: string; readonly correlationId: string },
  hasRoom: boolean,
): Promise<Report> {
  const live = await findLiveJob(hub.db, clinicId, claimId);
  if (live !== undefined) return { claimId, result: "already_queued", jobId: live.jobId };
  const claim = await findClaim(hub.db, hub.fields, clinicId, claimId);
  if (claim === undefined) return { claimId, result: "not_found", jobId: null };
  if (!isSubmittable(claim)) return { claimId, result: "already_submitted", jobId: null };
  if (!hasRoom) return { claimId, result: "queue_full", jobId: null };
  const submission = await queueClaim(hub, claim, by);
  if (submission === undefined) return { claimId, result: "changed", jobId: null };
  return submission.queued
    ? { claimId, result: "queued", jobId: submission.jobId }
    : { claimId, result: "queue_full", jobId: null };
}
