import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { describe, expect, it } from "vitest";
import { unstable_readConfig as readConfig } from "wrangler";
import { NEEDED_SETTINGS } from "../../../scripts/env-check.ts";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { CONFIGS } from "../../../scripts/lib/platform.ts";
import { hubSettingsSchema } from "../../../src/medlink/settings.ts";
import { isPlaceholderSecret, SECRETS, secretsOf, type WorkerName } from "../../../src/platform/secrets.ts";
import { coreSettingsSchema, relaySettingsSchema } from "../../../src/platform/settings.ts";

const ENVIRONMENTS = ["development", "staging", "production"] as const;
type Environment = (typeof ENVIRONMENTS)[number];
const WORKERS: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

/** As much of a configuration as is compared. */
interface WranglerConfig {
  readonly name: string;
  readonly main: string;
  readonly compatibility_date: string;
  readonly compatibility_flags: readonly string[];
  readonly observability?: {
    readonly enabled?: boolean;
    readonly traces?: { readonly enabled?: boolean; readonly head_sampling_rate?: number };
  };
  readonly triggers: { readonly crons: readonly string[] };
  readonly vars: Readonly<Record<string, unknown>>;
  readonly d1_databases: readonly {
    readonly binding: string;
    readonly database_name: string;
    readonly database_id: string;
    readonly migrations_dir: string;
  }[];
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name: string }[];
  readonly queues: {
    readonly producers?: readonly { readonly binding: string; readonly queue: string }[];
    readonly consumers?: readonly { readonly queue: string; readonly dead_letter_queue?: string }[];
  };
  readonly services?: readonly { readonly binding: string; readonly service: string; readonly entrypoint?: string }[];
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
  readonly migrations: unknown;
}

/** The top level is development: it is what runs without --env. */
const configOf = (worker: WorkerName, environment: Environment): WranglerConfig =>
  readConfig({
    config: join(projectRoot, CONFIGS[worker]),
    ...(environment === "development" ? {} : { env: environment }),
  });

const suffix = (environment: Environment): string => (environment === "development" ? "" : `-${environment}`);

/** What must be the same everywhere, with the environment's suffix taken off every name. */
function parityOf(worker: WorkerName, environment: Environment) {
  const config = configOf(worker, environment);
  const bare = (name: string | undefined) => (name ?? "").replace(new RegExp(`${suffix(environment)}$`), "");
  return {
    main: config.main,
    compatibilityDate: config.compatibility_date,
    crons: config.triggers.crons,
    observability: config.observability,
    vars: Object.keys(config.vars).sort(),
    databases: config.d1_databases.map(({ binding, database_name, migrations_dir }) => [
      binding,
      bare(database_name),
      migrations_dir,
    ]),
    buckets: config.r2_buckets.map(({ binding, bucket_name }) => [binding, bare(bucket_name)]),
    producers: config.queues.producers?.map(({ binding, queue }) => [binding, bare(queue)]),
    consumers: config.queues.consumers?.map(({ queue, dead_letter_queue, ...rest }) => ({
      ...rest,
      queue: bare(queue),
      dead: bare(dead_letter_queue),
    })),
    services: config.services?.map(({ binding, service, entrypoint }) => [binding, bare(service), entrypoint]),
    objects: config.durable_objects.bindings.map(({ name, class_name }) => [name, class_name]),
    migrations: config.migrations,
  };
}

describe.each(WORKERS)("the environments of %s", (worker) => {
  it("differ in names and values, and in nothing else", () => {
    const development = parityOf(worker, "development");
    expect(parityOf(worker, "staging")).toEqual(development);
    expect(parityOf(worker, "production")).toEqual(development);
  });

  it("say which they are, and share no database, bucket, queue or worker", () => {
    const names = ENVIRONMENTS.flatMap((environment) => {
      const config = configOf(worker, environment);
      expect(config.vars.ENVIRONMENT).toBe(environment);
      return [
        config.name,
        ...config.d1_databases.flatMap(({ database_name, database_id }) => [database_name, database_id]),
        ...config.r2_buckets.map(({ bucket_name }) => bucket_name),
        ...(config.queues.consumers ?? []).map(({ queue }) => queue),
        ...(config.services ?? []).map(({ service }) => `service ${service}`),
      ];
    });
    expect(new Set(names).size).toBe(names.length);
  });

  it("are logged whole and traced in part", () => {
    for (const environment of ENVIRONMENTS) {
      const { enabled, traces } = configOf(worker, environment).observability ?? {};
      expect([enabled, traces?.enabled]).toEqual([true, true]);
      expect(traces?.head_sampling_rate).toBeGreaterThan(0);
      expect(traces?.head_sampling_rate).toBeLessThanOrEqual(0.1);
    }
  });

  it("keep calls off private addresses where they go to others", () => {
    for (const environment of ["staging", "production"] as const) {
      const flags = configOf(worker, environment).compatibility_flags;
      expect(flags).toContain("global_fetch_strictly_public");
    }
  });
});

const CUTOVER_CLINIC = ["CLINIC_EMAIL", "CLINIC_PASSWORD", "PATIENT_ID", "PROVIDER_ID", "INSURER_ID"].map(
  (name) => `CUTOVER_${name}`,
);

it("the monthly restore drill has a database of its own in every environment, with no migrations to be taken for another's", () => {
  for (const environment of ENVIRONMENTS) {
    const { d1_databases } = configOf("itrans-core", environment);
    expect(d1_databases.map(({ binding }) => binding)).toEqual(["DB", "SCRATCH"]);
    const scratch = d1_databases[1];
    expect(scratch?.database_name).toBe(`itrans-scratch${suffix(environment)}`);
  }
});

it("README makes every database, bucket and queue that the staging sections name", () => {
  const readme = readFileSync(join(projectRoot, "README.md"), "utf8");
  for (const worker of WORKERS) {
    const { d1_databases, r2_buckets, queues } = configOf(worker, "staging");
    const made = [
      ...(d1_databases ?? []).map(({ database_name }) => `wrangler d1 create ${database_name}`),
      ...(r2_buckets ?? []).map(({ bucket_name }) => `wrangler r2 bucket create ${bucket_name}`),
      ...(queues.consumers ?? []).map(({ queue }) => `wrangler queues create ${queue}`),
    ];
    for (const command of made) expect(readme).toContain(`${command}\n`);
  }
});

describe.each(ENVIRONMENTS)("config/%s.env.example", (environment) => {
  const values = parseEnv(readFileSync(join(projectRoot, "config", `${environment}.env.example`), "utf8"));

  it("names every secret, with no value that could be used", () => {
    for (const { name } of SECRETS) {
      expect(values, name).toHaveProperty(name);
      expect(values[name] === "" || isPlaceholderSecret(values[name] ?? ""), name).toBe(true);
    }
  });

  it("names what alerting and a cutover want", () => {
    const wanted = [
      ...NEEDED_SETTINGS,
      ...["ALERT_CONTACTS", "ALERT_HEARTBEAT_URL", "EMAIL_API_URL", "EMAIL_FROM"],
      ...CUTOVER_CLINIC,
    ];
    expect(wanted.filter((name) => values[name] === undefined)).toEqual([]);
  });

  it("has only settings and secrets that there are, and settings that parse", () => {
    const shapes = [coreSettingsSchema, relaySettingsSchema, hubSettingsSchema];
    const known = new Set([
      ...shapes.flatMap((schema) => Object.keys(schema.shape)),
      ...SECRETS.map(({ name }) => name),
      "ITRANS_CORE_URL",
      "MEDLINK_HUB_URL",
      "BACKUP_DIR",
      ...CUTOVER_CLINIC,
    ]);
    expect(Object.keys(values).filter((name) => !known.has(name))).toEqual([]);
    for (const schema of shapes) expect(schema.safeParse(values).error?.issues ?? []).toEqual([]);
    expect(values.ENVIRONMENT).toBe(environment);
  });
});

it("gives each worker the secrets of its own alone", () => {
  expect(secretsOf("itrans-relay").map(({ name }) => name)).not.toContain("PAYLOAD_MASTER_KEY");
  expect(secretsOf("medlink-hub").map(({ name }) => name)).not.toContain("EVM_PRIVATE_KEY");
});
