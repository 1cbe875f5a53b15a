import { z } from "@hono/zod-openapi";
import { VERSION } from "../../platform/version.ts";
import { none, ok, openOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { acceptsJson } from "./answers.edge.ts";
import { capabilityStatement } from "./capability.ts";
import { baseOf, FHIR_WIRE } from "./fhir-wire.ts";

export const readFhirMetadata = openOperation(
  {
    method: "get",
    path: "/fhir/metadata",
    summary: "What the FHIR side of this server does",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({}),
    body: none,
    answers: { 200: { description: "A CapabilityStatement", schema: z.looseObject({}) } },
  },
  async ({ hub, request }) => {
    const built = Date.parse(VERSION.builtAt);
    return ok(200, capabilityStatement(baseOf(request.url), iso(Number.isNaN(built) ? hub.now() : built)));
  },
);
