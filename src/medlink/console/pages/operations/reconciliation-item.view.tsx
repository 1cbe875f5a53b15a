import { type Asked, askedValue } from "../../../operations/asked.ts";
import { ApiForm, FormButtons } from "../../components/form.view.tsx";
import {
  Action,
  Badge,
  Card,
  Code,
  Confirm,
  Dialog,
  Facts,
  PageHead,
  Table,
  Time,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import { ReasonField } from "./reason-field.view.tsx";
import { ItemBadge, ownerOf } from "./reconciliation.view.tsx";
import { RECONCILIATION_API, RECONCILIATION_PATH } from "./settlement-paths.ts";
import type { Item, Side } from "./settlement-shapes.ts";
import { SettlementLink } from "./settlements.view.tsx";

export interface ItemProps {
  readonly ui: Ui;
  readonly title: string;
  readonly item: Asked<Item>;
  /** Who looks. */
  readonly me: string;
}

export const ItemView = ({ ui, title, item: asked, me }: ItemProps) => {
  const item = askedValue(asked);
  return (
    <>
      <PageHead ui={ui} title={title} trail={[{ href: RECONCILIATION_PATH, label: ui.t("nav.reconciliation") }]}>
        {item?.state === "open" ? <Actions ui={ui} item={item} me={me} /> : null}
      </PageHead>
      <Away ui={ui} asked={asked} />
      {item === undefined ? null : (
        <div class="stack" id="item">
          <Sides ui={ui} item={item} />
          <About ui={ui} item={item} me={me} />
        </div>
      )}
      {item?.state === "open" ? <Accept ui={ui} item={item} /> : null}
    </>
  );
};

interface Shown {
  readonly ui: Ui;
  readonly item: Item;
}

const pathOf = ({ itemId }: Item): string => `${RECONCILIATION_API}/items/${itemId}`;

const Actions = ({ ui, item, me }: Shown & { readonly me: string }) => {
  const problems = {
    conflict: ui.t("rec.conflict"),
    upstream_unavailable: ui.t("rec.ask.away"),
    unavailable: ui.t("rec.ask.away"),
  };
  const mine = item.owner === me;
  return (
    <>
      <Action
        call={{ method: "PUT", path: `${pathOf(item)}/owner`, body: { mine: !mine } }}
        go="reload"
        toast={ui.t(mine ? "rec.left" : "rec.taken")}
        problems={problems}
      >
        {ui.t(mine ? "rec.leave" : "rec.take")}
      </Action>
      <Action
        icon="refresh"
        call={{ method: "POST", path: `${pathOf(item)}/resolve`, body: { action: "ask" } }}
        go="reload"
        toast={ui.t("rec.ask.done")}
        problems={problems}
      >
        {ui.t("rec.ask")}
      </Action>
      {item.kind === "missing_at_operator" ? (
        <>
          <Action
            icon="upload"
            call={{ method: "POST", path: `${pathOf(item)}/resolve`, body: { action: "replay" } }}
            confirm="send"
            go="reload"
            toast={ui.t("rec.send.done")}
            problems={problems}
          >
            {ui.t("rec.send")}
          </Action>
          <Confirm
            id="send"
            ui={ui}
            title={ui.t("rec.send.title")}
            text={ui.t("rec.send.text")}
            action={ui.t("rec.send")}
          />
        </>
      ) : null}
      <button type="button" class="primary" data-open="accept">
        {ui.t("rec.accept")}
      </button>
    </>
  );
};

const FIELDS = ["type", "amount", "currency", "status"] as const;
type Field = (typeof FIELDS)[number];

const shownField = (ui: Ui, side: Side, field: Field): string => {
  switch (field) {
    case "type":
      return ui.label("stl.type", side.type);
    case "amount":
      return ui.money({ minor: side.amountCents, currency: side.currency });
    case "currency":
      return side.currency;
    case "status":
      return ui.label("stl.status", side.status);
  }
};

const differ = ({ ours, theirs }: Item, field: Field): boolean => {
  if (ours === null || theirs === null) return false;
  return field === "amount" ? ours.amountCents !== theirs.amountCents : ours[field] !== theirs[field];
};

const Sides = ({ ui, item }: Shown) => {
  const shown = (side: Side | null, field: Field) =>
    side === null ? ui.t("rec.item.absent") : shownField(ui, side, field);
  return (
    <Card flush title={ui.t("rec.item.sides")} aside={<ItemBadge ui={ui} state={item.state} />}>
      <Table
        caption={ui.t("rec.item.sides")}
        rows={FIELDS}
        empty={null}
        columns={[
          { label: ui.t("rec.kind"), heading: true, cell: (field) => ui.t(`rec.kind.${field}`) },
          { label: ui.t("rec.ours"), cell: (field) => shown(item.ours, field) },
          {
            label: ui.t("rec.theirs"),
            cell: (field) => (
              <>
                {shown(item.theirs, field)}{" "}
                {differ(item, field) ? <Badge tone="bad">{ui.t("rec.item.differs")}</Badge> : null}
              </>
            ),
          },
        ]}
      />
    </Card>
  );
};

const About = ({ ui, item, me }: Shown & { readonly me: string }) => (
  <Card title={ui.t("rec.item.facts")}>
    <Facts
      rows={[
        [ui.t("rec.kind"), ui.t(`rec.kind.${item.kind}`)],
        [
          ui.t("stl.name"),
          item.ours === null ? <Code ui={ui} value={item.refId} keep={30} /> : <SettlementLink refId={item.refId} />,
        ],
        ...(item.theirs?.operatorTransactionId === undefined
          ? []
          : [[ui.t("stl.operatorId"), <Code ui={ui} value={item.theirs.operatorTransactionId} keep={30} />] as const]),
        [ui.t("rec.day"), ui.day(item.day)],
        [ui.t("rec.owner"), ownerOf(ui, item.owner, me)],
        [ui.t("rec.item.run"), <span class="mono">{item.runId}</span>],
        [ui.t("rec.found"), <Time ui={ui} at={item.foundAt} both />],
        [ui.t("rec.seen"), <Time ui={ui} at={item.seenAt} both />],
        ...(item.resolution === null
          ? []
          : ([
              [ui.t("rec.item.resolution"), ui.label("rec.resolution", item.resolution)],
              [ui.t("stl.reason"), <span class="mono">{item.reason ?? "–"}</span>],
              [ui.t("rec.item.resolvedBy"), <span class="mono">{item.resolvedBy ?? "–"}</span>],
              [
                ui.t("rec.item.resolvedAt"),
                item.resolvedAt === null ? "–" : <Time ui={ui} at={item.resolvedAt} both />,
              ],
            ] as const)),
      ]}
    />
  </Card>
);

const Accept = ({ ui, item }: Shown) => (
  <Dialog id="accept" ui={ui} title={ui.t("rec.accept.title")}>
    <ApiForm
      id="accept-form"
      method="POST"
      path={`${pathOf(item)}/resolve`}
      fixed={{ action: "accept" }}
      go="reload"
      toast={ui.t("rec.accept.done")}
      problems={{ conflict: ui.t("rec.conflict") }}
    >
      <p class="quiet">{ui.t("rec.accept.text")}</p>
      <ReasonField ui={ui} label={ui.t("stl.reason")} hint={ui.t("stl.resolve.reasonHint")} />
      <FormButtons ui={ui} action={ui.t("rec.accept.action")} />
    </ApiForm>
  </Dialog>
);
