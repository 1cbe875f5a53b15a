/** `npm run secrets:rotate`: a secret's rotation, step by step, each verified before the next. */
import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, parseEnv } from "node:util";
import { Contract, computeAddress, JsonRpcProvider, Wallet } from "ethers";
import * as z from "zod";
import { SECRETS, secretFaults, secretsOf } from "../src/platform/secrets.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { call, summaryOf } from "./lib/http.ts";
import { type Operator, operatorOf } from "./lib/operator.ts";
import { CONFIGS, cloudflare, ENVIRONMENTS, type EnvironmentName, type Platform } from "./lib/platform.ts";
import {
  type Change,
  changesOf,
  endsOf,
  planOf,
  type RotationState,
  retireFault,
  STEPS,
  type Step,
} from "./lib/rotation.ts";

const USAGE = `npm run secrets:rotate                                     what there is, how old it is, how rotations stand
npm run secrets:rotate -- NAME                             how it is rotated, and the next step
npm run secrets:rotate -- NAME --step add|switch|retire    takes a step
npm run secrets:rotate -- EVM_PRIVATE_KEY --step handover  the contract's role goes to the new signer, then the key

  --env local|staging|production   default local: .dev.vars, which npm start reads when it starts
  --quiet S                        how long nobody may have come with the old value before it is retired (900)
  --force                          retire although something speaks against it

Values: NEW_SECRET and OLD_SECRET in the environment, from where you keep them; nobody can read them back from a deployed worker. Locally
.dev.vars has them, and a new one is made. The step is recorded in the ledger before it is taken. EVM_PRIVATE_KEY needs EVM_RPC_URL,
ANCHOR_CONTRACT_ADDRESS, CHAIN_ID and ANCHOR_OWNER_KEY (the contract's owner) besides, and a NEW_SECRET whose address has funds.`;

const stateSchema = z.looseObject({
  secrets: z.array(
    z.looseObject({
      name: z.string(),
      worker: z.string(),
      setAt: z.string().nullable(),
      ageDays: z.number().nullable(),
    }),
  ),
  overlaps: z.array(z.looseObject({ name: z.string(), previousUsedAt: z.string().nullable() })),
  rewraps: z.array(
    z.looseObject({ kind: z.string(), finished: z.boolean(), unreadable: z.number(), examined: z.number() }),
  ),
});

const say = (line: string): void => console.log(line);

const readState = async (operator: Operator) => stateSchema.parse(await operator.ask("/operations/secrets"));

async function showAll(operator: Operator): Promise<void> {
  const state = await readState(operator);
  for (const { name, worker, setAt, ageDays } of state.secrets) {
    const age = ageDays === null ? "never seen" : `${ageDays} days, since ${setAt}`;
    say(`${ageDays !== null && ageDays >= 90 ? "DUE  " : "     "} ${worker.padEnd(13)} ${name.padEnd(36)} ${age}`);
  }
  for (const { name, previousUsedAt } of state.overlaps)
    say(`overlap  ${name}: the old value was last used ${previousUsedAt ?? "never"}`);
  for (const { kind, finished, examined, unreadable } of state.rewraps) {
    say(
      `re-wrap  ${kind}: ${finished ? "finished" : "under way"}, ${examined} rows looked at, ${unreadable} unreadable`,
    );
  }
}

function generate(name: string): string {
  return endsOf(name)[0]?.form === "evm-private-key"
    ? `0x${randomBytes(32).toString("hex")}`
    : randomBytes(32).toString("base64url");
}

/** Local values, and how to change them. */
const FILE = join(projectRoot, ".dev.vars");

export function withChanges(text: string, changes: readonly Change[]): string {
  let next = text;
  for (const [name, value] of changes.flatMap(({ set }) => Object.entries(set))) {
    const line = new RegExp(`^${name}=.*\\n?`, "m");
    const replacement = value === null ? "" : `${name}="${value}"\n`;
    if (line.test(next)) next = next.replace(line, () => replacement);
    else if (value !== null) next = `${next.replace(/\n*$/, "\n")}${replacement}`;
  }
  return next;
}

/** One change of a worker's secrets as a whole: no moment in which it holds half of a step. */
export async function deploy(
  platform: Platform,
  environment: "staging" | "production",
  changes: readonly Change[],
): Promise<void> {
  for (const { worker, set } of changes) {
    await platform.wrangler(["secret", "bulk", "--config", CONFIGS[worker], "--env", environment], JSON.stringify(set));
  }
}

interface Given {
  readonly name: string;
  readonly environment: EnvironmentName;
  readonly step: Step;
  readonly quietMs: number;
  readonly force: boolean;
}

function valuesFor({ name, environment, step }: Given): { readonly old: string; readonly fresh: string } {
  const [own] = endsOf(name);
  if (environment === "local") {
    const stored = existsSync(FILE) ? parseEnv(readFileSync(FILE, "utf8")) : {};
    const [current, other] = [stored[own?.name ?? name] ?? "", stored[`${own?.name ?? name}_PREVIOUS`] ?? ""];
    if (current === "") throw new Failure(`.dev.vars has no ${name}; npm start makes it`);
    if (step === "add") return { old: current, fresh: process.env.NEW_SECRET ?? generate(name) };
    if (other === "") throw new Failure(`${name}_PREVIOUS is not there: the step before this one is not taken`);
    return step === "switch" ? { old: current, fresh: other } : { old: other, fresh: current };
  }
  const fresh = process.env.NEW_SECRET ?? (step === "add" ? generate(name) : "");
  const old = process.env.OLD_SECRET ?? "";
  if (step !== "retire" && fresh === "") throw new Failure("set NEW_SECRET to the new value");
  if (step === "switch" && old === "")
    throw new Failure("set OLD_SECRET to the value that is in use: it stays accepted");
  return { old, fresh };
}

/** Whether the new value may stand beside and in place of the old one. */
function checkStrength(name: string, fresh: string): void {
  for (const end of endsOf(name)) {
    for (const worker of end.workers) {
      const others = Object.fromEntries(secretsOf(worker).map((spec) => [spec.name, ""]));
      const faults = secretFaults(worker, { ...others, [end.name]: fresh }).filter((fault) =>
        fault.startsWith(`${end.name} `),
      );
      if (faults.length > 0) throw new Failure(faults.join("; "));
    }
  }
}

async function pushRewraps(operator: Operator): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    const { rewraps } = stateSchema
      .pick({ rewraps: true })
      .parse(await operator.ask("/operations/rewrap", { method: "POST" }));
    say(
      `  ${rewraps.map(({ kind, finished, examined, unreadable }) => `${kind}: ${examined} rows${unreadable > 0 ? `, ${unreadable} unreadable` : ""}${finished ? ", finished" : ""}`).join("; ")}`,
    );
    if (rewraps.every(({ finished }) => finished)) return;
    await sleep(200);
  }
}

/** Asks what the step should have made true. */
async function verify({ name, environment, step }: Given, fresh: string, operator: Operator): Promise<void> {
  const version = await call(`${operator.url}/health`);
  if (version.status !== 200) throw new Failure(`core is not healthy: ${summaryOf(version)}`);
  const probes: Readonly<Record<string, string>> = {
    WORKFLOW_API_KEY: "/workflow/requests/rotation-probe",
    CLAIMS_API_KEY: "/claims/rotation-probe",
    OPERATOR_API_KEY: "/tenants?limit=1",
  };
  const shared = endsOf(name).find(({ sameAs }) => sameAs === undefined)?.name ?? name;
  const probe = probes[shared];
  if (probe !== undefined) {
    const answer = await call(`${operator.url}${probe}`, { headers: { "x-api-key": fresh } });
    if (answer.status === 401)
      throw new Failure(`core does not take the new ${shared}: it has not reached every isolate, or was not set`);
    say(`  core takes the new ${shared}`);
  }
  if (name === "LEDGER_SIGNING_KEY" && step !== "retire") {
    const { text } = await fetch(`${operator.url}/ledger/log/key`).then(async (answer) => ({
      text: await answer.text(),
    }));
    const wanted = Buffer.concat([Buffer.from([1]), publicKeyOf(fresh)]).toString("base64");
    if (!text.includes(wanted)) throw new Failure("the log's keys do not name the new one yet");
    say("  the log names the new verifier key; both sign");
  }
  if (environment === "local")
    say("  restart npm start, or let --watch do it: a running worker keeps the values it began with");
}

function publicKeyOf(seed: string): Buffer {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(seed, "base64url")]);
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  return key.export({ format: "der", type: "spki" }).subarray(-32);
}

async function takeStep(given: Given): Promise<void> {
  const { name, environment, step } = given;
  const operator = operatorOf(process.env);
  const plan = planOf(name);
  if (plan.kind === "handover") throw new Failure(`${name} has no overlap: --step handover`);
  const { old, fresh } = valuesFor(given);
  if (step !== "retire") checkStrength(name, fresh);
  if (step === "retire") {
    if (plan.kind === "seals") await pushRewraps(operator);
    const state: RotationState = await readState(operator);
    const fault = retireFault(name, state, Date.now(), given.quietMs);
    if (fault !== undefined && !given.force) throw new Failure(`the old ${name} stays: ${fault}`);
  }
  if (name === "LEDGER_SIGNING_KEY" && step === "retire") await sayRetiredKey(operator, fresh, given.force);
  await operator.ask(`/operations/secrets/${name}/rotations`, { method: "POST", body: { step } });
  const changes = changesOf(step, name, old, fresh);
  if (environment === "local") {
    writeFileSync(FILE, withChanges(readFileSync(FILE, "utf8"), changes), { mode: 0o600 });
    say(`${step}: .dev.vars is changed`);
  } else {
    if (step === "add" && process.env.NEW_SECRET === undefined) say(`the new value, shown once; keep it: ${fresh}`);
    await deploy(cloudflare, environment, changes);
    say(`${step}: ${changes.map(({ worker }) => worker).join(", ")} changed`);
    await verify(given, fresh, operator);
  }
  if (step === "switch" && plan.kind === "seals" && environment !== "local") await pushRewraps(operator);
  const next = STEPS[STEPS.indexOf(step) + 1];
  say(
    next === undefined
      ? "done: only the new value is left"
      : `next: --step ${next}${next === "retire" ? `, when ${plan.beforeRetiring}` : ""}`,
  );
}

/** Checkpoints from before the overlap have the old key's signature alone: without it verification takes them for forged. */
async function sayRetiredKey(operator: Operator, fresh: string, force: boolean): Promise<void> {
  const text = await fetch(`${operator.url}/ledger/log/key`).then((answer) => answer.text());
  const own = fresh === "" ? undefined : Buffer.concat([Buffer.from([1]), publicKeyOf(fresh)]).toString("base64");
  const keys = [...text.matchAll(/[^\s"]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/g)].map(([key]) => key);
  const old = keys.filter((key) => own === undefined || !key.endsWith(own));
  say(`  the setting LEDGER_RETIRED_KEYS must have the old verifier key: ${old.join(" or ")}`);
  if (!force && !old.some((key) => (process.env.LEDGER_RETIRED_KEYS ?? "").includes(key))) {
    throw new Failure("deploy that setting, put it into this environment as well, and take the step again");
  }
}

const ANCHOR_ROLES = ["function anchorer() view returns (address)", "function setAnchorer(address newAnchorer)"];

export interface HandoverOptions {
  readonly environment: EnvironmentName;
  /** Chain, contract, owner's key, core and its operator's key; NEW_SECRET: without it one is made, to be funded first. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Where a local system keeps its secrets. */
  readonly file: string;
  readonly platform: Platform;
  readonly say: (line: string) => void;
}

/** The role first: until the key follows, transactions of the old signer revert and are made again, and no anchor is lost. */
export async function handOver({ environment, variables, file, platform, say }: HandoverOptions): Promise<void> {
  const required = (name: string): string => {
    const value = variables[name] ?? "";
    if (value === "") throw new Failure(`set ${name}`);
    return value;
  };
  const operator = operatorOf(variables);
  const fresh = variables.NEW_SECRET ?? "";
  if (fresh === "") {
    const made = generate("EVM_PRIVATE_KEY");
    say(`a new key, shown once; keep it: ${made}`);
    return say(`fund ${computeAddress(made)}, which pays for anchors, and take the step again with NEW_SECRET`);
  }
  checkStrength("EVM_PRIVATE_KEY", fresh);
  const address = computeAddress(fresh);
  const provider = new JsonRpcProvider(required("EVM_RPC_URL").split(",")[0], Number(required("CHAIN_ID")), {
    staticNetwork: true,
  });
  try {
    const contract = new Contract(
      required("ANCHOR_CONTRACT_ADDRESS"),
      ANCHOR_ROLES,
      new Wallet(required("ANCHOR_OWNER_KEY"), provider),
    );
    if ((await provider.getBalance(address)) === 0n) throw new Failure(`fund ${address} first: it pays for anchors`);
    await operator.ask("/operations/secrets/EVM_PRIVATE_KEY/rotations", { method: "POST", body: { step: "handover" } });
    const sent = await contract.getFunction("setAnchorer")(address);
    await sent.wait();
    const holder: unknown = await contract.getFunction("anchorer")();
    if (String(holder).toLowerCase() !== address.toLowerCase())
      throw new Failure(`the contract's anchorer is ${String(holder)}`);
    say(`the contract's anchorer is ${address}`);
  } finally {
    provider.destroy();
  }
  const changes: readonly Change[] = [{ worker: "itrans-core", set: { EVM_PRIVATE_KEY: fresh } }];
  if (environment === "local") {
    writeFileSync(file, withChanges(readFileSync(file, "utf8"), changes), { mode: 0o600 });
    return say(".dev.vars is changed; restart npm start, then npm run anchors:status");
  }
  await deploy(platform, environment, changes);
  say("core has the key; npm run anchors:retry, and anchors:status shows the new signer's anchor confirmed");
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      env: { type: "string" },
      step: { type: "string" },
      quiet: { type: "string" },
      force: { type: "boolean" },
    },
  });
  if (values.help === true) return say(USAGE);
  const environment = ENVIRONMENTS.find((name) => name === (values.env ?? "local"));
  if (environment === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  const [name] = positionals;
  if (name === undefined) return showAll(operatorOf(process.env));
  if (!SECRETS.some((secret) => secret.name === name))
    throw new Failure(`${name} is no secret; without a name all are listed`);
  const plan = planOf(name);
  if (values.step === undefined) {
    say(
      `${name}: ${plan.kind}; held by ${endsOf(name)
        .map((end) => `${end.name} (${end.workers.join(", ")})`)
        .join(" and ")}`,
    );
    return say(
      plan.kind === "handover"
        ? "--step handover"
        : `--step add, then --step switch, then --step retire when ${plan.beforeRetiring}`,
    );
  }
  if (values.step === "handover" && plan.kind === "handover")
    return handOver({ environment, variables: process.env, file: FILE, platform: cloudflare, say });
  const step = STEPS.find((one) => one === values.step);
  if (step === undefined) throw new Failure(`--step is one of ${STEPS.join(", ")}`);
  const quietS = Number(values.quiet ?? "900");
  if (!(quietS >= 0)) throw new Failure("--quiet is not a number of seconds");
  await takeStep({ name, environment, step, quietMs: quietS * 1_000, force: values.force === true });
}

if (process.argv[1] === import.meta.filename) {
  main().catch((error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  });
}
