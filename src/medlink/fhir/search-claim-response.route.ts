import { z } from "@hono/zod-openapi";
import { findClaim } from "../claims/claims.store.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { acceptsJson } from "./answers.edge.ts";
import { showClaimResponse } from "./claim-out.ts";
import { baseOf, FHIR_WIRE } from "./fhir-wire.ts";
import { fromFhirId, idOfReference } from "./ids.ts";

export const searchFhirClaimResponse = operation(
  {
    method: "get",
    path: "/fhir/ClaimResponse",
    summary: "The response to a claim, by the claim",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({
      request: z.string().min(1).max(300).openapi({ description: "The claim: its id, Claim/id, or its URL here" }),
    }),
    body: none,
    answers: { 200: { description: "A searchset of none or one", schema: z.looseObject({}) } },
  },
  async ({ hub, user, params, request }) => {
    const base = baseOf(request.url);
    const references = { base, entries: new Map<string, string>() };
    // A bare id may stand for a reference where only one type is possible (FHIR R4, search by reference).
    const named = params.request.includes("/") ? params.request : `Claim/${params.request}`;
    const claimId = idOfReference(named, "Claim", references);
    const claim =
      claimId === undefined ? undefined : await findClaim(hub.db, hub.fields, user.clinicId, fromFhirId(claimId));
    const response = claim === undefined ? undefined : showClaimResponse(claim);
    return ok(200, {
      resourceType: "Bundle",
      type: "searchset",
      total: response === undefined ? 0 : 1,
      link: [{ relation: "self", url: `${base}/ClaimResponse?request=${encodeURIComponent(params.request)}` }],
      ...(response === undefined
        ? {}
        : {
            entry: [{ fullUrl: `${base}/ClaimResponse/${response.id}`, resource: response, search: { mode: "match" } }],
          }),
    });
  },
);
