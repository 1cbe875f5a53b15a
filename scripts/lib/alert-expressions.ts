/** Alert rules as Prometheus has them: the same data as iTrans' own evaluator, in PromQL. */
import type { AlertRule, Condition } from "../../src/operations/alerts/alert-rule.ts";
import {
  ABSENT_UNTIL_READ,
  MEASURED,
  type MeasuredSignal,
  type Probe,
  type Signal,
  TIMED,
} from "../../src/operations/alerts/signals.ts";
import { type MetricName, specOf } from "../../src/operations/metrics.ts";

/** Values of labels that the catalogue leaves open, by label: which of them a signal means is asked of the signal. */
export type OpenLabels = Readonly<Record<string, readonly string[]>>;

/** What Prometheus itself can tell of what the evaluator asks; `probe_success` is the blackbox exporter's. */
const PROBED: Readonly<Record<Probe, string>> = {
  "core.database": 'max(up{job="itrans-core"})',
  "ledger.intact": 'min(probe_success{job="itrans-ledger-verify"})',
  "relay.status": 'min(probe_success{job="itrans-relay-status"})',
  "hub.health": 'min(probe_success{job="medlink-health"})',
  "hub.metrics": 'max(up{job="medlink-hub"})',
  // Core's cron runs every minute: none in five is 0.
  "cron.on-time": "sum(increase(itrans_core_cron_runs_total[5m]))",
  "hub.cron-on-time": "sum(increase(medlink_cron_runs_total[5m]))",
};

const isProbe = (signal: Signal): signal is Probe => Object.hasOwn(PROBED, signal);

const SECOND = 1_000;
const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
] as const;

/** @param ms a whole number of seconds. */
export function promDuration(ms: number): string {
  const seconds = Math.round(ms / SECOND);
  if (seconds === 0) return "0s";
  const [unit, size] = UNITS.find(([, each]) => seconds % each === 0) ?? ["s", 1];
  return `${seconds / size}${unit}`;
}

interface Selected {
  readonly name: MetricName;
  readonly matchers: string;
}

interface Selection {
  readonly of: readonly MetricName[];
  readonly where?: Readonly<Record<string, (value: string) => boolean>>;
  readonly take?: "sum" | "max";
}

const selectionOf = (signal: MeasuredSignal): Selection => MEASURED[signal];

/** @throws Error for a label whose values nobody listed, or of which a signal means none. */
function matchersOf(signal: MeasuredSignal, name: MetricName, open: OpenLabels): string {
  const { where = {} } = selectionOf(signal);
  const matchers = Object.entries(where).map(([label, counts]) => {
    const values = specOf(name).labels[label];
    if (values === undefined) throw new Error(`${name} has no label ${label}`);
    const known = "from" in values ? (open[label] ?? []) : values;
    const meant = known.filter((value: string) => counts(value));
    if (meant.length === 0) throw new Error(`${signal} means no ${label} of ${name}`);
    if (meant.length === 1) return `${label}="${meant[0]}"`;
    return `${label}=~"${meant.map((value) => value.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\\\$&")).join("|")}"`;
  });
  return matchers.length === 0 ? "" : `{${matchers.join(",")}}`;
}

const selected = (signal: MeasuredSignal, open: OpenLabels): readonly Selected[] =>
  selectionOf(signal).of.map((name) => ({ name, matchers: matchersOf(signal, name, open) }));

const orNothing = (expression: string): string => `(${expression} or vector(0))`;

/** @param agoMs 0 for what is read now. */
function readingOf(signal: Signal, open: OpenLabels, agoMs = 0): string {
  if (isProbe(signal)) return PROBED[signal];
  const { take = "sum" } = selectionOf(signal);
  const ago = agoMs === 0 ? "" : ` offset ${promDuration(agoMs)}`;
  const parts = selected(signal, open).map(({ name, matchers }) => `${take}(${name}${matchers}${ago})`);
  const [only = ""] = parts;
  if (parts.length > 1) return `(${parts.map(orNothing).join(" + ")})`;
  return ABSENT_UNTIL_READ.has(signal) ? only : orNothing(only);
}

/** By how much counters rose. */
const riseOf = (signals: readonly MeasuredSignal[], windowMs: number, open: OpenLabels): string => {
  const parts = signals
    .flatMap((signal) => selected(signal, open))
    .map(({ name, matchers }) => orNothing(`sum(increase(${name}${matchers}[${promDuration(windowMs)}]))`));
  return parts.length === 1 ? (parts[0] ?? "") : `(${parts.join(" + ")})`;
};

/** @returns an expression that has a sample while the condition holds, and none otherwise. */
export function expressionOf(condition: Condition, open: OpenLabels): string {
  switch (condition.type) {
    case "above":
      return `${readingOf(condition.signal, open)} > ${condition.threshold}`;
    case "below":
      return `${readingOf(condition.signal, open)} < ${condition.threshold}`;
    case "increase":
      return `${riseOf([condition.signal], condition.windowMs, open)} >= ${condition.atLeast}`;
    case "share": {
      const whole = riseOf(condition.whole, condition.windowMs, open);
      const part = riseOf(condition.part, condition.windowMs, open);
      const bounds = [
        ...(condition.above === undefined ? [] : [`${part} / ${whole} > ${condition.above}`]),
        ...(condition.below === undefined ? [] : [`${part} / ${whole} < ${condition.below}`]),
      ];
      const out = bounds.length === 1 ? (bounds[0] ?? "") : bounds.map((bound) => `(${bound})`).join(" or ");
      return `(${out}) and (${whole} >= ${condition.minimum})`;
    }
    case "quantile": {
      const window = promDuration(condition.windowMs);
      const name = TIMED[condition.signal];
      const slow = `histogram_quantile(${condition.q}, sum by (le) (rate(${name}_bucket[${window}]))) > ${condition.above}`;
      return `(${slow}) and (sum(increase(${name}_count[${window}])) >= ${condition.minimum})`;
    }
    case "slower-than-usual": {
      const { signal, windowMs, usualMs, minimum, below } = condition;
      const now = riseOf([signal], windowMs, open);
      const usual = riseOf([signal], usualMs, open);
      const expected = `((${usual} - ${now}) * ${windowMs / SECOND} / ${(usualMs - windowMs) / SECOND})`;
      return `(${now} < ${expected} * ${below}) and (${expected} >= ${minimum})`;
    }
    case "faster-than-usual": {
      const { signal, windowMs, usualMs, atLeast, times } = condition;
      const [now, then, first] = [0, windowMs, windowMs + usualMs].map((ago) => readingOf(signal, open, ago));
      const usual = `(${then} - ${first}) * ${windowMs / SECOND} / ${usualMs / SECOND}`;
      return `(${now} - ${then} >= ${atLeast}) and (${now} - ${then} > ${times} * ${usual})`;
    }
    case "without": {
      const cause = riseOf([condition.cause], condition.windowMs, open);
      const effect = riseOf([condition.effect], condition.windowMs, open);
      return `(${cause} >= ${condition.minimum}) and (${effect} == 0)`;
    }
    case "longer":
      return `${readingOf(condition.signal, open)} > ${condition.thanMs / SECOND}`;
    case "older":
      return `time() - ${readingOf(condition.signal, open)} > ${condition.thanMs / SECOND}`;
    case "behind":
      return `${readingOf(condition.signal, open)} < ${readingOf(condition.of, open, condition.windowMs)}`;
    case "never": {
      const [only] = selected(condition.signal, open);
      if (only === undefined) throw new Error(`${condition.signal} names no metric`);
      return `absent(${only.name}${only.matchers}) and on () (${readingOf(condition.beside, open)} >= 0)`;
    }
    case "all":
      return condition.of.map((each) => `(${expressionOf(each, open)})`).join(" and on () ");
    case "any":
      return condition.of.map((each) => `(${expressionOf(each, open)})`).join(" or on () ");
  }
}

/** A scalar that every reader of YAML takes for the same text. */
const quoted = (text: string): string => JSON.stringify(text);

const camel = (name: string): string =>
  name
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");

/** The rules file of `ops/`. */
export function rulesYaml(rules: readonly AlertRule[], open: OpenLabels): string {
  const lines = rules.flatMap((rule) => [
    `      - alert: ${quoted(`ITrans${camel(rule.name)}`)}`,
    `        expr: ${quoted(expressionOf(rule.condition, open))}`,
    `        for: ${quoted(promDuration(rule.forMs))}`,
    `        keep_firing_for: ${quoted(promDuration(rule.clearMs))}`,
    "        labels:",
    `          severity: ${quoted(rule.severity)}`,
    `          grade: ${quoted(rule.grade)}`,
    "        annotations:",
    `          summary: ${quoted(rule.title)}`,
    `          description: ${quoted(rule.says)}`,
    `          runbook: ${quoted(`docs/runbook.md#${rule.name}`)}`,
  ]);
  return [
    "# Made by npm run build:ops from src/operations/alerts/alert-rules.ts: the same alerts for who runs Prometheus beside or in place of",
    "# iTrans' own. up and probe_success are of the jobs in prometheus.yml.",
    "groups:",
    '  - name: "itrans"',
    '    interval: "30s"',
    "    rules:",
    ...lines,
    "",
  ].join("\n");
}
