import { type Asked, askedValue } from "../../../operations/asked.ts";
import { FilterForm, FilterText } from "../../components/form.view.tsx";
import { Icon } from "../../components/icon.view.tsx";
import {
  Badge,
  Card,
  Code,
  Empty,
  Facts,
  Live,
  Notice,
  PageHead,
  Pager,
  Table,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { VerifyResult } from "../proof.view.tsx";
import { Away } from "./away.view.tsx";
import type { Inclusion, LedgerEntry, Verification } from "./core-shapes.ts";

const PATH = "/operations/ledger";
const EVERY_MS = 10_000;

const TONES: Readonly<Record<Verification["status"], Tone>> = { valid: "good", invalid: "bad", unverified: "warn" };

export interface LedgerProps {
  readonly ui: Ui;
  readonly verification: Asked<Verification>;
  readonly entries: Asked<readonly LedgerEntry[]>;
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

export const LedgerView = ({ ui, verification: asked, entries, cursor, nextCursor }: LedgerProps) => {
  const verification = askedValue(asked);
  const found = askedValue(entries);
  return (
    <>
      <PageHead ui={ui} title={ui.t("ops.ledger.title")} lead={ui.t("ops.ledger.lead")}>
        <a class="button" href="/operations/anchors">
          <Icon name="chain" />
          {ui.t("nav.anchors")}
        </a>
      </PageHead>
      <Live id="ledger-verification" everyMs={EVERY_MS}>
        <Away ui={ui} asked={asked} />
        {verification === undefined ? null : <VerificationCard ui={ui} verification={verification} />}
      </Live>
      <div class="spaced">
        <FilterForm ui={ui} path={PATH} action={ui.t("ops.ledger.go")}>
          <FilterText name="seq" label={ui.t("ops.ledger.goTo")} value={undefined} placeholder="0" />
        </FilterForm>
        {found === undefined ? (
          <Away ui={ui} asked={entries} />
        ) : (
          <Card flush>
            <Table
              caption={ui.t("ops.ledger.entries")}
              rows={found}
              empty={<Empty icon="inbox" title={ui.t("ops.ledger.empty")} text={ui.t("ops.ledger.emptyText")} />}
              columns={[
                {
                  label: ui.t("ops.ledger.seq"),
                  heading: true,
                  cell: ({ seq }) => <a href={`${PATH}/${seq}`}>{ui.number(seq)}</a>,
                },
                { label: ui.t("ops.ledger.type"), cell: ({ entry }) => <span class="mono">{entry.type}</span> },
                { label: ui.t("ops.ledger.subject"), cell: ({ entry }) => <Code ui={ui} value={entry.subject} /> },
                { label: ui.t("ops.ledger.hash"), cell: ({ entryHash }) => <Code ui={ui} value={entryHash} /> },
                { label: ui.t("ops.ledger.at"), cell: ({ entry }) => <Time ui={ui} at={Date.parse(entry.at)} both /> },
              ]}
            />
            <Pager ui={ui} path={PATH} query={{}} cursor={cursor} nextCursor={nextCursor} />
          </Card>
        )}
      </div>
    </>
  );
};

const moment = (ui: Ui, text: string | null | undefined) =>
  text == null ? "–" : <Time ui={ui} at={Date.parse(text)} both />;

const number = (ui: Ui, value: number | null | undefined): string => (value == null ? "–" : ui.number(value));

const VerificationCard = ({ ui, verification }: { readonly ui: Ui; readonly verification: Verification }) => {
  const { status, findings, scrub } = verification;
  return (
    <Card
      title={ui.t("ops.verification")}
      lead={ui.t(`ops.verification.${status}Text`)}
      aside={<Badge tone={TONES[status]}>{ui.t(`ops.verification.${status}`)}</Badge>}
    >
      <div class="grid">
        <Facts
          rows={[
            [ui.t("ops.verification.size"), number(ui, verification.size)],
            [ui.t("ops.verification.through"), number(ui, verification.verifiedThrough)],
            [ui.t("ops.verification.at"), moment(ui, verification.verifiedAt)],
            [
              ui.t("ops.verification.root"),
              verification.rootHash === undefined ? "–" : <Code ui={ui} value={verification.rootHash} keep={16} />,
            ],
          ]}
        />
        <Facts
          rows={[
            [ui.t("ops.verification.checkpoint"), number(ui, verification.checkpoint)],
            [ui.t("ops.verification.anchor"), number(ui, verification.anchor)],
            [ui.t("ops.verification.scrubbed"), moment(ui, verification.scrubbedAt)],
            [
              ui.t("ops.verification.round"),
              scrub === undefined
                ? "–"
                : ui.t("ops.verification.roundAt", {
                    round: scrub.round,
                    phase: scrub.phase,
                    position: scrub.position,
                  }),
            ],
          ]}
        />
      </div>
      {findings.length === 0 ? (
        <p class="quiet spaced">{ui.t("ops.verification.none")}</p>
      ) : (
        <div class="spaced">
          <Notice tone="bad" title={ui.count("ops.verification.findings", findings.length)}>
            <ul>
              {findings.slice(0, 50).map(({ type, seq, place, detail }) => (
                <li>
                  <span class="mono">{type}</span>{" "}
                  {seq === undefined ? null : <a href={`${PATH}/${seq}`}>{`#${seq}`}</a>} {place} {detail}
                </li>
              ))}
            </ul>
          </Notice>
        </div>
      )}
    </Card>
  );
};

export interface EntryProps {
  readonly ui: Ui;
  readonly title: string;
  readonly entry: Asked<LedgerEntry>;
  readonly inclusion: Asked<Inclusion>;
  readonly logKeys: string | undefined;
}

export const EntryView = ({ ui, title, entry: asked, inclusion, logKeys }: EntryProps) => {
  const found = askedValue(asked);
  return (
    <>
      <PageHead ui={ui} title={title} trail={[{ href: PATH, label: ui.t("ops.ledger.title") }]}>
        {found === undefined ? null : <Neighbours ui={ui} seq={found.seq} />}
        {found?.entry.type.startsWith("REQUEST_") ? (
          <button
            type="button"
            class="primary"
            data-verify={`/api/operations/ledger/entries/${found.seq}/proof?subject=${found.entry.subject}`}
            data-subject={found.entry.subject}
            data-keys={logKeys}
            data-again={ui.t("proof.verifyAgain")}
          >
            <Icon name="shield" />
            <span>{ui.t("proof.verify")}</span>
          </button>
        ) : null}
      </PageHead>
      <VerifyResult />
      <div class="stack">
        <Away ui={ui} asked={asked} />
        {found === undefined ? null : <EntryCard ui={ui} found={found} />}
        <InclusionCard ui={ui} inclusion={inclusion} />
      </div>
    </>
  );
};

const Neighbours = ({ ui, seq }: { readonly ui: Ui; readonly seq: number }) => (
  <>
    {seq === 0 ? null : (
      <a class="button" href={`${PATH}/${seq - 1}`}>
        {ui.t("ops.entry.before")}
      </a>
    )}
    <a class="button" href={`${PATH}/${seq + 1}`}>
      {ui.t("ops.entry.after")}
    </a>
  </>
);

const EntryCard = ({ ui, found }: { readonly ui: Ui; readonly found: LedgerEntry }) => {
  const { entry, entryHash, ledgerId } = found;
  return (
    <Card title={entry.type}>
      <Facts
        rows={[
          [ui.t("proof.ledger"), ledgerId],
          [ui.t("ops.ledger.at"), <Time ui={ui} at={Date.parse(entry.at)} both />],
          [ui.t("ops.ledger.subject"), <code class="wrap">{entry.subject}</code>],
          [ui.t("proof.entryHash"), <code class="wrap">{entryHash}</code>],
          [ui.t("ops.entry.previous"), <code class="wrap">{entry.prev}</code>],
          ...(entry.commitment === undefined
            ? []
            : [[ui.t("ops.entry.commitment"), <code class="wrap">{entry.commitment}</code>] as const]),
        ]}
      />
      <h3 class="spaced">{ui.t("ops.entry.data")}</h3>
      <pre class="wrap" tabindex={0}>
        {JSON.stringify(entry.data, null, 2)}
      </pre>
    </Card>
  );
};

const InclusionCard = ({ ui, inclusion: asked }: { readonly ui: Ui; readonly inclusion: Asked<Inclusion> }) => {
  const inclusion = askedValue(asked);
  return (
    <Card title={ui.t("ops.entry.inclusion")} lead={ui.t("ops.entry.inclusionLead")}>
      {inclusion === undefined ? (
        <p class="quiet">{ui.t("ops.entry.notPublished")}</p>
      ) : (
        <>
          <Facts
            rows={[
              [ui.t("ops.entry.tree"), ui.number(inclusion.size)],
              [ui.t("ops.verification.root"), <code class="wrap">{inclusion.rootHash}</code>],
            ]}
          />
          <h3 class="spaced">{ui.t("ops.entry.hashes")}</h3>
          {inclusion.hashes.length === 0 ? (
            <p class="quiet">{ui.t("ops.entry.noHashes")}</p>
          ) : (
            <ol class="hashes">
              {inclusion.hashes.map((hash) => (
                <li>
                  <code class="wrap">{hash}</code>
                </li>
              ))}
            </ol>
          )}
        </>
      )}
    </Card>
  );
};
