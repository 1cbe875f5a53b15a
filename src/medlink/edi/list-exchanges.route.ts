import { z } from "@hono/zod-openapi";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listExchanges } from "./exchanges.store.ts";
import { connectorName, exchangeSchema, showExchange } from "./show-edi.ts";

export const listEdiExchanges = staffOperation(
  {
    method: "get",
    path: "/api/edi/exchanges",
    summary: "Messages of EDI networks, newest first; what they say is not kept",
    roles: ["billing", "admin"],
    params: z.object({
      ...pageQuery,
      connector: connectorName.optional(),
      claimId: z.string().max(64).optional(),
    }),
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({ exchanges: z.array(exchangeSchema), nextCursor: z.string().nullable() }),
      },
    },
  },
  async ({ hub, actor, params }) => {
    const { limit, cursor, connector, claimId } = params;
    const filter = { clinicId: actor.clinicId, connector, claimId };
    const page = await listExchanges(hub.db, filter, { limit, after: cursor });
    return ok(200, { exchanges: page.items.map(showExchange), nextCursor: page.nextCursor ?? null });
  },
);
