/** A run as one SVG that needs nothing else: throughput, latency, what waits, memory; each on its own scale. */
import type { Sample } from "./gate.ts";

interface Line {
  readonly name: string;
  readonly colour: string;
  readonly of: (sample: Sample) => number | null;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  /** A limit that is drawn, and kept in sight. */
  readonly limit?: number;
}

const WIDTH = 900;
const PANEL_HEIGHT = 150;
const LEFT = 70;
const RIGHT = 20;
const TOP = 46;
const GAP = 40;

const panelsOf = (p95LimitMs: number): readonly Panel[] => [
  {
    title: "Requests a second",
    unit: "/s",
    lines: [{ name: "requests", colour: "#1f5fa8", of: ({ requestsPerSecond }) => requestsPerSecond }],
  },
  {
    title: "Latency, p95 between two looks",
    unit: "ms",
    limit: p95LimitMs,
    lines: [{ name: "p95", colour: "#a83a1f", of: ({ p95Ms }) => p95Ms }],
  },
  {
    title: "Waiting",
    unit: "rows",
    lines: [
      { name: "outbox", colour: "#1f7a4d", of: ({ outboxPending }) => outboxPending },
      { name: "auto-submit", colour: "#7a4d1f", of: ({ autoSubmitDepth }) => autoSubmitDepth },
      { name: "dead letters", colour: "#c0143c", of: ({ deadLetters }) => deadLetters },
    ],
  },
  {
    title: "Memory and databases",
    unit: "MB",
    lines: [
      {
        name: "runtime",
        colour: "#5a3d8a",
        of: ({ memoryBytes }) => (memoryBytes === null ? null : memoryBytes / 1e6),
      },
      { name: "D1 itrans", colour: "#1f5fa8", of: ({ coreBytes }) => coreBytes / 1e6 },
      { name: "D1 medlink", colour: "#7a4d1f", of: ({ hubBytes }) => hubBytes / 1e6 },
    ],
  },
];

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

function panelSvg(panel: Panel, samples: readonly Sample[], top: number): string {
  const lastMs = Math.max(1, samples.at(-1)?.atMs ?? 1);
  const values = panel.lines.flatMap(({ of }) => samples.map(of)).filter((value) => value !== null);
  const most = Math.max(1e-9, panel.limit ?? 0, ...values) * 1.1;
  const x = (atMs: number): number => LEFT + (atMs / lastMs) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => top + PANEL_HEIGHT * (1 - value / most);
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(share * most).toFixed(1);
    return `<line x1="${LEFT}" y1="${at}" x2="${WIDTH - RIGHT}" y2="${at}" class="grid"/><text x="${LEFT - 8}" y="${at}" class="axis" text-anchor="end" dominant-baseline="middle">${rounded(share * most)}</text>`;
  });
  const lines = panel.lines.map(({ colour, of }) => {
    const points = samples.flatMap((sample) => {
      const value = of(sample);
      return value === null ? [] : [`${x(sample.atMs).toFixed(1)},${y(value).toFixed(1)}`];
    });
    return points.length === 0
      ? ""
      : `<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="1.8"/>`;
  });
  const limit =
    panel.limit === undefined
      ? ""
      : `<line x1="${LEFT}" y1="${y(panel.limit).toFixed(1)}" x2="${WIDTH - RIGHT}" y2="${y(panel.limit).toFixed(1)}" class="limit"/>`;
  const legend = panel.lines.map(
    ({ name, colour }, index) =>
      `<text x="${LEFT + 260 + 130 * index}" y="${top - 8}" fill="${colour}" class="legend">${escaped(name)}</text>`,
  );
  return [
    `<text x="${LEFT}" y="${top - 8}" class="title">${escaped(`${panel.title}, ${panel.unit}`)}</text>`,
    ...legend,
    ...grid,
    limit,
    ...lines,
    `<text x="${WIDTH - RIGHT}" y="${top + PANEL_HEIGHT + 15}" class="axis" text-anchor="end">${(lastMs / 1000).toFixed(0)} s</text>`,
  ].join("");
}

export function chartSvg(title: string, samples: readonly Sample[], p95LimitMs: number): string {
  const panels = panelsOf(p95LimitMs);
  const height = TOP + panels.length * (PANEL_HEIGHT + GAP) + 10;
  const body = panels.map((panel, index) => panelSvg(panel, samples, TOP + 24 + index * (PANEL_HEIGHT + GAP)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escaped(title)}"><style>text{font:12px system-ui,sans-serif;fill:#333}.head{font-size:15px;font-weight:600}.title{font-weight:600}.grid{stroke:#ddd}.limit{stroke:#c0143c;stroke-dasharray:5 4}</style><rect width="100%" height="100%" fill="#fff"/><text x="${LEFT}" y="26" class="head">${escaped(title)}</text>${body.join("")}</svg>\n`;
}
