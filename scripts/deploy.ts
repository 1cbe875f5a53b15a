/** `npm run deploy:*`: the three workers, gradually, with a way back. docs/go-live.md says when. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { WorkerName } from "../src/platform/secrets.ts";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { openDatabase } from "./lib/databases.ts";
import { prepare, requireCommitted } from "./lib/deploy/before.ts";
import { deployedNameOf, objectMigrationIn, REHEARSED, startRehearsal } from "./lib/deploy/rehearsal.ts";
import { DEFAULT_LIMITS, type Limits, newRollout, ORDER, type Rollout, shareDone } from "./lib/deploy/rollout.ts";
import {
  haltedByHand,
  PACE,
  type Pace,
  type RolloutParts,
  readRollout,
  rolloutPath,
  runRollout,
  saveRollout,
} from "./lib/deploy/run-rollout.ts";
import { type DeploySite, siteOf, type Values, valuesOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { cloudflare, deployWhole, type Platform, type RemoteEnvironment } from "./lib/platform.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { progressBar } from "./lib/progress-bar.ts";

const USAGE = `npm run deploy:staging    [-- options]
npm run deploy:production [-- options]
npm run deploy:rollback   -- --env staging|production    back to the versions before, hub first

Core, relay, hub, in this order: settings, secrets and databases are checked, pending migrations applied, the version uploaded, tested by
name while it serves nobody, then given 5, 25, 50 and 100 % of requests. A fault between two steps returns everything. What was
interrupted is continued by the same command, from the same commit.

  --worker NAME       only this one; may be given again (itrans-core, itrans-relay, medlink-hub)
  --watch S           seconds that each share is watched (300)
  --durable-objects   deploys core at once, with a new Durable Object migration: it can be neither gradual nor taken back
  --reason TEXT       why it is rolled back
  --rehearse          against the local system, which is started for it, with what stands in for Cloudflare

Addresses and keys are in .env.<environment>: ITRANS_CORE_URL, RELAY_URL, MEDLINK_HUB_URL, OPERATOR_API_KEY, HUB_OPERATOR_API_KEY,
WORKFLOW_API_KEY, METRICS_SCRAPE_TOKEN. Limits: SLO_P95_MAX_MS (400), SLO_ERROR_RATE_MAX (0.01).`;

const options = {
  help: { type: "boolean" },
  env: { type: "string" },
  worker: { type: "string", multiple: true },
  watch: { type: "string" },
  reason: { type: "string" },
  rehearse: { type: "boolean" },
  "durable-objects": { type: "boolean" },
} as const;

interface Target {
  readonly environment: RemoteEnvironment;
  readonly platform: Platform;
  readonly site: DeploySite;
  readonly statePath: string;
  readonly prepare: () => Promise<void>;
  readonly pace: Pace;
  dispose(): Promise<void>;
}

const limitsOf = (values: Values): Limits => ({
  ...DEFAULT_LIMITS,
  ...(Number(values.SLO_P95_MAX_MS) > 0 ? { p95Ms: Number(values.SLO_P95_MAX_MS) } : {}),
  ...(Number(values.SLO_ERROR_RATE_MAX) > 0 ? { errorShare: Number(values.SLO_ERROR_RATE_MAX) } : {}),
});

function deployed(environment: RemoteEnvironment, pace: Pace, printer: Printer): Target {
  const site = siteOf(environment, process.env);
  return {
    environment,
    platform: cloudflare,
    site,
    statePath: rolloutPath(environment),
    pace,
    prepare: () =>
      prepare({
        platform: cloudflare,
        rules: environment,
        environment,
        values: valuesOf(environment, process.env),
        database: (name) => openDatabase(name, environment, { dataDir: "", platform: cloudflare }),
        snapshots: join(projectRoot, ".local/snapshots"),
        tag: `${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}-before-deploy`,
        say: (line) => printer.note(line),
      }),
    dispose: async () => {},
  };
}

async function rehearsed(printer: Printer): Promise<Target> {
  const directory = join(projectRoot, ".local/deploy", `rehearsal-${new Date().toISOString().replace(/[:.]/g, "-")}`);
  mkdirSync(directory, { recursive: true });
  printer.note(`Rehearsing against the local system, under ${directory}`);
  const rehearsal = await startRehearsal({ directory, say: (line) => printer.note(line) });
  const { site, platform } = rehearsal;
  return {
    environment: REHEARSED,
    platform,
    site: { ...site, values: { SLO_P95_MAX_MS: "5000", ...site.values } },
    statePath: join(directory, "rollout.json"),
    pace: { watchMs: 1_000, everyMs: 500, settleMs: 4_000 },
    prepare: () =>
      prepare({
        platform,
        rules: "local",
        environment: REHEARSED,
        values: site.values,
        database: rehearsal.database,
        snapshots: join(directory, "snapshots"),
        tag: "before-deploy",
        say: (line) => printer.note(line),
      }),
    dispose: rehearsal.dispose,
  };
}

function partsOf(target: Target, printer: Printer): { readonly parts: RolloutParts; readonly end: () => void } {
  const bar = progressBar(process.stdout);
  return {
    end: () => bar.end(),
    parts: {
      ...target,
      facts: buildFacts(),
      limits: limitsOf(target.site.values),
      deployedName: deployedNameOf(target.environment),
      objectMigration: objectMigrationIn(target.environment),
      now: () => Date.now(),
      sleep: (ms) => sleep(ms),
      say: (share, line) => (process.stdout.isTTY === true ? bar.show(share, line) : printer.note(line)),
      save: (rollout) => saveRollout(target.statePath, rollout),
    },
  };
}

function report(printer: Printer, rollout: Rollout): number {
  for (const { worker, former, next, passed, returned } of rollout.workers) {
    const state =
      returned === true
        ? `back to ${former?.slice(0, 8) ?? "nothing"}`
        : passed === 100
          ? `${next?.slice(0, 8)} serves alone, in place of ${former?.slice(0, 8) ?? "nothing"}`
          : "as it was";
    printer.fact(worker, state);
  }
  if (rollout.halted === undefined) {
    printer.line(`${printer.paint("green", "deployed")}  ${rollout.commit.slice(0, 12)} to ${rollout.environment}`);
    return 0;
  }
  printer.line(
    `${printer.paint("red", "returned")}  halted at ${rollout.halted.worker}: ${rollout.halted.because.join("; ")}`,
  );
  return 1;
}

/** What the last command left, or a new plan. @throws Failure when something else is under way. */
function rolloutOf(target: Target, commit: string, workers: readonly WorkerName[], printer: Printer): Rollout {
  const found = readRollout(target.statePath);
  if (found === undefined || found.ended !== undefined) {
    return newRollout(target.environment, commit, new Date().toISOString(), workers);
  }
  if (found.commit !== commit && found.halted === undefined) {
    throw new Failure(
      `a deploy of ${found.commit.slice(0, 12)} is under way since ${found.startedAt}: continue it from that commit, or npm run deploy:rollback -- --env ${target.environment}`,
    );
  }
  printer.note(`Continuing the deploy of ${found.commit.slice(0, 12)}, ${Math.round(shareDone(found) * 100)} % done.`);
  return found;
}

async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({ args: rest, options });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true || command === undefined || command === "--help") {
    printer.line(USAGE);
    return command === undefined ? 1 : 0;
  }
  const named = command === "rollback" ? values.env : command;
  const environment = (["staging", "production"] as const).find((name) => name === named);
  if (environment === undefined) throw new Failure(USAGE);
  const workers = values.worker === undefined ? ORDER : ORDER.filter((name) => values.worker?.includes(name));
  if (workers.length === 0) throw new Failure(`--worker is one of ${ORDER.join(", ")}`);
  const watch = Number(values.watch ?? PACE.watchMs / 1_000);
  if (!(watch >= 0)) throw new Failure("--watch is not a number of seconds");
  const facts = buildFacts();
  if (values.rehearse !== true && command !== "rollback") requireCommitted(facts.commit);
  const pace = { ...PACE, watchMs: watch * 1_000 };
  const target = values.rehearse === true ? await rehearsed(printer) : deployed(environment, pace, printer);
  try {
    const { parts, end } = partsOf(target, printer);
    if (command === "rollback") {
      const found = readRollout(target.statePath);
      if (found === undefined) throw new Failure(`nothing was deployed to ${environment} from here`);
      const why = values.reason ?? "rolled back by an operator";
      const rollout = await runRollout(parts, haltedByHand(found, why, new Date().toISOString()));
      end();
      report(printer, rollout);
      return 0;
    }
    const begun = rolloutOf(target, facts.commit, workers, printer);
    if (begun.halted === undefined) await target.prepare();
    if (values["durable-objects"] === true) {
      const version = await deployWhole(target.platform, "itrans-core", environment, facts);
      printer.note(`core: ${version.slice(0, 8)} serves alone, its Durable Object migration is applied`);
      return 0;
    }
    const rollout = await runRollout(parts, begun);
    end();
    return report(printer, rollout);
  } finally {
    await target.dispose();
  }
}

if (process.argv[1] === import.meta.filename) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Failure ? error.message : messageOf(error)}\n`);
      process.exit(1);
    },
  );
}
