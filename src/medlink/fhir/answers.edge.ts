/** Answers of FHIR operations that are not plain. */
import type { Claim } from "../claims/claim.ts";
import type { Answer } from "../operation.edge.ts";
import { showClaimResource } from "./claim-out.ts";
import { takesJson } from "./fhir-wire.ts";
import type { Filed } from "./file-claims.edge.ts";
import { toFhirId } from "./ids.ts";
import { type Issue, outcomeResponse } from "./outcome.ts";

export const refused = (status: number, issues: readonly Issue[], correlationId: string | undefined): Answer => ({
  type: "raw",
  response: outcomeResponse(status, issues, correlationId),
});

/** The gate of operations: nobody is answered in a form that they do not take. */
export function acceptsJson(_: unknown, request: Request): Answer | undefined {
  const format = new URL(request.url).searchParams.get("_format");
  if (takesJson(request.headers.get("accept"), format)) return undefined;
  return refused(406, [{ code: "not-supported", text: "Answers are application/fhir+json." }], undefined);
}

/** Headers that name a version of a resource (FHIR R4, managing resource contention). */
export const versionHeaders = ({ version, updatedAt }: Claim) => ({
  etag: `W/"${version}"`,
  "last-modified": new Date(updatedAt).toUTCString(),
});

export const created = ({ claim, isNew }: Filed, base: string) => ({
  status: isNew ? 201 : 200,
  headers: { location: `${base}/Claim/${toFhirId(claim.claimId)}`, ...versionHeaders(claim) },
  resource: showClaimResource(claim),
});
