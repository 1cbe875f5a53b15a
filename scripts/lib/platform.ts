/**
 * Everything that the scripts ask of Cloudflare goes through here, as calls of wrangler: one place to read, and one to stand in for
 * in tests, where no account is at hand.
 */
import { spawn } from "node:child_process";
import * as z from "zod";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { type BuildFacts, definesOf, projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { WRANGLER } from "./wrangler-help.ts";

export type RemoteEnvironment = "staging" | "production";
export const ENVIRONMENTS = ["local", "staging", "production"] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

export const CONFIGS: Readonly<Record<WorkerName, string>> = {
  "itrans-core": "wrangler.toml",
  "itrans-relay": "wrangler.relay.toml",
  "medlink-hub": "wrangler.medlink.toml",
};

export interface Platform {
  /**
   * @param input for its standard input: a secret's value goes this way and stands in no list of processes.
   * @returns what it wrote to standard output. @throws Failure with its last lines.
   */
  wrangler(args: readonly string[], input?: string): Promise<string>;
}

export const cloudflare: Platform = {
  wrangler: (args, input) =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [WRANGLER, ...args], {
        cwd: projectRoot,
        // Without a terminal to ask at, wrangler answers its own questions with yes.
        env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false" },
        stdio: ["pipe", "pipe", "pipe"],
      });
      let output = "";
      let complaint = "";
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      child.stderr.on("data", (chunk: Buffer) => {
        complaint = (complaint + chunk.toString()).slice(-2_000);
      });
      child.once("error", reject);
      child.once("exit", (code) => {
        if (code === 0) return resolve(output);
        const said = (complaint.trim() === "" ? output : complaint).trim().split("\n").slice(-6).join("\n");
        reject(new Failure(`wrangler ${args.slice(0, 3).join(" ")} failed:\n${said}`));
      });
      child.stdin.end(input ?? "");
    }),
};

const at = (worker: WorkerName, environment: RemoteEnvironment): readonly string[] => [
  "--config",
  CONFIGS[worker],
  "--env",
  environment,
];

/** A database as wrangler finds it: by its binding in a configuration's environment. */
export interface RemoteDatabase {
  readonly worker: WorkerName;
  readonly environment: RemoteEnvironment;
  /** Of the database, as the configuration has it. */
  readonly name: string;
}

export type Row = Readonly<Record<string, unknown>>;

const executedSchema = z
  .array(
    z.looseObject({
      results: z.array(z.record(z.string(), z.unknown())).default([]),
      meta: z.looseObject({ duration: z.number().optional(), size_after: z.number().optional() }).optional(),
    }),
  )
  .min(1);

function jsonOf(text: string): unknown {
  // Wrangler may say something before the JSON.
  const start = text.search(/[[{]/);
  try {
    return JSON.parse(text.slice(Math.max(0, start)));
  } catch {
    throw new Failure(`wrangler answered no JSON: ${text.trim().slice(0, 300)}`);
  }
}

export async function d1Query(
  platform: Platform,
  { worker, environment, name }: RemoteDatabase,
  sql: string,
): Promise<{ readonly rows: readonly Row[]; readonly sizeBytes: number | undefined }> {
  const output = await platform.wrangler([
    ...["d1", "execute", name, "--remote", "--json", "--command", sql],
    ...at(worker, environment),
  ]);
  const last = executedSchema.parse(jsonOf(output)).at(-1);
  return { rows: last?.results ?? [], sizeBytes: last?.meta?.size_after };
}

/** Runs a file of statements; when one fails, D1 takes all of them back. */
export async function d1File(
  platform: Platform,
  { worker, environment, name }: RemoteDatabase,
  file: string,
): Promise<void> {
  await platform.wrangler([
    ...["d1", "execute", name, "--remote", "--yes", "--file", file],
    ...at(worker, environment),
  ]);
}

/** While it runs the database answers nobody else. */
export async function d1Export(
  platform: Platform,
  { worker, environment, name }: RemoteDatabase,
  output: string,
  what: "all" | "schema" = "all",
): Promise<void> {
  await platform.wrangler([
    ...["d1", "export", name, "--remote", "--skip-confirmation", "--output", output],
    ...(what === "schema" ? ["--no-data"] : []),
    ...at(worker, environment),
  ]);
}

/** Names this moment for `wrangler d1 time-travel restore`, for thirty days. */
export async function d1Bookmark(platform: Platform, { worker, environment, name }: RemoteDatabase): Promise<string> {
  const output = await platform.wrangler(["d1", "time-travel", "info", name, "--json", ...at(worker, environment)]);
  return z.looseObject({ bookmark: z.string().min(1) }).parse(jsonOf(output)).bookmark;
}

export async function d1Migrate(platform: Platform, { worker, environment, name }: RemoteDatabase): Promise<string> {
  return platform.wrangler(["d1", "migrations", "apply", name, "--remote", ...at(worker, environment)]);
}

/** What took longest of the last day. */
export async function d1Insights(
  platform: Platform,
  { worker, environment, name }: RemoteDatabase,
  limit: number,
): Promise<readonly Row[]> {
  const output = await platform.wrangler([
    ...["d1", "insights", name, "--sort-by", "time", "--sort-type", "avg", "--limit", String(limit), "--json"],
    ...at(worker, environment),
  ]);
  return z.array(z.record(z.string(), z.unknown())).parse(jsonOf(output));
}

/** Sets a worker's secret; the worker goes on with it within seconds, without a deploy. */
export async function putSecret(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  name: string,
  value: string,
): Promise<void> {
  await platform.wrangler(["secret", "put", name, ...at(worker, environment)], value);
}

export async function deleteSecret(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  name: string,
): Promise<void> {
  await platform.wrangler(["secret", "delete", name, ...at(worker, environment)], "y\n");
}

/** Names only: nobody is told a value. */
export async function secretNames(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
): Promise<readonly string[]> {
  const output = await platform.wrangler(["secret", "list", "--format", "json", ...at(worker, environment)]);
  return z
    .array(z.looseObject({ name: z.string() }))
    .parse(jsonOf(output))
    .map(({ name }) => name);
}

/** Of a version that is to be: what it was built from, as `wrangler versions list` shows it. */
const labelsOf = (facts: BuildFacts): readonly string[] => [
  ...["--tag", facts.commit.slice(0, 25), "--message", `${facts.version} of ${facts.commit}`],
  ...Object.entries(definesOf(facts)).flatMap(([name, value]) => ["--define", `${name}:${value}`]),
];

const VERSION_ID = /Version ID: *([0-9a-f-]{36})/;

function versionIn(output: string): string {
  const id = VERSION_ID.exec(output)?.[1];
  if (id === undefined) throw new Failure(`wrangler named no version: ${output.trim().slice(-300)}`);
  return id;
}

/** Uploads what is built here as a version that serves nobody yet. @returns its id. */
export async function uploadVersion(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  facts: BuildFacts,
): Promise<string> {
  return versionIn(await platform.wrangler(["versions", "upload", ...labelsOf(facts), ...at(worker, environment)]));
}

/** Everything at once: a worker's first deploy, and one that brings a Durable Object migration, can not be gradual. */
export async function deployWhole(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  facts: BuildFacts,
): Promise<string> {
  return versionIn(await platform.wrangler(["deploy", ...labelsOf(facts), ...at(worker, environment)]));
}

export interface Share {
  readonly versionId: string;
  /** Of requests, 0 to 100. */
  readonly percentage: number;
}

/** @param shares one version or two, 100 % together. */
export async function setShares(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  shares: readonly Share[],
  message: string,
): Promise<void> {
  const specs = shares.map(({ versionId, percentage }) => `${versionId}@${percentage}%`);
  await platform.wrangler(["versions", "deploy", ...specs, "--yes", "--message", message, ...at(worker, environment)]);
}

const deploymentSchema = z.looseObject({
  versions: z.array(z.looseObject({ version_id: z.string(), percentage: z.number() })),
});

/** What serves now. @returns undefined while the worker was never deployed. */
export async function sharesNow(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
): Promise<readonly Share[] | undefined> {
  let output: string;
  try {
    output = await platform.wrangler(["deployments", "status", "--json", ...at(worker, environment)]);
  } catch (error) {
    // 10007: the account has no such worker.
    if (error instanceof Failure && /does not exist|10007|no deployments/i.test(error.message)) return undefined;
    throw error;
  }
  return deploymentSchema
    .parse(jsonOf(output))
    .versions.map(({ version_id, percentage }) => ({ versionId: version_id, percentage }));
}

export interface ListedVersion {
  readonly versionId: string;
  readonly tag: string | undefined;
}

/** The last ten. */
export async function listVersions(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
): Promise<readonly ListedVersion[]> {
  const output = await platform.wrangler(["versions", "list", "--json", ...at(worker, environment)]);
  return z
    .array(z.looseObject({ id: z.string(), annotations: z.record(z.string(), z.string()).optional() }))
    .parse(jsonOf(output))
    .map(({ id, annotations }) => ({ versionId: id, tag: annotations?.["workers/tag"] }));
}

/** The newest Durable Object migration that a version was deployed with; undefined: none, or the platform does not say. */
export async function objectMigrationOf(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
  versionId: string,
): Promise<string | undefined> {
  const output = await platform.wrangler(["versions", "view", versionId, "--json", ...at(worker, environment)]);
  return z
    .looseObject({
      resources: z
        .looseObject({ script_runtime: z.looseObject({ migration_tag: z.string().optional() }).optional() })
        .optional(),
    })
    .parse(jsonOf(output)).resources?.script_runtime?.migration_tag;
}

/** Crons and queue consumers as the configuration has them: a version carries none of these. */
export async function deployTriggers(
  platform: Platform,
  worker: WorkerName,
  environment: RemoteEnvironment,
): Promise<void> {
  await platform.wrangler(["triggers", "deploy", ...at(worker, environment)]);
}
