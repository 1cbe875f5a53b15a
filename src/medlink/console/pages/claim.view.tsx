import type { Claim } from "../../claims/claim.ts";
import { type ClaimPayment, sumsOf } from "../../claims/claim-payments.ts";
import type { LedgerPlace, TimelineEvent } from "../../claims/timeline.ts";
import { ClaimBadge } from "../components/claim.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import {
  Action,
  Badge,
  Card,
  Code,
  Confirm,
  Facts,
  Live,
  Notice,
  PageHead,
  Time,
  type Tone,
} from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";
import { ProofCard } from "./proof.view.tsx";

/** A submission under way. */
export interface JobLine {
  readonly state: "queued" | "running" | "retrying";
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly nextAttemptAt: number | undefined;
}

export interface AttachmentLine {
  readonly attachmentId: string;
  readonly name: string;
  readonly size: number;
  readonly createdAt: number;
}

export interface ClaimViewProps {
  readonly ui: Ui;
  readonly claim: Claim;
  readonly patient: string | undefined;
  readonly provider: string | undefined;
  readonly insurer: string | undefined;
  readonly timeline: readonly TimelineEvent[];
  /** False while core does not answer; undefined while the claim is not there. */
  readonly coreAvailable: boolean | undefined;
  readonly job: JobLine | undefined;
  /** The last submission failed and nobody has tried again. */
  readonly failed: boolean;
  /** The claim that corrects this one. */
  readonly successor: string | undefined;
  readonly may: {
    readonly edit: boolean;
    readonly submit: boolean;
    readonly requeue: boolean;
    readonly correct: boolean;
    readonly answer: boolean;
  };
  readonly attachments: readonly AttachmentLine[];
  readonly maxAttachmentBytes: number;
  /** Lines of the log's keys, for the check in the browser. */
  readonly logKeys: string | undefined;
  /** Oldest first. */
  readonly payments: readonly ClaimPayment[];
  readonly remittances: readonly { readonly remittanceId: string; readonly reference: string }[];
}

/** How often the page looks while something is under way, and once all is said. */
const BUSY_MS = 1_500;
const PAYING_MS = 5_000;
const CALM_MS = 15_000;

const isSettled = ({ claim, timeline }: ClaimViewProps): boolean =>
  (claim.status === "paid" || claim.status === "denied" || claim.status === "draft") &&
  timeline.every(({ ledger }) => ledger === null || ledger.anchored === true);

const isPaying = ({ payments }: ClaimViewProps): boolean => sumsOf(payments)?.onItsWay !== undefined;

export const ClaimView = (props: ClaimViewProps) => {
  const { ui, claim } = props;
  return (
    <>
      <Live id="claim-head" everyMs={isSettled(props) ? CALM_MS : BUSY_MS}>
        <PageHead
          ui={ui}
          title={ui.t("claim.title", { type: ui.t(`type.${claim.type}`), claimId: claim.claimId })}
          trail={[{ href: "/claims", label: ui.t("claims.title") }]}
        >
          <Actions {...props} />
        </PageHead>
        <Situation {...props} />
      </Live>
      <div class="columns">
        <div class="stack">
          <Card
            title={ui.t("claim.facts")}
            aside={
              <Live id="claim-status" everyMs={CALM_MS}>
                <ClaimBadge ui={ui} status={claim.status} type={claim.type} />
              </Live>
            }
          >
            <Details {...props} />
          </Card>
          <Procedures ui={ui} claim={claim} />
          <Live id="claim-payments" everyMs={isPaying(props) ? PAYING_MS : CALM_MS}>
            <Payments {...props} />
          </Live>
          <Attachments {...props} />
        </div>
        <div class="stack">
          <Card title={ui.t("claim.timeline")} lead={ui.t("claim.timelineLead")}>
            <Live id="claim-timeline" everyMs={isSettled(props) ? CALM_MS : BUSY_MS}>
              <Timeline {...props} />
            </Live>
          </Card>
          {/* Not live once it is there: what was verified must stay to be read. */}
          <div id="claim-proof" data-live={claim.requestIdHash === undefined ? BUSY_MS : undefined}>
            <ProofCard ui={ui} claimId={claim.claimId} requestIdHash={claim.requestIdHash} logKeys={props.logKeys} />
          </div>
        </div>
      </div>
    </>
  );
};

const Actions = ({ ui, claim, may }: ClaimViewProps) => (
  <>
    {may.edit ? (
      <a class="button" href={`/claims/${claim.claimId}/edit`}>
        <Icon name="edit" />
        {ui.t("claim.edit")}
      </a>
    ) : null}
    {may.correct ? (
      <a class="button" href={`/claims/${claim.claimId}/correct`}>
        <Icon name="edit" />
        {ui.t("claim.correct")}
      </a>
    ) : null}
    {may.requeue ? (
      <Action
        tone="primary"
        call={{ method: "POST", path: `/api/claims/${claim.claimId}/requeue` }}
        toast={ui.t("claim.requeued")}
        go="reload"
      >
        {ui.t("claim.requeue")}
      </Action>
    ) : null}
    {may.submit ? (
      <Action
        tone="primary"
        call={{ method: "POST", path: `/api/claims/${claim.claimId}/submit` }}
        toast={ui.t("claim.submitted")}
        go="reload"
      >
        {ui.t("claim.submit")}
      </Action>
    ) : null}
  </>
);

/** What someone who opens the claim should know first. */
const Situation = ({ ui, claim, job, failed, may, successor, coreAvailable }: ClaimViewProps) => (
  <div class="notices">
    {successor === undefined ? null : (
      <Notice tone="warn">
        {ui.t("claim.supersededBy", { claimId: successor })}{" "}
        <a href={`/claims/${successor}`}>{ui.t("claim.openOther")}</a>
      </Notice>
    )}
    {claim.corrects === undefined ? null : (
      <Notice tone="info">
        {ui.t("claim.supersedes", { claimId: claim.corrects.claimId })}{" "}
        <a href={`/claims/${claim.corrects.claimId}`}>{ui.t("claim.openOther")}</a>
        {claim.corrects.incidentTicket === undefined ? null : (
          <p>
            {ui.t("claimForm.incident")}: {claim.corrects.incidentTicket}
          </p>
        )}
      </Notice>
    )}
    {failed ? (
      <Notice tone="bad" title={ui.t("claim.failed.title")}>
        {ui.t("claim.failed.text")}
      </Notice>
    ) : null}
    {may.answer ? (
      <Notice tone="warn" title={ui.t("claim.info.title")}>
        <p>{ui.t("claim.info.text")}</p>
        <Action
          small
          call={{ method: "PATCH", path: `/api/claims/${claim.claimId}`, body: { status: "pending" } }}
          toast={ui.t("claim.info.done")}
          go="reload"
        >
          {ui.t("claim.info.answered")}
        </Action>
      </Notice>
    ) : null}
    {job === undefined ? null : (
      <Notice tone="info">
        {ui.t(`claim.job.${job.state}`)}{" "}
        <span class="quiet">
          {ui.t("claim.job.attempt", { attempt: Math.max(1, job.attempt), max: job.maxAttempts })}
          {job.nextAttemptAt === undefined || job.state !== "retrying"
            ? null
            : `, ${ui.t("claim.job.next", { time: ui.ago(job.nextAttemptAt) })}`}
        </span>
      </Notice>
    )}
    {coreAvailable === false ? <Notice tone="warn">{ui.t("claim.coreAway")}</Notice> : null}
  </div>
);

const Details = ({ ui, claim, patient, provider, insurer }: ClaimViewProps) => (
  <Facts
    rows={[
      [
        ui.t("claims.patient"),
        patient === undefined ? ui.t("claims.erased") : <a href={`/patients/${claim.patientId}`}>{patient}</a>,
      ],
      [ui.t("claims.provider"), provider ?? "–"],
      [ui.t("claims.insurer"), insurer ?? "–"],
      [ui.t("claims.amount"), <strong class="numeric">{ui.money(claim.amount)}</strong>],
      ...(claim.details.serviceDate === undefined
        ? []
        : [[ui.t("claim.serviceDate"), ui.day(claim.details.serviceDate)] as const]),
      ...(claim.details.diagnoses === undefined || claim.details.diagnoses.length === 0
        ? []
        : [
            [
              ui.t("claim.diagnoses"),
              claim.details.diagnoses
                .map(({ code, display }) => (display === undefined ? code : `${code} ${display}`))
                .join(", "),
            ] as const,
          ]),
      [ui.t("claim.created"), <Time ui={ui} at={claim.createdAt} both />],
      [ui.t("claim.updated"), <Time ui={ui} at={claim.updatedAt} both />],
      ...(claim.requestIdHash === undefined
        ? []
        : [[ui.t("claim.requestHash"), <Code ui={ui} value={claim.requestIdHash} />] as const]),
      ...(claim.details.notes === "" ? [] : [[ui.t("claim.notes"), <p class="pre">{claim.details.notes}</p>] as const]),
    ]}
  />
);

const Procedures = ({ ui, claim }: { readonly ui: Ui; readonly claim: Claim }) => {
  const rows = claim.details.codes.map((code) => (typeof code === "string" ? { code } : code));
  return (
    <Card title={ui.t("claim.codes")}>
      {rows.length === 0 ? (
        <p class="quiet">{ui.t("claim.noCodes")}</p>
      ) : (
        <ul class="procedures">
          {rows.map((row) => (
            <li>
              <code>{row.code}</code>
              <span>{"description" in row ? row.description : ""}</span>
              <span class="numeric">
                {"unitPrice" in row && row.unitPrice !== undefined
                  ? `${row.quantity ?? 1} × ${row.unitPrice}`
                  : "quantity" in row && row.quantity !== undefined
                    ? `× ${row.quantity}`
                    : ""}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
};

const PAYMENT_TONES: Readonly<Record<ClaimPayment["status"], Tone>> = {
  PENDING: "info",
  PROCESSING: "info",
  COMPLETED: "good",
  REJECTED: "bad",
  FAILED: "bad",
};

/** Where money stands; nothing as long as none was asked for. */
const Payments = ({ ui, payments, remittances }: ClaimViewProps) => {
  const sums = sumsOf(payments);
  if (sums === undefined && remittances.length === 0) return null;
  return (
    <Card title={ui.t("claim.payments")} lead={sums === undefined ? undefined : ui.t("claim.payments.lead")}>
      {payments.length === 0 ? null : (
        <ul class="payments">
          {payments.map(({ type, status, amount, at }) => (
            <li>
              <Badge tone={type === "reversal" && status === "COMPLETED" ? "warn" : PAYMENT_TONES[status]}>
                {ui.label(`claim.pay.${type}`, status)}
              </Badge>
              <Time ui={ui} at={at} />
              <span class="numeric">{ui.money(amount)}</span>
            </li>
          ))}
        </ul>
      )}
      <Facts
        rows={[
          ...(sums === undefined
            ? []
            : [[ui.t("claim.payments.net"), <strong class="numeric">{ui.money(sums.paid)}</strong>] as const]),
          ...(sums?.onItsWay === undefined
            ? []
            : [[ui.t("claim.payments.pending"), <span class="numeric">{ui.money(sums.onItsWay)}</span>] as const]),
          ...(remittances.length === 0
            ? []
            : [
                [
                  ui.t("claim.payments.remittances"),
                  remittances.map(({ remittanceId, reference }, i) => (
                    <>
                      {i === 0 ? "" : ", "}
                      <a href={`/remittances/${remittanceId}`}>{reference}</a>
                    </>
                  )),
                ] as const,
              ]),
        ]}
      />
    </Card>
  );
};

const Attachments = ({ ui, claim, attachments, maxAttachmentBytes }: ClaimViewProps) => {
  const path = `/api/claims/${claim.claimId}/attachments`;
  return (
    <Card title={ui.t("attachments.title")}>
      {attachments.length === 0 ? <p class="quiet">{ui.t("attachments.empty")}</p> : null}
      <ul class="files">
        {attachments.map(({ attachmentId, name, size, createdAt }) => (
          <li>
            <Icon name="attach" />
            <a href={`${path}/${attachmentId}`} download>
              {name}
            </a>
            <span class="quiet">
              {ui.bytes(size)} · <Time ui={ui} at={createdAt} />
            </span>
            <Action
              tone="ghost"
              small
              icon="trash"
              call={{ method: "DELETE", path: `${path}/${attachmentId}` }}
              confirm="remove-file"
              toast={ui.t("attachments.removed")}
              go="reload"
            >
              <span class="sr">{ui.t("attachments.remove")}</span>
            </Action>
          </li>
        ))}
      </ul>
      <form class="attach no-print" data-upload={path} data-toast={ui.t("attachments.added")} novalidate>
        <div class="field">
          <label for="attachment">{ui.t("attachments.add")}</label>
          <input
            id="attachment"
            name="file"
            type="file"
            accept="application/pdf,image/jpeg,image/png"
            aria-describedby="attachment-hint attachment-error"
          />
          <p class="hint" id="attachment-hint">
            {ui.t("attachments.hint", { size: ui.bytes(maxAttachmentBytes) })}
          </p>
          <p class="error" id="attachment-error" data-error hidden></p>
        </div>
      </form>
      <Confirm
        id="remove-file"
        ui={ui}
        title={ui.t("attachments.removeTitle")}
        text={ui.t("attachments.removeText")}
        action={ui.t("attachments.remove")}
        danger
      />
    </Card>
  );
};

const Timeline = ({ ui, claim, timeline }: ClaimViewProps) => (
  <ol class="timeline">
    {timeline.map((event) => (
      <li class={event.ledger === null ? "" : "in-ledger"}>
        <div class="what">
          <strong>{ui.label("timeline", event.kind)}</strong>
          <ClaimBadge ui={ui} status={event.status} type={claim.type} />
        </div>
        <div class="when">
          <Time ui={ui} at={event.at} both /> · <span>{ui.t("claim.by", { actor: actorOf(ui, event.actor) })}</span>
        </div>
        {event.ledger === null ? null : <Place ui={ui} ledger={event.ledger} />}
      </li>
    ))}
  </ol>
);

const actorOf = (ui: Ui, actor: string): string =>
  actor === "itrans"
    ? ui.t("claim.actor.itrans")
    : actor === "auto-submit"
      ? ui.t("claim.actor.auto-submit")
      : ui.t("claim.actor.staff");

const Place = ({ ui, ledger }: { readonly ui: Ui; readonly ledger: LedgerPlace }) => (
  <div class="place">
    <span>{ui.t("claim.entry", { seq: ui.number(ledger.seq) })}</span>
    <Code ui={ui} value={ledger.entryHash} />
    {ledger.anchored === true ? (
      <Badge tone="good">{ui.t("claim.anchored")}</Badge>
    ) : ledger.anchored === false ? (
      <Badge tone="neutral">{ui.t("claim.notAnchored")}</Badge>
    ) : (
      <Badge tone="neutral">{ui.t("claim.anchorUnknown")}</Badge>
    )}
    {ledger.txHash === null ? null : <Code ui={ui} value={ledger.txHash} keep={10} />}
  </div>
);
