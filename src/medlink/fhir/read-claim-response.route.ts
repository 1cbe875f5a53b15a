import { z } from "@hono/zod-openapi";
import { findClaim } from "../claims/claims.store.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { acceptsJson, versionHeaders } from "./answers.edge.ts";
import { showClaimResponse } from "./claim-out.ts";
import { FHIR_WIRE } from "./fhir-wire.ts";
import { fromFhirId } from "./ids.ts";

export const readFhirClaimResponse = operation(
  {
    method: "get",
    path: "/fhir/ClaimResponse/{id}",
    summary: "What became of a claim, as a FHIR R4 ClaimResponse; it has the claim's id",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({ id: z.string().max(64) }),
    body: none,
    answers: { 200: { description: "The response", schema: z.looseObject({}) } },
  },
  async ({ hub, user, params }) => {
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, fromFhirId(params.id));
    const response = claim === undefined ? undefined : showClaimResponse(claim);
    if (claim === undefined || response === undefined) return notFound("claim response");
    return ok(200, response, versionHeaders(claim));
  },
);
