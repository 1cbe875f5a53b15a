import { z } from "@hono/zod-openapi";
import { viewed } from "../audit/audited.edge.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listRemittances } from "./remittances.store.ts";
import { remittanceSummarySchema, showSummary } from "./show-remittance.ts";

const id = z.string().min(1).max(64).optional();

export const listRemittancesRoute = operation(
  {
    method: "get",
    path: "/api/remittances",
    summary: "What insurers paid, newest first",
    roles: ["billing", "admin"],
    params: z.object({ ...pageQuery, insurerId: id, claimId: id }),
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({ remittances: z.array(remittanceSummarySchema), nextCursor: z.string().nullable() }),
      },
    },
  },
  async (input) => {
    const { hub, user, params } = input;
    const { cursor, ...filter } = params;
    const query = { limit: filter.limit, after: cursor, insurerId: filter.insurerId, claimId: filter.claimId };
    const [page] = await Promise.all([
      listRemittances(hub.db, user.clinicId, query),
      viewed(input, "remittances.view", "remittances"),
    ]);
    return ok(200, { remittances: page.items.map(showSummary), nextCursor: page.nextCursor ?? null });
  },
);
