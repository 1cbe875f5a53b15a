/** Carries a cutover out, step after step, each written down with its times and evidence before the next. */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { writeAtomically } from "../atomic-file.ts";
import { Interrupted } from "../deploy/run-rollout.ts";
import { Failure, messageOf } from "../fail.ts";
import { type CutoverContext, isoNow, Triggered } from "./context.ts";
import { beginRun, type Decision, decisionIn, endRun, markRun, takeDecision } from "./decisions.ts";
import {
  type Cutover,
  type CutoverAction,
  enabledAt,
  type FirstClaims,
  nextOf,
  recordStep,
  remedyOf,
  STEPS,
  type StepRecord,
  WATCH_MS,
  watchedUntil,
} from "./plan.ts";
import { rollBack } from "./rollback.ts";
import { lookAtClaims, lookEveryMs, mind, RUNS } from "./steps.ts";

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
  firstTen: z
    .object({
      claims: z.array(z.string()),
      through: z.array(z.string()),
      givenUpBefore: z.number(),
      failed: z.number(),
    })
    .exactOptional(),
  accepted: z.object({ claims: z.number(), reason: z.string(), by: z.string(), at: z.string() }).exactOptional(),
  watched: z.object({ from: z.string(), to: z.string(), readings: z.number() }).exactOptional(),
  rollback: z.object({ because: z.string(), at: z.string(), complete: z.boolean().exactOptional() }).exactOptional(),
});

export function writeCutover(directory: string, cutover: Cutover): void {
  writeAtomically(stateFile(directory), `${JSON.stringify(cutover, null, 2)}\n`);
  writeAtomically(join(directory, "cutover.md"), cutoverPage(cutover));
}

const stateFile = (directory: string): string => join(directory, "cutover.json");

export function readCutover(directory: string): Cutover | undefined {
  if (!existsSync(stateFile(directory))) return undefined;
  const parsed = cutoverSchema.safeParse(JSON.parse(readFileSync(stateFile(directory), "utf8")));
  if (!parsed.success) throw new Failure(`${stateFile(directory)} is not a cutover's record`);
  return parsed.data;
}

interface Found {
  readonly directory: string;
  readonly cutover: Cutover;
}

const REHEARSAL = "rehearsal-";

/** @param time as it names a folder. @returns where a rehearsal keeps its record, which is never taken for a cutover's. */
export const rehearsalFolder = (root: string, time: string): string => join(root, `${REHEARSAL}${time}`);

/** Under `root`, of an environment, newest first. A rehearsal goes by an environment's name and changes nothing of it. */
export function* cutoversIn(root: string, environment: string): Generator<Found, undefined> {
  if (!existsSync(root)) return;
  const names = readdirSync(root).filter((name) => !name.startsWith(REHEARSAL));
  for (const name of names.toSorted().toReversed()) {
    const directory = join(root, name);
    const cutover = readCutover(directory);
    if (cutover?.environment === environment) yield { directory, cutover };
  }
}

export const newestCutover = (root: string, environment: string): Found | undefined =>
  cutoversIn(root, environment).next().value;

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
  const { accepted, watched, rollback } = cutover;
  return [
    `# Cutover to ${cutover.environment}`,
    "",
    `Commit ${cutover.commit}, begun ${cutover.startedAt}.`,
    "",
    "| Step | Action | Timestamp | Status |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    ...firstTenLines(cutover),
    accepted === undefined
      ? ""
      : `Accepted by ${accepted.by} at ${accepted.at}: ${accepted.claims} of the first ten need not get through: ${accepted.reason}.`,
    watched === undefined
      ? ""
      : `Rollback triggers watched from ${watched.from} to ${watched.to}, ${watched.readings} times: none was seen.`,
    rollback === undefined
      ? ""
      : `${rollback.complete === true ? "Rolled back" : "A rollback began, and is not complete,"} at ${rollback.at}: ${rollback.because}. rollback.json has its steps, rollback-message.txt what to tell people.`,
    "Evidence of each step is in cutover.json, the readings in readings.jsonl.",
    "",
  ].join("\n");
}

const rateSchema = z.looseObject({ successRate: z.string() });

function firstTenLines({ records, firstTen }: Cutover): readonly string[] {
  const { data } = rateSchema.safeParse(records.findLast(({ step }) => step === "first-ten")?.evidence);
  if (data !== undefined) return [`Success rate of the first claims: ${data.successRate}.`];
  if (firstTen === undefined) return [];
  const { claims, through, failed } = firstTen;
  return [`The first claims so far: ${claims.length} seen, ${through.length} were through, ${failed} failed.`];
}

/**
 * When it stops with claims flowing, it watches the rollback triggers until their time is over or somebody decides.
 * @returns how it ended: passed, stopped at a step, rolled back, or left to a process that takes it back.
 */
export async function runCutover(
  context: CutoverContext,
  begun: Cutover,
): Promise<{ readonly cutover: Cutover; readonly ended: CutoverAction }> {
  const { control, directory } = context;
  mkdirSync(directory, { recursive: true });
  beginRun(control);
  let cutover = begun;
  const keep = (next: Cutover): void => {
    const rollback = laterRollback(readCutover(directory), next);
    cutover = rollback === undefined ? next : { ...next, rollback };
    writeCutover(directory, cutover);
  };
  const left = (because: string): { readonly cutover: Cutover; readonly ended: CutoverAction } => {
    // Should nobody take it back after all, no later run goes on from here.
    keep({ ...cutover, rollback: cutover.rollback ?? { because, at: isoNow(context) } });
    return { cutover, ended: { type: "left", because } };
  };
  const heeding = heedingDecisions(context);
  const keepClaims = (firstTen: FirstClaims): void => {
    // Looked at every few seconds, and seldom new.
    if (JSON.stringify(firstTen) !== JSON.stringify(cutover.firstTen)) keep({ ...cutover, firstTen });
  };
  const watching = async (until: number, left: string): Promise<Watched> => {
    const watched = await watchTriggers(context, () => cutover, keepClaims, until, left);
    if (watched.type === "triggered") keep({ ...cutover, rollback: { because: watched.because, at: isoNow(context) } });
    return watched;
  };
  try {
    // Its first step takes minutes, and is of this cutover; what another process wrote since it was read is never replaced.
    if (readCutover(directory) === undefined) keep(begun);
    for (let again = true; ; ) {
      const told = takeDecision(control);
      if (told?.type === "rollback") return left(told.because);
      const action = nextOf(cutover, again);
      again = false;
      switch (action.type) {
        case "step": {
          const ran = await runStep(heeding, () => cutover, action.step.id, keepClaims);
          if (ran !== undefined) keep(recordStep(cutover, ran.record, ran.triggered));
          break;
        }
        case "watch": {
          const from = enabledAt(cutover) ?? Date.parse(cutover.startedAt);
          const watched = await watching(from + WATCH_MS / context.compress, "nothing seen");
          if (watched.type === "decided" && watched.decision.type === "rollback") return left(watched.decision.because);
          if (watched.type === "over") {
            const { readings } = watched;
            keep({ ...cutover, watched: { from: new Date(from).toISOString(), to: isoNow(context), readings } });
          }
          break;
        }
        case "rollback": {
          context.say(`rolling back: ${action.because}`);
          const { complete } = await rollBack(context, action.because, cutover.startedAt, backupOf(cutover));
          keep({ ...cutover, rollback: { because: action.because, at: isoNow(context), complete } });
          if (!complete) return { cutover, ended: action };
          break;
        }
        case "stopped": {
          const until = watchedUntil(cutover, context.compress);
          if (until === undefined || context.now() >= until) return { cutover, ended: action };
          context.say(
            `stopped: ${action.because}. Claims flow, so the rollback triggers are watched until ${new Date(until).toISOString()}. ${remedyOf(action.step, context.commandsOf)}`,
          );
          markRun(control, true);
          const watched = await watching(until, "stopped, somebody is to decide");
          markRun(control, false);
          if (watched.type === "over") return { cutover, ended: action };
          if (watched.type === "triggered") break;
          const { decision } = watched;
          if (decision.type === "rollback") return left(decision.because);
          if (decision.type === "accept") keep({ ...cutover, accepted: decision.acceptance });
          again = true;
          break;
        }
        default:
          return { cutover, ended: action };
      }
    }
  } finally {
    endRun(control);
  }
}

const backupSchema = z.looseObject({ core: z.looseObject({ snapshot: z.string() }) });

export const backupOf = (cutover: Cutover): string | undefined =>
  backupSchema.safeParse(
    cutover.records.findLast(({ step, status }) => step === "backup" && status === "passed")?.evidence,
  ).data?.core.snapshot;

/** What another process wrote of going back is never lost, and that it is done is the last word. */
const laterRollback = (there: Cutover | undefined, next: Cutover): Cutover["rollback"] =>
  there?.rollback?.complete === true ? there.rollback : (next.rollback ?? there?.rollback);

/** The same, whose waits and rollouts end with Interrupted once somebody decided that everything goes back. */
function heedingDecisions(context: CutoverContext): CutoverContext {
  const heed = (): void => {
    const decision = decisionIn(context.control);
    if (decision?.type === "rollback") throw new Interrupted(decision.because);
  };
  const sleep = async (ms: number): Promise<void> => {
    await context.sleep(ms);
    heed();
  };
  return { ...context, sleep, rollout: { ...context.rollout, heed } };
}

/** @returns undefined when it was interrupted: nothing is known of the step. */
async function runStep(
  context: CutoverContext,
  now: () => Cutover,
  id: StepRecord["step"],
  keep: (known: FirstClaims) => void,
): Promise<{ readonly record: StepRecord; readonly triggered: boolean } | undefined> {
  const place = STEPS.findIndex((step) => step.id === id);
  context.say(`step ${place + 1} of ${STEPS.length}: ${STEPS[place]?.title}`);
  const startedAt = isoNow(context);
  try {
    // From the first deploy on the triggers hold between any two steps.
    if (place > 1) await mind(context, now().firstTen?.failed ?? 0, enabledAt(now()));
    const evidence = await RUNS[id](context, now(), keep);
    return { record: { step: id, startedAt, endedAt: isoNow(context), status: "passed", evidence }, triggered: false };
  } catch (error) {
    if (error instanceof Interrupted) return undefined;
    const because = messageOf(error);
    context.say(`failed: ${because}`);
    return {
      record: { step: id, startedAt, endedAt: isoNow(context), status: "failed", because, evidence: {} },
      triggered: error instanceof Triggered,
    };
  }
}

type Watched =
  | { readonly type: "over"; readonly readings: number }
  | { readonly type: "triggered"; readonly because: string }
  | { readonly type: "decided"; readonly decision: Decision };

/** @param until epoch ms. @param left said while nothing happens. */
async function watchTriggers(
  context: CutoverContext,
  now: () => Cutover,
  keep: (known: FirstClaims) => void,
  until: number,
  left: string,
): Promise<Watched> {
  const began = context.now();
  for (let readings = 1; ; readings++) {
    const { firstTen } = now();
    if (firstTen !== undefined && enabledAt(now()) !== undefined)
      keep((await lookAtClaims(context, now(), firstTen)).known);
    let triggered: string | undefined;
    try {
      await mind(context, now().firstTen?.failed ?? 0, enabledAt(now()));
    } catch (error) {
      if (!(error instanceof Triggered)) throw error;
      triggered = error.message;
    }
    // A person's way back looks like an outage: it is not begun twice.
    const decision = takeDecision(context.control);
    if (decision?.type === "rollback") return { type: "decided", decision };
    if (triggered !== undefined) return { type: "triggered", because: triggered };
    if (decision !== undefined) return { type: "decided", decision };
    const at = context.now();
    if (at >= until) return { type: "over", readings };
    context.say(
      `watching the rollback triggers, ${Math.round((until - at) / 60_000)} min left, ${left}`,
      (at - began) / (until - began),
    );
    await context.sleep(Math.min(lookEveryMs(context.compress), until - at));
  }
}
