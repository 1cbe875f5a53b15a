/** Carries a cutover out, step after step, each written down with its times and evidence before the next. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { writeAtomically } from "../atomic-file.ts";
import { Failure, messageOf } from "../fail.ts";
import { type CutoverContext, isoNow, Triggered } from "./context.ts";
import { type Cutover, type CutoverAction, nextOf, recordStep, STEPS, type StepRecord, WATCH_MS } from "./plan.ts";
import { rollBack } from "./rollback.ts";
import { mind, RUNS } from "./steps.ts";

const stepIds = z.enum(STEPS.map(({ id }) => id));
const cutoverSchema = z.object({
  environment: z.string(),
  commit: z.string(),
  startedAt: z.string(),
  records: z.array(
    z.object({
      step: stepIds,
      startedAt: z.string(),
      endedAt: z.string(),
      status: z.enum(["passed", "failed"]),
      because: z.string().exactOptional(),
      evidence: z.record(z.string(), z.unknown()),
    }),
  ),
  watched: z.object({ from: z.string(), to: z.string(), readings: z.number() }).exactOptional(),
  rollback: z.object({ because: z.string(), at: z.string(), complete: z.boolean().exactOptional() }).exactOptional(),
});

const stateFile = (directory: string): string => join(directory, "cutover.json");

export function readCutover(directory: string): Cutover | undefined {
  if (!existsSync(stateFile(directory))) return undefined;
  const parsed = cutoverSchema.safeParse(JSON.parse(readFileSync(stateFile(directory), "utf8")));
  if (!parsed.success) throw new Failure(`${stateFile(directory)} is not a cutover's record`);
  return parsed.data;
}

/** The newest under `root`, of an environment. */
export function newestCutover(
  root: string,
  environment: string,
): { readonly directory: string; readonly cutover: Cutover } | undefined {
  if (!existsSync(root)) return undefined;
  for (const name of readdirSync(root).sort().toReversed()) {
    const directory = join(root, name);
    const cutover = existsSync(stateFile(directory)) ? readCutover(directory) : undefined;
    if (cutover?.environment === environment) return { directory, cutover };
  }
  return undefined;
}

const LABELS = { passed: "passed", failed: "FAILED" } as const;

/** The manuals' table, filled in. */
export function cutoverPage(cutover: Cutover): string {
  const rows = STEPS.map(({ id, title }, index) => {
    const record = cutover.records.findLast(({ step }) => step === id);
    const status =
      record === undefined
        ? ""
        : `${LABELS[record.status]}${record.because === undefined ? "" : `: ${record.because.split("\n")[0]}`}`;
    return `| ${index + 1} | ${title} | ${record?.endedAt ?? ""} | ${status} |`;
  });
  const { watched, rollback } = cutover;
  return [
    `# Cutover to ${cutover.environment}`,
    "",
    `Commit ${cutover.commit}, begun ${cutover.startedAt}.`,
    "",
    "| Step | Action | Timestamp | Status |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    watched === undefined
      ? ""
      : `Rollback triggers watched from ${watched.from} to ${watched.to}, ${watched.readings} times: none was seen.`,
    rollback === undefined
      ? ""
      : `Rolled back at ${rollback.at}: ${rollback.because}. rollback.json has its steps, rollback-message.txt what to tell people.`,
    "Evidence of each step is in cutover.json, the readings in readings.jsonl.",
    "",
  ].join("\n");
}

/** @returns how it ended: passed, stopped at a step, or rolled back. */
export async function runCutover(
  context: CutoverContext,
  begun: Cutover,
): Promise<{ readonly cutover: Cutover; readonly ended: CutoverAction }> {
  mkdirSync(context.directory, { recursive: true });
  let cutover = begun;
  const keep = (next: Cutover): void => {
    cutover = next;
    writeAtomically(stateFile(context.directory), `${JSON.stringify(cutover, null, 2)}\n`);
    writeAtomically(join(context.directory, "cutover.md"), cutoverPage(cutover));
  };
  keep(begun);
  for (let first = true; ; first = false) {
    const action = nextOf(cutover, first);
    switch (action.type) {
      case "step": {
        const { record, triggered } = await runStep(context, cutover, action.step.id);
        keep(recordStep(cutover, record, triggered));
        break;
      }
      case "watch":
        keep(await watch(context, cutover));
        break;
      case "rollback": {
        context.say(`rolling back: ${action.because}`);
        const { complete } = await rollBack(context, action.because, cutover.startedAt, backupOf(cutover));
        keep({ ...cutover, rollback: { because: action.because, at: isoNow(context), complete } });
        if (!complete) return { cutover, ended: action };
        break;
      }
      default:
        return { cutover, ended: action };
    }
  }
}

const backupSchema = z.looseObject({ core: z.looseObject({ snapshot: z.string() }) });

export const backupOf = (cutover: Cutover): string | undefined =>
  backupSchema.safeParse(
    cutover.records.findLast(({ step, status }) => step === "backup" && status === "passed")?.evidence,
  ).data?.core.snapshot;

async function runStep(
  context: CutoverContext,
  cutover: Cutover,
  id: StepRecord["step"],
): Promise<{ readonly record: StepRecord; readonly triggered: boolean }> {
  const place = STEPS.findIndex((step) => step.id === id);
  context.say(`step ${place + 1} of ${STEPS.length}: ${STEPS[place]?.title}`);
  const startedAt = isoNow(context);
  try {
    // From the first deploy on the triggers hold between any two steps.
    if (place > 1) await mind(context, 0);
    const evidence = await RUNS[id](context, cutover);
    return { record: { step: id, startedAt, endedAt: isoNow(context), status: "passed", evidence }, triggered: false };
  } catch (error) {
    const because = messageOf(error);
    context.say(`failed: ${because}`);
    return {
      record: { step: id, startedAt, endedAt: isoNow(context), status: "failed", because, evidence: {} },
      triggered: error instanceof Triggered,
    };
  }
}

async function watch(context: CutoverContext, cutover: Cutover): Promise<Cutover> {
  const since = cutover.records.findLast(({ step }) => step === "enable-auto-submit")?.endedAt ?? cutover.startedAt;
  const from = Date.parse(since);
  const length = WATCH_MS / context.compress;
  let readings = 0;
  for (;;) {
    try {
      await mind(context, 0);
    } catch (error) {
      if (!(error instanceof Triggered)) throw error;
      return { ...cutover, rollback: { because: error.message, at: isoNow(context) } };
    }
    readings += 1;
    const passed = context.now() - from;
    if (passed >= length) return { ...cutover, watched: { from: since, to: isoNow(context), readings } };
    context.say(
      `watching the rollback triggers, ${Math.round((length - passed) / 60_000)} min left, nothing seen`,
      passed / length,
    );
    await context.sleep(Math.min(15_000 / Math.min(context.compress, 60), length - passed));
  }
}
