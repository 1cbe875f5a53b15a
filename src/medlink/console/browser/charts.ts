/** Draws the charts of components/chart.view.tsx, in the page's colours, language and zone, and follows the page's refreshes. */
import uPlot from "uplot";
import type { ChartData, ChartTone, ChartUnit } from "../components/chart.view.tsx";
import { REFRESHED } from "./lib/live.ts";
import { language } from "./lib/say.ts";

const zone = document.documentElement.dataset.zone ?? "UTC";

/** Symbols of both languages, in milliseconds. */
const STEPS = [
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

const formatters: Readonly<Record<ChartUnit, (value: number) => string>> = {
  count: (value) => new Intl.NumberFormat(language, { notation: "compact" }).format(value),
  share: (value) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(value),
  ms: (value) => {
    const [symbol, scaled] = STEPS.find(([, size]) => value >= size) ?? ["ms", 1];
    return `${new Intl.NumberFormat(language, { maximumFractionDigits: 2 }).format(value / scaled)}\u00a0${symbol}`;
  },
  bytes: (value) =>
    new Intl.NumberFormat(language, { style: "unit", unit: "byte", notation: "compact", unitDisplay: "narrow" }).format(
      value,
    ),
};

/** A colour as a canvas takes it: the page's own are pairs of light and dark, which only the cascade resolves. */
function colourOf(figure: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.className = `tone-${name}`;
  figure.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

const faded = (colour: string, share: number): string => colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${share})`);

const isChartData = (value: unknown): value is ChartData =>
  typeof value === "object" && value !== null && "times" in value && "series" in value && "unit" in value;

function readData(figure: HTMLElement): ChartData | undefined {
  const value: unknown = JSON.parse(figure.dataset.chart ?? "null");
  return isChartData(value) ? value : undefined;
}

const alignedOf = ({ times, series, limit }: ChartData): uPlot.AlignedData => [
  [...times],
  ...series.map(({ values }) => [...values]),
  ...(limit === null ? [] : [times.map(() => limit.value)]),
];

const DAY_SECONDS = 86_400;

/** Labels of the time axis: hours within a day or two, days beyond. */
function timeLabels(data: ChartData): (plot: uPlot, splits: number[]) => string[] {
  const [first = 0] = data.times;
  const span = (data.times.at(-1) ?? first) - first;
  const days = data.daily || span > 2 * DAY_SECONDS;
  const format = new Intl.DateTimeFormat(
    language,
    days
      ? { month: "short", day: "numeric", timeZone: zone }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zone },
  );
  return (_, splits) => splits.map((seconds) => format.format(seconds * 1_000));
}

/** Points without a neighbour, which no line goes through. */
function lonePoints(plot: uPlot, series: number): number[] | null {
  const values = plot.data[series] ?? [];
  const lone: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) lone.push(i);
  }
  return lone.length === 0 ? null : lone;
}

function optionsOf(figure: HTMLElement, data: ChartData, width: number): uPlot.Options {
  const text = colourOf(figure, "quiet");
  const line = colourOf(figure, "line");
  const write = formatters[data.unit];
  const font = "12px system-ui, sans-serif";
  const tone = (name: ChartTone): string => colourOf(figure, name);
  const exact = new Intl.DateTimeFormat(
    language,
    data.daily ? { dateStyle: "medium", timeZone: zone } : { dateStyle: "short", timeStyle: "short", timeZone: zone },
  );
  const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height: data.height,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), zone),
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    legend: { live: true },
    // Away from the chart the legend shows the newest values.
    hooks: {
      setCursor: [(plot) => void (plot.cursor.idx ?? plot.setLegend({ idx: plot.data[0].length - 1 }))],
      ready: [(plot) => plot.setLegend({ idx: plot.data[0].length - 1 })],
    },
    scales: { y: { range: (_, min, max) => [Math.min(0, min), max <= 0 ? 1 : max * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, values: timeLabels(data), space: 64 },
      {
        ...axis,
        values: (_, splits) => splits.map(write),
        size: 58,
        ...(data.unit === "count" ? { incrs: COUNTS } : {}),
      },
    ],
    series: [
      { label: data.timeLabel, value: (_, seconds) => (seconds === null ? "–" : exact.format(seconds * 1_000)) },
      ...data.series.map(({ label, tone: name, shape = "line" }) => {
        const colour = tone(name);
        return {
          label,
          stroke: colour,
          width: shape === "bars" ? 0 : 2,
          points: { show: false, size: 5, filter: shape === "bars" ? () => null : lonePoints },
          value: (_: uPlot, value: number | null) => (value === null ? "–" : write(value)),
          ...(shape === "line" ? {} : { fill: shape === "bars" ? colour : faded(colour, 0.16) }),
          ...(shape === "bars" && uPlot.paths.bars !== undefined
            ? { paths: uPlot.paths.bars({ size: [0.7, 28], radius: 0.15 }) }
            : {}),
        };
      }),
      ...(data.limit === null
        ? []
        : [
            {
              label: data.limit.label,
              stroke: tone("bad"),
              width: 1,
              dash: [5, 4],
              points: { show: false },
              value: (_: uPlot, value: number | null) => (value === null ? "–" : write(value)),
            },
          ]),
    ],
  };
}

/** Steps of an axis of counts: there is no half of a claim. */
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7];

const plots = new Map<string, uPlot>();

function draw(figure: HTMLElement): void {
  const data = readData(figure);
  const box = figure.querySelector<HTMLElement>("[data-plot]");
  if (data === undefined || box === null) return;
  plots.get(figure.id)?.destroy();
  plots.set(figure.id, new uPlot(optionsOf(figure, data, box.clientWidth), alignedOf(data), box));
}

const figures = (): readonly HTMLElement[] => [...document.querySelectorAll<HTMLElement>("[data-chart]")];

function drawAll(): void {
  for (const figure of figures()) draw(figure);
}

/** New values from the page as it was read again; the table beneath goes with them. */
document.addEventListener(REFRESHED, (event) => {
  const fresh: unknown = event instanceof CustomEvent ? event.detail : undefined;
  if (!(fresh instanceof Document)) return;
  for (const figure of figures()) {
    const next = fresh.getElementById(figure.id);
    if (next === null || next.dataset.chart === figure.dataset.chart || next.dataset.chart === undefined) continue;
    figure.dataset.chart = next.dataset.chart;
    for (const part of ["[data-chart-table] tbody", "[data-chart-empty]"]) {
      const [old, now] = [figure.querySelector(part), next.querySelector(part)];
      if (old !== null && now !== null) old.replaceWith(document.adoptNode(now));
    }
    const data = readData(figure);
    const plot = plots.get(figure.id);
    if (data === undefined || plot === undefined || data.series.length + 1 > plot.series.length) draw(figure);
    else plot.setData(alignedOf(data));
  }
});

new ResizeObserver(() => {
  for (const figure of figures()) {
    const width = figure.querySelector<HTMLElement>("[data-plot]")?.clientWidth ?? 0;
    const plot = plots.get(figure.id);
    if (plot !== undefined && width > 0 && plot.width !== width) plot.setSize({ width, height: plot.height });
  }
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });

drawAll();
