import * as z from "zod";
import { readBreaker } from "../../../auto-submit/core-breaker.store.ts";
import { JOB_STATES } from "../../../auto-submit/job.ts";
import { countFailures, countJobs, listJobsOfHub, oldestDueAt } from "../../../auto-submit/jobs.store.ts";
import { readSwitches } from "../../../auto-submit/settings.store.ts";
import { isOn } from "../../../auto-submit/switches.ts";
import { decodeCursor } from "../../../page.ts";
import { operatorPage } from "../../page.edge.tsx";
import { AutoSubmitView } from "./auto-submit.view.tsx";

const ROWS = 50;

export const autoSubmitPage = operatorPage(
  {
    path: "/operations/auto-submit",
    params: z.object({
      state: z
        .enum(["live", ...JOB_STATES])
        .catch("live")
        .default("live"),
      cursor: z.string().max(100).optional(),
    }),
  },
  async ({ hub, ui, params }) => {
    const { state, cursor } = params;
    const { db } = hub;
    const [switches, { breaker }, counts, oldest, failures, jobs] = await Promise.all([
      readSwitches(db, undefined),
      readBreaker(db),
      countJobs(db, undefined),
      oldestDueAt(db, undefined),
      countFailures(db, undefined),
      listJobsOfHub(db, state, { limit: ROWS, after: cursor === undefined ? undefined : decodeCursor(cursor) }),
    ]);
    return {
      type: "page",
      title: ui.t("ops.jobs.title"),
      body: (
        <AutoSubmitView
          ui={ui}
          enabled={isOn({ ...switches, setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED })}
          core={breaker.type}
          counts={counts}
          oldestDueAt={oldest}
          failures={failures}
          jobs={jobs.items}
          state={state}
          cursor={cursor}
          nextCursor={jobs.nextCursor}
        />
      ),
    };
  },
);
