/** The hypercare's daily status and the review after 72 hours, from what was measured. What only people know stays a gap to fill. */

export interface Figures {
  readonly from: string;
  readonly to: string;
  readonly claims: number;
  readonly failedClaims: number;
  readonly deadLettersNow: number;
  readonly deadLettersMade: number;
  readonly serverErrors: number;
  /** Of the worst hour, from a claim's queueing to its first callback; undefined: none was measured. */
  readonly lifecycleP95Ms: number | undefined;
  readonly attempts: number;
  readonly delivered: number;
  readonly ledgerEntries: number;
  readonly anchorsConfirmed: number;
  readonly anchorsFailed: number;
}

export interface ReportedIncident {
  readonly ticket: string;
  readonly severity: string;
  readonly summary: string;
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
  readonly environment: string;
  readonly commit: string;
  readonly figures: Figures;
  readonly incidents: readonly ReportedIncident[];
  readonly alerts: readonly OpenAlert[];
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

const shareOf = (part: number, whole: number): number | undefined => (whole === 0 ? undefined : part / whole);
const percent = (share: number | undefined): string => (share === undefined ? "none" : `${(share * 100).toFixed(2)} %`);

const over = (value: number, warning: number, critical: number): Grade =>
  value >= critical ? "critical" : value >= warning ? "warning" : "ok";

/** The manuals' targets and thresholds against what was measured. */
export function rowsOf({ figures, incidents, rollbacks }: HypercareData): readonly Row[] {
  const accepted = shareOf(figures.claims, figures.claims + figures.failedClaims);
  const callbacks = shareOf(figures.delivered, figures.attempts);
  const severe = incidents.filter(({ severity }) => severity === "S1" || severity === "S2").length;
  const p95 = figures.lifecycleP95Ms;
  return [
    { metric: "Total claims processed", target: "", actual: String(figures.claims), grade: "ok" },
    {
      metric: "Successful claims (%)",
      target: "> 99.5%",
      actual: percent(accepted),
      grade: accepted === undefined ? "unknown" : accepted > 0.995 ? "ok" : accepted < 0.95 ? "critical" : "warning",
    },
    {
      metric: "Failed claims",
      target: "0",
      actual: String(figures.failedClaims),
      grade: over(figures.failedClaims, 1, 10),
    },
    {
      metric: "Dead letters generated",
      target: "0",
      actual: String(figures.deadLettersMade),
      grade: over(figures.deadLettersMade, 1, 5),
    },
    {
      metric: "5xx errors (total)",
      target: "0",
      actual: String(figures.serverErrors),
      grade: over(figures.serverErrors, 1, Number.POSITIVE_INFINITY),
    },
    {
      metric: "p95 claim lifecycle latency, worst hour",
      target: "< 2000ms",
      actual: p95 === undefined ? "none" : `${Math.round(p95)} ms`,
      grade: p95 === undefined ? "unknown" : over(p95, 2_000, 5_000),
    },
    {
      metric: "Callback success rate",
      target: "> 99.5%",
      actual: percent(callbacks),
      grade: callbacks === undefined ? "unknown" : callbacks > 0.995 ? "ok" : callbacks < 0.95 ? "critical" : "warning",
    },
    {
      metric: "Anchors failed",
      target: "0",
      actual: `${figures.anchorsFailed} of ${figures.anchorsConfirmed + figures.anchorsFailed}`,
      grade: over(figures.anchorsFailed, 1, 3),
    },
    { metric: "Rollbacks initiated", target: "0", actual: String(rollbacks), grade: over(rollbacks, 1, 2) },
    { metric: "Incidents (S1/S2)", target: "0", actual: String(severe), grade: over(severe, 1, 2) },
  ];
}

/** What the figures ask somebody to do, with the command for it. */
export function actionItems({ figures, alerts, incidents, missing }: HypercareData): readonly string[] {
  return [
    ...alerts.map(({ name, severity }) => `${severity} ${name} is open: docs/runbook.md, ${name}`),
    ...incidents
      .filter(({ closedAt }) => closedAt === null)
      .map(({ ticket, severity }) => `${ticket} (${severity}) is open: npm run incidents:close when it is over`),
    ...(figures.deadLettersNow > 0 ? [`${figures.deadLettersNow} dead letters: npm run relay:dead-letters`] : []),
    ...(figures.failedClaims > 0
      ? [`${figures.failedClaims} submissions given up: npm run auto-submit:status, then auto-submit:requeue`]
      : []),
    ...(figures.anchorsFailed > 0 ? [`${figures.anchorsFailed} anchors failed: npm run anchors:status`] : []),
    ...missing.map((what) => `could not be read: ${what}`),
  ];
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
  const open = data.incidents.filter(({ closedAt }) => closedAt === null);
  return [
    "```",
    `Date: ${at.slice(0, 10)}`,
    `Time: ${at.slice(11, 16)} UTC`,
    `Reported by: ${by}`,
    "",
    `Claims processed (${figures.from} to ${figures.to}): ${figures.claims}`,
    `Failed claims: ${figures.failedClaims}`,
    `Dead letters: ${figures.deadLettersNow}`,
    `5xx count: ${figures.serverErrors}`,
    `p95 latency: ${figures.lifecycleP95Ms === undefined ? "nothing was measured" : `${Math.round(figures.lifecycleP95Ms)} ms`}`,
    `Callback success rate: ${percent(shareOf(figures.delivered, figures.attempts))}`,
    `Open issues: ${open.length === 0 ? "none" : open.map(({ ticket, severity }) => `${ticket} (${severity})`).join(", ")}`,
    `Action items: ${items.length === 0 ? "none" : ""}`,
    ...items.map((item) => `  - ${item}`),
    "```",
    "",
    `${data.environment}, commit ${data.commit}. First ten claims: ${data.firstTen === undefined ? "no cutover is recorded here" : `${data.firstTen.successRate} through, ${data.firstTen.failed} failed`}.`,
    "",
    ...tableOf(rowsOf(data)),
    "",
  ].join("\n");
}

const cell = (text: string | null): string => (text ?? "").replaceAll("|", "/");

export function reviewPage(data: HypercareData, at: string): string {
  const good = rowsOf(data).filter(({ grade, target }) => grade === "ok" && target !== "");
  const bad = rowsOf(data).filter(({ grade }) => grade === "warning" || grade === "critical");
  const issues = data.incidents.map(
    ({ ticket, summary, severity, detectedAt, closedAt, rootCause, prevention }, index) =>
      `| ${index + 1} | ${ticket}: ${cell(summary)} | ${severity} | ${detectedAt} | ${closedAt ?? "open"} | ${cell(rootCause)} | ${cell(prevention)} |`,
  );
  return [
    `# Review after go-live: ${data.environment}`,
    "",
    `Made ${at} for ${data.figures.from} to ${data.figures.to}; commit ${data.commit}.`,
    "",
    "## Metrics",
    "",
    ...tableOf(rowsOf(data)),
    "",
    `The first ten claims: ${data.firstTen === undefined ? "no cutover is recorded here" : `${data.firstTen.successRate}, ${data.firstTen.failed} failed`}. Ledger entries: ${data.figures.ledgerEntries}, anchors confirmed: ${data.figures.anchorsConfirmed}.`,
    "",
    "## Issues",
    "",
    "| # | Description | Severity | Time detected | Time resolved | Root cause | Preventive action |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...(issues.length === 0 ? ["| | none is in the register | | | | | |"] : issues),
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
