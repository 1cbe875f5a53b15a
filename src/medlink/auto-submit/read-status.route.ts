import { z } from "@hono/zod-openapi";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { readBreaker } from "./core-breaker.store.ts";
import { jobsAllowed } from "./core-breaker.ts";
import { breakerLimits } from "./drain.edge.ts";
import { JOB_STATES } from "./job.ts";
import { countFailures, countJobs, oldestDueAt } from "./jobs.store.ts";
import { readSwitches } from "./settings.store.ts";
import { isOn } from "./switches.ts";

const count = z.number().int();

export const jobCountsSchema = z.object({
  queued: count,
  running: count,
  retrying: count,
  succeeded: count,
  failed: count,
  total: count,
});

export function showCounts(counts: ReadonlyMap<string, number>): Readonly<Record<string, number>> {
  const byState = Object.fromEntries(JOB_STATES.map((state) => [state, counts.get(state) ?? 0]));
  return { ...byState, total: [...counts.values()].reduce((sum, each) => sum + each, 0) };
}

export const readAutoSubmitStatus = staffOperation(
  {
    method: "get",
    path: "/api/itrans/auto-submit/status",
    summary: "Whether auto-submit runs, whether core is there, what waits and what failed: of a clinic, or of the hub",
    roles: ["billing", "admin"],
    params: none,
    body: none,
    answers: {
      200: {
        description: "Where auto-submit stands",
        schema: z.object({
          enabled: z.boolean(),
          heldByOperator: z.boolean(),
          core: z.object({
            state: z.enum(["closed", "open", "ramping"]),
            since: z.string().nullable(),
            probeAt: z.string().nullable(),
            submissionsAllowed: count,
          }),
          stats: jobCountsSchema,
          oldestDueAt: z.string().nullable(),
          failures: z.array(z.object({ error: z.string(), count })),
        }),
      },
    },
  },
  async ({ hub, actor }) => {
    const { clinicId } = actor;
    const [switches, { breaker }, counts, oldest, failures] = await Promise.all([
      readSwitches(hub.db, clinicId),
      readBreaker(hub.db),
      countJobs(hub.db, clinicId),
      oldestDueAt(hub.db, clinicId),
      countFailures(hub.db, clinicId),
    ]);
    return ok(200, {
      enabled: isOn({ ...switches, setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED }),
      heldByOperator: switches.hub === false,
      core: {
        state: breaker.type,
        since: breaker.type === "closed" ? null : iso(breaker.since),
        probeAt: breaker.type === "open" ? iso(breaker.probeAt) : null,
        submissionsAllowed: jobsAllowed(breaker, breakerLimits(hub), hub.now()),
      },
      stats: showCounts(counts),
      oldestDueAt: oldest === undefined ? null : iso(oldest),
      failures,
    });
  },
);
