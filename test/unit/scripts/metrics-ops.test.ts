import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { dashboardJson } from "../../../scripts/lib/dashboard.ts";
import { metricsNamedIn, withTables } from "../../../scripts/lib/metrics-doc.ts";
import { METRIC_NAMES } from "../../../src/operations/metrics.ts";

const file = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

test("every metric that a file of ops/ names is in the catalogue", () => {
  const named = readdirSync(new URL("../../../ops/", import.meta.url)).flatMap((name) =>
    metricsNamedIn(file(`ops/${name}`)),
  );
  expect(named.filter(({ known }) => !known)).toEqual([]);
  expect(named.length).toBeGreaterThan(30);
});

test("a name that is not in the catalogue is noticed, a histogram's samples are of it", () => {
  expect(
    metricsNamedIn("itrans_core_nothing_total medlink_claim_callback_seconds_bucket medlink_logins_total_sum"),
  ).toEqual([
    { name: "itrans_core_nothing_total", known: false },
    { name: "medlink_claim_callback_seconds_bucket", known: true },
    { name: "medlink_logins_total_sum", known: false },
  ]);
});

test("docs/metrics.md and the dashboard are what the catalogue makes them: npm run build:ops", () => {
  const page = file("docs/metrics.md");
  expect(page).toBe(withTables(page));
  for (const name of METRIC_NAMES) expect(page).toContain(`\`${name}\``);
  expect(file("ops/grafana-dashboard.json")).toBe(dashboardJson());
});

test("the dashboard shows what is promised: overview, lifecycle, queues, errors and latency, anchoring, business", () => {
  const titles = [...dashboardJson().matchAll(/"type": "row",\s+"title": "([^"]+)"/g)].map(([, title]) => title);
  expect(titles).toEqual([
    "System overview",
    "Claim lifecycle",
    "Queues and dead letters",
    "Errors and latency",
    "Anchoring",
    "Business",
  ]);
});
