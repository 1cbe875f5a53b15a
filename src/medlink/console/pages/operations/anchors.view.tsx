import { type Asked, askedValue } from "../../../operations/asked.ts";
import { Icon } from "../../components/icon.view.tsx";
import {
  Badge,
  Card,
  Code,
  Empty,
  Facts,
  Live,
  PageHead,
  Pager,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { Away } from "./away.view.tsx";
import type { Anchor, AnchorEvent, AnchorList } from "./core-shapes.ts";
import { StateBadge } from "./overview.view.tsx";

const PATH = "/operations/anchors";
const EVERY_MS = 10_000;

const TONES: Readonly<Record<Anchor["state"], Tone>> = { submitted: "info", confirmed: "good", failed: "bad" };

const AnchorBadge = ({ ui, state }: { readonly ui: Ui; readonly state: Anchor["state"] }) => (
  <Badge tone={TONES[state]}>{ui.t(`ops.anchor.${state}`)}</Badge>
);

const moment = (ui: Ui, text: string | null | undefined) =>
  text == null ? "–" : <Time ui={ui} at={Date.parse(text)} both />;

const ETHER_WEI = 10 ** 18;

export interface AnchorsProps {
  readonly ui: Ui;
  readonly anchors: Asked<AnchorList>;
  readonly cursor: string | undefined;
}

export const AnchorsView = ({ ui, anchors: asked, cursor }: AnchorsProps) => {
  const found = askedValue(asked);
  return (
    <>
      <PageHead ui={ui} title={ui.t("nav.anchors")} lead={ui.t("ops.anchors.lead")}>
        <a class="button" href="/operations/charts/anchoring">
          <Icon name="pulse" />
          {ui.t("ops.board.anchoring")}
        </a>
      </PageHead>
      {found === undefined ? (
        <Away ui={ui} asked={asked} />
      ) : (
        <Live id="anchors" everyMs={EVERY_MS}>
          <div class="stack">
            <Signer ui={ui} signer={found.signer} />
            <Card flush title={ui.t("ops.anchors.list")}>
              <Table
                caption={ui.t("ops.anchors.list")}
                rows={found.anchors}
                empty={<Empty icon="chain" title={ui.t("ops.anchors.empty")} text={ui.t("ops.anchors.emptyText")} />}
                columns={[
                  {
                    label: ui.t("ops.anchor.size"),
                    heading: true,
                    cell: ({ size }) => <a href={`${PATH}/${size}`}>{ui.number(size)}</a>,
                  },
                  { label: ui.t("ops.state"), cell: ({ state }) => <AnchorBadge ui={ui} state={state} /> },
                  { label: ui.t("ops.anchor.tx"), cell: ({ txHash }) => <Code ui={ui} value={txHash} keep={14} /> },
                  {
                    label: ui.t("ops.anchor.block"),
                    align: "right",
                    cell: ({ blockNumber }) => (blockNumber === null ? "–" : ui.number(blockNumber)),
                  },
                  { label: ui.t("ops.anchor.submittedAt"), cell: ({ submittedAt }) => moment(ui, submittedAt) },
                  {
                    label: ui.t("ops.anchor.took"),
                    align: "right",
                    cell: ({ submittedAt, confirmedAt }) =>
                      confirmedAt === null ? "–" : ui.duration(Date.parse(confirmedAt) - Date.parse(submittedAt)),
                  },
                ]}
              />
              <Pager
                ui={ui}
                path={PATH}
                query={{}}
                cursor={cursor}
                nextCursor={found.nextBefore === null ? undefined : String(found.nextBefore)}
              />
            </Card>
            {found.signerEvents.length === 0 ? null : (
              <Card flush title={ui.t("ops.anchors.signerEvents")}>
                <Events ui={ui} caption={ui.t("ops.anchors.signerEvents")} events={found.signerEvents} />
              </Card>
            )}
          </div>
        </Live>
      )}
    </>
  );
};

const Signer = ({ ui, signer }: { readonly ui: Ui; readonly signer: AnchorList["signer"] }) => (
  <Card title={ui.t("ops.signer")} aside={<StateBadge ui={ui} state={signer.state} />}>
    <Facts
      rows={[
        ...(signer.reason === null || signer.state === "idle" ? [] : [[ui.t("ops.reason"), signer.reason] as const]),
        ...(signer.address == null
          ? []
          : [[ui.t("ops.signer.address"), <Code ui={ui} value={signer.address} keep={42} />] as const]),
        ...(signer.balanceWei == null
          ? []
          : [
              [
                ui.t("ops.signer.balance"),
                <span>
                  {(Number(signer.balanceWei) / ETHER_WEI).toLocaleString(ui.language, { maximumFractionDigits: 4 })}{" "}
                  {signer.balanceLow ? <Badge tone="warn">{ui.t("ops.signer.low")}</Badge> : null}
                </span>,
              ] as const,
            ]),
        ...(signer.chainId === undefined ? [] : [[ui.t("proof.chain"), String(signer.chainId)] as const]),
        ...(signer.contractAddress === undefined
          ? []
          : [[ui.t("proof.contract"), <Code ui={ui} value={signer.contractAddress} keep={42} />] as const]),
        ...(signer.latestBlock == null ? [] : [[ui.t("ops.signer.latest"), ui.number(signer.latestBlock)] as const]),
      ]}
    />
  </Card>
);

interface EventsProps {
  readonly ui: Ui;
  readonly caption: string;
  readonly events: readonly AnchorEvent[];
}

const Events = ({ ui, caption, events }: EventsProps) => (
  <Table
    caption={caption}
    rows={events}
    empty={<Empty icon="history" title={ui.t("ops.anchor.noEvents")} />}
    columns={[
      { label: ui.t("ops.anchor.event"), heading: true, cell: ({ type }) => ui.label("ops.anchorEvent", type) },
      { label: ui.t("ops.reason"), cell: ({ reason }) => <span class="mono">{reason}</span> },
      { label: ui.t("ops.anchor.when"), cell: ({ at }) => moment(ui, at) },
      { label: ui.t("ops.anchor.nonce"), align: "right", cell: ({ nonce }) => (nonce === null ? "–" : String(nonce)) },
      {
        label: ui.t("ops.anchor.tx"),
        cell: ({ txHash }) => (txHash === null ? "–" : <Code ui={ui} value={txHash} />),
      },
    ]}
  />
);

export interface AnchorProps {
  readonly ui: Ui;
  readonly title: string;
  readonly anchor: Asked<Anchor>;
}

export const AnchorView = ({ ui, title, anchor: asked }: AnchorProps) => {
  const anchor = askedValue(asked);
  return (
    <>
      <PageHead ui={ui} title={title} trail={[{ href: PATH, label: ui.t("nav.anchors") }]} />
      {anchor === undefined ? (
        <Away ui={ui} asked={asked} />
      ) : (
        <Live id="anchor" everyMs={EVERY_MS}>
          <div class="stack">
            <Card title={ui.t("proof.anchor")} aside={<AnchorBadge ui={ui} state={anchor.state} />}>
              <Facts rows={factsOf(ui, anchor)} />
            </Card>
            <Card flush title={ui.t("ops.anchor.history")}>
              <Events ui={ui} caption={ui.t("ops.anchor.history")} events={anchor.events} />
            </Card>
          </div>
        </Live>
      )}
    </>
  );
};

const factsOf = (ui: Ui, anchor: Anchor) =>
  [
    [
      ui.t("ops.anchor.covers"),
      ui.t("ops.anchor.entries", { from: ui.number(anchor.previousSize), to: ui.number(anchor.size - 1) }),
    ],
    [ui.t("proof.root"), <code class="wrap">{anchor.rootHash}</code>],
    ...(anchor.reason === null ? [] : [[ui.t("ops.reason"), anchor.reason] as const]),
    [ui.t("proof.chain"), String(anchor.chainId)],
    [ui.t("proof.contract"), <Code ui={ui} value={anchor.contractAddress} keep={42} />],
    [ui.t("ops.anchor.tx"), <code class="wrap">{anchor.txHash}</code>],
    [ui.t("ops.anchor.block"), anchor.blockNumber === null ? "–" : ui.number(anchor.blockNumber)],
    [ui.t("ops.anchor.submittedAt"), moment(ui, anchor.submittedAt)],
    [ui.t("ops.anchor.confirmedAt"), moment(ui, anchor.confirmedAt)],
  ] as const;
