import { z } from "@hono/zod-openapi";
import { changed } from "../audit/audited.edge.ts";
import { forgetProvider } from "../cache/record-cache.edge.ts";
import { notFound, ok, operation } from "../operation.edge.ts";
import type { Provider } from "./record.ts";
import { findProviders, providerUpsert } from "./records.store.ts";
import { providerPatch, providerSchema, showProvider } from "./schemas.ts";

export const updateProvider = operation(
  {
    method: "patch",
    path: "/api/providers/{providerId}",
    summary: "Change a provider",
    roles: ["admin"],
    params: z.object({ providerId: z.string() }),
    body: providerPatch,
    answers: { 200: { description: "The provider", schema: providerSchema } },
  },
  async (input) => {
    const { hub, user, params, body } = input;
    const { clinicId } = user;
    const [provider] = await findProviders(hub.db, clinicId, [params.providerId]);
    if (provider === undefined) return notFound("provider");
    const next: Provider = {
      ...provider,
      name: body.name ?? provider.name,
      licenceNumber: body.licenceNumber === undefined ? provider.licenceNumber : (body.licenceNumber ?? undefined),
    };
    await hub.db.batch([
      providerUpsert(hub.db, { ...next, clinicId }, hub.now()),
      changed(input, "provider.update", provider.providerId),
    ]);
    forgetProvider(clinicId, provider.providerId);
    return ok(200, showProvider(next));
  },
);
