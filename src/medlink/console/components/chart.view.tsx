/** A chart over time. browser/charts.ts draws it with uPlot; its newest values stand beneath it as a table, for those who read rather than look. */
import type { Ui } from "../i18n/ui.ts";

export type ChartTone = "accent" | "info" | "good" | "warn" | "bad" | "quiet";

export interface ChartSeries {
  readonly label: string;
  readonly tone: ChartTone;
  /** One for each time; null where nothing was measured. */
  readonly values: readonly (number | null)[];
  /** Bars for counts of a span, a line for what is measured at a moment. */
  readonly shape?: "line" | "area" | "bars";
}

/** How values are written: a count, a share of 1, milliseconds, bytes. */
export type ChartUnit = "count" | "share" | "ms" | "bytes";

export interface ChartProps {
  readonly ui: Ui;
  /** The chart is found again under it when the page is refreshed. */
  readonly id: string;
  /** What is shown; it is the figure's caption. */
  readonly title: string;
  /** Epoch seconds, rising. */
  readonly times: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly unit?: ChartUnit;
  /** Days instead of moments: the table and the axis leave out the hour. */
  readonly daily?: boolean;
  /** A line across, such as a limit that was promised. */
  readonly limit?: { readonly label: string; readonly value: number };
  /** The page is read again this often, and the chart takes the new values. */
  readonly everyMs?: number;
  readonly height?: number;
  /** Said where there is nothing to draw. */
  readonly empty: string;
}

/** What the browser's script reads; a test holds the two together. */
export interface ChartData {
  readonly times: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly unit: ChartUnit;
  readonly daily: boolean;
  readonly limit: { readonly label: string; readonly value: number } | null;
  /** What the times are called in the legend. */
  readonly timeLabel: string;
  readonly height: number;
}

const TABLE_ROWS = 24;

export const formatChartValue = (ui: Ui, unit: ChartUnit, value: number): string => {
  switch (unit) {
    case "count":
      return ui.number(value);
    case "share":
      return ui.percent(value);
    case "ms":
      return ui.duration(value);
    case "bytes":
      return ui.bytes(value);
  }
};

export const Chart = (props: ChartProps) => {
  const { ui, id, title, times, series, unit = "count", daily = false, limit, everyMs, height = 220, empty } = props;
  const data: ChartData = { times, series, unit, daily, limit: limit ?? null, timeLabel: ui.t("chart.time"), height };
  const from = Math.max(0, times.length - TABLE_ROWS);
  const rows = times
    .slice(from)
    .map((time, i) => ({ time, values: series.map(({ values }) => values[from + i] ?? null) }));
  const nothing = series.every(({ values }) => values.every((value) => value === null));
  return (
    <figure class="chart" id={id} data-chart={JSON.stringify(data)} data-refresh={everyMs}>
      <figcaption>{title}</figcaption>
      <div class="plot" data-plot aria-hidden="true"></div>
      <p class="chart-empty" data-chart-empty hidden={!nothing}>
        {empty}
      </p>
      <details data-chart-table>
        <summary>{ui.t("chart.values")}</summary>
        <section class="table-box" tabindex={0} aria-label={title}>
          <table>
            <caption class="sr">{title}</caption>
            <thead>
              <tr>
                <th scope="col">{ui.t("chart.time")}</th>
                {series.map(({ label }) => (
                  <th scope="col" class="right">
                    {label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.toReversed().map(({ time, values }) => (
                <tr>
                  <th scope="row">{daily ? ui.date(time * 1_000) : ui.dateTime(time * 1_000)}</th>
                  {values.map((value, i) => (
                    <td class="right" data-label={series[i]?.label ?? ""}>
                      {value === null ? "–" : formatChartValue(ui, unit, value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  );
};
