import { z } from "@hono/zod-openapi";
import { operation } from "../operation.edge.ts";
import { answerBundle } from "./answer-bundle.edge.ts";
import { acceptsJson } from "./answers.edge.ts";
import { FHIR_WIRE } from "./fhir-wire.ts";

export const processBundle = operation(
  {
    method: "post",
    path: "/fhir",
    summary: "File the claims of a FHIR R4 Bundle: a transaction or collection whole or not at all, a batch one by one",
    wire: FHIR_WIRE,
    gate: acceptsJson,
    params: z.looseObject({}),
    body: z.looseObject({ resourceType: z.string() }),
    answers: { 200: { description: "What became of each claim", schema: z.looseObject({}) } },
  },
  async ({ hub, user, body, request, correlationId }) => answerBundle(hub, body, request, { user, correlationId }),
);
