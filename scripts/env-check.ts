/** `npm run env:check`: settings and secrets of an environment, by name: all there, strong, distinct. Prints no value. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, parseEnv } from "node:util";
import { hubSettingsSchema } from "../src/medlink/settings.ts";
import { SECRETS, secretFaults, secretsOf, type WorkerName } from "../src/platform/secrets.ts";
import { coreSettingsSchema, parseSettings, relaySettingsSchema } from "../src/platform/settings.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure } from "./lib/fail.ts";
import { cloudflare, ENVIRONMENTS, type EnvironmentName, type Platform, secretNames } from "./lib/platform.ts";

const USAGE = `npm run env:check -- [--env local|staging|production] [--file FILE] [--remote]

Values come from FILE (local: .dev.vars; staging: .env.staging; production: .env.production), and over it from the environment.
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
];

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
  }
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
  if (values.remote === true && environment !== "local")
    faults.push(...(await deployedFaults(cloudflare, environment)));
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
