/** GET /settlements, and POST /settlements/search for what must not stand in an address. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { findSubject } from "./create-settlement.edge.ts";
import { SETTLEMENT_STATUSES, SETTLEMENT_TYPES } from "./settlement.ts";
import { settlementSchema, settlementView } from "./settlement-view.ts";
import { listSettlements, type SettlementFilter } from "./settlements.store.ts";

const instant = z.iso.datetime({ offset: true }).openapi({ example: "2026-11-22T00:00:00Z" });

const filters = {
  status: z.enum(SETTLEMENT_STATUSES).optional(),
  type: z.enum(SETTLEMENT_TYPES).optional(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .optional(),
  from: instant.optional().openapi({ description: "Asked for then or later." }),
  to: instant.optional().openapi({ description: "Asked for before then." }),
  tenantId: z.string().max(64).optional().openapi({ description: "Operators only; without it, of all tenants." }),
};

const querySchema = z.object({
  ...filters,
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.coerce.number().int().min(0).optional().openapi({ description: "`nextCursor` of the page before." }),
});

const searchSchema = z
  .strictObject({
    ...filters,
    claimId: z.string().min(1).max(128).optional(),
    requestId: z.string().min(1).max(128).optional(),
    limit: z.number().int().min(1).max(200).default(50),
    cursor: z.number().int().min(0).optional(),
  })
  .openapi("SearchSettlements");

const pageSchema = z
  .object({
    count: z.number().int(),
    settlements: z.array(settlementSchema),
    nextCursor: z.number().int().nullable().openapi({ description: "Null: this was the last page." }),
    correlationId: z.string(),
  })
  .openapi("Settlements");

const security = [{ apiKey: [] }];
const page = { description: "Newest first.", content: { "application/json": { schema: pageSchema } } };
const readers = authenticate(["claims", "workflow"], ["read", "operate"]);

const listRoute = createRoute({
  method: "get",
  path: "/settlements",
  tags: ["settlements"],
  summary: "Settlements, newest first",
  security,
  middleware: [readers] as const,
  request: { query: querySchema },
  responses: { 200: page, ...problemResponses(400, 401, 403, 429) },
});

const searchRoute = createRoute({
  method: "post",
  path: "/settlements/search",
  tags: ["settlements"],
  summary: "The same, of one claim or request too, whose id must not stand in an address",
  security,
  middleware: [readers, jsonBody({ optional: true })] as const,
  request: { body: { content: { "application/json": { schema: searchSchema } } } },
  responses: { 200: page, ...problemResponses(400, 401, 403, 404, 413, 415, 429) },
});

export function registerListSettlements(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(listRoute, async (c) => {
    const answered = await pageOf(c, c.req.valid("query"));
    return "code" in answered ? answerProblem(c, answered) : c.json(answered, 200);
  });
  app.openapi(searchRoute, async (c) => {
    const answered = await pageOf(c, c.req.valid("json"));
    return "code" in answered ? answerProblem(c, answered) : c.json(answered, 200);
  });
}

async function pageOf(
  c: Context<CoreAppEnv>,
  asked: z.output<typeof searchSchema>,
): Promise<Problem | z.output<typeof pageSchema>> {
  const { principal, settings, correlationId } = c.var;
  const { tenantId, claimId, requestId, from, to, cursor, limit, ...rest } = asked;
  const isOperator = principal.scopes.has("operate");
  if (principal.insurerAddress !== undefined) {
    return { code: "forbidden", detail: "A key that is bound to an insurer sees no settlements." };
  }
  if (tenantId !== undefined && tenantId !== principal.tenantId && !isOperator) {
    return { code: "forbidden", detail: "Only an operator sees another tenant's settlements." };
  }
  const whose = tenantId ?? (isOperator ? undefined : principal.tenantId);
  const id = claimId ?? requestId;
  const kind = claimId === undefined ? "request" : "claim";
  const subject = id === undefined ? undefined : await findSubject(c, kind, whose ?? principal.tenantId, id);
  if (id !== undefined && subject === undefined) {
    return { code: "not_found", detail: `There is no ${kind} of this id in this tenant.` };
  }
  const filter: SettlementFilter = {
    ...rest,
    tenantId: whose,
    subject: subject?.subject,
    from: from === undefined ? undefined : Date.parse(from),
    to: to === undefined ? undefined : Date.parse(to),
    before: cursor,
  };
  const found = await listSettlements(c.env.DB, settings.LEDGER_ID, filter, limit + 1);
  const shown = found.slice(0, limit);
  return {
    count: shown.length,
    settlements: shown.map(({ settlement, claimId: of }) => settlementView(settlement, of)),
    nextCursor: found.length > limit ? (shown.at(-1)?.settlement.createdSeq ?? null) : null,
    correlationId,
  };
}
