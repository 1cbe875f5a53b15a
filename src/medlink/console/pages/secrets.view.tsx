import type { Asked } from "../../operations/asked.ts";
import { SECRET_MAX_AGE_MS } from "../../secrets/secret-ages.ts";
import { Badge, PageHead, Table, Time } from "../components/parts.view.tsx";
import { DAY_MS } from "../i18n/day.ts";
import type { Ui } from "../i18n/ui.ts";
import { Away } from "./operations/away.view.tsx";

export interface SecretLine {
  readonly name: string;
  /** Who holds it. */
  readonly worker: string;
  /** Epoch milliseconds; undefined: not recorded yet. */
  readonly since: number | undefined;
}

export interface SecretsProps {
  readonly ui: Ui;
  readonly secrets: readonly SecretLine[];
  /** What came of asking core for its own; undefined: it was not asked. */
  readonly theirs: Asked<unknown> | undefined;
}

export const SecretsView = ({ ui, secrets, theirs }: SecretsProps) => (
  <>
    <PageHead ui={ui} title={ui.t("secrets.title")} lead={ui.t("secrets.lead")} />
    {theirs === undefined ? null : (
      <div class="notices">
        <Away ui={ui} asked={theirs} missing={ui.t("secrets.notOffered")} />
      </div>
    )}
    <section class="card flush">
      <Table
        caption={ui.t("secrets.caption")}
        rows={secrets}
        columns={[
          { label: ui.t("secrets.name"), heading: true, cell: ({ name }) => <code>{name}</code> },
          { label: ui.t("secrets.worker"), cell: ({ worker }) => worker },
          {
            label: ui.t("secrets.age"),
            align: "right",
            cell: ({ since }) =>
              since === undefined
                ? ui.t("secrets.unknown")
                : ui.count("secrets.days", Math.floor((ui.now - since) / DAY_MS)),
          },
          {
            label: ui.t("secrets.since"),
            cell: ({ since }) => (since === undefined ? "–" : <Time ui={ui} at={since} both />),
          },
          {
            label: ui.t("people.state"),
            cell: ({ since }) =>
              since === undefined ? (
                "–"
              ) : (
                <Badge tone={ui.now - since > SECRET_MAX_AGE_MS ? "warn" : "good"}>
                  {ui.t(ui.now - since > SECRET_MAX_AGE_MS ? "secrets.due" : "secrets.fresh")}
                </Badge>
              ),
          },
        ]}
        empty={null}
      />
    </section>
  </>
);
