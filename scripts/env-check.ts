/** `npm run env:check`: settings and secrets of an environment, by name: all there, strong, distinct. Prints no value. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, parseEnv } from "node:util";
import { unstable_readConfig as readConfig } from "wrangler";
import { hubSettingsSchema } from "../src/medlink/settings.ts";
import { readContacts } from "../src/operations/alerts/escalation.ts";
import { SECRETS, secretFaults, secretsOf, type WorkerName } from "../src/platform/secrets.ts";
import { coreSettingsSchema, parseSettings, relaySettingsSchema } from "../src/platform/settings.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure } from "./lib/fail.ts";
import {
  CONFIGS,
  cloudflare,
  ENVIRONMENTS,
  type EnvironmentName,
  type Platform,
  type RemoteEnvironment,
  secretNames,
} from "./lib/platform.ts";

const USAGE = `npm run env:check -- [--env local|staging|production] [--file FILE] [--remote]

Values come from FILE (local: .dev.vars; staging: .env.staging; production: .env.production), and over it from the environment.
Settings are held against those that a deploy takes from wrangler*.toml, [env.staging.vars] or [env.production.vars].
With --remote the names that the deployed workers hold are compared too; their values nobody can read.`;

type Values = Readonly<Record<string, string | undefined>>;

const WORKERS: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

const SCHEMAS = {
  "itrans-core": coreSettingsSchema,
  "itrans-relay": relaySettingsSchema,
  "medlink-hub": hubSettingsSchema,
} as const;

/** Settings without which a deployed system does not do its work, though it starts. */
const NEEDED: readonly { readonly name: string; readonly why: string }[] = [
  { name: "EVM_RPC_URL", why: "nothing is anchored" },
  { name: "ANCHOR_CONTRACT_ADDRESS", why: "nothing is anchored" },
  { name: "LEDGER_LOG_URL", why: "the log has no name, so no checkpoint is signed" },
  { name: "HUB_PUBLIC_URL", why: "links in invitations follow the Host header" },
  { name: "MEDLINK_HUB_URL", why: "no alert watches the hub" },
  { name: "RELAY_URL", why: "no alert watches the relay" },
  { name: "METRICS_SCRAPE_TOKEN", why: "core can not read the hub's metrics, so most alerts of it never open" },
];

export const NEEDED_SETTINGS: readonly string[] = NEEDED.map(({ name }) => name);

/** What one must be whole of, so that an alert reaches somebody. */
const CHANNELS: readonly (readonly string[])[] = [
  ["PAGERDUTY_ROUTING_KEY"],
  ["SLACK_WEBHOOK_URL"],
  ["EMAIL_API_URL", "EMAIL_API_KEY"],
];

function channelFaults(values: Values): readonly string[] {
  const isSet = (name: string): boolean => (values[name] ?? "") !== "";
  const faults: string[] = [];
  if (!CHANNELS.some((names) => names.every(isSet))) {
    const ways = CHANNELS.map((names) => names.join(" with ")).join(", or ");
    faults.push(`no alert reaches anybody: set ${ways}`);
  }
  for (const names of CHANNELS) {
    const missing = names.filter((name) => !isSet(name));
    if (missing.length > 0 && missing.length < names.length)
      faults.push(`${missing.join(", ")} is not set: ${names.filter(isSet).join(", ")} alone sends nothing`);
  }
  if (isSet("EMAIL_API_URL") && !isSet("EMAIL_FROM")) faults.push("EMAIL_FROM is not set: mail comes from no host");
  return faults;
}

/** @returns one line for each fault; empty when all is well. */
export function environmentFaults(environment: EnvironmentName, values: Values): readonly string[] {
  const faults: string[] = [];
  const expected = environment === "local" ? "development" : environment;
  if (environment !== "local" && values.ENVIRONMENT !== expected) faults.push(`ENVIRONMENT is not ${expected}`);
  for (const worker of WORKERS) {
    const parsed = parseSettings(SCHEMAS[worker], values);
    if (!parsed.ok) {
      for (const { path, message } of parsed.problem.issues ?? []) faults.push(`${worker}: ${path} ${message}`);
    }
    faults.push(...secretFaults(worker, values).map((fault) => `${worker}: ${fault}`));
  }
  for (const { name, sameAs } of SECRETS) {
    const [own, other] = [values[name] ?? "", sameAs === undefined ? "" : (values[sameAs] ?? "")];
    if (own !== "" && other !== "" && own !== other)
      faults.push(`${name} and ${sameAs} are ends of one key and differ`);
  }
  faults.push(...sharedAcrossWorkers(values));
  if (environment !== "local") {
    for (const { name, why } of NEEDED) if ((values[name] ?? "") === "") faults.push(`${name} is not set: ${why}`);
    faults.push(...channelFaults(values));
  }
  const { fault } = readContacts(values.ALERT_CONTACTS === "" ? undefined : values.ALERT_CONTACTS);
  if (fault !== null) faults.push(fault);
  return [...new Set(faults)];
}

/** No two secrets have one value, whichever workers they are in, but for the ends of a shared one. */
function sharedAcrossWorkers(values: Values): readonly string[] {
  const seen = new Map<string, { readonly name: string; readonly shared: string }>();
  return SECRETS.flatMap(({ name, sameAs }) => {
    const value = values[name] ?? "";
    if (value === "") return [];
    const shared = sameAs ?? name;
    const twin = seen.get(value);
    seen.set(value, { name, shared });
    return twin === undefined || twin.shared === shared
      ? []
      : [`${name} has the same value as ${twin.name}; they must differ`];
  });
}

/** What a deploy gives a worker: `vars` of an environment of its configuration. */
export const configuredVars = (worker: WorkerName, environment: RemoteEnvironment): Values => {
  const { vars } = readConfig({ config: join(projectRoot, CONFIGS[worker]), env: environment });
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, String(value)]));
};

/**
 * Settings of the file that a deploy would not set so. One that the configuration leaves out counts as its default.
 * @returns one line for each, without values.
 */
export function settingFaults(
  environment: RemoteEnvironment,
  values: Values,
  varsOf: (worker: WorkerName, environment: RemoteEnvironment) => Values = configuredVars,
): readonly string[] {
  return WORKERS.flatMap((worker) => {
    const vars = varsOf(worker, environment);
    const place = `[env.${environment}.vars] of ${CONFIGS[worker]}`;
    return Object.entries(SCHEMAS[worker].shape).flatMap(([name, schema]) => {
      const own = values[name];
      if (own === undefined) return [];
      const [wanted, configured] = [schema.safeParse(own), schema.safeParse(vars[name])];
      if (!wanted.success) return []; // The environment's own check says so.
      if (configured.success && String(wanted.data) === String(configured.data)) return [];
      return [`${worker}: ${name} ${vars[name] === undefined ? "is not in" : "differs from"} ${place}`];
    });
  });
}

/** @returns names that a deployed worker lacks, and those it holds that are not its own. */
export async function deployedFaults(
  platform: Platform,
  environment: "staging" | "production",
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const worker of WORKERS) {
    const held = new Set(await secretNames(platform, worker, environment));
    const own = secretsOf(worker);
    for (const { name, optional } of own) {
      if (!held.has(name) && optional !== true) faults.push(`${worker}: ${name} is not deployed`);
      if (held.has(`${name}_PREVIOUS`)) faults.push(`${worker}: ${name}_PREVIOUS is deployed: a rotation is not over`);
    }
    const known = new Set(own.flatMap(({ name }) => [name, `${name}_PREVIOUS`]));
    for (const name of held)
      if (!known.has(name)) faults.push(`${worker}: ${name} is deployed and is none of its secrets`);
  }
  return faults;
}

export const fileOf = (environment: EnvironmentName): string =>
  environment === "local" ? ".dev.vars" : `.env.${environment}`;

export function readValues(environment: EnvironmentName, file: string | undefined, over: Values): Values {
  const path = join(projectRoot, file ?? fileOf(environment));
  if (!existsSync(path))
    throw new Failure(
      `there is no ${path}; start from config/${environment === "local" ? "development" : environment}.env.example`,
    );
  const own = parseEnv(readFileSync(path, "utf8"));
  const given = Object.entries(over).filter(([name, value]) => name in own && value !== undefined && value !== "");
  return { ...own, ...Object.fromEntries(given) };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      env: { type: "string" },
      file: { type: "string" },
      remote: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const environment = ENVIRONMENTS.find((name) => name === (values.env ?? "local"));
  if (environment === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  const faults = [...environmentFaults(environment, readValues(environment, values.file, process.env))];
  if (environment !== "local") {
    faults.push(...settingFaults(environment, readValues(environment, values.file, process.env)));
    if (values.remote === true) faults.push(...(await deployedFaults(cloudflare, environment)));
  }
  for (const fault of faults) console.log(`  ${fault}`);
  console.log(
    `${environment}: ${faults.length === 0 ? "all settings and secrets are there, strong and distinct" : `${faults.length} faults`}`,
  );
  return faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      console.error(error instanceof Failure ? error.message : error);
      process.exit(1);
    },
  );
}
