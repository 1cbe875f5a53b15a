import { Action, Card, type Column, Empty, Notice, Stat, Table, Time } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import type { Relay } from "./core-shapes.ts";
import { DeadLetterCount } from "./dead-letter-count.view.tsx";
import { StateBadge } from "./overview.view.tsx";
import { RELAY_API } from "./relay-paths.ts";

export const RelayStatus = ({ ui, status }: { readonly ui: Ui; readonly status: Relay }) => {
  const age = status.oldestPendingAgeMs;
  return (
    <>
      {status.pausedAt === null ? null : (
        <Notice tone="warn" title={ui.t("ops.relay.isPaused")}>
          {ui.t("ops.relay.isPausedText")} <Time ui={ui} at={status.pausedAt} both />
        </Notice>
      )}
      <div class="stats">
        <Stat
          label={ui.t("ops.curve.pending")}
          value={ui.number(status.pending)}
          note={ui.t("ops.figure.delivered", { count: ui.number(status.deliveredCount) })}
        />
        <Stat
          label={ui.t("ops.curve.retrying")}
          value={ui.number(status.retrying)}
          tone={status.retrying > 0 ? "warn" : "neutral"}
        />
        <Stat label={ui.t("ops.curve.waiting")} value={ui.number(status.waiting)} />
        <Stat
          label={ui.t("ops.curve.dead")}
          value={ui.number(status.deadLetterCount)}
          tone={status.deadLetterCount > 0 ? "bad" : "neutral"}
        />
        <Stat label={ui.t("ops.curve.oldestDelivery")} value={age === null ? "–" : ui.duration(age)} />
      </div>
      <Card
        flush
        title={ui.t("ops.destinations")}
        lead={ui.t("ops.relay.policy", {
          retries: status.retryPolicy.maxRetries,
          first: ui.duration(status.retryPolicy.initialBackoffMs),
          most: ui.duration(status.retryPolicy.maxBackoffMs),
        })}
      >
        <Table
          caption={ui.t("ops.destinations")}
          rows={status.destinations}
          empty={<Empty icon="plug" title={ui.t("ops.destinations.empty")} />}
          columns={destinationColumns(ui)}
        />
      </Card>
    </>
  );
};

const destinationColumns = (ui: Ui): readonly Column<Relay["destinations"][number]>[] => [
  { label: ui.t("ops.destination"), heading: true, cell: ({ destinationId }) => destinationId },
  { label: ui.t("ops.kind"), cell: ({ kind }) => ui.label("ops.kind", kind) },
  {
    label: ui.t("ops.state"),
    cell: ({ state, nextProbeAt }) => (
      <span>
        <StateBadge ui={ui} state={state} />
        {state !== "broken" || nextProbeAt === null ? null : (
          <small>
            {" "}
            {ui.t("ops.nextProbe")} <Time ui={ui} at={nextProbeAt} />
          </small>
        )}
      </span>
    ),
  },
  { label: ui.t("ops.curve.pending"), align: "right", cell: ({ pending }) => ui.number(pending) },
  { label: ui.t("ops.curve.retrying"), align: "right", cell: ({ retrying }) => ui.number(retrying) },
  {
    label: ui.t("ops.curve.dead"),
    align: "right",
    cell: ({ destinationId, deadLetterCount }) => (
      <DeadLetterCount ui={ui} destinationId={destinationId} count={deadLetterCount} />
    ),
  },
  { label: ui.t("ops.relay.delivered"), align: "right", cell: ({ deliveredCount }) => ui.number(deliveredCount) },
  {
    label: ui.t("app.actions"),
    quiet: true,
    align: "right",
    cell: ({ destinationId, state }) => {
      const verb = state === "paused" ? "resume" : "pause";
      return (
        <Action
          small
          icon={state === "paused" ? "play" : "pause"}
          call={{ method: "POST", path: `${RELAY_API}/destinations/${destinationId}/${verb}` }}
          go="reload"
          toast={ui.t(state === "paused" ? "ops.destination.resumedNow" : "ops.destination.pausedNow")}
        >
          {ui.t(`ops.destination.${verb}`)}
          <span class="sr"> {destinationId}</span>
        </Action>
      );
    },
  },
];
