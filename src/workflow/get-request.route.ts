/** GET /workflow/requests/:requestId. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { entryAnchor } from "../anchor/anchor-status.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { authenticate } from "../core/authenticate.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { maySeePayload } from "../platform/principal.ts";
import { readCiphertext } from "./ciphertext.edge.ts";
import { type FoundRequest, findRequest, subjectHistory } from "./request.store.ts";
import { requestIdParam } from "./request-params.ts";
import { ledgerPosition, type RequestView, requestFacts, requestViewSchema } from "./request-view.ts";
import type { StoredPart } from "./subject-rows.ts";

const route = createRoute({
  method: "get",
  path: "/workflow/requests/{requestId}",
  tags: ["workflow"],
  summary: "A request: its state, decision, ledger position and anchor",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  request: { params: requestIdParam },
  responses: {
    200: { description: "The request.", content: { "application/json": { schema: requestViewSchema } } },
    ...problemResponses(401, 403, 404, 429),
  },
});

export function registerGetRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings, principal } = c.var;
    const found = await findRequest(c.env.DB, settings.LEDGER_ID, principal.tenantId, c.req.valid("param").requestId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no request of this id in your tenant." });
    }
    return c.json(await requestView(c, found), 200);
  });
}

/** The request as this caller may see it. */
export async function requestView(c: Context<CoreAppEnv>, found: FoundRequest): Promise<RequestView> {
  const { settings, principal, correlationId } = c.var;
  const { request } = found;
  const newestSeq = request.adjudicatedSeq ?? request.acknowledgedSeq ?? request.submittedSeq;
  const [history, anchor] = await Promise.all([
    subjectHistory(c.env.DB, settings.LEDGER_ID, request.requestIdHash),
    entryAnchor(c.env, settings, newestSeq),
  ]);
  const opened = maySeePayload(principal, request.insurerAddress) ? await openParts(c, found, history.parts) : {};
  return {
    ...requestFacts(request),
    ledger: ledgerPosition(settings.LEDGER_ID, history.events, request.submittedSeq),
    events: [...history.events],
    anchor,
    ...opened,
    correlationId,
  };
}

async function openParts(
  c: Context<CoreAppEnv>,
  { request, wrappedKey }: FoundRequest,
  parts: readonly StoredPart[],
): Promise<Pick<RequestView, "offchainPayload" | "notes">> {
  if (wrappedKey === undefined) return {};
  const opened = await (await c.var.vault()).unwrap(request.requestIdHash, wrappedKey);
  const texts = await Promise.all(
    parts.map(async (part) => ({
      part: part.part,
      text: await opened.open(part.part, await readCiphertext(c.env, part)),
    })),
  );
  const payload = texts.find(({ part }) => part === "payload");
  return {
    ...(payload === undefined ? {} : { offchainPayload: JSON.parse(payload.text) }),
    notes: texts.filter(({ part }) => part !== "payload"),
  };
}
