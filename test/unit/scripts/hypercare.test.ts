import { expect, it } from "vitest";
import { samplesOf, sumOf } from "../../../scripts/lib/deploy/look.ts";
import {
  actionItems,
  type HypercareData,
  reviewPage,
  rowsOf,
  statusPage,
} from "../../../scripts/lib/hypercare/report.ts";
import { runTasks, TASKS } from "../../../scripts/lib/maintenance/tasks.ts";

const quiet: HypercareData = {
  environment: "production",
  commit: "c0ffee",
  figures: {
    from: "2026-11-21T09:00:00.000Z",
    to: "2026-11-22T09:00:00.000Z",
    claims: 1_000,
    failedClaims: 0,
    deadLettersNow: 0,
    deadLettersMade: 0,
    serverErrors: 0,
    lifecycleP95Ms: 1_200,
    attempts: 2_000,
    delivered: 2_000,
    ledgerEntries: 4_000,
    anchorsConfirmed: 24,
    anchorsFailed: 0,
  },
  incidents: [],
  alerts: [],
  firstTen: { successRate: "10/10", failed: 0 },
  rollbacks: 0,
  missing: [],
};
const bad: HypercareData = {
  ...quiet,
  figures: {
    ...quiet.figures,
    failedClaims: 60,
    deadLettersNow: 2,
    deadLettersMade: 6,
    serverErrors: 3,
    lifecycleP95Ms: 5_100,
    delivered: 1_980,
  },
  incidents: [
    {
      ticket: "INC-7",
      severity: "S2",
      summary: "callbacks late | slow",
      detectedAt: "2026-11-22T08:00:00.000Z",
      closedAt: null,
      rootCause: null,
      prevention: null,
    },
  ],
  alerts: [{ name: "dead-letters", severity: "S3", title: "There are dead letters", openedAt: null }],
  rollbacks: 1,
};

it("a quiet day has every field filled in and nothing to do", () => {
  const page = statusPage(quiet, "2026-11-22T09:00:00.000Z", "on-call");
  for (const line of [
    "Date: 2026-11-22",
    "Time: 09:00 UTC",
    "Failed claims: 0",
    "p95 latency: 1200 ms",
    "Callback success rate: 100.00 %",
    "Action items: none",
  ])
    expect(page).toContain(line);
  expect(rowsOf(quiet).map(({ grade }) => grade)).toEqual(rowsOf(quiet).map(() => "ok"));
});

it("a bad day is graded by the manuals' thresholds, and each thing says what to do", () => {
  const grades = Object.fromEntries(rowsOf(bad).map(({ metric, grade }) => [metric, grade]));
  expect(grades).toMatchObject({
    "Successful claims (%)": "critical",
    "Failed claims": "critical",
    "Dead letters generated": "critical",
    "5xx errors (total)": "warning",
    "p95 claim lifecycle latency, worst hour": "critical",
    "Callback success rate": "warning",
    "Rollbacks initiated": "warning",
    "Incidents (S1/S2)": "warning",
  });
  expect(actionItems(bad)).toHaveLength(4);
  const review = reviewPage(bad, "2026-11-25T09:00:00.000Z");
  expect(review).toContain("| 1 | INC-7: callbacks late / slow | S2 |");
  expect(review).toContain("What could improve");
});

it("nothing measured is not called well", () => {
  const none = {
    ...quiet,
    figures: { ...quiet.figures, claims: 0, attempts: 0, delivered: 0, lifecycleP95Ms: undefined },
  };
  expect(
    rowsOf(none)
      .filter(({ grade }) => grade === "unknown")
      .map(({ metric }) => metric),
  ).toHaveLength(3);
});

it("Prometheus text is read with its labels", () => {
  const samples = samplesOf('# HELP x y\nx_total{status="500",route="/a{b}"} 3\nx_total{status="200"} 7\nup 1\n');
  expect(sumOf(samples, "x_total")).toBe(10);
  expect(sumOf(samples, "x_total", ({ status = "" }) => status.startsWith("5"))).toBe(3);
});

it("a task that fails says so with its remedy, and the next is still run", async () => {
  const parts = {
    site: {
      urls: { "itrans-core": "", "itrans-relay": "", "medlink-hub": "" },
      keys: { core: "", hub: "", workflow: "" },
      scrapeToken: "",
      values: {},
    },
    environment: "local" as const,
    now: 0,
    dataDir: "",
  };
  const tasks = [
    { rhythm: "daily" as const, title: "one", remedy: "mend it", run: () => Promise.reject(new Error("broken")) },
    { rhythm: "daily" as const, title: "two", remedy: "", run: async () => "well" },
    { rhythm: "weekly" as const, title: "three", remedy: "", run: async () => "not today" },
  ];
  expect(await runTasks("daily", parts, undefined, tasks)).toEqual([
    { title: "one", remedy: "mend it", ok: false, detail: "broken" },
    { title: "two", remedy: "", ok: true, detail: "well" },
  ]);
  for (const { remedy } of TASKS) expect(remedy).not.toBe("");
});
