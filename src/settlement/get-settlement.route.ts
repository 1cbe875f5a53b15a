/** GET /settlements/:refId. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { ledgerEventFromRow } from "../workflow/subject-rows.ts";
import { findDrive } from "./drive.store.ts";
import { refIdParam, settlementDetailSchema, settlementView } from "./settlement-view.ts";
import { findSettlement, type ListedSettlement, settlementEntries } from "./settlements.store.ts";

export const UNKNOWN_SETTLEMENT: Problem = {
  code: "not_found",
  detail: "There is no settlement of this refId in your tenant.",
};

const route = createRoute({
  method: "get",
  path: "/settlements/{refId}",
  tags: ["settlements"],
  summary: "A settlement, its entries of the ledger, and what is being done about it",
  security: [{ apiKey: [] }],
  middleware: [authenticate(["claims", "workflow"], ["read", "operate"])] as const,
  request: { params: refIdParam },
  responses: {
    200: { description: "The settlement.", content: { "application/json": { schema: settlementDetailSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetSettlement(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { principal, settings } = c.var;
    const mayNot = principal.insurerAddress !== undefined;
    const tenantId = principal.scopes.has("operate") ? undefined : principal.tenantId;
    const found = mayNot
      ? undefined
      : await findSettlement(c.env.DB, settings.LEDGER_ID, c.req.valid("param").refId, tenantId);
    return found === undefined ? answerProblem(c, UNKNOWN_SETTLEMENT) : c.json(await settlementDetail(c, found), 200);
  });
}

const instantOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

export async function settlementDetail(c: Context<CoreAppEnv>, { settlement, claimId }: ListedSettlement) {
  const { settings, correlationId } = c.var;
  const [entries, drive] = await Promise.all([
    settlementEntries(c.env.DB, settings.LEDGER_ID, settlement),
    findDrive(c.env.DB, settings.LEDGER_ID, settlement.refId),
  ]);
  return {
    ...settlementView(settlement, claimId),
    events: entries.map(ledgerEventFromRow),
    operator:
      drive === undefined ? null : { ...drive, dueAt: instantOf(drive.dueAt), askedAt: instantOf(drive.askedAt) },
    correlationId,
  };
}
