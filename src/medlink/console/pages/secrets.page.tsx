import * as z from "zod";
import { secretsOf } from "../../../platform/secrets.ts";
import type { Asked } from "../../operations/asked.ts";
import { askCore } from "../../operations/core-answer.edge.ts";
import { readSecretAges } from "../../secrets/secret-ages.store.ts";
import { accountPage } from "../page.edge.tsx";
import { secretsShape } from "./operations/core-shapes.ts";
import { type SecretLine, SecretsView } from "./secrets.view.tsx";

/** The hub's own for its administrators; an operator also sees what core tells of its own and the relay's. */
export const secretsPage = accountPage(
  { path: "/admin/secrets", params: z.object({}) },
  async ({ hub, ui, signedIn, correlationId }) => {
    const { role } = signedIn.user;
    if (role !== "admin" && role !== "operator") return { type: "error", status: 403 };
    const [ages, theirs] = await Promise.all([
      readSecretAges(hub.db),
      role === "operator" ? askCore({ hub, correlationId }, "/operations/secrets", secretsShape) : undefined,
    ]);
    const ours = secretsOf("medlink-hub").map(({ name }) => ({ name, worker: "medlink-hub", since: ages.get(name) }));
    return {
      type: "page",
      title: ui.t("secrets.title"),
      body: <SecretsView ui={ui} secrets={[...ours, ...linesOf(theirs)]} theirs={theirs} />,
    };
  },
);

const linesOf = (asked: Asked<z.output<typeof secretsShape>> | undefined): readonly SecretLine[] =>
  asked?.type === "ok"
    ? asked.value.secrets
        .filter(({ worker }) => worker !== "medlink-hub")
        .map(({ name, worker, setAt }) => ({ name, worker, since: setAt ?? undefined }))
    : [];
