import { randomInt } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Failure } from "./fail.ts";

/** Below those that systems hand out by themselves: between looking and using, no outgoing connection takes one of these. */
const FREE_FROM = 20_000;
const FREE_TO = 32_000;
const FREE_TRIES = 100;

const listenOnce = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });

/** A file for each port that some process of ours chose: between choosing and listening nobody else would see that it is taken. */
const CHOSEN = join(tmpdir(), `itrans-ports-${userInfo().uid}`);

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** @returns whether the port is this process's alone, until it ends. */
function choose(port: number): boolean {
  const path = join(CHOSEN, String(port));
  mkdirSync(CHOSEN, { recursive: true });
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(path, String(process.pid), { flag: "wx" });
      return true;
    } catch {
      // Somebody chose it; whether they are still there is told by their process.
    }
    try {
      if (isRunning(Number(readFileSync(path, "utf8")))) return false;
      rmSync(path, { force: true });
    } catch {
      return false;
    }
  }
  return false;
}

/** Undefined when none of many was free. */
async function freePort(): Promise<number | undefined> {
  for (let i = 0; i < FREE_TRIES; i++) {
    const port = randomInt(FREE_FROM, FREE_TO);
    if (choose(port) && (await listenOnce(port)) !== undefined) return port;
  }
  return undefined;
}

/**
 * @param wanted port by name; 0 takes a free one.
 * @throws Failure naming every port that is taken.
 */
export async function claimPorts<Name extends string>(
  wanted: Readonly<Partial<Record<Name, number>>>,
): Promise<Partial<Record<Name, number>>> {
  const claimed: Partial<Record<Name, number>> = { ...wanted };
  const taken: string[] = [];
  for (const name in wanted) {
    const port = wanted[name];
    if (port === undefined) continue;
    const bound = port === 0 ? await freePort() : await listenOnce(port);
    if (bound === undefined)
      taken.push(`port ${port} (${name}) is taken: free it, or choose another with --port-${name}`);
    else claimed[name] = bound;
  }
  if (taken.length > 0) throw new Failure(taken.join("; "));
  return claimed;
}
