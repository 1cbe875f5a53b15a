import { type Asked, askedValue } from "../../../operations/asked.ts";
import {
  ApiForm,
  FilterForm,
  FilterSelect,
  FilterText,
  SelectField,
  Submit,
  TextField,
} from "../../components/form.view.tsx";
import {
  Action,
  Badge,
  Card,
  Code,
  type Column,
  Confirm,
  Dialog,
  Empty,
  Facts,
  Live,
  Notice,
  PageHead,
  Pager,
  Stat,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import type { DeadLetters, Delivery, Relay } from "./core-shapes.ts";
import { StateBadge } from "./overview.view.tsx";

export const ERROR_CLASSES = [
  "http-4xx",
  "http-5xx",
  "timeout",
  "connection-failed",
  "not-yet-known",
  "lease-expired",
] as const;

const API = "/api/operations/relay";
const PATH = "/operations/deliveries";
const EVERY_MS = 5_000;

export interface DeadLetterFilters {
  readonly destinationId?: string | undefined;
  readonly errorClass?: (typeof ERROR_CLASSES)[number] | undefined;
  /** Days, `YYYY-MM-DD`, in the viewer's zone; both are within. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface DeliveriesProps {
  readonly ui: Ui;
  readonly relay: Asked<Relay>;
  readonly letters: Asked<DeadLetters>;
  readonly filters: DeadLetterFilters;
  /** The filters as core takes them. */
  readonly selection: Readonly<Record<string, string | number>>;
  readonly cursor: string | undefined;
}

export const DeliveriesView = ({ ui, relay, letters, filters, selection, cursor }: DeliveriesProps) => {
  const status = askedValue(relay);
  return (
    <>
      <PageHead ui={ui} title={ui.t("ops.deliveries.title")} lead={ui.t("ops.deliveries.lead")}>
        {status === undefined ? null : status.pausedAt === null ? (
          <Action
            call={{ method: "POST", path: `${API}/pause` }}
            icon="pause"
            confirm="pause-relay"
            go="reload"
            toast={ui.t("ops.relay.pausedNow")}
          >
            {ui.t("ops.relay.pause")}
          </Action>
        ) : (
          <Action
            call={{ method: "POST", path: `${API}/resume` }}
            tone="primary"
            icon="play"
            go="reload"
            toast={ui.t("ops.relay.resumedNow")}
          >
            {ui.t("ops.relay.resume")}
          </Action>
        )}
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
        <h2 class="section">{ui.t("ops.dead.title")}</h2>
        <FilterForm ui={ui} path={PATH}>
          <FilterSelect
            name="destinationId"
            label={ui.t("ops.destination")}
            value={filters.destinationId}
            blank={ui.t("app.all")}
            options={(status?.destinations ?? []).map(({ destinationId }) => ({
              value: destinationId,
              label: destinationId,
            }))}
          />
          <FilterSelect
            name="errorClass"
            label={ui.t("ops.dead.error")}
            value={filters.errorClass}
            blank={ui.t("app.all")}
            options={ERROR_CLASSES.map((value) => ({ value, label: ui.t(`ops.error.${value}`) }))}
          />
          <FilterText name="from" type="date" label={ui.t("ops.dead.from")} value={filters.from} />
          <FilterText name="to" type="date" label={ui.t("ops.dead.to")} value={filters.to} />
        </FilterForm>
        <Letters ui={ui} letters={letters} filters={filters} selection={selection} cursor={cursor} />
      </section>
    </>
  );
};

const RelayStatus = ({ ui, status }: { readonly ui: Ui; readonly status: Relay }) => {
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
    cell: ({ destinationId, deadLetterCount }) =>
      deadLetterCount === 0 ? (
        ui.number(0)
      ) : (
        <a href={`${PATH}?destinationId=${destinationId}#dead-letters`}>{ui.number(deadLetterCount)}</a>
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
          call={{ method: "POST", path: `${API}/destinations/${destinationId}/${verb}` }}
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

const errorOf = ({
  lastError,
  lastStatus,
}: {
  readonly lastError: string | null;
  readonly lastStatus: number | null;
}) => lastError ?? (lastStatus === null ? "–" : String(lastStatus));

const Letters = ({ ui, letters, filters, selection, cursor }: Omit<DeliveriesProps, "relay">) => {
  const found = askedValue(letters);
  if (found === undefined) return <Away ui={ui} asked={letters} />;
  const filtered = Object.keys(selection).length > 0;
  return (
    <>
      {found.count === 0 ? null : (
        <div class="list-head">
          <p aria-live="polite">{ui.count("ops.dead.count", found.count)}</p>
          {filtered ? (
            <Action
              call={{ method: "POST", path: `${API}/dead-letters/replay`, body: selection }}
              icon="refresh"
              confirm="replay-all"
              go="reload"
              toast={ui.t("ops.dead.replayedAll")}
            >
              {ui.count("ops.dead.replayAll", found.count)}
            </Action>
          ) : (
            <p class="quiet">{ui.t("ops.dead.narrow")}</p>
          )}
        </div>
      )}
      <Confirm
        id="replay-all"
        ui={ui}
        title={ui.t("ops.dead.replayAllTitle")}
        text={ui.t("ops.dead.replayAllText")}
        action={ui.t("ops.dead.replay")}
      />
      <Card flush>
        <Table
          caption={ui.t("ops.dead.title")}
          rows={found.deadLetters}
          empty={
            filtered ? (
              <Empty icon="search" title={ui.t("ops.dead.noMatch")}>
                <a class="button" href={PATH}>
                  {ui.t("app.clear")}
                </a>
              </Empty>
            ) : (
              <Empty icon="check" title={ui.t("ops.dead.empty")} text={ui.t("ops.dead.emptyText")} />
            )
          }
          columns={[
            {
              label: ui.t("ops.dead.event"),
              heading: true,
              cell: ({ outboxId, eventType }) => (
                <a href={`${PATH}/${outboxId}`}>
                  {`#${outboxId}`} <span class="mono">{eventType}</span>
                </a>
              ),
            },
            { label: ui.t("ops.destination"), cell: ({ destinationId }) => destinationId },
            { label: ui.t("ops.dead.error"), cell: (letter) => <span class="mono">{errorOf(letter)}</span> },
            { label: ui.t("ops.dead.attempts"), align: "right", cell: ({ attempts }) => ui.number(attempts) },
            {
              label: ui.t("ops.dead.givenUp"),
              cell: ({ deadAt }) => (deadAt === null ? "–" : <Time ui={ui} at={deadAt} />),
            },
            {
              label: ui.t("app.actions"),
              quiet: true,
              align: "right",
              cell: ({ outboxId }) => <Replay ui={ui} outboxId={outboxId} small />,
            },
          ]}
        />
        <Pager
          ui={ui}
          path={PATH}
          query={{ ...filters }}
          cursor={cursor}
          nextCursor={found.next === null ? undefined : found.next}
        />
      </Card>
    </>
  );
};

const Replay = ({
  ui,
  outboxId,
  small = false,
}: {
  readonly ui: Ui;
  readonly outboxId: number;
  readonly small?: boolean;
}) => (
  <Action
    small={small}
    tone={small ? "plain" : "primary"}
    icon="refresh"
    call={{ method: "POST", path: `${API}/dead-letters/${outboxId}/replay` }}
    go="reload"
    toast={ui.t("ops.dead.replayed")}
    problems={{ conflict: ui.t("ops.dead.overtaken") }}
  >
    {ui.t("ops.dead.replay")}
    <span class="sr">{` #${outboxId}`}</span>
  </Action>
);

const DELIVERY_TONES: Readonly<Record<Delivery["state"], Tone>> = {
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
      <PageHead ui={ui} title={title} trail={[{ href: PATH, label: ui.t("ops.deliveries.title") }]}>
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
      path={`${API}/dead-letters/${outboxId}/discard`}
      go="reload"
      toast={ui.t("ops.dead.discarded")}
    >
      <p class="quiet">{ui.t("ops.dead.discardText")}</p>
      <TextField
        ui={ui}
        name="reason"
        label={ui.t("ops.dead.reason")}
        hint={ui.t("ops.dead.reasonHint")}
        pattern="[A-Z0-9\-]+"
        maxLength={40}
      />
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
      <div class="actions end">
        <button type="button" class="plain" data-close>
          {ui.t("app.cancel")}
        </button>
        <Submit danger>{ui.t("ops.dead.discard")}</Submit>
      </div>
    </ApiForm>
  </Dialog>
);
