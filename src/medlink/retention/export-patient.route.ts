import { z } from "@hono/zod-openapi";
import { utf8 } from "../../platform/encoding.ts";
import { listAttachments } from "../attachments/attachments.store.ts";
import { showAttachment } from "../attachments/show-attachment.ts";
import { listAuditEvents } from "../audit/audit.store.ts";
import { type Deed, viewed } from "../audit/audited.edge.ts";
import type { Claim } from "../claims/claim.ts";
import { listClaims, readTimeline } from "../claims/claims.store.ts";
import { showClaim } from "../claims/show-claim.ts";
import { none, notFound, operation } from "../operation.edge.ts";
import { decodeCursor, type PageKey } from "../page.ts";
import { iso } from "../page-query.ts";
import { findPatient } from "../records/patients.store.ts";
import type { Patient } from "../records/record.ts";
import { showPatient } from "../records/schemas.ts";
import { findPayments } from "../remittances/remittances.store.ts";

const CLAIMS_A_PAGE = 20;
const AUDIT_LIMIT = 200;
/** Past it the file ends and says so. */
const MAX_PAGES = 5_000;

export const exportPatient = operation(
  {
    method: "get",
    path: "/api/patients/{patientId}/export",
    summary: "Everything the hub holds of one person, as one JSON file",
    roles: ["admin"],
    params: z.object({ patientId: z.string() }),
    body: none,
    answers: { 200: { description: "The file", schema: z.unknown() } },
  },
  async (input) => {
    const { hub, user, params } = input;
    const patient = await findPatient(hub.db, hub.fields, user.clinicId, params.patientId);
    if (patient === undefined) return notFound("patient");
    await viewed(input, "patient.export", patient.patientId);
    const parts = pieces(input, patient);
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done === true) controller.close();
        else controller.enqueue(utf8(value));
      },
    });
    return {
      type: "raw",
      response: new Response(body, {
        headers: {
          "content-type": "application/json",
          "content-disposition": `attachment; filename="${patient.patientId}.json"`,
          "cache-control": "private, no-store",
        },
      }),
    };
  },
);

/** The file's text, a page of claims at a time: it is never held whole. */
async function* pieces(deed: Deed, patient: Patient): AsyncGenerator<string, void> {
  const { hub, user } = deed;
  const { patientId } = patient;
  const facts = { format: "medlink-patient@v1", exportedAt: iso(hub.now()), patient: showPatient(patient) };
  yield `${JSON.stringify(facts).slice(0, -1)},"seenAndChanged":${JSON.stringify(await auditOf(deed, patientId))},"claims":[`;
  let after: PageKey | undefined;
  let separator = "";
  let more = true;
  for (let page = 0; more && page < MAX_PAGES; page++) {
    const query = { patientId, limit: CLAIMS_A_PAGE, after };
    const claims = await listClaims(hub.db, hub.fields, user.clinicId, query);
    for (const claim of claims.items) {
      yield separator + JSON.stringify(await whole(deed, claim));
      separator = ",";
    }
    after = claims.nextCursor === undefined ? undefined : decodeCursor(claims.nextCursor);
    more = after !== undefined;
  }
  yield `],"complete":${!more}}\n`;
}

async function whole(deed: Deed, claim: Claim): Promise<unknown> {
  const { hub, user } = deed;
  const { claimId } = claim;
  const [timeline, attachments, payments, audit] = await Promise.all([
    readTimeline(hub.db, user.clinicId, claimId),
    listAttachments(hub.db, hub.fields, user.clinicId, claimId),
    findPayments(hub.db, user.clinicId, claimId),
    auditOf(deed, claimId),
  ]);
  return {
    ...showClaim(claim),
    timeline: timeline.map(({ claimEventId: _, claimId: __, clinicId: ___, at, ...event }) => ({
      ...event,
      at: iso(at),
    })),
    attachments: attachments.map((attachment) => ({
      ...showAttachment(attachment),
      file: `/api/claims/${claimId}/attachments/${attachment.attachmentId}`,
    })),
    payments,
    seenAndChanged: audit,
  };
}

async function auditOf({ hub, user }: Deed, subject: string): Promise<unknown> {
  const filter = { clinicId: user.clinicId, subject, changesOnly: false };
  const { items } = await listAuditEvents(hub.db, filter, { limit: AUDIT_LIMIT, after: undefined });
  return items.map(({ actor, action, at }) => ({ actor, action, at: iso(at) }));
}
