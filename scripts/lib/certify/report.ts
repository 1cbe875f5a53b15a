/** The report of a certification: the same in JSON and in Markdown. Neither has the secret. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ScenarioResult } from "./scenarios.ts";

export interface Report {
  readonly url: string;
  /** RFC 3339. */
  readonly at: string;
  readonly version: string;
  readonly passed: boolean;
  readonly scenarios: readonly ScenarioResult[];
}

export function markdownOf({ url, at, version, passed, scenarios }: Report): string {
  const rows = scenarios.map(
    ({ name, passed: ok, ms }, i) =>
      `| ${i + 1} | ${name} | ${ok ? "pass" : "**fail**"} | ${(ms / 1000).toFixed(1)} s |`,
  );
  const details = scenarios.flatMap(({ name, findings, figures }) => [
    `### ${name}`,
    "",
    ...findings.map((line) => `- ${line}`),
    ...(figures === undefined
      ? []
      : [
          `- ${figures.posts} posts, ${figures.failed} failed; p50 ${figures.p50Ms} ms, p95 ${figures.p95Ms} ms, p99 ${figures.p99Ms} ms, max ${figures.maxMs} ms`,
        ]),
    "",
  ]);
  return [
    "# Webhook certification",
    "",
    `Endpoint ${url}, ${at}, iTrans Edge ${version}: **${passed ? "passed" : "failed"}**.`,
    "",
    "| | scenario | result | took |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    ...details,
  ].join("\n");
}

/** @returns the two paths written. */
export function writeReport(directory: string, report: Report): { readonly json: string; readonly markdown: string } {
  mkdirSync(directory, { recursive: true });
  const name = `certification-${new URL(report.url).hostname.replace(/[^A-Za-z0-9.-]/g, "")}-${report.at.replace(/[:.]/g, "-")}`;
  const json = join(directory, `${name}.json`);
  const markdown = join(directory, `${name}.md`);
  writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(markdown, markdownOf(report));
  return { json, markdown };
}
