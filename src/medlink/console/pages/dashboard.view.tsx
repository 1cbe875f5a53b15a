import type { ClaimStatus } from "../../claims/claim.ts";
import { Chart } from "../components/chart.view.tsx";
import { ClaimLink } from "../components/claim.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Card, Empty, Live, PageHead, Stat, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";
import { type ClaimLine, claimColumns } from "./claims.view.tsx";

export interface Day {
  /** Epoch milliseconds at which it begins. */
  readonly at: number;
  readonly filed: number;
  readonly paid: number;
  readonly denied: number;
}

export interface DashboardProps {
  readonly ui: Ui;
  readonly name: string;
  readonly counts: Readonly<Partial<Record<ClaimStatus, number>>>;
  readonly days: readonly Day[];
  readonly latest: readonly ClaimLine[];
  /** Insurers' questions, and claims that could not be sent. */
  readonly waiting: readonly ClaimLine[];
  readonly waitingCount: number;
}

const EVERY_MS = 5_000;

export const DashboardView = ({ ui, name, counts, days, latest, waiting, waitingCount }: DashboardProps) => {
  const of = (status: ClaimStatus): number => counts[status] ?? 0;
  const bars = (pick: (day: Day) => number) => days.map(pick);
  return (
    <>
      <PageHead ui={ui} title={ui.t("dashboard.title")} lead={ui.t("dashboard.hello", { name })}>
        <a class="button primary" href="/claims/new">
          <Icon name="plus" />
          {ui.t("claims.new")}
        </a>
      </PageHead>
      <Live id="dashboard-stats" everyMs={EVERY_MS}>
        <div class="stats">
          <Stat
            label={ui.t("dashboard.attention")}
            value={ui.number(waitingCount)}
            note={ui.t("dashboard.attentionNote")}
            tone={waitingCount > 0 ? "warn" : "neutral"}
          />
          <Stat
            label={ui.t("dashboard.open")}
            value={ui.number(of("submitted") + of("pending"))}
            note={ui.t("dashboard.openNote")}
            href="/claims?status=submitted"
          />
          <Stat
            label={ui.t("dashboard.paid")}
            value={ui.number(of("paid"))}
            note={ui.t("dashboard.allTime")}
            href="/claims?status=paid"
          />
          <Stat
            label={ui.t("dashboard.denied")}
            value={ui.number(of("denied"))}
            note={ui.t("dashboard.allTime")}
            href="/claims?status=denied"
          />
          <Stat label={ui.t("dashboard.drafts")} value={ui.number(of("draft"))} href="/claims?status=draft" />
        </div>
      </Live>
      <div class="columns">
        <Card>
          <Chart
            ui={ui}
            id="claims-by-day"
            title={ui.t("dashboard.month")}
            empty={ui.t("dashboard.monthEmpty")}
            times={days.map(({ at }) => at / 1_000)}
            daily
            everyMs={EVERY_MS}
            series={[
              { label: ui.t("dashboard.filed"), tone: "accent", shape: "bars", values: bars(({ filed }) => filed) },
              { label: ui.t("dashboard.paid"), tone: "good", shape: "line", values: bars(({ paid }) => paid) },
              { label: ui.t("dashboard.denied"), tone: "bad", shape: "line", values: bars(({ denied }) => denied) },
            ]}
          />
        </Card>
        <Card title={ui.t("dashboard.waiting")}>
          <Live id="dashboard-waiting" everyMs={EVERY_MS}>
            {waiting.length === 0 ? (
              <p class="quiet">{ui.t("dashboard.waitingEmpty")}</p>
            ) : (
              <ul class="waiting">
                {waiting.map((claim) => (
                  <li>
                    <ClaimLink ui={ui} claimId={claim.claimId} type={claim.type} />
                    <span>{claim.patient ?? ui.t("claims.erased")}</span>
                    <span class="quiet">
                      {ui.t(claim.status === "infoRequested" ? "dashboard.question" : "dashboard.failed")} ·{" "}
                      <Time ui={ui} at={claim.createdAt} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </Live>
        </Card>
      </div>
      <section class="card flush" id="dashboard-latest" data-live={EVERY_MS}>
        <div class="card-head">
          <h2>{ui.t("dashboard.latest")}</h2>
          <a href="/claims">{ui.t("dashboard.latestAll")}</a>
        </div>
        <Table
          caption={ui.t("dashboard.latest")}
          columns={claimColumns(ui)}
          rows={latest}
          empty={
            <Empty icon="claim" title={ui.t("claims.empty.title")} text={ui.t("claims.empty.text")}>
              <a class="button" href="/claims/new">
                {ui.t("claims.new")}
              </a>
            </Empty>
          }
        />
      </section>
    </>
  );
};
