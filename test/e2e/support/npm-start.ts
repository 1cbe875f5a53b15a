/** `npm start` as a person runs it: a process group of its own, which Ctrl-C reaches as a whole. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { commandOf, isAlive } from "../../../scripts/lib/processes.ts";

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  /** All that it printed so far. */
  output(): string;
  /** The first match in what it prints. @throws when it ends, or `timeoutMs` pass, before. */
  waitFor(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** What a terminal does at Ctrl-C. */
  ctrlC(): void;
  /** SIGKILL of what was spawned, and of nothing else. */
  kill(): void;
  ended(timeoutMs: number): Promise<Ended>;
  /** Processes that it started, at any depth, and that live. Seen by looking often, whatever group they are in. */
  alive(): readonly string[];
  /** How many processes it was seen to start. */
  seen(): number;
  dispose(): Promise<void>;
}

export const FREE_PORTS = ["core", "hub", "relay", "anvil", "insurer", "operator"].flatMap((name) => [
  `--port-${name}`,
  "0",
]);

/** @param by `node`: the script that npm would start, so that its own exit code is seen. */
export function npmStart(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  by: "npm" | "node" = "npm",
): Started {
  const command = by === "npm" ? ["npm", "start", "--"] : [process.execPath, "scripts/start.ts"];
  const [file = "", ...first] = command;
  const child = spawn(file, [...first, ...args], {
    cwd: projectRoot,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const closed = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  // A child of a child that has ended already belongs to nobody, so the family is written down while it lives.
  const family = new Map<number, string>();
  const watch = setInterval(() => noteFamily(child, family), 250);
  void closed.then(() => clearInterval(watch));
  const output = () => `${stdout}\n${stderr}`;
  const alive = () =>
    [...family].flatMap(([pid, command]) => (isAlive(pid) && commandOf(pid) === command ? [`${pid} ${command}`] : []));
  return {
    output,
    async waitFor(pattern, timeoutMs = 60_000) {
      for (const until = performance.now() + timeoutMs; ; await sleep(20)) {
        const match = pattern.exec(output());
        if (match !== null) return match;
        if (child.exitCode !== null) throw new Error(`ended before ${pattern}:\n${output()}`);
        if (performance.now() > until) throw new Error(`not within ${timeoutMs} ms: ${pattern}\n${output()}`);
      }
    },
    ctrlC() {
      noteFamily(child, family);
      if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
    },
    kill() {
      noteFamily(child, family);
      child.kill("SIGKILL");
    },
    async ended(timeoutMs) {
      const late = sleep(timeoutMs).then(() => undefined);
      const ended = await Promise.race([closed, late]);
      if (ended === undefined) throw new Error(`still running after ${timeoutMs} ms:\n${output()}`);
      return ended;
    },
    alive,
    seen: () => family.size,
    async dispose() {
      clearInterval(watch);
      for (const line of alive()) {
        try {
          process.kill(Number.parseInt(line, 10), "SIGKILL");
        } catch {
          // It has just ended.
        }
      }
    },
  };
}

function noteFamily(child: ChildProcess, family: Map<number, string>): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  const parents = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const known = new Set([child.pid, ...family.keys()]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const [pid = 0, parent = 0] of parents) {
      if (known.has(pid) || !known.has(parent)) continue;
      known.add(pid);
      grew = true;
    }
  }
  for (const pid of known) {
    // Between fork and exec it still has its parent's command, so the newest is kept.
    const command = commandOf(pid);
    if (command !== undefined && command !== "") family.set(pid, command);
  }
}
