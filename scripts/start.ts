/** `npm start`: everything on this machine, and a claim through its whole life. `npm start -- --help` lists what it takes. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { computeAddress } from "ethers";
import * as z from "zod";
import type { WorkerName } from "../src/platform/secrets.ts";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { type LifecycleResult, runLifecycle, type Step, signIn, waitForDeliveries } from "./lib/lifecycle.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { SYSTEM_PORTS, type System, startSystem } from "./lib/system.ts";
import { watchWorkers } from "./lib/watch.ts";

const USAGE = `npm start -- [options]

  --once                exit after the synthetic claim and pre-authorization; 0 only if every step was seen
  --json                the last line on stdout is one summary object; everything else goes to stderr
  --no-synthetic        serve only
  --no-hub              without the hub; RELAY_MEDLINK_WEBHOOK_URL names the MedLink to call back
  --watch               bundle and restart the workers when a source changes
  --data DIR            where everything is kept (.data)
  --port-core N, --port-hub N, --port-relay N, --port-anvil N, --port-insurer N,
  --port-operator N     ports (${Object.values(SYSTEM_PORTS).join(", ")}); 0 takes a free one
  --step-timeout S      how long the next step may take (60)
  --verbose             print what the workers log; it is in DIR/workers.log either way

Every setting and secret can come from the environment.`;

const portSchema = z.coerce.number().int().min(0).max(65_535);

function readArguments() {
  let values: ReturnType<typeof parse>;
  try {
    values = parse();
  } catch (error) {
    throw new Failure(`${messageOf(error).split(". ")[0]}; npm start -- --help lists the options`);
  }
  const port = (name: keyof typeof SYSTEM_PORTS): number => {
    const given = values[`port-${name}`];
    if (given === undefined) return SYSTEM_PORTS[name];
    const parsed = portSchema.safeParse(given);
    if (!parsed.success || given === "") throw new Failure(`--port-${name} is not a port: ${given}`);
    return parsed.data;
  };
  const stepTimeoutS = Number(values["step-timeout"] ?? "60");
  if (!(stepTimeoutS > 0)) throw new Failure("--step-timeout is not a number of seconds");
  return {
    help: values.help === true,
    once: values.once === true,
    json: values.json === true,
    synthetic: values["no-synthetic"] !== true && values["no-hub"] !== true,
    hub: values["no-hub"] !== true,
    watch: values.watch === true,
    verbose: values.verbose === true,
    dataDir: resolve(projectRoot, values.data ?? ".data"),
    stepTimeoutMs: stepTimeoutS * 1_000,
    ports: {
      core: port("core"),
      hub: port("hub"),
      relay: port("relay"),
      anvil: port("anvil"),
      insurer: port("insurer"),
      operator: port("operator"),
    },
  };

  function parse() {
    return parseArgs({
      options: {
        help: { type: "boolean" },
        once: { type: "boolean" },
        json: { type: "boolean" },
        "no-synthetic": { type: "boolean" },
        "no-hub": { type: "boolean" },
        watch: { type: "boolean" },
        verbose: { type: "boolean" },
        data: { type: "string" },
        "step-timeout": { type: "string" },
        "port-core": { type: "string" },
        "port-hub": { type: "string" },
        "port-relay": { type: "string" },
        "port-anvil": { type: "string" },
        "port-insurer": { type: "string" },
        "port-operator": { type: "string" },
      },
    }).values;
  }
}

type Arguments = ReturnType<typeof readArguments>;

/** Keeps what the workers log, and shows warnings and errors where a person sees them. */
function logKeeper(args: Arguments, printer: Printer): (line: string) => void {
  mkdirSync(args.dataDir, { recursive: true });
  const path = join(args.dataDir, "workers.log");
  let opened = false;
  return (line) => {
    if (!opened) writeFileSync(path, "");
    opened = true;
    appendFileSync(path, `${line}\n`);
    if (args.verbose) printer.line(printer.paint("dim", line));
    else if (line.includes('"level":"error"')) printer.warn(line);
  };
}

const insurerEventSchema = z.looseObject({
  event: z.string(),
  eventType: z.string().optional(),
  requestIdHash: z.string().optional(),
  reason: z.string().optional(),
});

function describeInsurer(line: string): string {
  const parsed = insurerEventSchema.safeParse(JSON.parse(line));
  if (!parsed.success) return line;
  const { event, eventType, requestIdHash, reason } = parsed.data;
  return [event, eventType, requestIdHash?.slice(0, 12), reason].filter((part) => part !== undefined).join(" ");
}

function printSystem(system: System, args: Arguments, printer: Printer): void {
  const { stack } = system;
  if (system.secretsMade > 0) printer.fact("secrets", `${system.secretsMade} made, in .dev.vars`);
  printer.fact(
    "data",
    system.foundEntries === undefined
      ? `${relative(projectRoot, args.dataDir)}, new`
      : `${relative(projectRoot, args.dataDir)}, found a ledger of ${system.foundEntries} entries`,
  );
  for (const [worker, names] of Object.entries(stack.migrated)) {
    if (names.length > 0) printer.fact("migrated", `${worker}: ${names.join(", ")}`);
  }
  if (system.evmRpcUrl !== undefined) {
    const signer = computeAddress(system.secrets.EVM_PRIVATE_KEY ?? "");
    printer.fact("chain", `${system.evmRpcUrl}, contract ${system.contractAddress ?? "none"}, signer ${signer}`);
  }
  printer.fact("core", stack.urls.core);
  printer.fact("relay", stack.urls.relay);
  if (args.hub) printer.fact("hub", stack.urls.hub);
  if (system.insurerUrl !== undefined) printer.fact("insurer", `${system.insurerUrl}/webhooks`);
  if (system.operatorUrl !== undefined) printer.fact("operator", `${system.operatorUrl}, simulated`);
}

interface Outcome {
  readonly claim: LifecycleResult;
  readonly steps: readonly { readonly name: string; readonly ms: number }[];
  readonly deliveredCount: number;
}

async function runSynthetic(system: System, args: Arguments, printer: Printer): Promise<Outcome> {
  const { clinic, stack, secrets } = system;
  if (clinic === undefined) throw new Failure("there is no demo clinic to file a claim from");
  const workflowApiKey = secrets.WORKFLOW_API_KEY ?? "";
  const cookie = await signIn(clinic);
  const steps: { name: string; ms: number }[] = [];
  const run = (type: "claim" | "preauth") =>
    runLifecycle({
      clinic,
      cookie,
      type,
      coreUrl: stack.urls.core,
      workflowApiKey,
      evmRpcUrl: system.evmRpcUrl,
      stepTimeoutMs: args.stepTimeoutMs,
      onStep: (step: Step) => {
        steps.push({ name: type === "claim" ? step.name : `${type}: ${step.name}`, ms: step.ms });
        printer.step(type, step.name, step.ms, step.detail);
      },
    });
  const [claim] = await Promise.all([run("claim"), run("preauth")]);
  const deliveredCount = await waitForDeliveries(stack.urls.core, workflowApiKey, args.stepTimeoutMs);
  return { claim, steps, deliveredCount };
}

async function main(): Promise<number> {
  const args = readArguments();
  if (args.help) {
    console.log(USAGE);
    return 0;
  }
  const printer = makePrinter(args.json ? process.stderr : process.stdout, process.env);
  const facts = buildFacts();
  printer.line(
    `${printer.paint("bold", "iTrans Edge")} ${facts.version} ${printer.paint("dim", facts.commit.slice(0, 10))}`,
  );

  let starting: Promise<System> | undefined;
  let stopWatching: (() => Promise<void>) | undefined;
  const asked = new Promise<number>((resolve) => {
    let times = 0;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        times += 1;
        if (times > 1) process.exit(130);
        resolve(args.once ? 130 : 0);
      });
    }
  });
  const stop = async () => {
    await stopWatching?.();
    // A start that is still under way is waited for: what it has begun must be ended too.
    await starting?.then(
      (system) => system.dispose(),
      () => {},
    );
  };

  const work = async (): Promise<number> => {
    starting = startSystem({
      dataDir: args.dataDir,
      secretsFile: join(projectRoot, ".dev.vars"),
      environment: process.env,
      ports: args.ports,
      withHub: args.hub,
      withDemo: args.synthetic,
      say: (line) => printer.warn(line),
      onLog: logKeeper(args, printer),
      onInsurer: (line) => printer.line(printer.paint("dim", `             insurer  ${describeInsurer(line)}`)),
    });
    const running = await starting;
    void running.died.then((line) => death(line));
    printSystem(running, args, printer);
    if (args.watch) {
      const workers: WorkerName[] = ["itrans-core", "itrans-relay"];
      if (args.hub) workers.push("medlink-hub");
      stopWatching = await watchWorkers(running.stack, workers, (line) => printer.note(line));
    }
    let code = 0;
    if (args.synthetic) {
      printer.line();
      code = await report(running);
    }
    if (args.once) return code;
    printer.line();
    printer.line(`Serving; Ctrl-C stops everything. ${args.synthetic ? signInHint(running) : ""}`.trimEnd());
    return asked;
  };

  let death: (line: string) => void = () => {};
  const died = new Promise<never>((_, reject) => {
    death = (line) => reject(new Failure(line));
  });
  died.catch(() => {});
  // Whoever read our lines may go away, and a bug may throw anywhere: what was started is ended all the same.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.on("uncaughtException", (error) => death(`unexpected: ${error.stack ?? error.message}`));

  async function report(running: System): Promise<number> {
    try {
      const { claim, steps, deliveredCount } = await runSynthetic(running, args, printer);
      printer.line();
      printer.line(
        `${printer.paint("green", "pass")}  claim ${claim.claimId} is ${claim.claimStatus}, anchored in block ${claim.anchor.blockNumber}; ${deliveredCount} webhooks delivered`,
      );
      const { claimId, requestId, claimStatus, anchor } = claim;
      summary = { status: "pass", claimId, requestId, claimStatus, deliveredCount, anchor, steps };
      return 0;
    } catch (error) {
      const reason = messageOf(error);
      printer.line();
      printer.line(`${printer.paint("red", "fail")}  ${reason}`);
      summary = { status: "fail", reason };
      return 1;
    }
  }

  let summary: Readonly<Record<string, unknown>> | undefined;
  let code: number;
  try {
    code = await Promise.race([work(), asked, died]);
  } catch (error) {
    console.error(error instanceof Failure ? `npm start: ${error.message}` : error);
    summary = { status: "fail", reason: messageOf(error) };
    code = 1;
  }
  await stop();
  if (args.json) console.log(JSON.stringify(summary ?? { status: "not run", steps: [] }));
  return code;
}

function signInHint(system: System): string {
  return system.clinic === undefined ? "" : `Sign in to the hub as ${system.clinic.email} / ${system.clinic.password}`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Failure ? `npm start: ${error.message}` : error);
    process.exit(1);
  },
);
