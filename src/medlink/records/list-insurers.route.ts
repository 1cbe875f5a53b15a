import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listInsurers } from "./records.store.ts";
import { insurerSchema, nameQuery, nextCursor, showInsurer } from "./schemas.ts";

export const listInsurersRoute = operation(
  {
    method: "get",
    path: "/api/insurers",
    summary: "The clinic's insurers, newest first",
    params: z.object({ ...pageQuery, q: nameQuery }),
    body: none,
    answers: { 200: { description: "A page", schema: z.object({ insurers: z.array(insurerSchema), nextCursor }) } },
  },
  async ({ hub, user, params }) => {
    const { limit, cursor, q } = params;
    const page = await listInsurers(hub.db, user.clinicId, { q, limit, after: cursor });
    return ok(200, { insurers: page.items.map(showInsurer), nextCursor: page.nextCursor ?? null });
  },
);
