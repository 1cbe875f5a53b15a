/**
 * `npm run test:long -- <suite>`: the full counts of what `npm test` samples. A suite is cut into pieces; a finished piece is kept,
 * so that a run that was stopped goes on where it was. The result is one committed file for each suite.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { alertSuite } from "../test/e2e/support/alert-suite.ts";
import { backupKillSuite } from "../test/e2e/support/backup-kill-suite.ts";
import { carelessSuite } from "../test/e2e/support/careless-suite.ts";
import { killSuite } from "../test/e2e/support/kill-suite.ts";
import { rotationSuite } from "../test/e2e/support/rotation-suite.ts";
import { settleStackSuite } from "../test/e2e/support/settle-stack-suite.ts";
import { workKillSuite } from "../test/e2e/support/work-kill-suite.ts";
import { operatorRateSuite } from "../test/support/operator-rate/suite.ts";
import { outagesSuite } from "../test/support/outages-suite.ts";
import { settleSuite } from "../test/support/settle-suite.ts";
import { simulateSuite } from "../test/support/simulate-suite.ts";
import { tamperSuite } from "../test/support/tamper-suite.ts";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { Failure } from "./lib/fail.ts";
import type { LongSuite } from "./lib/long-suite.ts";

/** Later than this after its start a run begins no further piece. */
const LAST_PIECE_BEGINS_MS = 40 * 60_000;

const SUITES: readonly LongSuite[] = [
  killSuite,
  tamperSuite,
  simulateSuite,
  outagesSuite,
  carelessSuite,
  operatorRateSuite,
  settleSuite,
  settleStackSuite,
  backupKillSuite,
  workKillSuite,
  rotationSuite,
  alertSuite,
];

const progressSchema = z.object({
  commit: z.string(),
  seed: z.int(),
  /** Of this command, for all pieces so far. */
  runs: z.int().default(0),
  pieces: z.array(z.object({ durationMs: z.number(), faults: z.array(z.string()), counts: z.unknown() })),
});

type Progress = z.output<typeof progressSchema>;

const usage = (): string =>
  [
    "npm run test:long -- <suite> [--seed N] [--afresh]",
    "",
    ...SUITES.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`),
    "",
    "A suite that was stopped goes on where it was, with its seed; --afresh begins again.",
  ].join("\n");

/** The commit, marked when files differ from it: the result is then of no commit at all. */
function commitNow(): string {
  const { commit } = buildFacts();
  const changes = execFileSync("git", ["status", "--porcelain", "--", ".", ":!test/results"], {
    cwd: projectRoot,
    encoding: "utf8",
  });
  return changes.trim() === "" ? commit : `${commit} with changes`;
}

function readProgress(path: string): Progress | undefined {
  try {
    return progressSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

function write(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}

const minutes = (ms: number): string => `${(ms / 60_000).toFixed(1)} min`;

async function runSuite(suite: LongSuite, seedGiven: number | undefined, afresh: boolean): Promise<number> {
  const progressPath = join(projectRoot, "test/results/.progress", `${suite.name}.json`);
  const resultPath = join(projectRoot, "test/results", `${suite.name}.json`);
  const commit = commitNow();
  const earlier = afresh ? undefined : readProgress(progressPath);
  const resumes = earlier?.commit === commit && (seedGiven === undefined || seedGiven === earlier.seed);
  if (earlier !== undefined && !resumes) console.log("the code or the seed has changed since: beginning again");
  const progress: Progress = resumes
    ? earlier
    : { commit, seed: seedGiven ?? Date.now() % 1_000_000, runs: 0, pieces: [] };
  progress.runs += 1;
  if (resumes) console.log(`going on after piece ${progress.pieces.length} of ${suite.pieces}`);
  console.log(`${suite.name}: ${suite.about}; seed ${progress.seed}, commit ${commit.slice(0, 10)}`);

  const startedAt = performance.now();
  while (progress.pieces.length < suite.pieces) {
    if (performance.now() - startedAt > LAST_PIECE_BEGINS_MS) {
      console.log(`time is up; the same command goes on after piece ${progress.pieces.length}`);
      return 2;
    }
    const piece = progress.pieces.length;
    const dataDir = join(projectRoot, ".data/test-long", `${suite.name}-${piece}`);
    rmSync(dataDir, { recursive: true, force: true });
    const pieceStartedAt = performance.now();
    const { faults, counts } = await suite.run({
      piece,
      seed: progress.seed + piece,
      dataDir,
      say: (text) => console.log(`  ${piece + 1}/${suite.pieces} ${text}`),
    });
    // What was found wrong is kept to be looked at.
    if (faults.length === 0) rmSync(dataDir, { recursive: true, force: true });
    progress.pieces.push({ durationMs: Math.round(performance.now() - pieceStartedAt), faults: [...faults], counts });
    write(progressPath, progress);
    const passed = performance.now() - startedAt;
    console.log(
      `${suite.name} ${piece + 1}/${suite.pieces} done, ${faults.length} faults, ${minutes(passed)} in this run`,
    );
    for (const fault of faults.slice(0, 20)) console.log(`  ${fault}`);
  }

  const faults = progress.pieces.flatMap((piece) => piece.faults);
  write(resultPath, {
    suite: suite.name,
    about: suite.about,
    date: new Date().toISOString(),
    commit,
    seed: progress.seed,
    runs: progress.runs,
    passed: faults.length === 0,
    faults,
    ...suite.summarize(progress.pieces.map(({ counts }) => counts)),
    durationMs: progress.pieces.reduce((sum, { durationMs }) => sum + durationMs, 0),
    pieceDurationsMs: progress.pieces.map(({ durationMs }) => durationMs),
    machine: { cores: availableParallelism(), platform: process.platform, node: process.version },
  });
  rmSync(progressPath, { force: true });
  console.log(`${faults.length === 0 ? "pass" : "fail"}: ${relative(projectRoot, resultPath)}`);
  return faults.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seed: { type: "string" }, afresh: { type: "boolean" }, help: { type: "boolean" } },
  });
  const [name, ...rest] = positionals;
  const suite = SUITES.find((candidate) => candidate.name === name);
  if (values.help === true || suite === undefined || rest.length > 0) {
    console.log(usage());
    if (values.help === true) return 0;
    throw new Failure(name === undefined ? "no suite was named" : `there is no suite ${positionals.join(" ")}`);
  }
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw new Failure(`--seed is not an integer: ${values.seed}`);
  return runSuite(suite, seed, values.afresh === true);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Failure ? `test:long: ${error.message}` : error);
    process.exit(1);
  },
);
