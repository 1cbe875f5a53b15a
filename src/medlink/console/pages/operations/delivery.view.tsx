import { type Asked, askedValue } from "../../../operations/asked.ts";
import { ApiForm, FormButtons, SelectField } from "../../components/form.view.tsx";
import {
  Badge,
  Card,
  Code,
  Dialog,
  Empty,
  Facts,
  Live,
  PageHead,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import type { Delivery } from "./core-shapes.ts";
import { errorOf, Replay } from "./dead-letters.view.tsx";
import { ReasonField } from "./reason-field.view.tsx";
import { DELIVERIES_PATH, RELAY_API } from "./relay-paths.ts";

const EVERY_MS = 5_000;

export const DELIVERY_TONES: Readonly<Record<Delivery["state"], Tone>> = {
  waiting: "neutral",
  due: "info",
  leased: "info",
  delivered: "good",
  dead: "bad",
  discarded: "neutral",
};

const pretty = (json: string): string => {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
};

export interface DeliveryProps {
  readonly ui: Ui;
  readonly title: string;
  readonly delivery: Asked<Delivery>;
}

export const DeliveryView = ({ ui, title, delivery: asked }: DeliveryProps) => {
  const delivery = askedValue(asked);
  const dead = delivery?.state === "dead";
  return (
    <>
      <PageHead ui={ui} title={title} trail={[{ href: DELIVERIES_PATH, label: ui.t("ops.deliveries.title") }]}>
        {dead ? (
          <>
            <button type="button" class="plain" data-open="discard">
              {ui.t("ops.dead.discard")}
            </button>
            <Replay ui={ui} outboxId={delivery.outboxId} />
          </>
        ) : null}
      </PageHead>
      <Away ui={ui} asked={asked} />
      {delivery === undefined ? null : (
        <Live id="delivery" everyMs={EVERY_MS}>
          <Inspected ui={ui} delivery={delivery} />
        </Live>
      )}
      {dead ? <Discard ui={ui} outboxId={delivery.outboxId} /> : null}
    </>
  );
};

const Inspected = ({ ui, delivery }: { readonly ui: Ui; readonly delivery: Delivery }) => (
  <div class="stack">
    <Card
      title={delivery.eventType}
      aside={<Badge tone={DELIVERY_TONES[delivery.state]}>{ui.t(`ops.delivery.${delivery.state}`)}</Badge>}
    >
      <Facts
        rows={[
          [ui.t("ops.destination"), delivery.destinationId],
          [ui.t("ops.delivery.request"), <Code ui={ui} value={delivery.requestIdHash} keep={24} />],
          [ui.t("ops.delivery.event"), <Code ui={ui} value={delivery.eventId} keep={24} />],
          [ui.t("ops.delivery.correlation"), <Code ui={ui} value={delivery.correlationId} keep={36} />],
          [ui.t("ops.delivery.created"), <Time ui={ui} at={delivery.createdAt} both />],
          ...(delivery.settledAt === null
            ? []
            : [[ui.t("ops.delivery.settled"), <Time ui={ui} at={delivery.settledAt} both />] as const]),
          [ui.t("ops.dead.error"), <span class="mono">{errorOf(delivery)}</span>],
          ...(delivery.discardReason === null
            ? []
            : [[ui.t("ops.delivery.discardReason"), delivery.discardReason] as const]),
          [ui.t("ops.delivery.replays"), ui.number(delivery.replays)],
          [ui.t("ops.delivery.held"), ui.number(delivery.held)],
        ]}
      />
    </Card>
    <Card flush title={ui.t("ops.delivery.attempts")}>
      <Table
        caption={ui.t("ops.delivery.attempts")}
        rows={delivery.attemptsMade.toReversed()}
        empty={<Empty icon="clock" title={ui.t("ops.delivery.noAttempts")} />}
        columns={[
          {
            label: ui.t("ops.delivery.when"),
            heading: true,
            cell: ({ startedAt }) => <Time ui={ui} at={startedAt} both />,
          },
          { label: ui.t("ops.delivery.outcome"), cell: ({ outcome }) => ui.label("ops.attempt", outcome) },
          {
            label: ui.t("ops.delivery.status"),
            cell: ({ status, error }) => <span class="mono">{status ?? error ?? "–"}</span>,
          },
          { label: ui.t("ops.delivery.took"), align: "right", cell: ({ durationMs }) => ui.duration(durationMs) },
          {
            label: ui.t("ops.delivery.answer"),
            cell: ({ answer }) =>
              answer === null || answer === "" ? "–" : <code class="wrap answer">{answer.slice(0, 1_024)}</code>,
          },
        ]}
      />
    </Card>
    <Card title={ui.t("ops.delivery.body")} lead={ui.t("ops.delivery.bodyLead")}>
      <pre class="wrap" tabindex={0}>
        {pretty(delivery.body)}
      </pre>
    </Card>
  </div>
);

const Discard = ({ ui, outboxId }: { readonly ui: Ui; readonly outboxId: number }) => (
  <Dialog id="discard" ui={ui} title={ui.t("ops.dead.discardTitle")}>
    <ApiForm
      id="discard-form"
      method="POST"
      path={`${RELAY_API}/dead-letters/${outboxId}/discard`}
      go="reload"
      toast={ui.t("ops.dead.discarded")}
    >
      <p class="quiet">{ui.t("ops.dead.discardText")}</p>
      <ReasonField ui={ui} label={ui.t("ops.dead.reason")} hint={ui.t("ops.dead.reasonHint")} />
      <SelectField
        ui={ui}
        name="rest"
        label={ui.t("ops.dead.rest")}
        value="discard"
        options={[
          { value: "discard", label: ui.t("ops.dead.restDiscard") },
          { value: "release", label: ui.t("ops.dead.restRelease") },
        ]}
      />
      <FormButtons ui={ui} action={ui.t("ops.dead.discard")} danger />
    </ApiForm>
  </Dialog>
);
