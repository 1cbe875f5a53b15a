import * as z from "zod";
import type { SeriesAnswer } from "../../../../operations/series.ts";
import type { CoreAsker } from "../../../operations/core-answer.edge.ts";
import { seriesOf } from "../../../operations/series.edge.ts";
import { operatorPage } from "../../page.edge.tsx";
import { BOARDS, PANELS, RANGES, type Source, type Span, spanOf } from "./boards.ts";
import { ChartsView, keyOf } from "./charts.view.tsx";

export const chartsHome = operatorPage({ path: "/operations/charts", params: z.object({}) }, async () => ({
  type: "redirect",
  to: `/operations/charts/${BOARDS[0]}`,
}));

export const chartsPage = operatorPage(
  {
    path: "/operations/charts/{board}",
    params: z.object({
      board: z.enum(BOARDS),
      range: z.enum(RANGES).catch("24h").default("24h"),
      panel: z.string().max(40).optional(),
    }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const { board, range } = params;
    const panels = PANELS[board].filter(({ id }) => params.panel === undefined || id === params.panel);
    const [only] = panels;
    if (only === undefined) return { type: "error", status: 404 };
    const alone = params.panel === undefined ? undefined : only;
    const span = spanOf(range, board);
    const sources = [...panels.flatMap(({ curves }) => curves), ...(alone?.splits ?? [])];
    const answers = await readAll({ hub, correlationId }, sources, span, Math.floor(ui.now / 1_000));
    return {
      type: "page",
      title: ui.t(alone?.title ?? `ops.board.${board}`),
      scripts: ["charts"],
      body: (
        <ChartsView
          ui={ui}
          board={board}
          range={range}
          step={span.step}
          panels={panels}
          alone={alone}
          answers={answers}
        />
      ),
    };
  },
);

/** Each series once, whichever curves are drawn from it. */
async function readAll(asker: CoreAsker, sources: readonly Source[], { length, step }: Span, now: number) {
  const wanted = new Map(sources.map((source) => [keyOf(source), source]));
  const to = Math.ceil(now / step) * step;
  const read = await Promise.all(
    [...wanted].map(async ([key, source]): Promise<readonly [string, SeriesAnswer | undefined]> => {
      const { name, match } = source;
      const by = "by" in source && typeof source.by === "string" ? { by: source.by } : {};
      const query = { name, from: to - length, to: now, step, ...(match === undefined ? {} : { match }), ...by };
      return [key, await seriesOf(asker, query)];
    }),
  );
  return new Map(read);
}
