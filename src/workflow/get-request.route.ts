/** GET /workflow/requests/:requestId. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { showAnchor } from "../anchor/anchor-status.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { maySeePayload } from "../tenants/principal.ts";
import { readCiphertext } from "./ciphertext.edge.ts";
import { erasedFact } from "./erased-view.ts";
import { readRequestOf } from "./id-lookup.edge.ts";
import { currentHash, type RequestRecord, readRequestRecord } from "./request.store.ts";
import { requestIdParam } from "./request-params.ts";
import { ledgerPosition, type RequestView, requestFacts, requestViewSchema } from "./request-view.ts";

const followQuery = z.object({
  follow: z
    .enum(["true", "false"])
    .optional()
    .openapi({
      param: { name: "follow", in: "query" },
      description: "true: answers the newest successor, when the request was superseded.",
    }),
});

const route = createRoute({
  method: "get",
  path: "/workflow/requests/{requestId}",
  tags: ["workflow"],
  summary: "A request: its state, decision, ledger position and anchor",
  security: [{ apiKey: [] }],
  middleware: [authenticate("workflow", "read")] as const,
  request: { params: requestIdParam, query: followQuery },
  responses: {
    200: { description: "The request.", content: { "application/json": { schema: requestViewSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 429),
  },
});

export function registerGetRequest(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const principal = c.get("principal");
    const found = await readRequestOf(c, principal.tenantId, c.req.valid("param").requestId);
    if (found === undefined) {
      return answerProblem(c, { code: "not_found", detail: "There is no request of this id in your tenant." });
    }
    const follow = c.req.valid("query").follow === "true" && found.request.supersededBy !== undefined;
    const shown = follow ? await newestOf(c, found) : found;
    if (shown === undefined) {
      return answerProblem(c, { code: "conflict", detail: "Its successors are too many to follow to the end." });
    }
    return c.json(await requestView(c, shown), 200);
  });
}

async function newestOf(c: Context<CoreAppEnv>, { request }: RequestRecord): Promise<RequestRecord | undefined> {
  const { LEDGER_ID } = c.get("settings");
  const current = await currentHash(c.env.DB, LEDGER_ID, request.requestIdHash);
  if (current.type === "endless") return undefined;
  return readRequestRecord(c.env.DB, LEDGER_ID, request.tenantId, current.requestIdHash);
}

/** The request as this caller may see it. */
async function requestView(c: Context<CoreAppEnv>, record: RequestRecord): Promise<RequestView> {
  const { settings, principal, correlationId } = c.var;
  const { request, events } = record;
  const anchor = await showAnchor(c.env, settings, record.anchor);
  const opened = maySeePayload(principal, request.insurerAddress) ? await openParts(c, record) : {};
  return {
    ...requestFacts(request),
    ledger: ledgerPosition(settings.LEDGER_ID, events, request.submittedSeq),
    events: [...events],
    ...erasedFact(events),
    anchor,
    ...opened,
    correlationId,
  };
}

async function openParts(
  c: Context<CoreAppEnv>,
  { request, wrappedKey, parts }: RequestRecord,
): Promise<Pick<RequestView, "offchainPayload" | "notes">> {
  if (wrappedKey === undefined) return {};
  const opened = await (await c.get("vault")()).unwrap(request.requestIdHash, wrappedKey);
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
