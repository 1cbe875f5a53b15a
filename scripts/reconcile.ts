/** `npm run reconcile` and `npm run reconcile:custom FROM TO`: compares days with the operator's list and writes the report. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as z from "zod";
import { dayOf, rangeFault } from "../src/settlement/reconciliation/days.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Operator } from "./lib/operator.ts";
import { progressBar } from "./lib/progress-bar.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run reconcile                            the last whole day
npm run reconcile:custom FROM TO             days, YYYY-MM-DD, both included (UTC)
                                             -- --reports DIR  where reports are written (reconciliation-reports)

Writes reconciliation-reports/reconciliation-<from>-<to>.csv. A run that is interrupted goes on by itself in core; asked for
again, it begins anew.
${WHERE}`;

const DAY_MS = 86_400_000;
const MIN_WAIT_MS = 500;
const MAX_WAIT_MS = 10_000;

const runSchema = z.looseObject({
  runId: z.string(),
  state: z.enum(["running", "completed", "failed"]),
  day: z.string(),
  progress: z.number(),
  ours: z.int(),
  theirs: z.int(),
  agreed: z.int(),
  inFlight: z.int(),
  mismatches: z.int(),
  reason: z.string().nullable(),
  dueAt: z.number(),
});

function daysOf(command: string | undefined, given: readonly string[]): readonly [from: string, to: string] {
  const now = Date.now();
  if (command === "daily" && given.length === 0) {
    const yesterday = dayOf(now - DAY_MS);
    return [yesterday, yesterday];
  }
  const [from = "", to = from] = given;
  if (command !== "custom" || given.length === 0 || given.length > 2) throw new Failure(USAGE);
  const fault = rangeFault(from, to, now);
  if (fault !== undefined) throw new Failure(`${from} ${to}: ${fault}`);
  return [from, to];
}

async function reconcile(operator: Operator, from: string, to: string, reports: string): Promise<void> {
  const root = "/settlements/reconciliation/runs";
  let run = runSchema.parse(await operator.ask(root, { method: "POST", body: { from, to } }));
  const bar = progressBar(process.stderr);
  const show = () =>
    bar.show(run.progress, `${run.day}  ours ${run.ours}, the operator's ${run.theirs}, mismatches ${run.mismatches}`);
  show();
  while (run.state === "running") {
    run = runSchema.parse(await operator.ask(`${root}/${run.runId}/continue`, { method: "POST" }));
    show();
    if (run.state === "running") await sleep(Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, run.dueAt - Date.now())));
  }
  bar.end();
  if (run.state === "failed") throw new Failure(`${run.runId} failed: ${run.reason ?? "no reason was given"}`);
  const csv = z.string().parse(await operator.ask(`${root}/${run.runId}/report.csv`));
  const path = join(reports, `reconciliation-${from}-${to}.csv`);
  mkdirSync(reports, { recursive: true });
  writeFileSync(path, csv);
  const { agreed, inFlight, mismatches } = run;
  console.log(`${from} to ${to}: ${agreed} agree, ${inFlight} in flight, ${mismatches} mismatches`);
  console.log(relative(process.cwd(), path));
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      ...ENV_OPTION,
      reports: { type: "string", default: join(projectRoot, "reconciliation-reports") },
    },
  });
  const [command, ...days] = positionals;
  if (values.help === true) console.log(USAGE);
  else {
    const [from, to] = daysOf(command, days);
    await reconcile(coreAt(values.env), from, to, values.reports);
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
