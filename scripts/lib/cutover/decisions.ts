/** What a person decides about a cutover while a run of it watches, told by another command through the cutover's folder. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { writeAtomically } from "../atomic-file.ts";

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

/** Each is taken once. */
export function takeDecision(directory: string): Decision | undefined {
  const path = decisionFile(directory);
  if (!existsSync(path)) return undefined;
  const { data } = decisionSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  rmSync(path, { force: true });
  return data;
}

const runSchema = z.object({ pid: z.number().int(), waiting: z.boolean() });
export type Run = z.output<typeof runSchema>;

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The other process that runs this cutover now; undefined: none does. */
export function otherRun(directory: string): Run | undefined {
  if (!existsSync(runFile(directory))) return undefined;
  const { data } = runSchema.safeParse(JSON.parse(readFileSync(runFile(directory), "utf8")));
  return data === undefined || data.pid === process.pid || !lives(data.pid) ? undefined : data;
}

/** @param waiting it has stopped and watches until somebody decides. */
export const markRun = (directory: string, waiting: boolean): void =>
  writeAtomically(runFile(directory), JSON.stringify({ pid: process.pid, waiting }));

export const endRun = (directory: string): void => rmSync(runFile(directory), { force: true });
