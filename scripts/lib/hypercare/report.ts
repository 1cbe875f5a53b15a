/** The hypercare's daily status and the review after 72 hours, from what was measured. What only people know stays a gap to fill. */
import type { EnvironmentName } from "../platform.ts";
import { remedyIn } from "../remedy.ts";

/** undefined: it could not be read, so nobody knows. */
export type Figure = number | undefined;

export interface Figures {
  readonly from: string;
  readonly to: string;
  readonly claims: Figure;
  readonly failedClaims: Figure;
  readonly deadLettersNow: Figure;
  readonly deadLettersMade: Figure;
  readonly serverErrors: Figure;
  /** Of the worst hour, from a claim's queueing to its first callback; null: none was measured. */
  readonly lifecycleP95Ms: Figure | null;
  readonly attempts: Figure;
  readonly delivered: Figure;
  readonly ledgerEntries: Figure;
  readonly anchorsConfirmed: Figure;
  readonly anchorsFailed: Figure;
}

export interface ReportedIncident {
  /** Of the register, or `alert-` and the evaluator's number of one that nobody registered. */
  readonly ticket: string;
  readonly registered: boolean;
  readonly severity: string;
  readonly summary: string;
  readonly alert: string | null;
  readonly detectedAt: string;
  readonly closedAt: string | null;
  readonly rootCause: string | null;
  readonly prevention: string | null;
}

export interface OpenAlert {
  readonly name: string;
  readonly severity: string;
  readonly title: string;
  readonly openedAt: string | null;
}

export interface FirstTen {
  readonly successRate: string;
  readonly failed: number;
}

export interface HypercareData {
  readonly environment: EnvironmentName;
  readonly commit: string | undefined;
  readonly figures: Figures;
  /** The register's, and the alert evaluator's that it lacks; undefined: one of the two could not be read. */
  readonly incidents: readonly ReportedIncident[] | undefined;
  /** Those open now. */
  readonly alerts: readonly OpenAlert[] | undefined;
  readonly firstTen: FirstTen | undefined;
  readonly rollbacks: number;
  /** What could not be asked. */
  readonly missing: readonly string[];
}

export type Grade = "ok" | "warning" | "critical" | "unknown";

export interface Row {
  readonly metric: string;
  readonly target: string;
  readonly actual: string;
  readonly grade: Grade;
}

const NOT_READ = "not read";

/** null: of nothing; undefined: not known. */
const shareOf = (part: Figure, whole: Figure): Figure | null =>
  part === undefined || whole === undefined ? undefined : whole === 0 ? null : part / whole;
const shown = (value: Figure | null, show: (value: number) => string = String): string =>
  value === undefined ? NOT_READ : value === null ? "none" : show(value);
const percent = (share: Figure | null): string => shown(share, (value) => `${(value * 100).toFixed(2)} %`);
const ms = (value: number): string => `${Math.round(value)} ms`;
const sumOf = (a: Figure, b: Figure): Figure => (a === undefined || b === undefined ? undefined : a + b);

const over = (value: Figure | null, warning: number, critical: number): Grade =>
  value === undefined || value === null
    ? "unknown"
    : value >= critical
      ? "critical"
      : value >= warning
        ? "warning"
        : "ok";
const share = (value: Figure | null): Grade =>
  value === undefined || value === null ? "unknown" : value > 0.995 ? "ok" : value < 0.95 ? "critical" : "warning";

/** The manuals' targets and thresholds against what was measured. */
export function rowsOf({ figures, incidents, rollbacks }: HypercareData): readonly Row[] {
  const { claims, failedClaims, deadLettersMade, serverErrors, lifecycleP95Ms: p95, anchorsFailed } = figures;
  const accepted = shareOf(claims, sumOf(claims, failedClaims));
  const callbacks = shareOf(figures.delivered, figures.attempts);
  const severe = incidents?.filter(({ severity }) => severity === "S1" || severity === "S2").length;
  const anchors = sumOf(figures.anchorsConfirmed, anchorsFailed);
  const row = (metric: string, target: string, actual: string, grade: Grade): Row => ({
    metric,
    target,
    actual,
    grade,
  });
  return [
    row("Total claims processed", "", shown(claims), claims === undefined ? "unknown" : "ok"),
    row("Successful claims (%)", "> 99.5%", percent(accepted), share(accepted)),
    row("Failed claims", "0", shown(failedClaims), over(failedClaims, 1, 10)),
    row("Dead letters generated", "0", shown(deadLettersMade), over(deadLettersMade, 1, 5)),
    row("5xx errors (total)", "0", shown(serverErrors), over(serverErrors, 1, Number.POSITIVE_INFINITY)),
    row("p95 claim lifecycle latency, worst hour", "< 2000ms", shown(p95, ms), over(p95, 2_000, 5_000)),
    row("Callback success rate", "> 99.5%", percent(callbacks), share(callbacks)),
    row(
      "Anchors failed",
      "0",
      shown(anchors, (all) => `${anchorsFailed} of ${all}`),
      over(anchorsFailed, 1, 3),
    ),
    row("Rollbacks initiated", "0", String(rollbacks), over(rollbacks, 1, 2)),
    row("Incidents (S1/S2)", "0", shown(severe), over(severe, 1, 2)),
  ];
}

/** What stakeholders are told, a line each. What nobody could read is said to be so first. */
export function messageLines(data: HypercareData): readonly string[] {
  const rows = rowsOf(data);
  const unread = rows.filter(({ actual }) => actual === NOT_READ).map(({ metric }) => metric);
  return [
    ...(data.missing.length === 0
      ? []
      : [
          unread.length === 0
            ? "This status is not complete: some of it could not be read"
            : `This status is not complete: ${unread.join(", ")} could not be read, and may not be well`,
        ]),
    ...rows.map(({ metric, actual }) => `${metric}: ${actual}`),
  ];
}

/** Anything critical, or anything that nobody knows. */
export const isAmiss = (data: HypercareData): boolean =>
  data.missing.length > 0 || rowsOf(data).some(({ grade }) => grade === "critical");

/** What the figures ask somebody to do, with the command for it. */
export function actionItems({ environment, figures, alerts, incidents, missing }: HypercareData): readonly string[] {
  const { deadLettersNow = 0, failedClaims = 0, anchorsFailed = 0 } = figures;
  const items = [
    ...(alerts ?? []).map(({ name, severity }) => `${severity} ${name} is open: docs/runbook.md, ${name}`),
    ...(incidents ?? []).flatMap(({ ticket, severity, closedAt, registered, alert }) => {
      if (!registered)
        return severity === "S1" || severity === "S2"
          ? [
              `${ticket} (${severity}, ${alert}) is not in the register: npm run incidents:open -- --severity ${severity} --alert ${alert}`,
            ]
          : [];
      return closedAt === null ? [`${ticket} (${severity}) is open: npm run incidents:close when it is over`] : [];
    }),
    ...(deadLettersNow > 0 ? [`${deadLettersNow} dead letters: npm run relay:dead-letters`] : []),
    ...(failedClaims > 0
      ? [`${failedClaims} submissions given up: npm run auto-submit:status, then npm run auto-submit:requeue`]
      : []),
    ...(anchorsFailed > 0 ? [`${anchorsFailed} anchors failed: npm run anchors:status`] : []),
    ...missing.map((what) => `could not be read: ${what}`),
  ];
  return items.map((item) => remedyIn(item, environment));
}

const MARKS: Readonly<Record<Grade, string>> = {
  ok: "ok",
  warning: "WARNING",
  critical: "CRITICAL",
  unknown: "no data",
};

const tableOf = (rows: readonly Row[]): readonly string[] => [
  "| Metric | Target | Actual | Status |",
  "| --- | --- | --- | --- |",
  ...rows.map(({ metric, target, actual, grade }) => `| ${metric} | ${target} | ${actual} | ${MARKS[grade]} |`),
];

/** The daily template, filled in. @param at RFC 3339. */
export function statusPage(data: HypercareData, at: string, by: string): string {
  const { figures } = data;
  const items = actionItems(data);
  const open = data.incidents
    ?.filter(({ closedAt }) => closedAt === null)
    .map(({ ticket, severity }) => `${ticket} (${severity})`);
  return [
    "```",
    `Date: ${at.slice(0, 10)}`,
    `Time: ${at.slice(11, 16)} UTC`,
    `Reported by: ${by}`,
    "",
    `Claims processed (${figures.from} to ${figures.to}): ${shown(figures.claims)}`,
    `Failed claims: ${shown(figures.failedClaims)}`,
    `Dead letters: ${shown(figures.deadLettersNow)}`,
    `5xx count: ${shown(figures.serverErrors)}`,
    `p95 latency: ${figures.lifecycleP95Ms === null ? "nothing was measured" : shown(figures.lifecycleP95Ms, ms)}`,
    `Callback success rate: ${percent(shareOf(figures.delivered, figures.attempts))}`,
    `Open issues: ${open === undefined ? NOT_READ : open.length === 0 ? "none" : open.join(", ")}`,
    `Action items: ${items.length === 0 ? "none" : ""}`,
    ...items.map((item) => `  - ${item}`),
    "```",
    "",
    `${data.environment}, commit ${data.commit ?? NOT_READ}. First ten claims: ${data.firstTen === undefined ? "no cutover is recorded here" : `${data.firstTen.successRate} through, ${data.firstTen.failed} failed`}.`,
    "",
    ...tableOf(rowsOf(data)),
    "",
  ].join("\n");
}

const cell = (text: string | null): string => (text ?? "").replaceAll("|", "/");

export function reviewPage(data: HypercareData, at: string): string {
  const good = rowsOf(data).filter(({ grade, target }) => grade === "ok" && target !== "");
  const bad = rowsOf(data).filter(({ grade }) => grade === "warning" || grade === "critical");
  const issues = (data.incidents ?? []).map(
    ({ ticket, summary, severity, detectedAt, closedAt, rootCause, prevention }, index) =>
      `| ${index + 1} | ${ticket}: ${cell(summary)} | ${severity} | ${detectedAt} | ${closedAt ?? "open"} | ${cell(rootCause)} | ${cell(prevention)} |`,
  );
  return [
    `# Review after go-live: ${data.environment}`,
    "",
    `Made ${at} for ${data.figures.from} to ${data.figures.to}; commit ${data.commit ?? NOT_READ}.`,
    "",
    "## Metrics",
    "",
    ...tableOf(rowsOf(data)),
    "",
    `The first ten claims: ${data.firstTen === undefined ? "no cutover is recorded here" : `${data.firstTen.successRate}, ${data.firstTen.failed} failed`}. Ledger entries: ${shown(data.figures.ledgerEntries)}, anchors confirmed: ${shown(data.figures.anchorsConfirmed)}.`,
    "",
    "## Issues",
    "",
    "| # | Description | Severity | Time detected | Time resolved | Root cause | Preventive action |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...(data.incidents === undefined
      ? [`| | ${NOT_READ} | | | | | |`]
      : issues.length === 0
        ? ["| | there was none | | | | | |"]
        : issues),
    "",
    "## Lessons",
    "",
    "| # | Category | Observation | Recommendation |",
    "| --- | --- | --- | --- |",
    ...good.map(({ metric, actual }, index) => `| ${index + 1} | What went well | ${metric}: ${actual} | |`),
    ...bad.map(
      ({ metric, actual, target }, index) =>
        `| ${good.length + index + 1} | What could improve | ${metric}: ${actual}, wanted ${target} | |`,
    ),
    "",
    "## Open",
    "",
    ...(actionItems(data).length === 0 ? ["Nothing."] : actionItems(data).map((item) => `- ${item}`)),
    "",
    "## Sign-off",
    "",
    "| Role | Name | Signature | Date |",
    "| --- | --- | --- | --- |",
    "| Engineering lead | | | |",
    "| Product owner | | | |",
    "| On-call lead | | | |",
    "",
  ].join("\n");
}
