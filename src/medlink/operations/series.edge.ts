/** A series of any of the three workers, from where it is kept: the hub's own from its database, the others' from core. */
import { readSeries } from "../../operations/metrics.store.ts";
import {
  planSeries,
  type SeriesAnswer,
  type SeriesQuery,
  seriesAnswerSchema,
  workerOfSeries,
} from "../../operations/series.ts";
import { askCore, type CoreAsker } from "./core-answer.edge.ts";

/** @returns undefined when it can not be had now. */
export async function seriesOf(asker: CoreAsker, query: SeriesQuery): Promise<SeriesAnswer | undefined> {
  const { hub } = asker;
  if (workerOfSeries(query.name) === "medlink-hub") {
    const planned = planSeries(query, hub.now());
    return planned.ok ? readSeries(hub.db, planned.plan) : undefined;
  }
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  const asked = await askCore(asker, `/operations/series?${search}`, seriesAnswerSchema);
  return asked.type === "ok" ? asked.value : undefined;
}
