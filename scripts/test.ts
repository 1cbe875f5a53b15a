/**
 * `npm test`: every project of vitest.config.ts. The browser's tests run beside the others and by themselves: the whole system stands
 * behind them as long as vitest runs, and mostly waits. What they say is shown last. With arguments it is `vitest run` with these.
 */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "./lib/bundle.ts";

const vitest = join(projectRoot, "node_modules/vitest/vitest.mjs");

interface Ended {
  readonly code: number;
  /** What it printed, unless that was shown at once. */
  readonly output: Buffer;
}

function run(args: readonly string[], shown: boolean): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [vitest, "run", ...args], {
      stdio: shown ? "inherit" : ["ignore", "pipe", "pipe"],
    });
    const chunks: Buffer[] = [];
    const keep = (chunk: Buffer): void => {
      chunks.push(chunk);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks) }));
  });
}

const given = process.argv.slice(2);
if (given.length > 0) process.exit((await run(given, true)).code);
const browser = run(["--project", "browser"], false);
const others = await run(["--project", "!browser"], true);
const { code, output } = await browser;
process.stdout.write(output);
process.exitCode = others.code || code;
