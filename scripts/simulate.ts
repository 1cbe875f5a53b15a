/**
 * `npm run simulate -- [--seed N] [--runs M] [--jobs J] [--trace] [--scenario NAME [--requests N]]`: seeded runs of the write path and
 * the delivery path under faults, on every core. A seed that fails is printed with the commit and its last events; on that commit it fails alike again.
 * `npm run simulate -- --mutations`: breaks each rule on purpose and says which seed noticed.
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { catchMutation, MUTATION_SEEDS, mutations } from "../test/simulation/mutations.ts";
import { runSeeds } from "../test/simulation/run-seeds.ts";
import { scenarios } from "../test/simulation/scenarios.ts";
import { type SimulationResult, simulate } from "../test/simulation/simulate.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

function integerOf(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Failure(`--${name} takes a whole number`);
  return value;
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: projectRoot, encoding: "utf8" }).trim();
    return `${git("rev-parse", "--short=12", "HEAD")}${git("status", "--porcelain") === "" ? "" : " with changes"}`;
  } catch {
    return "unknown";
  }
}

function report(result: SimulationResult, scenario: string | undefined): void {
  const which = scenario === undefined ? "" : ` of ${scenario}`;
  console.error(`\nseed ${result.seed}${which} at commit ${commit()} breaks "${result.violation?.rule}"`);
  console.error(`${result.violation?.detail}\n`);
  for (const line of result.trace) console.error(line);
}

async function breakRules(): Promise<void> {
  for (const mutation of mutations) {
    const { seed, rule, name } = await catchMutation(mutation, MUTATION_SEEDS);
    console.log(
      `${(seed === undefined ? "NOT NOTICED" : `seed ${seed}`).padEnd(12)} ${(rule ?? "").padEnd(24)} ${name}`,
    );
    if (seed === undefined) process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      runs: { type: "string" },
      jobs: { type: "string" },
      trace: { type: "boolean", default: false },
      scenario: { type: "string" },
      requests: { type: "string" },
      mutations: { type: "boolean", default: false },
    },
  });
  if (values.mutations) return breakRules();
  const seed = integerOf("seed", values.seed, 1);
  const runs = integerOf("runs", values.runs, 1);
  const scenario = values.scenario === undefined ? undefined : scenarios[values.scenario];
  if (values.scenario !== undefined && scenario === undefined) {
    throw new Failure(`no scenario ${values.scenario}; there are ${Object.keys(scenarios).join(", ")}`);
  }
  const requests = integerOf("requests", values.requests, scenario?.requests ?? 0);
  if (values.trace) {
    if (runs !== 1) throw new Failure("--trace shows one run");
    const world = { seed, print: console.log };
    const result = await (scenario === undefined ? simulate(world) : scenario.run({ ...world, requests }));
    if (result.violation !== undefined) process.exitCode = 1;
    return;
  }

  const startedAt = performance.now();
  const total = await runSeeds({
    firstSeed: seed,
    runs,
    ...(values.jobs === undefined ? {} : { jobs: integerOf("jobs", values.jobs, 1) }),
    ...(values.scenario === undefined ? {} : { scenario: { name: values.scenario, requests } }),
    onResult: (result) => {
      if (result.violation !== undefined) report(result, values.scenario);
    },
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const { entries, posts, deadLetters, virtualMs, failures } = total;
  console.log(
    `${total.runs} runs, ${failures.length} failed: ${entries} entries, ${posts} posts, ${deadLetters} dead letters, ` +
      `${(virtualMs / 3_600_000).toFixed(1)} h of virtual time in ${seconds.toFixed(1)} s (${(runs / seconds).toFixed(1)} runs/s)`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error instanceof Failure ? error.message : error);
  process.exitCode = 1;
});
