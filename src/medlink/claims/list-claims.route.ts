import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "./claim.ts";
import { listClaims } from "./claims.store.ts";
import { claimSchema, showClaim } from "./show-claim.ts";

export const listClaimsRoute = operation(
  {
    method: "get",
    path: "/api/claims",
    summary: "The clinic's claims, newest first",
    params: z.object({
      ...pageQuery,
      status: z.enum(CLAIM_STATUSES).optional(),
      type: z.enum(CLAIM_TYPES).optional(),
    }),
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({ claims: z.array(claimSchema), nextCursor: z.string().nullable() }),
      },
    },
  },
  async ({ hub, user, params }) => {
    const { limit, cursor, status, type } = params;
    const page = await listClaims(hub.db, hub.fields, user.clinicId, { limit, after: cursor, status, type });
    return ok(200, { claims: page.items.map(showClaim), nextCursor: page.nextCursor ?? null });
  },
);
