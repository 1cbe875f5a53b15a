/** Processes that a run starts: found again by pid when the run itself was killed, and ended by pid alone. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { Failure } from "./fail.ts";

const runFileSchema = z.object({
  runner: z.object({ pid: z.int(), command: z.string() }),
  children: z.array(z.object({ pid: z.int(), command: z.string() })),
});

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch {
    return false;
  }
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** What a process was started with, or undefined when it is gone. A pid is used again; its command line tells who it is. */
export function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    if (!isAlive(pid)) return undefined;
  }
  try {
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

/** Asks a process to end, and after `graceMs` ends it. Resolves when it is gone. */
export async function endProcess(pid: number, graceMs: number): Promise<void> {
  const until = Date.now() + graceMs;
  try {
    process.kill(pid, "SIGTERM");
    while (isAlive(pid) && Date.now() < until) await sleep(20);
    if (!isAlive(pid)) return;
    process.kill(pid, "SIGKILL");
    for (let i = 0; i < 100 && isAlive(pid); i++) await sleep(20);
  } catch {
    // Gone already.
  }
}

export interface RunFile {
  /** Called again whenever a child was started or replaced. */
  record(childPids: readonly number[]): void;
  remove(): void;
}

/**
 * One run at a time owns a data directory. What a killed run left behind is ended first: it holds ports and files.
 * @throws Failure when a live run owns the directory.
 */
export async function claimDataDirectory(
  dataDir: string,
  say: (line: string) => void,
  self: number = process.pid,
): Promise<RunFile> {
  const path = join(dataDir, "run.json");
  if (existsSync(path)) {
    let parsed: z.output<typeof runFileSchema> | undefined;
    try {
      parsed = runFileSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    } catch {
      parsed = undefined; // written half: the run died in its first moment, and had started nothing
    }
    if (parsed !== undefined) {
      const { runner, children } = parsed;
      if (runner.pid !== self && isAlive(runner.pid) && commandOf(runner.pid) === runner.command) {
        throw new Failure(
          `${dataDir} is in use by process ${runner.pid}; stop it, or choose another directory with --data`,
        );
      }
      for (const child of children) {
        if (!isAlive(child.pid) || commandOf(child.pid) !== child.command) continue;
        say(`ending process ${child.pid}, left behind by a run that was killed`);
        await endProcess(child.pid, 3_000);
      }
    }
  }
  const record = (childPids: readonly number[]) => {
    const known = (pid: number) => ({ pid, command: commandOf(pid) ?? "" });
    writeFileSync(path, JSON.stringify({ runner: known(self), children: childPids.map(known) }));
  };
  record([]);
  return { record, remove: () => rmSync(path, { force: true }) };
}

/** Whether a run is up over this data now. */
export function isInUse(dataDir: string): boolean {
  try {
    const { runner } = runFileSchema.parse(JSON.parse(readFileSync(join(dataDir, "run.json"), "utf8")));
    return isAlive(runner.pid) && commandOf(runner.pid) === runner.command;
  } catch {
    return false;
  }
}
