/** `npm run secrets:rotate`: a secret's rotation, step by step, each verified before the next. */
import { createPrivateKey, createPublicKey, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, parseEnv } from "node:util";
import { Contract, computeAddress, JsonRpcProvider, Wallet } from "ethers";
import { SECRET_MAX_AGE_DAYS } from "../src/platform/rotation.ts";
import { SECRETS, secretFaults, secretsOf } from "../src/platform/secrets.ts";
import { projectRoot } from "./lib/bundle.ts";
import { valuesOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { call, summaryOf } from "./lib/http.ts";
import { checkDeployedUrl, hubOperatorOf, LOCAL_RELAY_URL, type Operator, operatorOf } from "./lib/operator.ts";
import { CONFIGS, cloudflare, ENVIRONMENTS, type EnvironmentName, type Platform } from "./lib/platform.ts";
import {
  askedOf,
  type Change,
  changesOf,
  endsOf,
  lingering,
  planOf,
  retireFault,
  STEPS,
  type Step,
  switchFault,
  unseen,
} from "./lib/rotation.ts";
import {
  type Ages,
  type RotationSite,
  readCoreAges,
  readHubAges,
  readHubRenewal,
  readRotation,
  stepHubRenewal,
  stepRewraps,
  switchedAt,
} from "./lib/rotation-site.ts";

const USAGE = `npm run secrets:rotate                                     what there is, how old it is, how rotations stand
npm run secrets:rotate -- NAME                             how it is rotated, and the next step
npm run secrets:rotate -- NAME --step add|switch|retire    takes a step
npm run secrets:rotate -- EVM_PRIVATE_KEY --step handover  the contract's role goes to the new signer, then the key

  --env local|staging|production   default local: .dev.vars, which npm start reads when it starts
  --quiet S                        from the switch on, and since somebody last came with the old value, before it is retired (900)
  --confirmed                      what only a person can know before the old value goes is so
  --force                          take the step although something speaks against it

Addresses and operators' keys of staging and production are in .env.<environment> or the environment: ITRANS_CORE_URL, RELAY_URL,
MEDLINK_HUB_URL, OPERATOR_API_KEY, HUB_OPERATOR_API_KEY. What is asked before a step is the system that the step changes.

Values: NEW_SECRET and OLD_SECRET in the environment, from where you keep them; nobody can read them back from a deployed worker. Locally
.dev.vars has them, and a new one is made. The step is recorded in the ledger before it is taken. EVM_PRIVATE_KEY needs EVM_RPC_URL,
ANCHOR_CONTRACT_ADDRESS, CHAIN_ID and ANCHOR_OWNER_KEY (the contract's owner) besides, and a NEW_SECRET whose address has funds.`;

type Variables = Readonly<Record<string, string | undefined>>;

/** Core and hub of an environment: those of the guard are those that are changed. */
const siteOf = (variables: Variables, environment: EnvironmentName): RotationSite => ({
  core: operatorOf(variables, environment),
  hub: () => hubOperatorOf(variables, environment),
});

const say = (line: string): void => console.log(line);

function showAges(secrets: Ages["secrets"]): void {
  for (const { name, worker, setAt, ageDays } of secrets) {
    const age = ageDays === null ? "never seen" : `${ageDays} days, since ${setAt}`;
    say(
      `${ageDays !== null && ageDays >= SECRET_MAX_AGE_DAYS ? "DUE  " : "     "} ${worker.padEnd(13)} ${name.padEnd(36)} ${age}`,
    );
  }
}

async function showAll({ core, hub }: RotationSite): Promise<void> {
  const own = await readCoreAges(core);
  showAges(own.secrets);
  let hubs: Ages | undefined;
  try {
    hubs = await readHubAges(hub());
    showAges(hubs.secrets);
  } catch (error) {
    // What core can tell is worth telling; the exit code says that something is missing.
    say(`      medlink-hub   its secrets could not be asked for: ${messageOf(error)}`);
    process.exitCode = 1;
  }
  for (const { name, previousUsedAt } of own.overlaps)
    say(
      `overlap  itrans-core ${name}: the old value was last used ${previousUsedAt ?? "never, as far as it is noted"}`,
    );
  for (const { name } of hubs?.overlaps ?? []) say(`overlap  medlink-hub ${name}`);
  for (const { kind, finished, examined, unreadable } of own.rewraps) {
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
  /** A person says that what nothing can tell is so. */
  readonly confirmed: boolean;
  readonly site: RotationSite;
  /** Of the environment: addresses and keys. */
  readonly variables: Variables;
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

async function pushRewraps(core: Operator): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    const rewraps = await stepRewraps(core);
    say(
      `  ${rewraps.map(({ kind, finished, examined, unreadable }) => `${kind}: ${examined} rows${unreadable > 0 ? `, ${unreadable} unreadable` : ""}${finished ? ", finished" : ""}`).join("; ")}`,
    );
    if (rewraps.every(({ finished }) => finished)) return;
    await sleep(200);
  }
}

/** At a thousand rows a call: a hundred million rows. */
const RENEWAL_CALLS = 100_000;

/** Begins the hub's job unless it has begun since the switch, and carries it to its end. */
async function pushHubRenewal(hub: Operator, job: string, switched: number | undefined): Promise<void> {
  const known = await readHubRenewal(hub, job);
  const isOfBefore = known.startedAt === null || (switched !== undefined && known.startedAt < switched);
  let now = isOfBefore ? await stepHubRenewal(hub, job, true) : known;
  for (let calls = 0; now.state === "running" && calls < RENEWAL_CALLS; calls++) {
    now = await stepHubRenewal(hub, job, false);
    if (calls % 20 === 0) say(`  ${job}: ${now.done} of ${now.total} rows`);
  }
  say(`  ${job}: ${now.state}${now.held > 0 ? `, ${now.held} rows held` : ""}`);
}

async function pushRenewal(name: string, site: RotationSite): Promise<void> {
  const { renewal } = planOf(name);
  if (renewal === undefined) return;
  if (renewal.worker === "itrans-core") return pushRewraps(site.core);
  await pushHubRenewal(site.hub(), renewal.job, await switchedAt(site.core, name));
}

/** Calls that a surface's key opens; the answer is 401 to a key that it does not know. */
const PROBES: Readonly<Record<string, { readonly header: "key" | "bearer"; readonly path: string }>> = {
  WORKFLOW_API_KEY: { header: "key", path: "/workflow/requests/rotation-probe" },
  CLAIMS_API_KEY: { header: "key", path: "/claims/rotation-probe" },
  OPERATOR_API_KEY: { header: "key", path: "/tenants?limit=1" },
  METRICS_SCRAPE_TOKEN: { header: "bearer", path: "/metrics" },
};

/** For a deploy to reach the isolates, and for the minute's cron to note the values it finds. */
const REACHED_WITHIN_MS = 180_000;
/** A local run begins anew within seconds where --watch does it, else when somebody does it. */
const RESTARTED_WITHIN_MS = 10_000;

/** Where the relay answers, if it holds this secret. @throws Failure when that is not set. */
function relayOf({ name, environment, variables }: Given): string | undefined {
  if (!askedOf(name).has("itrans-relay")) return undefined;
  const given = variables.RELAY_URL ?? "";
  if (environment !== "local") checkDeployedUrl(environment, "RELAY_URL", given);
  return (given === "" ? LOCAL_RELAY_URL : given).replace(/\/+$/, "");
}

/**
 * Asks every worker that holds the secret what the step should have made true of it.
 * @throws Failure naming what is not true yet: the step is taken, and the next one asks the same first.
 */
async function verify(
  { name, environment, step, site }: Given,
  fresh: string,
  relay: string | undefined,
): Promise<void> {
  const until = performance.now() + (environment === "local" ? RESTARTED_WITHIN_MS : REACHED_WITHIN_MS);
  let faults: readonly string[] = [];
  do {
    faults = await stepFaults({ name, step, site }, fresh, relay);
    if (faults.length === 0) return say(`  ${[...askedOf(name)].join(", ")}: as the step says`);
    await sleep(2_000);
  } while (performance.now() < until);
  const restart =
    environment === "local"
      ? "; restart npm start, unless --watch does it: a running worker keeps the values it began with"
      : "";
  throw new Failure(`${step} is taken, but ${faults.join("; ")}${restart}`);
}

async function stepFaults(
  { name, step, site }: Pick<Given, "name" | "step" | "site">,
  fresh: string,
  relay: string | undefined,
): Promise<readonly string[]> {
  const faults: string[] = [];
  try {
    if (relay !== undefined) {
      const answer = await call(`${relay}/health`);
      if (answer.status !== 200) faults.push(`the relay is not healthy: ${summaryOf(answer)}`);
    }
    const state = await readRotation(name, site);
    const added = step === "add" ? switchFault(name, state) : undefined;
    if (added !== undefined) faults.push(added);
    if (step === "switch") faults.push(...unseen(name, state));
    if (step === "retire") faults.push(...lingering(name, state));
    faults.push(...(await probeFaults(name, step, site.core.url, fresh)));
  } catch (error) {
    // Workers that restart answer nothing for a moment.
    faults.push(messageOf(error));
  }
  return faults;
}

/** What those hear who come with the new value. */
async function probeFaults(name: string, step: Step, coreUrl: string, fresh: string): Promise<readonly string[]> {
  const faults: string[] = [];
  const shared = endsOf(name).find(({ sameAs }) => sameAs === undefined)?.name ?? name;
  const probe = PROBES[shared];
  if (probe !== undefined && fresh !== "") {
    const headers: Record<string, string> =
      probe.header === "key" ? { "x-api-key": fresh } : { authorization: `Bearer ${fresh}` };
    const answer = await call(`${coreUrl}${probe.path}`, { headers });
    if (answer.status === 401)
      faults.push(`core does not take the new ${shared}: it has not reached every isolate, or was not set`);
  }
  if (name === "LEDGER_SIGNING_KEY" && step !== "retire") {
    const text = await fetch(`${coreUrl}/ledger/log/key`).then((answer) => answer.text());
    const wanted = Buffer.concat([Buffer.from([1]), publicKeyOf(fresh)]).toString("base64");
    if (!text.includes(wanted)) faults.push("the log's keys do not name the new one yet");
  }
  return faults;
}

function publicKeyOf(seed: string): Buffer {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(seed, "base64url")]);
  const key = createPublicKey(createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }));
  return key.export({ format: "der", type: "spki" }).subarray(-32);
}

export async function takeStep(given: Given): Promise<void> {
  const { name, environment, step, site } = given;
  const plan = planOf(name);
  if (plan.kind === "handover") throw new Failure(`${name} has no overlap: --step handover`);
  const { old, fresh } = valuesFor(given);
  if (step !== "retire") checkStrength(name, fresh);
  const relay = relayOf(given);
  const fault = await faultOf(given);
  if (fault !== undefined && !given.force)
    throw new Failure(step === "retire" ? `the old ${name} stays: ${fault}` : `${name} is not switched: ${fault}`);
  if (name === "LEDGER_SIGNING_KEY" && step === "retire") await sayRetiredKey(given, fresh);
  await site.core.ask(`/operations/secrets/${name}/rotations`, { method: "POST", body: { step } });
  const changes = changesOf(step, name, old, fresh);
  if (environment === "local") {
    writeFileSync(FILE, withChanges(readFileSync(FILE, "utf8"), changes), { mode: 0o600 });
    say(`${step}: .dev.vars is changed`);
  } else {
    if (step === "add" && process.env.NEW_SECRET === undefined) say(`the new value, shown once; keep it: ${fresh}`);
    await deploy(cloudflare, environment, changes);
    say(`${step}: ${changes.map(({ worker }) => worker).join(", ")} changed`);
  }
  await verify({ ...given, site: withNewKey(given, fresh) }, fresh, relay);
  if (step === "switch") await pushRenewal(name, site);
  const next = STEPS[STEPS.indexOf(step) + 1];
  say(
    next === undefined
      ? "done: only the new value is left"
      : `next: --step ${next}${next === "retire" ? `, when ${plan.beforeRetiring}` : ""}`,
  );
}

/** What speaks against the step, as core and hub tell it. */
async function faultOf({ name, environment, step, site, quietMs, confirmed }: Given): Promise<string | undefined> {
  switch (step) {
    case "add":
      return undefined;
    case "switch": {
      const state = await readRotation(name, site);
      // Here the values come from a file, in which the two have changed places already.
      if (environment === "local" && state.switchedAt !== undefined)
        return "it is switched already, and would be switched back: --step retire is next";
      return switchFault(name, state);
    }
    case "retire":
      await pushRenewal(name, site);
      return retireFault(name, await readRotation(name, site), Date.now(), quietMs, confirmed);
  }
}

/** Whoever retires the key that it asks with asks with the new one from then on. */
function withNewKey({ name, step, site, environment, variables }: Given, fresh: string): RotationSite {
  const shared = endsOf(name)[0]?.sameAs ?? endsOf(name)[0]?.name;
  if (step === "add" || fresh === "" || (shared !== "OPERATOR_API_KEY" && shared !== "HUB_OPERATOR_API_KEY"))
    return site;
  return siteOf({ ...variables, [shared]: fresh }, environment);
}

/** Checkpoints from before the overlap have the old key's signature alone: without it verification takes them for forged. */
async function sayRetiredKey({ site, variables, force }: Given, fresh: string): Promise<void> {
  const text = await fetch(`${site.core.url}/ledger/log/key`).then((answer) => answer.text());
  const own = fresh === "" ? undefined : Buffer.concat([Buffer.from([1]), publicKeyOf(fresh)]).toString("base64");
  const keys = [...text.matchAll(/[^\s"]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/g)].map(([key]) => key);
  const old = keys.filter((key) => own === undefined || !key.endsWith(own));
  say(`  the setting LEDGER_RETIRED_KEYS must have the old verifier key: ${old.join(" or ")}`);
  if (!force && !old.some((key) => (variables.LEDGER_RETIRED_KEYS ?? "").includes(key))) {
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
  const operator = operatorOf(variables, environment);
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
      confirmed: { type: "boolean" },
      force: { type: "boolean" },
    },
  });
  if (values.help === true) return say(USAGE);
  const environment = ENVIRONMENTS.find((name) => name === (values.env ?? "local"));
  if (environment === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  const [name] = positionals;
  const variables: Variables = valuesOf(environment, process.env);
  const site = siteOf(variables, environment);
  if (name === undefined) return showAll(site);
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
    return handOver({ environment, variables, file: FILE, platform: cloudflare, say });
  const step = STEPS.find((one) => one === values.step);
  if (step === undefined) throw new Failure(`--step is one of ${STEPS.join(", ")}`);
  const quietS = Number(values.quiet ?? "900");
  if (!(quietS >= 0)) throw new Failure("--quiet is not a number of seconds");
  const [force, confirmed] = [values.force === true, values.confirmed === true];
  await takeStep({ name, environment, step, quietMs: quietS * 1_000, force, confirmed, site, variables });
}

if (process.argv[1] === import.meta.filename) {
  main().catch((error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  });
}
