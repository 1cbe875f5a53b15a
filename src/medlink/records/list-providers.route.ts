import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { listProviders } from "./records.store.ts";
import { nameQuery, nextCursor, providerSchema, showProvider } from "./schemas.ts";

export const listProvidersRoute = operation(
  {
    method: "get",
    path: "/api/providers",
    summary: "The clinic's providers, newest first",
    params: z.object({ ...pageQuery, q: nameQuery }),
    body: none,
    answers: { 200: { description: "A page", schema: z.object({ providers: z.array(providerSchema), nextCursor }) } },
  },
  async ({ hub, user, params }) => {
    const { limit, cursor, q } = params;
    const page = await listProviders(hub.db, user.clinicId, { q, limit, after: cursor });
    return ok(200, { providers: page.items.map(showProvider), nextCursor: page.nextCursor ?? null });
  },
);
