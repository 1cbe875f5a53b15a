import { z } from "@hono/zod-openapi";
import { ok, operation } from "../operation.edge.ts";
import { answerBundle } from "./answer-bundle.edge.ts";
import { acceptsJson, created, refused } from "./answers.edge.ts";
import { readClaimResource } from "./claim-in.ts";
import { baseOf, FHIR_WIRE, wantsMinimal } from "./fhir-wire.ts";
import { fileClaims } from "./file-claims.edge.ts";

export const createFhirClaim = operation(
  {
    method: "post",
    path: "/fhir/Claim",
    summary:
      "File a claim or preauthorization as a FHIR R4 Claim; with its identifier once only. A Bundle is taken too",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({}),
    body: z.looseObject({ resourceType: z.string() }),
    answers: {
      200: { description: "It was filed before", schema: z.looseObject({}) },
      201: { description: "The claim as it is kept", schema: z.looseObject({}) },
    },
  },
  async ({ hub, user, body, request, correlationId }) => {
    const by = { user, correlationId };
    if (body.resourceType === "Bundle") return answerBundle(hub, body, request, by);
    const base = baseOf(request.url);
    const read = readClaimResource(body, { base, entries: new Map() });
    if (!read.ok) return refused(read.level === "invalid" ? 400 : 422, read.issues, correlationId);
    const ifNoneExist = request.headers.get("if-none-exist") ?? undefined;
    const result = await fileClaims(hub, [{ draft: read.draft, ifNoneExist, root: "Claim" }], by);
    if (!result.ok) return refused(result.status, result.issues, correlationId);
    const [filed] = result.filed;
    if (filed === undefined) throw new Error("one claim was to be filed, and none was");
    const { status, headers, resource } = created(filed, base);
    return ok(status, wantsMinimal(request.headers.get("prefer")) ? undefined : resource, headers);
  },
);
