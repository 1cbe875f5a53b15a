import { isLive, JOB_STATES, type Job, type JobState } from "../../../auto-submit/job.ts";
import {
  Action,
  Badge,
  Card,
  Code,
  Confirm,
  Empty,
  Live,
  Notice,
  PageHead,
  Pager,
  Stat,
  Table,
  Tabs,
  Time,
  type Tone,
} from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { StateBadge } from "./overview.view.tsx";

const API = "/api/itrans/auto-submit";
const PATH = "/operations/auto-submit";
const EVERY_MS = 5_000;
/** Jobs that one press queues again. */
const BATCH = 200;

const TONES: Readonly<Record<JobState, Tone>> = {
  queued: "info",
  running: "info",
  retrying: "warn",
  succeeded: "good",
  failed: "bad",
};

export interface AutoSubmitProps {
  readonly ui: Ui;
  readonly enabled: boolean;
  /** How things stand toward core: its breaker. */
  readonly core: string;
  readonly counts: ReadonlyMap<string, number>;
  readonly oldestDueAt: number | undefined;
  readonly failures: readonly { readonly error: string; readonly count: number }[];
  readonly jobs: readonly Job[];
  readonly state: JobState | "live";
  readonly cursor: string | undefined;
  readonly nextCursor: string | undefined;
}

export const AutoSubmitView = (props: AutoSubmitProps) => {
  const { ui, enabled, counts, state } = props;
  const of = (one: JobState): number => counts.get(one) ?? 0;
  const live = JOB_STATES.filter(isLive).reduce((sum, one) => sum + of(one), 0);
  return (
    <>
      <PageHead ui={ui} title={ui.t("ops.jobs.title")} lead={ui.t("ops.jobs.lead")}>
        <Action
          call={{ method: "PUT", path: `${API}/settings`, body: { enabled: !enabled } }}
          tone={enabled ? "plain" : "primary"}
          icon={enabled ? "pause" : "play"}
          go="reload"
          toast={ui.t(enabled ? "ops.jobs.offNow" : "ops.jobs.onNow")}
          {...(enabled ? { confirm: "switch-off" } : {})}
        >
          {ui.t(enabled ? "ops.jobs.switchOff" : "ops.jobs.switchOn")}
        </Action>
      </PageHead>
      <Confirm
        id="switch-off"
        ui={ui}
        title={ui.t("ops.jobs.offTitle")}
        text={ui.t("ops.jobs.offText")}
        action={ui.t("ops.jobs.switchOff")}
      />
      <Live id="jobs-status" everyMs={EVERY_MS}>
        {enabled ? null : (
          <div class="notices">
            <Notice tone="warn">{ui.t("ops.jobs.isOff")}</Notice>
          </div>
        )}
        <Figures {...props} live={live} />
      </Live>
      {props.failures.length === 0 ? null : <Failures ui={ui} failures={props.failures} />}
      <div class="spaced">
        <Tabs
          label={ui.t("ops.jobs.states")}
          items={(["live", ...JOB_STATES] as const).map((each) => ({
            href: each === "live" ? PATH : `${PATH}?state=${each}`,
            label: `${ui.t(each === "live" ? "ops.jobs.live" : `job.${each}`)} (${ui.number(each === "live" ? live : of(each))})`,
            current: each === state,
          }))}
        />
        <Jobs {...props} />
      </div>
    </>
  );
};

const Figures = ({ ui, core, counts, oldestDueAt, live }: AutoSubmitProps & { readonly live: number }) => {
  const waits = oldestDueAt === undefined ? undefined : ui.now - oldestDueAt;
  return (
    <div class="stats">
      <Stat label={ui.t("ops.jobs.depth")} value={ui.number(live)} tone={live > 100 ? "warn" : "neutral"} />
      <Stat label={ui.t("job.retrying")} value={ui.number(counts.get("retrying") ?? 0)} />
      <Stat
        label={ui.t("job.failed")}
        value={ui.number(counts.get("failed") ?? 0)}
        tone={(counts.get("failed") ?? 0) > 0 ? "bad" : "neutral"}
      />
      <Stat label={ui.t("ops.curve.oldestJob")} value={waits === undefined || waits < 0 ? "–" : ui.duration(waits)} />
      <Stat label={ui.t("ops.toCore")} value={<StateBadge ui={ui} state={core} />} />
    </div>
  );
};

const Failures = ({ ui, failures }: Pick<AutoSubmitProps, "ui" | "failures">) => (
  <Card
    flush
    title={ui.t("ops.jobs.failures")}
    aside={
      <Action
        call={{ method: "POST", path: `${API}/requeue`, body: { limit: BATCH } }}
        small
        icon="refresh"
        confirm="requeue-all"
        go="reload"
        toast={ui.t("ops.jobs.requeuedMany")}
      >
        {ui.t("ops.jobs.requeueAll")}
      </Action>
    }
  >
    <Confirm
      id="requeue-all"
      ui={ui}
      title={ui.t("ops.jobs.requeueAllTitle")}
      text={ui.t("ops.jobs.requeueAllText", { limit: BATCH })}
      action={ui.t("ops.jobs.requeue")}
    />
    <Table
      caption={ui.t("ops.jobs.failures")}
      rows={failures}
      empty={null}
      columns={[
        { label: ui.t("ops.jobs.error"), heading: true, cell: ({ error }) => <span class="mono">{error}</span> },
        { label: ui.t("ops.jobs.count"), align: "right", cell: ({ count }) => ui.number(count) },
        {
          label: ui.t("app.actions"),
          quiet: true,
          align: "right",
          cell: ({ error }) => (
            <Action
              call={{ method: "POST", path: `${API}/requeue`, body: { limit: BATCH, filter: { error } } }}
              small
              icon="refresh"
              go="reload"
              toast={ui.t("ops.jobs.requeuedMany")}
            >
              {ui.t("ops.jobs.requeueThese")}
              <span class="sr"> {error}</span>
            </Action>
          ),
        },
      ]}
    />
  </Card>
);

const Jobs = ({ ui, jobs, state, cursor, nextCursor }: AutoSubmitProps) => (
  <section class="card flush" id="jobs" data-live={cursor === undefined ? EVERY_MS : undefined}>
    <Table
      caption={ui.t("ops.jobs.title")}
      rows={jobs}
      empty={<Empty icon="queue" title={ui.t("ops.jobs.empty")} text={ui.t("ops.jobs.emptyText")} />}
      columns={[
        {
          label: ui.t("ops.jobs.claim"),
          heading: true,
          cell: ({ claimId }) => <Code ui={ui} value={claimId} keep={14} />,
        },
        { label: ui.t("ops.jobs.clinic"), cell: ({ clinicId }) => <span class="mono">{clinicId}</span> },
        { label: ui.t("ops.state"), cell: (job) => <Badge tone={TONES[job.state]}>{ui.t(`job.${job.state}`)}</Badge> },
        {
          label: ui.t("ops.jobs.attempt"),
          align: "right",
          cell: ({ attempt, maxAttempts }) => ui.t("ops.jobs.attemptOf", { attempt, most: maxAttempts }),
        },
        {
          label: ui.t("ops.jobs.error"),
          cell: ({ lastError }) => (lastError === undefined ? "–" : <span class="mono">{lastError}</span>),
        },
        { label: ui.t("ops.jobs.changed"), cell: ({ updatedAt }) => <Time ui={ui} at={updatedAt} /> },
        {
          label: ui.t("ops.jobs.next"),
          cell: ({ nextAttemptAt }) => (nextAttemptAt === undefined ? "–" : <Time ui={ui} at={nextAttemptAt} />),
        },
        ...(state === "failed"
          ? [
              {
                label: ui.t("app.actions"),
                quiet: true,
                align: "right",
                cell: ({ jobId, claimId }: Job) => (
                  <Action
                    call={{ method: "POST", path: `${API}/jobs/${jobId}/requeue` }}
                    small
                    icon="refresh"
                    go="reload"
                    toast={ui.t("ops.jobs.requeued")}
                  >
                    {ui.t("ops.jobs.requeue")}
                    <span class="sr"> {claimId}</span>
                  </Action>
                ),
              } as const,
            ]
          : []),
      ]}
    />
    <Pager ui={ui} path={PATH} query={{ state }} cursor={cursor} nextCursor={nextCursor} />
  </section>
);
