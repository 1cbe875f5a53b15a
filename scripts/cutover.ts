/** `npm run cutover`: what a go-live is, from the list before it to four hours after it. docs/go-live.md says how. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as z from "zod";
import { readIfThere } from "./lib/atomic-file.ts";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import type { CutoverContext } from "./lib/cutover/context.ts";
import { beginRun, decide, endRun, otherRun, underWay } from "./lib/cutover/decisions.ts";
import { goLiveMessage } from "./lib/cutover/messages.ts";
import { type Acceptance, type Cutover, type CutoverAction, remedyOf, STEPS } from "./lib/cutover/plan.ts";
import {
  preflightPage,
  readSignOffs,
  runPreflight,
  type SignOffs,
  signersOf,
  templateOf,
} from "./lib/cutover/preflight.ts";
import { rehearsalContext, rehearsalSignOffs } from "./lib/cutover/rehearsal.ts";
import { newestCutover, rehearsalFolder, runCutover } from "./lib/cutover/run.ts";
import { takeBack } from "./lib/cutover/take-back.ts";
import { openDatabase } from "./lib/databases.ts";
import { prepare, requireCommitted } from "./lib/deploy/before.ts";
import { deployedNameOf, objectMigrationIn, REHEARSED } from "./lib/deploy/rehearsal.ts";
import { DEFAULT_LIMITS } from "./lib/deploy/rollout.ts";
import { PACE } from "./lib/deploy/run-rollout.ts";
import { type DeploySite, siteOf, type Values, valuesOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Clinic } from "./lib/lifecycle.ts";
import { cloudflare, type EnvironmentName, type RemoteEnvironment } from "./lib/platform.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { progressBar } from "./lib/progress-bar.ts";

const USAGE = `npm run cutover:preflight -- --env staging|production   the list from T-48h to T-0; exit 0 is a go
npm run cutover           -- --env staging|production   the eleven steps, then four hours of watching the rollback triggers
npm run cutover           -- --rehearse                 the same against the local system, which is started for it, compressed
npm run cutover           -- --env staging|production --accept N --reason TEXT
                                                        goes on although N of the first ten claims did not get through
npm run rollback          -- --env staging|production   what the newest cutover deployed goes back, hub first

A cutover wants a go of the last 24 hours for the commit that is here. It stops at a step that fails and says what to do; the same
command goes on from there. An immediate trigger rolls everything back. One that stopped with auto-submit on watches the triggers for the
rest of the four hours: the same command from another terminal tells it to go on. All is written to .local/cutover/<time>/.

  --sign-offs FILE   who signed what (.local/cutover/<env>-sign-offs.json; made empty when it is not there)
  --tls-days N       how long certificates must hold (90)
  --compress N       divides every time that is watched, for staging
  --reason TEXT      why it is rolled back, or why claims are accepted
  --by NAME          who accepts (the signed-in user)

Addresses and keys are in .env.<environment>, as for npm run deploy:*; and the clinic of the synthetic claim: CUTOVER_CLINIC_EMAIL,
CUTOVER_CLINIC_PASSWORD, CUTOVER_PATIENT_ID, CUTOVER_PROVIDER_ID, CUTOVER_INSURER_ID, whose insurer answers by itself.`;

const ROOT = join(projectRoot, ".local/cutover");
const GATES = join(projectRoot, ".local/itrans-staging-validation");
const GO_HOLDS_MS = 24 * 3_600_000;

const options = {
  help: { type: "boolean" },
  env: { type: "string" },
  rehearse: { type: "boolean" },
  "sign-offs": { type: "string" },
  "tls-days": { type: "string" },
  compress: { type: "string" },
  reason: { type: "string" },
  accept: { type: "string" },
  by: { type: "string" },
} as const;

const folderName = (): string => new Date().toISOString().replace(/[:.]/g, "-");
const goFile = (environment: string): string => join(ROOT, `${environment}-go.json`);
const controlOf = (environment: string): string => join(ROOT, environment);
const goSchema = z.object({ commit: z.string(), at: z.string(), by: z.string() });

function clinicOf(site: DeploySite): Clinic | undefined {
  const of = (name: string): string => site.values[`CUTOVER_${name}`] ?? "";
  const clinic = {
    hubUrl: site.urls["medlink-hub"],
    email: of("CLINIC_EMAIL"),
    password: of("CLINIC_PASSWORD"),
    patientId: of("PATIENT_ID"),
    providerId: of("PROVIDER_ID"),
    insurerId: of("INSURER_ID"),
  };
  return Object.values(clinic).includes("") ? undefined : clinic;
}

function deployedContext(
  environment: RemoteEnvironment,
  directory: string,
  compress: number,
  contact: string,
  printer: Printer,
): CutoverContext {
  const site = siteOf(environment, process.env);
  const bar = progressBar(process.stdout);
  const say = (line: string, share?: number): void =>
    share === undefined || process.stdout.isTTY !== true ? printer.note(line) : bar.show(share, line);
  const values: Values = valuesOf(environment, process.env);
  return {
    environment,
    commandsOf: environment,
    site,
    directory,
    control: controlOf(environment),
    clinic: clinicOf(site),
    evmRpcUrl: values.EVM_RPC_URL === "" ? undefined : values.EVM_RPC_URL,
    compress,
    stepTimeoutMs: 30 * 60_000,
    firstClaims: 10,
    contact,
    now: () => Date.now(),
    sleep: (ms) => sleep(ms),
    say,
    rollout: {
      platform: cloudflare,
      environment,
      site,
      facts: buildFacts(),
      pace: { ...PACE, watchMs: PACE.watchMs / compress },
      limits: DEFAULT_LIMITS,
      deployedName: deployedNameOf(environment),
      objectMigration: objectMigrationIn(environment),
      now: () => Date.now(),
      sleep: (ms) => sleep(ms),
    },
    prepare: () =>
      prepare({
        platform: cloudflare,
        rules: environment,
        environment,
        values,
        database: (name) => openDatabase(name, environment, { dataDir: "", platform: cloudflare }),
        snapshots: join(directory, "databases"),
        tag: "before-cutover",
        say: (line) => say(line),
      }),
  };
}

/** As its own files say: what this process is set to is about the environment that goes live. */
function stagingAddresses(): { readonly core: string; readonly hub: string } | undefined {
  const { ITRANS_CORE_URL: core = "", MEDLINK_HUB_URL: hub = "" } = valuesOf("staging", {});
  return core === "" || hub === "" ? undefined : { core, hub };
}

async function preflight(
  printer: Printer,
  {
    site,
    signOffs,
    environment,
    commandsOf,
    directory,
    gates,
    tlsDays,
  }: {
    readonly site: DeploySite;
    readonly signOffs: SignOffs;
    readonly environment: RemoteEnvironment;
    readonly commandsOf: EnvironmentName;
    readonly directory: string;
    readonly gates: string;
    readonly tlsDays: number;
  },
): Promise<string | undefined> {
  const { commit, version } = buildFacts();
  const results = await runPreflight(
    { environment, commandsOf, site, signOffs, commit, now: Date.now(), gates, tlsDays, staging: stagingAddresses() },
    ({ when, title, ok, detail }) =>
      printer.line(
        `  ${ok ? printer.paint("green", "ok") : printer.paint("red", "NO")}  ${when.padEnd(5)}  ${title}: ${printer.paint("dim", detail)}`,
      ),
  );
  const by = results.every(({ ok }) => ok) ? signersOf(signOffs, "go")[0] : undefined;
  const at = new Date().toISOString();
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, "preflight.json"),
    `${JSON.stringify({ environment, commit, at, go: by ?? null, results }, null, 2)}\n`,
  );
  writeFileSync(join(directory, "preflight.md"), preflightPage(results, environment, commit, at, by));
  const message = goLiveMessage({
    environment,
    window: signOffs.window,
    commit,
    version,
    by: by ?? "nobody yet",
    contact: signOffs.contact,
  });
  writeFileSync(join(directory, "stakeholder-message.txt"), message);
  if (by === undefined)
    printer.warn(`No-go: ${results.filter(({ ok }) => !ok).length} of ${results.length} items are open.`);
  else printer.line(`${printer.paint("green", "Go")}, decided by ${by}, for ${commit.slice(0, 12)}.`);
  printer.note(`Written to ${directory}: preflight.md, and what stakeholders are told.`);
  return by;
}

function signOffsAt(path: string): SignOffs {
  const found = readSignOffs(path);
  if (found !== undefined) return found;
  if (existsSync(path)) throw new Failure(`${path}: give contact, window and names`);
  mkdirSync(ROOT, { recursive: true });
  writeFileSync(path, `${JSON.stringify(templateOf(), null, 2)}\n`);
  throw new Failure(`made ${path}: fill in contact, window and the names of those who sign`);
}

function ended(printer: Printer, action: CutoverAction, directory: string, environment: EnvironmentName): number {
  switch (action.type) {
    case "passed":
      printer.line(`${printer.paint("green", "live")}  every step passed and no trigger was seen`);
      if (environment !== "local") printer.note(`npm run hypercare:status -- --env ${environment} is next.`);
      break;
    case "stopped":
      printer.line(
        `${printer.paint("red", "stopped")}  at step ${STEPS.indexOf(action.step) + 1}, ${action.step.title}: ${action.because}`,
      );
      printer.warn(remedyOf(action.step, environment));
      break;
    case "rolled-back":
      printer.line(`${printer.paint("red", "rolled back")}  ${action.because}`);
      printer.note(`${join(directory, "rollback-message.txt")} is what to tell people.`);
      break;
    case "rollback":
      printer.line(`${printer.paint("red", "rollback incomplete")}  ${action.because}`);
      printer.warn("rollback.json says which of its steps failed; mend those and run the same command again.");
      break;
    case "left":
      printer.line(`${printer.paint("red", "left")}  to the command that takes everything back: ${action.because}`);
      break;
    case "step":
    case "watch":
      break;
  }
  printer.note(`The record is ${join(directory, "cutover.md")}.`);
  return action.type === "passed" ? 0 : 1;
}

const isOver = ({ rollback, watched }: Cutover): boolean => rollback?.complete === true || watched !== undefined;

/** @throws Failure when nobody said go for this commit in the last 24 hours. */
function requireGo(environment: string, commit: string): void {
  const text = readIfThere(goFile(environment));
  const go = text === undefined ? undefined : goSchema.safeParse(JSON.parse(text)).data;
  if (go?.commit !== commit || Date.now() - Date.parse(go.at) > GO_HOLDS_MS)
    throw new Failure(
      `there is no go for ${commit.slice(0, 12)} of the last 24 hours: npm run cutover:preflight -- --env ${environment}`,
    );
}

/** What the newest cutover left to do, or a new one. */
function continued(environment: string, commit: string): { readonly directory: string; readonly cutover: Cutover } {
  const newest = newestCutover(ROOT, environment);
  if (newest !== undefined && !isOver(newest.cutover)) {
    if (newest.cutover.commit === commit || newest.cutover.rollback !== undefined) return newest;
    const deployed = newest.cutover.records.some(({ step, status }) => step === "deploy-core" && status === "passed");
    if (deployed)
      throw new Failure(
        `a cutover of ${newest.cutover.commit.slice(0, 12)} is under way: go on from that commit, or npm run rollback -- --env ${environment}`,
      );
  }
  return {
    directory: join(ROOT, folderName()),
    cutover: { environment, commit, startedAt: new Date().toISOString(), records: [] },
  };
}

/** @throws Failure when step 11 is not what it stopped at. */
function acceptanceOf(
  given: {
    readonly accept?: string | undefined;
    readonly reason?: string | undefined;
    readonly by?: string | undefined;
  },
  cutover: Cutover,
): Acceptance | undefined {
  if (given.accept === undefined) return undefined;
  const claims = Number(given.accept);
  if (!Number.isInteger(claims) || claims < 1 || claims > 9 || (given.reason ?? "").trim() === "")
    throw new Failure("--accept is how many of the first ten claims need not get through, 1 to 9, and wants --reason");
  const last = cutover.records.at(-1);
  if (last?.step !== "first-ten" || last.status !== "failed")
    throw new Failure("there is nothing to accept: step 11 is not what the newest cutover stopped at");
  const by = given.by ?? process.env.USER ?? "on-call";
  return { claims, reason: (given.reason ?? "").trim(), by, at: new Date().toISOString() };
}

async function rehearse(printer: Printer): Promise<number> {
  const directory = rehearsalFolder(ROOT, folderName());
  const { context, dispose } = await rehearsalContext({ directory, say: (line) => printer.note(line) });
  try {
    const { site: signOffs, gates } = await rehearsalSignOffs(context);
    const by = await preflight(printer, {
      site: context.site,
      signOffs,
      environment: REHEARSED,
      commandsOf: "local",
      directory,
      gates,
      tlsDays: 90,
    });
    if (by === undefined) return 1;
    const { commit } = buildFacts();
    const run = await runCutover(context, {
      environment: REHEARSED,
      commit,
      startedAt: new Date().toISOString(),
      records: [],
    });
    return ended(printer, run.ended, directory, "local");
  } finally {
    await dispose();
  }
}

async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({ args: rest, options });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true || command === undefined || command === "--help") {
    printer.line(USAGE);
    return command === undefined ? 1 : 0;
  }
  if (command === "run" && values.rehearse === true) return rehearse(printer);
  const environment = (["staging", "production"] as const).find((name) => name === values.env);
  if (environment === undefined) throw new Failure(USAGE);
  const compress = Number(values.compress ?? "1");
  if (!(compress >= 1) || (environment === "production" && compress !== 1))
    throw new Failure("--compress is 1 or more, and not for production");
  const signOffsPath = values["sign-offs"] ?? join(ROOT, `${environment}-sign-offs.json`);
  const { commit } = buildFacts();
  if (command !== "rollback") requireCommitted(commit);
  switch (command) {
    case "preflight": {
      const directory = join(ROOT, `preflight-${folderName()}`);
      const tlsDays = Number(values["tls-days"] ?? "90");
      const signOffs = signOffsAt(signOffsPath);
      const by = await preflight(printer, {
        site: siteOf(environment, process.env),
        signOffs,
        environment,
        commandsOf: environment,
        directory,
        gates: GATES,
        tlsDays,
      });
      if (by === undefined) return 1;
      writeFileSync(goFile(environment), JSON.stringify({ commit, at: new Date().toISOString(), by }));
      return 0;
    }
    case "run": {
      const control = controlOf(environment);
      const other = otherRun(control);
      if (other?.waiting === false) throw underWay(other, control);
      if (other === undefined) beginRun(control);
      try {
        const { directory, cutover } = continued(environment, commit);
        if (cutover.records.length === 0 && cutover.rollback === undefined) requireGo(environment, commit);
        const accepted = acceptanceOf(values, cutover);
        if (other !== undefined) {
          decide(control, accepted === undefined ? { type: "again" } : { type: "accept", acceptance: accepted });
          printer.line(`Process ${other.pid}, which watches this cutover, was told to go on.`);
          return 0;
        }
        const context = deployedContext(environment, directory, compress, signOffsAt(signOffsPath).contact, printer);
        const run = await runCutover(context, accepted === undefined ? cutover : { ...cutover, accepted });
        return ended(printer, run.ended, directory, environment);
      } finally {
        endRun(control);
      }
    }
    case "rollback": {
      const contact = readSignOffs(signOffsPath)?.contact ?? "the on-call lead";
      const back = await takeBack({
        root: ROOT,
        environment,
        control: controlOf(environment),
        because: values.reason ?? "rolled back by decision",
        contextIn: (directory) => deployedContext(environment, directory, compress, contact, printer),
        now: () => Date.now(),
        sleep: (ms) => sleep(ms),
        say: (line) => printer.note(line),
      });
      printer.note(
        `The record is ${join(back.directory, "rollback.json")}; rollback-message.txt is what to tell people.`,
      );
      return back.complete ? 0 : 1;
    }
    default:
      throw new Failure(USAGE);
  }
}

if (process.argv[1] === import.meta.filename) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`${messageOf(error)}\n`);
      process.exit(1);
    },
  );
}
