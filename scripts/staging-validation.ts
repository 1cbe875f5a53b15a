/** `scripts/itrans-staging-validation.sh`: everything that must hold before a release. `--help` lists what it takes. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { injectFailures } from "./lib/load/failure-injection.ts";
import { readTunables } from "./lib/load/settings.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = `scripts/itrans-staging-validation.sh [--only PHASES] [--skip PHASES] [--core URL --hub URL] [--out DIR]

  functional          scripts/itrans-cross-repo-e2e.sh
  failure-injection   a receiver that fails and comes back, refused calls, and, on a system of its own, SIGKILL with claims under way
  load                ./run-load-tests.sh load: LOAD_DURATION (5m), LOAD_TARGET_VUS (100)
  soak                ./run-load-tests.sh soak: SOAK_DURATION (30m), SOAK_VUS (50)

PHASES are names separated by commas. Each phase runs on a system of its own, unless --core and --hub name one; that needs what the
two scripts need of the environment, and leaves out whatever would break what others use. FAILURE_CLAIMS (20) is how many claims
failures are injected into, FAILURE_OUTAGE (5s) how long the receiver fails.
Writes DIR/summary.json (.local/itrans-staging-validation) and each phase's own results beside it. Exit 0 only when all pass.`;

const PHASES = ["functional", "failure-injection", "load", "soak"] as const;
type Phase = (typeof PHASES)[number];

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    only: { type: "string" },
    skip: { type: "string" },
    core: { type: "string" },
    hub: { type: "string" },
    out: { type: "string", default: ".local/itrans-staging-validation" },
  },
});
if (values.help === true) {
  console.log(USAGE);
  process.exit(0);
}

const printer = makePrinter(process.stdout, process.env);

const phasesIn = (text: string | undefined): readonly Phase[] | undefined =>
  text?.split(",").map((name) => {
    const phase = PHASES.find((known) => known === name.trim());
    if (phase === undefined) throw new Failure(`${name} is no phase: ${PHASES.join(", ")}`);
    return phase;
  });

interface PhaseResult {
  readonly phase: Phase;
  readonly pass: boolean;
  readonly durationMs: number;
  /** What it wrote, from the directory of the summary. */
  readonly result: string;
  readonly findings: readonly string[];
  readonly figures: Readonly<Record<string, unknown>>;
}

interface Outcome {
  readonly pass: boolean;
  readonly findings: readonly string[];
  readonly figures: Readonly<Record<string, unknown>>;
}

/** Runs a script of ours to its end; its lines are shown as they come. @returns its exit code. */
function run(script: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code) => done(code ?? 1));
  });
}

const elsewhere = (): readonly string[] =>
  values.core === undefined || values.hub === undefined ? [] : ["--core", values.core, "--hub", values.hub];

const e2eSchema = z.looseObject({
  status: z.string(),
  claimId: z.string().nullable(),
  requestId: z.string().nullable(),
  deliveredCount: z.number(),
  reason: z.string().optional(),
});

const gateSchema = z.looseObject({
  pass: z.boolean(),
  failedThresholds: z.array(z.looseObject({ name: z.string(), value: z.number().nullable(), limit: z.number() })),
  notJudged: z.array(z.string()),
  figures: z.looseObject({}),
});

function written<Schema extends z.ZodType>(path: string, schema: Schema): z.output<Schema> | undefined {
  if (!existsSync(path)) return undefined;
  const parsed = schema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  return parsed.success ? parsed.data : undefined;
}

async function functional(path: string): Promise<Outcome> {
  const code = await run("cross-repo-e2e.ts", [...elsewhere(), "--out", path], {});
  const result = written(path, e2eSchema);
  if (result === undefined) return { pass: false, findings: [`it ended with ${code} and wrote nothing`], figures: {} };
  const { status, claimId, requestId, deliveredCount, reason } = result;
  return {
    pass: code === 0 && status === "pass",
    findings: reason === undefined ? [] : [reason],
    figures: { claimId, requestId, deliveredCount },
  };
}

async function gate(name: "load" | "soak", directory: string, path: string): Promise<Outcome> {
  const code = await run("load.ts", [name, ...elsewhere()], { LOAD_OUTPUT_DIR: directory });
  const result = written(path, gateSchema);
  if (result === undefined) return { pass: false, findings: [`it ended with ${code} and wrote nothing`], figures: {} };
  return {
    pass: code === 0 && result.pass,
    findings: [
      ...result.failedThresholds.map(
        (failed) => `${failed.name} is ${failed.value ?? "nothing"}, limit ${failed.limit}`,
      ),
      ...result.notJudged.map((reason) => `not judged: ${reason}`),
    ],
    figures: result.figures,
  };
}

async function failures(path: string): Promise<Outcome> {
  const injected = await injectFailures({
    environment: process.env,
    elsewhere: values.core === undefined ? undefined : { coreUrl: values.core, hubUrl: values.hub ?? "" },
    say: (line) => printer.line(`  ${line}`),
  });
  writeFileSync(path, `${JSON.stringify(injected, null, 2)}\n`);
  const findings = injected.checks.filter(({ pass }) => !pass).map(({ name, saw }) => `${name}: ${saw}`);
  return { pass: findings.length === 0, findings, figures: { checks: injected.checks.length } };
}

const RESULT_FILES: Readonly<Record<Phase, string>> = {
  functional: "result.json",
  "failure-injection": "failure-injection.json",
  load: "load-gate.json",
  soak: "soak-gate.json",
};

async function main(): Promise<boolean> {
  if ((values.core === undefined) !== (values.hub === undefined)) throw new Failure("--core and --hub go together");
  const tunables = readTunables(process.env);
  if (!tunables.success) {
    const [issue] = tunables.error.issues;
    throw new Failure(`${issue?.path.join(".") ?? "a tunable"}: ${issue?.message ?? "is wrong"}`);
  }
  const skipped = phasesIn(values.skip) ?? [];
  const phases = (phasesIn(values.only) ?? PHASES).filter((phase) => !skipped.includes(phase));
  const directory = resolve(projectRoot, values.out);
  mkdirSync(directory, { recursive: true });
  const startedAt = new Date().toISOString();
  const { version, commit } = buildFacts();
  const results: PhaseResult[] = [];
  const summary = (finished: boolean): boolean => {
    const pass = finished && results.every((result) => result.pass);
    const text = {
      status: finished ? (pass ? "pass" : "fail") : "running",
      pass,
      startedAt,
      endedAt: finished ? new Date().toISOString() : null,
      version,
      commit,
      target: values.core === undefined ? "systems of its own" : { core: values.core, hub: values.hub },
      tunables: tunables.data,
      skipped: PHASES.filter((phase) => !phases.includes(phase)),
      phases: results,
    };
    writeFileSync(join(directory, "summary.json"), `${JSON.stringify(text, null, 2)}\n`);
    return pass;
  };
  summary(false);
  for (const phase of phases) {
    printer.line(printer.paint("bold", phase));
    const path = join(directory, RESULT_FILES[phase]);
    const began = performance.now();
    const work = {
      functional: () => functional(path),
      "failure-injection": () => failures(path),
      load: () => gate("load", directory, path),
      soak: () => gate("soak", directory, path),
    };
    const outcome = await work[phase]().catch(
      (error: unknown): Outcome => ({ pass: false, findings: [messageOf(error)], figures: {} }),
    );
    const durationMs = Math.round(performance.now() - began);
    results.push({ phase, durationMs, result: RESULT_FILES[phase], ...outcome });
    summary(false);
    for (const finding of outcome.findings) printer.warn(finding);
  }
  const pass = summary(true);
  printer.line();
  for (const { phase, pass: passed, durationMs } of results)
    printer.line(
      `${printer.paint(passed ? "green" : "red", passed ? "pass" : "fail")}  ${phase.padEnd(18)} ${(durationMs / 1_000).toFixed(0)} s`,
    );
  printer.line(`      ${relative(process.cwd(), join(directory, "summary.json"))}`);
  return pass;
}

main().then(
  (pass) => process.exit(pass ? 0 : 1),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(2);
  },
);
