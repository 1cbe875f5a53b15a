/**
 * Files claims that came as FHIR resources: all of them or none, in one batch. A claim with an identifier is filed once, whoever
 * sends it again and however often.
 */
import type { User } from "../accounts/user.ts";
import { auditInsert } from "../audit/audit.store.ts";
import { isAutoSubmitOn, queueStatements } from "../auto-submit/submit.edge.ts";
import { wake } from "../auto-submit/wake.edge.ts";
import { DECIDE_AGAIN_LIMIT, isTaken } from "../batch.store.ts";
import type { Claim } from "../claims/claim.ts";
import { claimInsert, findClaim, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { newId } from "../ids.ts";
import { filedSourcesInsert } from "../keys/filed-sources.store.ts";
import { missingParties } from "../records/records.store.ts";
import { type ClaimDraft, identifierOf, identifierToken } from "./claim-in.ts";
import { filedInsert, findFiled } from "./fhir.store.ts";
import type { Issue } from "./outcome.ts";

export interface FilingRequest {
  readonly draft: ClaimDraft;
  /** The value of If-None-Exist. */
  readonly ifNoneExist: string | undefined;
  /** FHIRPath of the claim. */
  readonly root: string;
}

export interface Filed {
  readonly claim: Claim;
  /** False: it was filed before. */
  readonly isNew: boolean;
}

export type FilingResult =
  | { readonly ok: true; readonly filed: readonly Filed[] }
  | { readonly ok: false; readonly status: 400 | 409 | 410 | 422; readonly issues: readonly Issue[] };

const PARTY_PATHS = { patientId: "patient", providerId: "provider", insurerId: "insurer" } as const;

export interface FilingBy {
  readonly user: Pick<User, "userId"> & { readonly clinicId: string };
  readonly correlationId: string;
}

export async function fileClaims(hub: Hub, requests: readonly FilingRequest[], by: FilingBy): Promise<FilingResult> {
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    try {
      return await fileOnce(hub, requests, by);
    } catch (thrown) {
      // Another call filed one of the identifiers meanwhile: now it is found.
      if (!isTaken(thrown, "fhir_claims.clinic_id")) throw thrown;
    }
  }
  throw new Error("an identifier was taken and not found, again and again");
}

type Planned =
  | { readonly type: "known"; readonly claim: Claim }
  | {
      readonly type: "new";
      readonly claim: Claim;
      readonly draft: ClaimDraft;
      readonly statements: readonly D1PreparedStatement[];
    };

async function fileOnce(hub: Hub, requests: readonly FilingRequest[], by: FilingBy): Promise<FilingResult> {
  const planned: Planned[] = [];
  const tokens = new Set<string>();
  for (const request of requests) {
    const token = tokenOf(request);
    if (token.type === "refused") return { ok: false, status: 400, issues: [token.issue] };
    if (token.token !== undefined && tokens.has(token.token)) {
      const expression = `${request.root}.identifier[0]`;
      return {
        ok: false,
        status: 400,
        issues: [{ code: "duplicate", text: "Two claims have this identifier.", expression }],
      };
    }
    if (token.token !== undefined) tokens.add(token.token);
    const plan = await planOf(hub, request, token.token, by);
    if ("ok" in plan) return plan;
    planned.push(plan);
  }
  const fresh = planned.flatMap((plan) => (plan.type === "new" ? [plan] : []));
  await fileAll(hub, fresh, by);
  return { ok: true, filed: planned.map(({ type, claim }) => ({ claim, isNew: type === "new" })) };
}

/** By which identifier the claim is known: that of If-None-Exist, else its first. */
function tokenOf({
  draft,
  ifNoneExist,
  root,
}: FilingRequest):
  | { readonly type: "token"; readonly token: string | undefined }
  | { readonly type: "refused"; readonly issue: Issue } {
  const own = (draft.details.identifiers ?? []).map(identifierToken);
  if (ifNoneExist === undefined) {
    const identifier = identifierOf(draft);
    return { type: "token", token: identifier === undefined ? undefined : identifierToken(identifier) };
  }
  const asked = [...new URLSearchParams(ifNoneExist.replace(/^\?/, ""))];
  const [[name, token] = ["", ""]] = asked;
  if (asked.length !== 1 || name !== "identifier" || !own.includes(token)) {
    const text = "If-None-Exist must be identifier=, with an identifier of the claim.";
    return { type: "refused", issue: { code: "not-supported", text, expression: `${root}.identifier` } };
  }
  return { type: "token", token };
}

async function planOf(
  hub: Hub,
  { draft, ifNoneExist, root }: FilingRequest,
  token: string | undefined,
  { user, correlationId }: FilingBy,
): Promise<Planned | Extract<FilingResult, { ok: false }>> {
  const { clinicId, userId } = user;
  const content = JSON.stringify(draft);
  const contentHashes = hub.fields.hashes("content", clinicId, content);
  const identifierHashes = token === undefined ? undefined : hub.fields.hashes("identifier", clinicId, token);
  const known = identifierHashes === undefined ? undefined : await findFiled(hub.db, clinicId, identifierHashes);
  const expression = `${root}.identifier`;
  if (known !== undefined) {
    const claim = await findClaim(hub.db, hub.fields, clinicId, known.claimId);
    if (claim === undefined) {
      return {
        ok: false,
        status: 410,
        issues: [{ code: "deleted", text: "The claim of this identifier is gone.", expression }],
      };
    }
    // With If-None-Exist the identifier alone counts (FHIR R4, conditional create).
    if (ifNoneExist === undefined && !contentHashes.includes(known.contentHash)) {
      const text = "A claim of this identifier was filed with another content.";
      return { ok: false, status: 409, issues: [{ code: "duplicate", text, expression }] };
    }
    return { type: "known", claim };
  }
  const missing = await missingParties(hub.db, clinicId, draft);
  if (missing.length > 0) {
    const issues = missing.map(
      (name): Issue => ({
        code: "business-rule",
        text: "This clinic has no such record.",
        expression: `${root}.${PARTY_PATHS[name]}`,
      }),
    );
    return { ok: false, status: 422, issues };
  }
  const now = hub.now();
  const claim: Claim = {
    claimId: newId("clm", hub.random),
    clinicId,
    patientId: draft.patientId,
    providerId: draft.providerId,
    insurerId: draft.insurerId,
    type: draft.type,
    status: "draft",
    amount: { minor: draft.amountMinor, currency: draft.currency },
    details: draft.details,
    requestId: undefined,
    requestIdHash: undefined,
    lastEvent: undefined,
    createdBy: userId,
    version: 0,
    createdAt: now,
    updatedAt: now,
  };
  const { claimId } = claim;
  return {
    type: "new",
    claim,
    draft,
    statements: [
      await claimInsert(hub.db, hub.fields, claim),
      timelineInsert(hub.db, {
        claimId,
        clinicId,
        kind: "created",
        status: "draft",
        actor: userId,
        detail: "fhir",
        at: now,
      }),
      auditInsert(hub.db, {
        clinicId,
        actor: userId,
        action: "claim.create",
        subject: claimId,
        detail: "fhir",
        correlationId,
        at: now,
      }),
      ...(identifierHashes === undefined || token === undefined
        ? []
        : [
            filedInsert(hub.db, {
              claimId,
              clinicId,
              identifierHash: identifierHashes[0],
              contentHash: contentHashes[0],
              now,
            }),
            await filedSourcesInsert(hub.db, hub.fields, [
              { claimId, clinicId, kind: "fhir", source: { key: token, content } },
            ]),
          ]),
    ],
  };
}

async function fileAll(
  hub: Hub,
  fresh: readonly Extract<Planned, { type: "new" }>[],
  { user, correlationId }: FilingBy,
): Promise<void> {
  const [first, ...rest] = fresh.flatMap(({ statements }) => statements);
  if (first === undefined) return;
  const queued = (await isAutoSubmitOn(hub, user.clinicId))
    ? fresh
        .filter(({ draft }) => draft.isActive)
        .map(({ claim }) => queueStatements(hub, claim, { userId: user.userId, correlationId }))
    : [];
  await batchWithEvents(hub, [first, ...rest, ...queued.flatMap(({ statements }) => [...statements])]);
  // A full queue takes no job; then the claim is a draft like any other, and nothing is found for it.
  for (const { job } of queued) await wake(hub, job.jobId);
}
