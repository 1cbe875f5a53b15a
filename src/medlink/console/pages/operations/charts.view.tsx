import type { Point, SeriesAnswer } from "../../../../operations/series.ts";
import { Chart, type ChartSeries, type ChartTone } from "../../components/chart.view.tsx";
import { Icon } from "../../components/icon.view.tsx";
import { Card, listHref, Notice, PageHead, Tabs } from "../../components/parts.view.tsx";
import type { Ui } from "../../i18n/ui.ts";
import { BOARDS, type Board, type Curve, type Panel, RANGES, type Range, type Source, type Split } from "./boards.ts";

export const keyOf = (source: Source): string =>
  [source.name, source.match ?? "", "by" in source ? source.by : ""].join(" ");

type Answers = ReadonlyMap<string, SeriesAnswer | undefined>;

export interface ChartsViewProps {
  readonly ui: Ui;
  readonly board: Board;
  readonly range: Range;
  /** Seconds. */
  readonly step: number;
  readonly panels: readonly Panel[];
  /** The one panel that is looked into. */
  readonly alone: Panel | undefined;
  /** By `keyOf`; undefined: not to be had now. */
  readonly answers: Answers;
}

const EVERY_MS = 30_000;
const SPLIT_TONES: readonly ChartTone[] = ["accent", "info", "warn", "good", "bad", "quiet"];

const boardPath = (board: Board): string => `/operations/charts/${board}`;

export const ChartsView = ({ ui, board, range, step, panels, alone, answers }: ChartsViewProps) => {
  const missing = [...answers.values()].some((answer) => answer === undefined);
  const lead = ui.t("ops.charts.lead", { span: ui.duration(step * 1_000) });
  return (
    <>
      {alone === undefined ? (
        <PageHead ui={ui} title={ui.t(`ops.board.${board}`)} lead={lead}>
          <Ranges ui={ui} board={board} range={range} panel={undefined} />
        </PageHead>
      ) : (
        <PageHead
          ui={ui}
          title={ui.t(alone.title)}
          lead={lead}
          trail={[{ href: listHref(boardPath(board), { range }), label: ui.t(`ops.board.${board}`) }]}
        >
          <Ranges ui={ui} board={board} range={range} panel={alone.id} />
        </PageHead>
      )}
      {alone === undefined ? (
        <Tabs
          label={ui.t("ops.charts.boards")}
          items={BOARDS.map((each) => ({
            href: listHref(boardPath(each), { range }),
            label: ui.t(`ops.board.${each}`),
            current: each === board,
          }))}
        />
      ) : null}
      {missing ? (
        <div class="notices">
          <Notice tone="warn">{ui.t("ops.charts.missing")}</Notice>
        </div>
      ) : null}
      <div class={alone === undefined ? "grid charts" : "stack"}>
        {panels.map((panel) => (
          <Card>
            <PanelChart ui={ui} panel={panel} answers={answers} height={alone === undefined ? 200 : 320} />
            {alone === undefined ? (
              <div class="actions panel-links">
                <a href={listHref(boardPath(board), { range, panel: panel.id })} aria-label={detailLabel(ui, panel)}>
                  {ui.t("ops.charts.detail")}
                </a>
                {panel.things === undefined ? null : <a href={panel.things.href}>{ui.t(panel.things.label)}</a>}
              </div>
            ) : null}
          </Card>
        ))}
        {alone?.splits.map((split) => (
          <Card>
            <SplitChart ui={ui} panel={alone} split={split} answer={answers.get(keyOf(split))} />
          </Card>
        ))}
        {alone?.things === undefined ? null : (
          <p>
            <a class="alone" href={alone.things.href}>
              {ui.t(alone.things.label)}
              <Icon name="chevron" size={14} />
            </a>
          </p>
        )}
      </div>
    </>
  );
};

const detailLabel = (ui: Ui, panel: Panel): string => `${ui.t("ops.charts.detail")}: ${ui.t(panel.title)}`;

const Ranges = (props: {
  readonly ui: Ui;
  readonly board: Board;
  readonly range: Range;
  readonly panel: string | undefined;
}) => (
  <nav class="ranges" aria-label={props.ui.t("ops.range")}>
    {RANGES.map((each) => (
      <a
        class="button small"
        href={listHref(boardPath(props.board), { range: each, panel: props.panel })}
        aria-current={each === props.range ? "page" : undefined}
      >
        {props.ui.t(`ops.range.${each}`)}
      </a>
    ))}
  </nav>
);

interface PanelChartProps {
  readonly ui: Ui;
  readonly panel: Panel;
  readonly answers: Answers;
  readonly height: number;
}

const PanelChart = ({ ui, panel, answers, height }: PanelChartProps) => {
  const { limit } = panel;
  const drawn = panel.curves.map((curve) => pointsOf(answers.get(keyOf(curve)), curve));
  const times = drawn.find((points) => points !== undefined)?.map(([time]) => time) ?? [];
  return (
    <Chart
      ui={ui}
      id={`chart-${panel.id}`}
      title={ui.t(panel.title)}
      empty={ui.t(drawn.every((points) => points === undefined) ? "ops.charts.away" : "ops.charts.empty")}
      times={times}
      unit={panel.unit === "seconds" ? "ms" : "count"}
      height={height}
      everyMs={EVERY_MS}
      {...(limit === undefined ? {} : { limit: { label: ui.t(limit.label), value: limit.seconds * 1_000 } })}
      series={panel.curves.map(({ label, tone, shape = "line" }, i) => ({
        label: ui.t(label),
        tone,
        shape,
        values: valuesAt(times, drawn[i], panel.unit),
      }))}
    />
  );
};

const pointsOf = (answer: SeriesAnswer | undefined, { quantile }: Curve): readonly Point[] | undefined =>
  quantile === undefined ? answer?.points : answer?.quantiles?.[quantile];

/** At these times; null where there is none. */
function valuesAt(
  times: readonly number[],
  points: readonly Point[] | undefined,
  unit: Panel["unit"],
): readonly (number | null)[] {
  const byTime = new Map(points);
  return times.map((time) => {
    const value = byTime.get(time) ?? null;
    return value === null || unit === "count" ? value : Math.round(value * 1_000);
  });
}

interface SplitChartProps {
  readonly ui: Ui;
  readonly panel: Panel;
  readonly split: Split;
  readonly answer: SeriesAnswer | undefined;
}

/** The values of the label that weigh most. */
const SplitChart = ({ ui, panel, split, answer }: SplitChartProps) => {
  const weight = (points: readonly Point[]): number => points.reduce((sum, [, value]) => sum + (value ?? 0), 0);
  const all = (answer?.series ?? []).map(({ label, points, quantiles }) => ({
    label,
    points: quantiles?.p95 ?? points,
  }));
  const shown = all
    .filter(({ points }) => panel.unit === "seconds" || weight(points) > 0)
    .sort((a, b) => weight(b.points) - weight(a.points))
    .slice(0, SPLIT_TONES.length);
  const times = answer?.points.map(([time]) => time) ?? [];
  const series: readonly ChartSeries[] = shown.map(({ label, points }, i) => ({
    label,
    tone: SPLIT_TONES[i] ?? "quiet",
    values: valuesAt(times, points, panel.unit),
  }));
  return (
    <Chart
      ui={ui}
      id={`split-${split.by}-${split.name}`}
      title={ui.t(split.title)}
      empty={ui.t(answer === undefined ? "ops.charts.away" : "ops.charts.empty")}
      times={times}
      unit={panel.unit === "seconds" ? "ms" : "count"}
      height={260}
      everyMs={EVERY_MS}
      series={series}
    />
  );
};
