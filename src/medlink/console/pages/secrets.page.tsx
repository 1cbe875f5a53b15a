import * as z from "zod";
import { secretsOf } from "../../../platform/secrets.ts";
import { readSecretAges } from "../../secrets/secret-ages.store.ts";
import { accountPage } from "../page.edge.tsx";
import { SecretsView } from "./secrets.view.tsx";

/** The hub's own; core's and the relay's are theirs to tell. */
export const secretsPage = accountPage(
  { path: "/admin/secrets", params: z.object({}) },
  async ({ hub, ui, signedIn }) => {
    const { role } = signedIn.user;
    if (role !== "admin" && role !== "operator") return { type: "error", status: 403 };
    const ages = await readSecretAges(hub.db);
    const secrets = secretsOf("medlink-hub").map(({ name }) => ({ name, since: ages.get(name) }));
    return { type: "page", title: ui.t("secrets.title"), body: <SecretsView ui={ui} secrets={secrets} /> };
  },
);
