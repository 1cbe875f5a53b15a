/** POST /workflow/claims and POST /workflow/preauths. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { newUuid } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { ciphertextPrefix, storeCiphertext } from "./ciphertext.edge.ts";
import { sameAddress } from "./commit-plan.ts";
import { findRequestOf, idLookup } from "./id-lookup.edge.ts";
import {
  externalRequestIdSchema,
  incidentTicketSchema,
  insurerAddressSchema,
  offchainPayloadSchema,
  providerSignatureSchema,
  receivedPayload,
} from "./payload.ts";
import { sealReceived } from "./receive-payload.edge.ts";
import { findRequest } from "./request.store.ts";
import type { Corrects, RequestState, RequestType } from "./request.ts";
import { sequence } from "./sequencer.client.ts";

const isGiven = <Value>(value: Value | null | undefined): value is Value => value !== null && value !== undefined;

const bodySchema = z
  .object({
    insurerAddress: insurerAddressSchema,
    offchainPayload: offchainPayloadSchema,
    providerSignature: providerSignatureSchema,
    externalRequestId: externalRequestIdSchema
      .nullish()
      .openapi({ description: "The client's own id; a resend of it is recognized." }),
    corrects: z
      .string()
      .min(1)
      .max(128)
      .nullish()
      .openapi({ description: "Id or requestIdHash of the request that this new one supersedes." }),
    incidentTicket: incidentTicketSchema.nullish(),
  })
  .refine((body) => !isGiven(body.incidentTicket) || isGiven(body.corrects), {
    message: "goes with corrects only",
    path: ["incidentTicket"],
  })
  .openapi("SubmitRequest");

type SubmitBody = z.output<typeof bodySchema>;

const answerSchema = z
  .object({
    requestId: z.string(),
    requestIdHash: z.string().openapi({ description: "0x and 64 lower-case hex; opaque." }),
    requestType: z.enum(["CLAIM", "PREAUTH"]),
    status: z.string().openapi({ example: "SUBMITTED" }),
    state: z.string(),
    payloadHash: z.string(),
    corrects: z.string().nullable().openapi({ description: "requestIdHash of the request that this one supersedes." }),
    supersededBy: z.string().nullable(),
    ledger: z.object({ id: z.string(), seq: z.number().int(), entryHash: z.string() }),
    correlationId: z.string(),
  })
  .openapi("SubmittedRequest");

export type SubmitAnswer = z.output<typeof answerSchema>;

const submitRoute = (path: string, summary: string) =>
  createRoute({
    method: "post",
    path,
    tags: ["workflow"],
    summary,
    security: [{ apiKey: [] }],
    middleware: [authenticate("workflow", "submit"), jsonBody({ optional: false })] as const,
    request: { body: { required: true, content: { "application/json": { schema: bodySchema } } } },
    responses: {
      200: {
        description: "The same request again; the same ids.",
        content: { "application/json": { schema: answerSchema } },
      },
      201: { description: "Recorded in the ledger.", content: { "application/json": { schema: answerSchema } } },
      ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 429, 503),
    },
  });

export function registerSubmitRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(submitRoute("/workflow/claims", "Submit a claim"), (c) => submit(c, c.req.valid("json"), "CLAIM"));
  app.openapi(submitRoute("/workflow/preauths", "Submit a pre-authorization"), (c) =>
    submit(c, c.req.valid("json"), "PREAUTH"),
  );
}

async function submit(c: Context<CoreAppEnv>, body: SubmitBody, requestType: RequestType) {
  const { settings, correlationId, principal } = c.var;
  const requestId = body.externalRequestId ?? newUuid();
  const received = await sealReceived(c, requestId, body);
  if (received.type === "problem") return answerProblem(c, received.problem);
  const signedType = body.offchainPayload.type;
  if (signedType !== undefined && signedType.toUpperCase() !== requestType) {
    const detail = `offchainPayload.type says ${signedType}; this address takes the other kind.`;
    return answerProblem(c, { code: "invalid_body", detail });
  }
  const { opened, wrappedKey, payloadHash, total, sealed } = received;
  const lookup = await idLookup(c);
  const superseded = isGiven(body.corrects) ? await findRequestOf(c, principal.tenantId, body.corrects) : undefined;
  const corrects = isGiven(body.corrects)
    ? correctsOf(superseded?.request.requestId ?? body.corrects, body, (id) =>
        lookup("request", principal.tenantId, id),
      )
    : undefined;
  const sequenced = await sequence(c.env, settings.LEDGER_ID, {
    type: "SubmitRequest",
    tenantId: principal.tenantId,
    requestId,
    lookup: lookup("request", principal.tenantId, requestId),
    requestIdHash: opened.subject,
    requestType,
    insurerAddress: body.insurerAddress,
    submitter: principal.keyId,
    payloadHash,
    corrects,
    amountMinor: total.minor,
    currency: total.currency,
    payload: await storeCiphertext(c.env, `${ciphertextPrefix(settings.LEDGER_ID, opened.subject)}payload`, sealed),
    wrappedKey,
    correlationId,
  });
  if (sequenced.type === "problem") return answerProblem(c, sequenced.problem);
  const { state, entry } = sequenced.result;
  if (state.kind !== "request") throw new Error("a request command answers with a request");
  if (entry !== undefined) {
    return c.json(answerOf(state.request, entry.entryHash, settings.LEDGER_ID, correlationId), 201);
  }
  return answerResend(c, state.request, requestType, body, superseded?.request.requestIdHash);
}

/** A request that does not exist goes to the ledger as it was named: whether the new id is taken comes first. */
const correctsOf = (requestId: string, body: SubmitBody, lookupOf: (id: string) => string): Corrects => ({
  requestId,
  lookup: lookupOf(requestId),
  incidentTicket: body.incidentTicket ?? undefined,
});

/**
 * The id is taken. The same content is the stored salt over the new payload giving the stored commitment, for the same
 * insurer and kind, in place of the same request; the signature does not count, since its key rotates.
 */
async function answerResend(
  c: Context<CoreAppEnv>,
  existing: RequestState,
  requestType: RequestType,
  body: SubmitBody,
  supersededHash: string | undefined,
) {
  const { settings, correlationId, principal } = c.var;
  const found = await findRequest(c.env.DB, settings.LEDGER_ID, principal.tenantId, existing.requestIdHash);
  if (found?.wrappedKey === undefined) {
    return answerProblem(c, { code: "erased", detail: "The personal data of this request was erased." });
  }
  const opened = await (await c.get("vault")()).unwrap(existing.requestIdHash, found.wrappedKey);
  const same =
    opened.commit(receivedPayload(c.get("received"))) === existing.payloadHash &&
    existing.requestType === requestType &&
    sameAddress(existing.insurerAddress, body.insurerAddress) &&
    isGiven(body.corrects) === (existing.corrects !== undefined) &&
    existing.corrects === supersededHash &&
    existing.incidentTicket === (body.incidentTicket ?? undefined);
  if (!same) {
    return answerProblem(c, {
      code: "conflict",
      detail: "This externalRequestId is taken by a request with other content. Use a new id.",
    });
  }
  return c.json(answerOf(found.request, found.submittedHash, settings.LEDGER_ID, correlationId), 200);
}

const answerOf = (request: RequestState, entryHash: string, ledgerId: string, correlationId: string): SubmitAnswer => ({
  requestId: request.requestId,
  requestIdHash: request.requestIdHash,
  requestType: request.requestType,
  status: request.status,
  state: request.status,
  payloadHash: request.payloadHash,
  corrects: request.corrects ?? null,
  supersededBy: request.supersededBy ?? null,
  ledger: { id: ledgerId, seq: request.submittedSeq, entryHash },
  correlationId,
});
