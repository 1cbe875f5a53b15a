/** The tables of docs/metrics.md, from the catalogue. */
import { METRIC_NAMES, metricsOf, specOf } from "../../src/operations/metrics.ts";
import type { WorkerName } from "../../src/platform/secrets.ts";

const WORKERS: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

function labelsText(labels: Readonly<Record<string, readonly string[] | { readonly from: string }>>): string {
  const texts = Object.entries(labels).map(([label, values]) => {
    if ("from" in values) return `\`${label}\` (${values.from})`;
    return `\`${label}\` (${values.length > 8 ? `${values.length} values` : values.join(", ")})`;
  });
  return texts.join("; ");
}

/** One table a worker. */
export function metricsTables(): string {
  return WORKERS.map((worker) => {
    const rows = metricsOf(worker).map((name) => {
      const { type, unit, help, labels } = specOf(name);
      return `| \`${name}\` | ${type} | ${unit} | ${labelsText(labels)} | ${help} |`;
    });
    return [`### ${worker}`, "", "| name | type | unit | labels | |", "| --- | --- | --- | --- | --- |", ...rows].join(
      "\n",
    );
  }).join("\n\n");
}

const BEGIN = "<!-- catalogue: npm run build:ops -->";
const END = "<!-- end of the catalogue -->";

/** @throws when the page has not the two marks. */
export function withTables(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error("docs/metrics.md has lost its marks");
  return `${page.slice(0, begin)}${BEGIN}\n\n${metricsTables()}\n\n${page.slice(end)}`;
}

/** Every metric that a text names, and whether the catalogue has it; samples of histograms count as their metric. */
export function metricsNamedIn(text: string): readonly { readonly name: string; readonly known: boolean }[] {
  const names = new Set(text.match(/\b(?:itrans_(?:core|relay)|medlink)_[a-z0-9_]*[a-z0-9]\b/g) ?? []);
  const known: ReadonlySet<string> = new Set(
    METRIC_NAMES.flatMap((name) =>
      specOf(name).type === "histogram" ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  return [...names].map((name) => ({ name, known: known.has(name) }));
}
