import { createServer } from "node:http";
import { expect, it } from "vitest";
import { samplesOf, sumOf } from "../../../scripts/lib/deploy/look.ts";
import type { DeploySite } from "../../../scripts/lib/deploy/site.ts";
import { gather, incidentsOf } from "../../../scripts/lib/hypercare/gather.ts";
import {
  actionItems,
  type HypercareData,
  isAmiss,
  messageLines,
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
      registered: true,
      alert: null,
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

it("a command among what is to be done asks the environment that the report is about", () => {
  const missing = ["version (npm run logs:errors says why)"];
  expect(actionItems({ ...quiet, missing })[0]).toContain("npm run logs:errors -- --env production");
  expect(actionItems({ ...quiet, environment: "local", missing })[0]).not.toContain("--env");
});

it("nothing measured is not called well", () => {
  const none = {
    ...quiet,
    figures: { ...quiet.figures, claims: 0, attempts: 0, delivered: 0, lifecycleP95Ms: null },
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

const nowhere: DeploySite = {
  urls: {
    "itrans-core": "http://127.0.0.1:1",
    "itrans-relay": "http://127.0.0.1:1",
    "medlink-hub": "http://127.0.0.1:1",
  },
  keys: { core: "", hub: "", workflow: "" },
  scrapeToken: "",
  values: {},
};

it("a system that can not be read is not called well, to stakeholders either", async () => {
  const data = await gather(nowhere, "production", "/nowhere", 0, 3_600_000);
  const measured = rowsOf(data).filter(({ metric }) => metric !== "Rollbacks initiated");
  expect(measured.map(({ actual, grade }) => `${actual} ${grade}`)).toEqual(measured.map(() => "not read unknown"));
  expect(isAmiss(data)).toBe(true);
  const page = statusPage(data, "2026-11-22T09:00:00.000Z", "on-call");
  for (const line of [
    "Failed claims: not read",
    "Dead letters: not read",
    "Open issues: not read",
    "p95 latency: not read",
  ])
    expect(page).toContain(line);
  expect(page).not.toContain("| ok |\n| Failed");
  expect(reviewPage(data, "2026-11-25T09:00:00.000Z")).toContain("| | not read |");
  const [first = "", ...rest] = messageLines(data);
  expect(first).toMatch(
    /^This status is not complete: Total claims processed, .*Incidents \(S1\/S2\) could not be read/,
  );
  expect(rest).toContain("Failed claims: not read");
});

it("one figure that is not known is enough to be amiss, and a whole quiet day is not", () => {
  expect(isAmiss(quiet)).toBe(false);
  expect(messageLines(quiet)[0]).toBe("Total claims processed: 1000");
  const partly = { ...quiet, figures: { ...quiet.figures, failedClaims: undefined }, missing: ["failed claims (?)"] };
  expect(isAmiss(partly)).toBe(true);
  expect(
    rowsOf(partly)
      .filter(({ grade }) => grade === "unknown")
      .map(({ metric }) => metric),
  ).toEqual(["Successful claims (%)", "Failed claims"]);
  expect(messageLines(partly)[0]).toContain("Successful claims (%), Failed claims could not be read");
});

/** A core and hub in one, with as many anchors, a minute apart, as are wanted. */
async function served<T>(
  of: {
    readonly anchors: number;
    readonly alerts?: unknown;
    readonly registered?: readonly unknown[];
    readonly points?: unknown;
  },
  at: number,
  work: (site: DeploySite, asked: readonly string[]) => Promise<T>,
): Promise<T> {
  const asked: string[] = [];
  const answerTo = (url: URL): unknown => {
    if (url.pathname === "/ledger/anchors") {
      const before = Number(url.searchParams.get("before") ?? of.anchors + 1);
      const sizes = Array.from({ length: Math.min(100, before - 1) }, (_, index) => before - 1 - index);
      const anchors = sizes.map((size) => ({
        size,
        state: size % 50 === 0 ? "failed" : "confirmed",
        submittedAt: new Date(at - (of.anchors - size) * 60_000).toISOString(),
      }));
      return { anchors, nextBefore: (sizes.at(-1) ?? 1) > 1 ? sizes.at(-1) : null };
    }
    if (url.pathname === "/operations/incidents") return { incidents: of.registered ?? [] };
    if (url.pathname === "/operations/alerts") return of.alerts ?? { alerts: [], incidents: [] };
    if (url.pathname === "/relay/workflow/status") return { deadLetterCount: 0 };
    if (url.pathname === "/version") return { version: "1", commit: "c0ffee" };
    return { points: of.points ?? [[0, 1]] };
  };
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const body = answerTo(new URL(request.url ?? "/", "http://core"));
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  try {
    const urls = { "itrans-core": url, "itrans-relay": url, "medlink-hub": url };
    return await work({ ...nowhere, urls }, asked);
  } finally {
    server.close();
  }
}

const NOW = Date.parse("2026-11-22T09:00:00.000Z");
const HOUR = 3_600_000;

it("anchors are counted as far back as the report goes, page after page, and no further", async () => {
  await served({ anchors: 1_000 }, NOW, async (site, asked) => {
    const { figures, missing } = await gather(site, "staging", "/nowhere", NOW - 8 * HOUR, NOW);
    // A minute apart, both ends counted; each fiftieth of the newest 481 failed.
    expect([figures.anchorsConfirmed, figures.anchorsFailed]).toEqual([471, 10]);
    expect(missing).toEqual([]);
    expect(asked.filter((path) => path.startsWith("/ledger/anchors"))).toHaveLength(6);
  });
});

it("more anchors than are read are said to be so", async () => {
  await served({ anchors: 9_500 }, NOW, async (site) => {
    const data = await gather(site, "staging", "/nowhere", NOW - 30 * 24 * HOUR, NOW);
    expect((data.figures.anchorsConfirmed ?? 0) + (data.figures.anchorsFailed ?? 0)).toBe(9_000);
    expect(data.missing).toEqual([expect.stringMatching(/^anchors before 2026-11-1.* \(more than 9000 were made/)]);
    expect(isAmiss(data)).toBe(true);
  });
});

it("a counter of which nothing was recorded is not 0", async () => {
  await served({ anchors: 0, points: [[0, null]] }, NOW, async (site) => {
    const data = await gather(site, "staging", "/nowhere", NOW - HOUR, NOW);
    expect(data.figures).toMatchObject({ claims: undefined, serverErrors: undefined, lifecycleP95Ms: null });
    expect(data.missing).toContain("itrans_core_ledger_appends_total (nothing was recorded in this time)");
  });
});

const overnight = {
  incident: 12,
  alert: "ledger-integrity",
  severity: "S1",
  openedAt: "2026-11-22T02:00:00.000Z",
  resolvedAt: "2026-11-22T02:40:00.000Z",
};
const evaluator = {
  alerts: [{ name: "ledger-integrity", severity: "S1", title: "The ledger is broken", phase: "quiet", openedAt: null }],
  incidents: [overnight],
};
const entry = (over: object = {}) => ({
  ticket: "INC-3",
  severity: "S1",
  summary: "ledger did not verify",
  alert: "ledger-integrity",
  detectedAt: "2026-11-22T07:30:00.000Z",
  closedAt: "2026-11-22T08:00:00.000Z",
  rootCause: "a disk",
  prevention: "another disk",
  ...over,
});

it("an S1 that opened and resolved overnight is counted, in the review, and asked into the register", async () => {
  await served({ anchors: 0, alerts: evaluator }, NOW, async (site) => {
    const data = await gather(site, "staging", "/nowhere", NOW - 24 * HOUR, NOW);
    expect(rowsOf(data).at(-1)).toMatchObject({ metric: "Incidents (S1/S2)", actual: "1", grade: "warning" });
    expect(reviewPage(data, "2026-11-25T09:00:00.000Z")).toContain(
      "| 1 | alert-12: The ledger is broken | S1 | 2026-11-22T02:00:00.000Z | 2026-11-22T02:40:00.000Z |",
    );
    expect(actionItems(data)).toContainEqual(expect.stringContaining("alert-12 (S1, ledger-integrity) is not in the"));
  });
});

it("an incident that the register and the evaluator both know counts once; one of another day or alert by itself", () => {
  const since = "2026-11-19T09:00:00.000Z";
  const of = (
    registered: readonly ReturnType<typeof entry>[],
    incidents: readonly (typeof overnight)[] = [overnight],
  ) => incidentsOf(registered, { ...evaluator, incidents: [...incidents] }, since).map(({ ticket }) => ticket);
  expect(of([entry()])).toEqual(["INC-3"]);
  expect(of([entry({ detectedAt: overnight.openedAt })])).toEqual(["INC-3"]);
  expect(of([entry({ alert: null })])).toEqual(["INC-3", "alert-12"]);
  expect(of([entry({ alert: "relay-down" })])).toEqual(["INC-3", "alert-12"]);
  expect(of([entry({ detectedAt: "2026-11-20T07:30:00.000Z" })])).toEqual(["INC-3", "alert-12"]);
  const again = {
    ...overnight,
    incident: 13,
    openedAt: "2026-11-22T06:00:00.000Z",
    resolvedAt: "2026-11-22T07:00:00.000Z",
  };
  expect(of([entry()], [again, overnight]), "one entry is one incident").toEqual(["INC-3", "alert-12"]);
  expect(
    of([], [{ ...overnight, openedAt: "2026-11-18T02:00:00.000Z", resolvedAt: "2026-11-18T03:00:00.000Z" }]),
  ).toEqual([]);
});
