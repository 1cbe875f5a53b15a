import { type Asked, askedValue } from "../../../operations/asked.ts";
import { FilterForm, FilterSelect } from "../../components/form.view.tsx";
import {
  Action,
  Badge,
  Card,
  Code,
  Confirm,
  Empty,
  Live,
  PageHead,
  Pager,
  Table,
  Tabs,
  Time,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { DELIVERY_LISTS, type Deliveries, type Relay } from "./core-shapes.ts";
import { DeadLetterFilterForm, type DeadLettersProps, DestinationFilter, Letters } from "./dead-letters.view.tsx";
import { DELIVERY_TONES } from "./delivery.view.tsx";
import { DELIVERIES_PATH, RELAY_API } from "./relay-paths.ts";
import { RelayStatus } from "./relay-status.view.tsx";

const EVERY_MS = 5_000;

/** Of one page, the list that is asked for. */
export type DeliveryLists =
  | ({ readonly list: "dead" } & Omit<DeadLettersProps, "ui">)
  | ({ readonly list: "all"; readonly deliveries: Asked<Deliveries>; readonly filters: DeliveryFilters } & {
      readonly cursor: string | undefined;
    });

export interface DeliveryFilters {
  readonly destinationId?: string | undefined;
  readonly status: (typeof DELIVERY_LISTS)[number];
}

export interface DeliveriesProps {
  readonly ui: Ui;
  readonly relay: Asked<Relay>;
  readonly shown: DeliveryLists;
}

export const DeliveriesView = ({ ui, relay, shown }: DeliveriesProps) => {
  const status = askedValue(relay);
  const destinations = (status?.destinations ?? []).map(({ destinationId }) => destinationId);
  return (
    <>
      <PageHead ui={ui} title={ui.t("ops.deliveries.title")} lead={ui.t("ops.deliveries.lead")}>
        {status === undefined ? null : <RelaySwitch ui={ui} paused={status.pausedAt !== null} />}
      </PageHead>
      <Confirm
        id="pause-relay"
        ui={ui}
        title={ui.t("ops.relay.pauseTitle")}
        text={ui.t("ops.relay.pauseText")}
        action={ui.t("ops.relay.pause")}
      />
      <Live id="relay-status" everyMs={EVERY_MS}>
        <div class="stack">
          <Away ui={ui} asked={relay} />
          {status === undefined ? null : <RelayStatus ui={ui} status={status} />}
        </div>
      </Live>
      <section id="dead-letters" class="spaced">
        <h2 class="section">{ui.t("ops.deliveries.lists")}</h2>
        <Tabs
          label={ui.t("ops.deliveries.lists")}
          items={[
            {
              href: `${DELIVERIES_PATH}#dead-letters`,
              label: `${ui.t("ops.dead.title")}${status === undefined ? "" : ` (${ui.number(status.deadLetterCount)})`}`,
              current: shown.list === "dead",
            },
            {
              href: `${DELIVERIES_PATH}?list=all&status=delivered#dead-letters`,
              label: ui.t("ops.deliveries.all"),
              current: shown.list === "all",
            },
          ]}
        />
        {shown.list === "dead" ? (
          <>
            <DeadLetterFilterForm ui={ui} filters={shown.filters} destinations={destinations} />
            <Letters ui={ui} {...shown} />
          </>
        ) : (
          <>
            <FilterForm ui={ui} path={DELIVERIES_PATH}>
              <input type="hidden" name="list" value="all" />
              <FilterSelect
                name="status"
                label={ui.t("ops.state")}
                value={shown.filters.status}
                options={DELIVERY_LISTS.map((value) => ({ value, label: ui.t(`ops.delivery.${value}`) }))}
              />
              <DestinationFilter ui={ui} value={shown.filters.destinationId} destinations={destinations} />
            </FilterForm>
            <DeliveryList ui={ui} {...shown} />
          </>
        )}
      </section>
    </>
  );
};

const RelaySwitch = ({ ui, paused }: { readonly ui: Ui; readonly paused: boolean }) =>
  paused ? (
    <Action
      call={{ method: "POST", path: `${RELAY_API}/resume` }}
      tone="primary"
      icon="play"
      go="reload"
      toast={ui.t("ops.relay.resumedNow")}
    >
      {ui.t("ops.relay.resume")}
    </Action>
  ) : (
    <Action
      call={{ method: "POST", path: `${RELAY_API}/pause` }}
      icon="pause"
      confirm="pause-relay"
      go="reload"
      toast={ui.t("ops.relay.pausedNow")}
    >
      {ui.t("ops.relay.pause")}
    </Action>
  );

const DeliveryList = ({
  ui,
  deliveries: asked,
  filters,
  cursor,
}: { readonly ui: Ui } & Omit<Extract<DeliveryLists, { list: "all" }>, "list">) => {
  const found = askedValue(asked);
  if (found === undefined) return <Away ui={ui} asked={asked} missing={ui.t("ops.deliveries.notOffered")} />;
  return (
    <Card flush>
      <Table
        caption={ui.t("ops.deliveries.all")}
        rows={found.deliveries}
        empty={<Empty icon="search" title={ui.t("ops.deliveries.noMatch")} text={ui.t("ops.deliveries.noMatchText")} />}
        columns={[
          {
            label: ui.t("ops.dead.event"),
            heading: true,
            cell: ({ outboxId, eventType }) => (
              <a href={`${DELIVERIES_PATH}/${outboxId}`}>
                {`#${outboxId}`} <span class="mono">{eventType}</span>
              </a>
            ),
          },
          { label: ui.t("ops.destination"), cell: ({ destinationId }) => destinationId },
          {
            label: ui.t("ops.state"),
            cell: ({ state }) => <Badge tone={DELIVERY_TONES[state]}>{ui.t(`ops.delivery.${state}`)}</Badge>,
          },
          { label: ui.t("ops.delivery.event"), cell: ({ eventId }) => <Code ui={ui} value={eventId} keep={14} /> },
          { label: ui.t("ops.dead.attempts"), align: "right", cell: ({ attempts }) => ui.number(attempts) },
          {
            label: ui.t("ops.delivery.status"),
            align: "right",
            cell: ({ lastStatus, lastError }) => <span class="mono">{lastStatus ?? lastError ?? "–"}</span>,
          },
          { label: ui.t("ops.delivery.created"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} /> },
          {
            label: ui.t("ops.delivery.delivered"),
            cell: ({ deliveredAt }) => (deliveredAt === null ? "–" : <Time ui={ui} at={deliveredAt} />),
          },
        ]}
      />
      <Pager
        ui={ui}
        path={DELIVERIES_PATH}
        query={{ list: "all", ...filters }}
        cursor={cursor}
        nextCursor={found.next ?? undefined}
      />
    </Card>
  );
};
