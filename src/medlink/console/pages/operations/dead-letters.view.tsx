import { type Asked, askedValue } from "../../../operations/asked.ts";
import { FilterForm, FilterSelect, FilterText } from "../../components/form.view.tsx";
import { Action, Card, Confirm, Empty, Pager, Table, Time } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import type { DeadLetters } from "./core-shapes.ts";
import { DELIVERIES_PATH, RELAY_API } from "./relay-paths.ts";

export const ERROR_CLASSES = [
  "http-4xx",
  "http-5xx",
  "timeout",
  "connection-failed",
  "not-yet-known",
  "lease-expired",
] as const;

export interface DeadLetterFilters {
  readonly destinationId?: string | undefined;
  readonly errorClass?: (typeof ERROR_CLASSES)[number] | undefined;
  /** Days, `YYYY-MM-DD`, in the viewer's zone; both are within. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface DeadLettersProps {
  readonly ui: Ui;
  readonly letters: Asked<DeadLetters>;
  readonly filters: DeadLetterFilters;
  /** The filters as core takes them. */
  readonly selection: Readonly<Record<string, string | number>>;
  readonly cursor: string | undefined;
}

export const DeadLetterFilterForm = ({
  ui,
  filters,
  destinations,
}: {
  readonly ui: Ui;
  readonly filters: DeadLetterFilters;
  readonly destinations: readonly string[];
}) => (
  <FilterForm ui={ui} path={DELIVERIES_PATH}>
    <DestinationFilter ui={ui} value={filters.destinationId} destinations={destinations} />
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
);

export const DestinationFilter = ({
  ui,
  value,
  destinations,
}: {
  readonly ui: Ui;
  readonly value: string | undefined;
  readonly destinations: readonly string[];
}) => (
  <FilterSelect
    name="destinationId"
    label={ui.t("ops.destination")}
    value={value}
    blank={ui.t("app.all")}
    options={destinations.map((destinationId) => ({ value: destinationId, label: destinationId }))}
  />
);

/** In a word: the class of the error, or the status that was answered. */
export const errorOf = ({
  lastError,
  lastStatus,
}: {
  readonly lastError: string | null;
  readonly lastStatus: number | null;
}) => lastError ?? (lastStatus === null ? "–" : String(lastStatus));

export const Letters = ({ ui, letters, filters, selection, cursor }: DeadLettersProps) => {
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
              call={{ method: "POST", path: `${RELAY_API}/dead-letters/replay`, body: selection }}
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
                <a class="button" href={DELIVERIES_PATH}>
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
                <a href={`${DELIVERIES_PATH}/${outboxId}`}>
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
          path={DELIVERIES_PATH}
          query={{ ...filters }}
          cursor={cursor}
          nextCursor={found.next === null ? undefined : found.next}
        />
      </Card>
    </>
  );
};

export const Replay = ({
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
    call={{ method: "POST", path: `${RELAY_API}/dead-letters/${outboxId}/replay` }}
    go="reload"
    toast={ui.t("ops.dead.replayed")}
    problems={{ conflict: ui.t("ops.dead.overtaken") }}
  >
    {ui.t("ops.dead.replay")}
    <span class="sr">{` #${outboxId}`}</span>
  </Action>
);
