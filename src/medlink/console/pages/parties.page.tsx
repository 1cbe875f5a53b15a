import * as z from "zod";
import { cachedClinic } from "../../cache/record-cache.edge.ts";
import { listInsurers, listProviders } from "../../records/records.store.ts";
import { page } from "../page.edge.tsx";
import { PartiesView } from "./parties.view.tsx";

const FIRST_PAGE = { limit: 200, after: undefined, q: undefined } as const;

export const partiesPage = page({ path: "/clinic", params: z.object({}) }, async ({ hub, ui, user }) => {
  const { clinicId } = user;
  const [providers, insurers, clinic] = await Promise.all([
    listProviders(hub.db, clinicId, FIRST_PAGE),
    listInsurers(hub.db, clinicId, FIRST_PAGE),
    user.role === "admin" ? cachedClinic(hub, clinicId) : undefined,
  ]);
  return {
    type: "page",
    title: ui.t("parties.title"),
    body: <PartiesView ui={ui} providers={providers.items} insurers={insurers.items} clinic={clinic} />,
  };
});
