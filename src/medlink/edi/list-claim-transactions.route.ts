import { z } from "@hono/zod-openapi";
import { hasClaim } from "../claims/claims.store.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { showTransaction, transactionSchema } from "./show-edi.ts";
import { listOfClaim } from "./transactions.store.ts";

export const listClaimTransactions = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}/edi",
    summary: "Where a claim stands in the EDI networks that it was sent through, newest first",
    params: z.object({ claimId: z.string() }),
    body: none,
    answers: { 200: { description: "At most 50", schema: z.object({ transactions: z.array(transactionSchema) }) } },
  },
  async ({ hub, user, params }) => {
    const [transactions, isOurs] = await Promise.all([
      listOfClaim(hub.db, user.clinicId, params.claimId),
      hasClaim(hub.db, user.clinicId, params.claimId),
    ]);
    // Of an erased claim the transactions stay, which name nobody.
    if (!isOurs && transactions.length === 0) return notFound("claim");
    return ok(200, { transactions: transactions.map(showTransaction) });
  },
);
