/**
 * A reader of Prometheus text format 0.0.4 that refuses what `promtool check metrics` complains of: names, HELP and TYPE,
 * grouping, duplicated series, histograms, units and suffixes.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const PAIR = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/y;

function labelsOf(text: string, line: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < text.length) {
    const [, name = "", value = ""] = PAIR.exec(text) ?? [];
    if (name === "") throw new Error(`these labels cannot be read: ${line}`);
    if (name in labels) throw new Error(`a label twice: ${line}`);
    labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
  }
  return labels;
}

function numberOf(text: string, line: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  const value = Number(text);
  if (text === "" || Number.isNaN(value)) throw new Error(`no number: ${line}`);
  return value;
}

const BASE: Readonly<Record<string, string>> = {
  milliseconds: "seconds",
  ms: "seconds",
  minutes: "seconds",
  hours: "seconds",
  days: "seconds",
  kilobytes: "bytes",
  megabytes: "bytes",
  kb: "bytes",
  mb: "bytes",
  percent: "ratio",
};

/** @returns the families. @throws at the first line that does not hold. */
export function readExposition(text: string): readonly Family[] {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let current = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (!NAME.test(name)) throw new Error(`no name of a metric: ${line}`);
      if (families.has(name)) throw new Error(`HELP twice, or the metric is not in one piece: ${line}`);
      families.set(name, { type: "", help: rest, samples: [] });
      current = name;
      continue;
    }
    if (kind === "TYPE") {
      const family = families.get(name);
      if (family === undefined || name !== current) throw new Error(`TYPE without HELP before it: ${line}`);
      if (family.type !== "" || family.samples.length > 0) throw new Error(`TYPE too late: ${line}`);
      if (!["counter", "gauge", "histogram"].includes(rest)) throw new Error(`no such type: ${line}`);
      family.type = rest;
      continue;
    }
    const [, sampleName = "", labelText = "", valueText = ""] = LINE.exec(line) ?? [];
    const family = families.get(current);
    if (sampleName === "" || family === undefined || family.type === "") throw new Error(`a line of nothing: ${line}`);
    const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    if (!suffixes.some((suffix) => sampleName === current + suffix)) throw new Error(`not of ${current}: ${line}`);
    const labels = labelsOf(labelText, line);
    const key = `${sampleName} ${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) throw new Error(`this series is there twice: ${line}`);
    seen.add(key);
    family.samples.push({ name: sampleName, labels, value: numberOf(valueText, line) });
  }
  const read = [...families].map(([name, family]) => ({ name, ...family }));
  for (const family of read) check(family);
  return read;
}

function check(family: Family): void {
  const { name, type, help, samples } = family;
  const fail = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  if (help === "") fail("no help text");
  if (type === "") fail("no type");
  if (samples.length === 0) fail("no sample");
  if (name.includes(":")) fail("colons are for recording rules");
  if (/[a-z][A-Z]/.test(name)) fail("snake_case, not camelCase");
  if ((type === "counter") !== name.endsWith("_total")) fail("counters, and nothing else, end in _total");
  if (/_(count|sum|bucket)$/.test(name)) fail("_count, _sum and _bucket are for histograms' samples");
  const words = name.split("_");
  for (const word of words) {
    if (word in BASE) fail(`${word} is no base unit; use ${BASE[word]}`);
    if (["counter", "gauge", "histogram"].includes(word)) fail("the type is no part of the name");
  }
  const base = type === "counter" ? words.at(-2) : words.at(-1);
  for (const unit of ["seconds", "bytes"]) {
    if (words.includes(unit) && base !== unit) fail(`the unit ${unit} comes last`);
  }
  for (const { labels } of samples) {
    for (const label of Object.keys(labels)) {
      if (!LABEL.test(label) || label.startsWith("__")) fail(`${label} is no label`);
      if (label === "le" && type !== "histogram") fail("le is for buckets");
    }
  }
  if (type === "counter" && samples.some(({ value }) => value < 0)) fail("a counter below 0");
  if (type === "histogram") checkHistogram(family, fail);
}

function checkHistogram({ name, samples }: Family, fail: (why: string) => never): void {
  const without = ({ le: _, ...labels }: Readonly<Record<string, string>>): string =>
    JSON.stringify(Object.entries(labels).sort());
  for (const [series, own] of Map.groupBy(samples, ({ labels }) => without(labels))) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    let bound = Number.NEGATIVE_INFINITY;
    let count = 0;
    for (const { labels, value } of buckets) {
      const le = numberOf(labels.le ?? "", series);
      if (le <= bound || value < count) fail(`buckets of ${series} neither rise nor add up`);
      bound = le;
      count = value;
    }
    if (bound !== Number.POSITIVE_INFINITY) fail(`no +Inf bucket of ${series}`);
    const total = own.filter((sample) => sample.name === `${name}_count`);
    const sums = own.filter((sample) => sample.name === `${name}_sum`);
    if (total.length !== 1 || sums.length !== 1) fail(`one _sum and one _count of ${series}`);
    if (total[0]?.value !== count) fail(`_count of ${series} is not its +Inf bucket`);
  }
}
