import { z } from "@hono/zod-openapi";
import { cachedProviders } from "../cache/record-cache.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { providerSchema, showProvider } from "./schemas.ts";

export const readProvider = operation(
  {
    method: "get",
    path: "/api/providers/{providerId}",
    summary: "One provider",
    params: z.object({ providerId: z.string() }),
    body: none,
    answers: { 200: { description: "The provider", schema: providerSchema } },
  },
  async ({ hub, user, params }) => {
    const provider = (await cachedProviders(hub, user.clinicId, [params.providerId])).get(params.providerId);
    return provider === undefined ? notFound("provider") : ok(200, showProvider(provider));
  },
);
