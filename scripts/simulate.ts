/**
 * `npm run simulate -- [--seed N] [--runs M] [--trace]`: seeded runs of the write path and the delivery path under faults.
 * A seed that fails is printed with the commit and its last events; the same seed on the same commit fails alike.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { type SimulationResult, simulate } from "../test/simulation/simulate.ts";
import { projectRoot } from "./lib/bundle.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    runs: { type: "string", default: "1" },
    trace: { type: "boolean", default: false },
  },
});

const seed = Number(values.seed ?? "1");
const runs = Number(values.runs);

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: projectRoot, encoding: "utf8" }).trim();
    return `${git("rev-parse", "--short=12", "HEAD")}${git("status", "--porcelain") === "" ? "" : " with changes"}`;
  } catch {
    return "unknown";
  }
}

function report(result: SimulationResult): void {
  console.error(`\nseed ${result.seed} at commit ${commit()}: ${result.violation?.rule}: ${result.violation?.detail}`);
  for (const line of result.trace) console.error(line);
}

const startedAt = performance.now();
let failed = 0;
let entries = 0;
let posts = 0;
let dead = 0;
for (let i = 0; i < runs; i++) {
  const result = await simulate({ seed: seed + i, ...(values.trace ? { print: console.log } : {}) });
  entries += result.entries;
  posts += result.posts;
  dead += result.deadLetters;
  if (result.violation !== undefined) {
    failed += 1;
    report(result);
  }
}
const seconds = (performance.now() - startedAt) / 1_000;
console.log(
  `${runs} runs, ${failed} failed; ${entries} entries, ${posts} posts, ${dead} dead letters; ${(runs / seconds).toFixed(1)} seeds/s`,
);
if (failed > 0) process.exitCode = 1;
