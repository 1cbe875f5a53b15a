/** Which process runs a cutover of an environment, and what a person decides meanwhile, told by another command through files. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { readIfThere, writeAtomically } from "../atomic-file.ts";
import { Failure } from "../fail.ts";

const acceptanceSchema = z.object({
  claims: z.number().int(),
  reason: z.string(),
  by: z.string(),
  at: z.string(),
});

const decisionSchema = z.discriminatedUnion("type", [
  /** Try the step that stopped once more. */
  z.object({ type: z.literal("again") }),
  z.object({ type: z.literal("accept"), acceptance: acceptanceSchema }),
  /** Another command takes everything back. */
  z.object({ type: z.literal("rollback"), because: z.string() }),
]);
export type Decision = z.output<typeof decisionSchema>;

const decisionFile = (directory: string): string => join(directory, "decision.json");
const runFile = (directory: string): string => join(directory, "run.json");

/** One at a time: a later one replaces what nobody took yet. */
export const decide = (directory: string, decision: Decision): void =>
  writeAtomically(decisionFile(directory), `${JSON.stringify(decision)}\n`);

/** What nobody took yet. */
export function decisionIn(directory: string): Decision | undefined {
  const text = readIfThere(decisionFile(directory));
  return text === undefined ? undefined : decisionSchema.parse(JSON.parse(text));
}

/** Each is taken once. */
export function takeDecision(directory: string): Decision | undefined {
  if (decisionIn(directory) === undefined) return undefined;
  // Moved before it is read: what replaces it meanwhile stays for the next time.
  const taken = join(directory, "decision.taken.json");
  renameSync(decisionFile(directory), taken);
  return decisionSchema.parse(JSON.parse(readFileSync(taken, "utf8")));
}

const runSchema = z.object({
  pid: z.number().int(),
  /** As the system says when it started: a pid is used again. */
  started: z.string().exactOptional(),
  /** It has stopped and watches until somebody decides. */
  waiting: z.boolean(),
});
export type Run = z.output<typeof runSchema>;

/** When a process started, in the system's own words; null: it is over; undefined: the system does not say. */
function startOf(pid: number): string | null | undefined {
  try {
    if (process.platform !== "linux") {
      const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
      return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", env }).trim() || undefined;
    }
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // From the third field on: the second, a name in brackets, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : fields[19];
  } catch {
    return undefined;
  }
}

/** What can not be known is taken for alive. */
function lives({ pid, started }: Run): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be asked, and is there all the same.
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
  }
  const now = startOf(pid);
  return now !== null && (now === undefined || started === undefined || now === started);
}

/** @throws Failure when what is there says nothing. */
function markedRun(directory: string): Run | undefined {
  const text = readIfThere(runFile(directory));
  if (text === undefined) return undefined;
  try {
    return runSchema.parse(JSON.parse(text));
  } catch {
    throw new Failure(`${runFile(directory)} does not say what runs; ${unlessNone(directory)}`);
  }
}

const unlessNone = (directory: string): string => `when you know that no cutover runs, delete ${runFile(directory)}`;

const isOwn = (run: Run | undefined): boolean => run?.pid === process.pid && lives(run);

/** The other process that runs a cutover of this environment now; undefined: none does. */
export function otherRun(directory: string): Run | undefined {
  const run = markedRun(directory);
  return run === undefined || isOwn(run) || !lives(run) ? undefined : run;
}

export const underWay = ({ pid }: Run, directory: string): Failure =>
  new Failure(`a cutover is under way in process ${pid}; ${unlessNone(directory)}`);

function writeRun(directory: string, waiting: boolean, flag: "w" | "wx"): void {
  const started = startOf(process.pid);
  const run: Run = { pid: process.pid, waiting, ...(typeof started === "string" ? { started } : {}) };
  if (flag === "w") writeAtomically(runFile(directory), JSON.stringify(run));
  else writeFileSync(runFile(directory), JSON.stringify(run), { flag });
}

/** This process runs a cutover from here on. @throws Failure when another does. */
export function beginRun(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const found = markedRun(directory);
  if (isOwn(found)) return;
  if (found !== undefined) {
    if (lives(found)) throw underWay(found, directory);
    rmSync(runFile(directory), { force: true });
  }
  try {
    writeRun(directory, false, "wx");
  } catch (error) {
    // One that began in this moment was first.
    const first = markedRun(directory);
    throw first === undefined ? error : underWay(first, directory);
  }
  // Told to a run that ended before it was taken.
  rmSync(decisionFile(directory), { force: true });
}

/** @param waiting it has stopped and watches until somebody decides. */
export const markRun = (directory: string, waiting: boolean): void => writeRun(directory, waiting, "w");

export function endRun(directory: string): void {
  if (isOwn(markedRun(directory))) rmSync(runFile(directory), { force: true });
}
