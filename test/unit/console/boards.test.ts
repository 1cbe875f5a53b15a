import { describe, expect, it } from "vitest";
import { BOARDS, PANELS, RANGES, spanOf } from "../../../src/medlink/console/pages/operations/boards.ts";
import { specOf } from "../../../src/operations/metrics.ts";
import { planSeries } from "../../../src/operations/series.ts";

const NOW = Date.UTC(2026, 10, 22, 18, 7, 5);

describe("the dashboards", () => {
  it("ask for series that there are, with labels and values that they have, in steps that are answered", () => {
    for (const board of BOARDS) {
      for (const { curves, splits } of PANELS[board]) {
        for (const source of [...curves, ...splits]) {
          const by = "by" in source ? { by: source.by } : {};
          for (const range of RANGES) {
            const { length, step } = spanOf(range, board);
            const now = Math.floor(NOW / 1_000);
            const from = Math.ceil(now / step) * step - length;
            const match = source.match === undefined ? {} : { match: source.match };
            const planned = planSeries({ name: source.name, from, to: now, step, ...match, ...by }, NOW);
            expect(planned, `${board} ${source.name} ${range}`).toMatchObject({ ok: true });
            if (!planned.ok) continue;
            expect((planned.plan.to - planned.plan.from) / step, source.name).toBe(length / step);
            const labels = Object.values(specOf(planned.plan.name).labels);
            for (const { position, value } of planned.plan.match) {
              const values = labels[position];
              if (Array.isArray(values)) expect([...values, "5xx"], source.name).toContain(value);
            }
          }
        }
      }
    }
  });

  it("ask for quantiles of histograms alone", () => {
    for (const board of BOARDS) {
      for (const { curves } of PANELS[board]) {
        for (const { name, quantile } of curves) {
          if (quantile === undefined) continue;
          const planned = planSeries({ name }, NOW);
          expect(planned.ok && planned.plan.spec.type, name).toBe("histogram");
        }
      }
    }
  });
});
