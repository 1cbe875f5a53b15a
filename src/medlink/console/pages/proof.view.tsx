import type { ProofBundle } from "../../../ledger/bundle.ts";
import { Icon } from "../components/icon.view.tsx";
import { Card, Code, Facts, Notice, PageHead } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

interface ProofCardProps {
  readonly ui: Ui;
  readonly claimId: string;
  /** undefined: the claim is not in the ledger. */
  readonly requestIdHash: string | undefined;
  readonly logKeys: string | undefined;
}

export const ProofCard = ({ ui, claimId, requestIdHash, logKeys }: ProofCardProps) => (
  <Card title={ui.t("proof.title")} lead={ui.t("proof.lead")}>
    {requestIdHash === undefined ? (
      <p class="quiet">{ui.t("proof.none")}</p>
    ) : (
      <>
        <div class="actions">
          <VerifyButton ui={ui} claimId={claimId} requestIdHash={requestIdHash} logKeys={logKeys} />
          <a class="button small" href={`/api/claims/${claimId}/proof?format=json`} download>
            <Icon name="download" />
            {ui.t("proof.download")}
          </a>
          <a class="button small" href={`/api/claims/${claimId}/proof?format=text`} download>
            {ui.t("proof.downloadText")}
          </a>
          <a class="button small" href={`/claims/${claimId}/proof`}>
            <Icon name="print" />
            {ui.t("proof.page")}
          </a>
        </div>
        <VerifyResult />
      </>
    )}
  </Card>
);

/** Checked by browser/verify-proof.ts: it asks for the proof anew and trusts nothing of this page but the claim's hash and the keys. */
export const VerifyButton = (props: {
  readonly ui: Ui;
  readonly claimId: string;
  readonly requestIdHash: string;
  readonly logKeys: string | undefined;
}) => (
  <button
    type="button"
    class="primary small"
    data-verify={`/api/claims/${props.claimId}/proof`}
    data-subject={props.requestIdHash}
    data-keys={props.logKeys}
    data-again={props.ui.t("proof.verifyAgain")}
  >
    <Icon name="shield" />
    <span>{props.ui.t("proof.verify")}</span>
  </button>
);

export const VerifyResult = () => <div class="verify-result" role="status" data-verify-result></div>;

export interface ProofViewProps {
  readonly ui: Ui;
  readonly claimId: string;
  readonly requestIdHash: string;
  /** undefined: core does not answer. */
  readonly bundle: ProofBundle | undefined;
  readonly entryText: string;
  readonly logKeys: string | undefined;
}

/** The proof on one page, to print. */
export const ProofView = ({ ui, claimId, requestIdHash, bundle, entryText, logKeys }: ProofViewProps) => (
  <>
    <PageHead
      ui={ui}
      title={ui.t("proof.pageTitle", { claimId })}
      lead={ui.t("proof.howTo")}
      trail={[
        { href: "/claims", label: ui.t("claims.title") },
        { href: `/claims/${claimId}`, label: claimId },
      ]}
    >
      <button type="button" class="plain" data-print>
        <Icon name="print" />
        {ui.t("proof.print")}
      </button>
      <a class="button" href={`/api/claims/${claimId}/proof?format=json`} download>
        <Icon name="download" />
        {ui.t("proof.download")}
      </a>
      {bundle === undefined ? null : (
        <VerifyButton ui={ui} claimId={claimId} requestIdHash={requestIdHash} logKeys={logKeys} />
      )}
    </PageHead>
    <VerifyResult />
    {bundle === undefined ? (
      <Notice tone="warn">{ui.t("proof.away")}</Notice>
    ) : (
      <div class="stack">
        <Card title={ui.t("proof.entry")}>
          <Facts
            rows={[
              [ui.t("claim.requestHash"), <code class="wrap">{requestIdHash}</code>],
              [ui.t("proof.ledger"), bundle.ledgerId],
              [ui.t("proof.index"), ui.number(bundle.index)],
              [ui.t("proof.entryHash"), <code class="wrap">{bundle.entryHash}</code>],
            ]}
          />
          <pre class="wrap" tabindex={0}>
            {entryText}
          </pre>
        </Card>
        <Card title={ui.t("proof.path")}>
          <ol class="hashes">
            {bundle.inclusionProof.map((hash) => (
              <li>
                <code class="wrap">{hash}</code>
              </li>
            ))}
          </ol>
        </Card>
        <Card title={ui.t("proof.checkpoint")}>
          <pre class="wrap" tabindex={0}>
            {bundle.checkpoint}
          </pre>
          {logKeys === undefined ? null : (
            <Facts rows={[[ui.t("proof.key"), <code class="wrap">{logKeys.trim()}</code>]]} />
          )}
        </Card>
        <Card title={ui.t("proof.anchor")}>
          {bundle.anchor === null ? (
            <p class="quiet">{ui.t("proof.anchor.none")}</p>
          ) : (
            <Facts
              rows={[
                [ui.t("proof.chain"), String(bundle.anchor.chainId)],
                [ui.t("proof.contract"), <Code ui={ui} value={bundle.anchor.contractAddress} keep={42} />],
                [ui.t("proof.transaction"), <Code ui={ui} value={bundle.anchor.txHash} keep={66} />],
                [ui.t("proof.block"), ui.number(bundle.anchor.blockNumber)],
                [ui.t("proof.size"), ui.number(bundle.anchor.size)],
                [ui.t("proof.root"), <code class="wrap">{bundle.anchor.rootHash}</code>],
              ]}
            />
          )}
        </Card>
      </div>
    )}
  </>
);
