/** Everything on this machine: an EVM node with the contract, the workers, a demo clinic and an insurer beside them. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { DEMO_INSURER_ADDRESS } from "../../src/medlink/seed/demo.ts";
import { hubSettingsSchema } from "../../src/medlink/settings.ts";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { coreSettingsSchema, relaySettingsSchema } from "../../src/platform/settings.ts";
import { type Anvil, startAnvil } from "./anvil.ts";
import { ensureContract } from "./contract.ts";
import { Failure } from "./fail.ts";
import { call, callAgain, summaryOf } from "./http.ts";
import { joinStacks } from "./joined-stack.ts";
import type { Clinic } from "./lifecycle.ts";
import { claimPorts } from "./ports.ts";
import { claimDataDirectory, endProcess } from "./processes.ts";
import { developmentSecrets } from "./secrets-file.ts";
import { DEFAULT_PORTS, type PortName, type Settings, type Stack, type StackOptions, startStack } from "./stack.ts";

/** Rises when what is under the data directory can no longer be read by what came before, or the other way round. */
const DATA_VERSION = "2";

export type SystemPort = PortName | "anvil" | "insurer" | "operator";

export const SYSTEM_PORTS: Readonly<Record<SystemPort, number>> = {
  ...DEFAULT_PORTS,
  anvil: 8545,
  insurer: 3004,
  operator: 3005,
};

type Environment = Readonly<Record<string, string | undefined>>;

export interface SystemOptions {
  readonly dataDir: string;
  readonly secretsFile: string;
  /** Settings and secrets that stand over the development ones. */
  readonly environment: Environment;
  readonly ports?: Readonly<Partial<Record<SystemPort, number>>>;
  readonly withHub?: boolean;
  /** The hub's worker in a process of its own, which reaches core over HTTP, as where they are deployed. */
  readonly hubApart?: boolean;
  /** A demo clinic in the hub and an insurer process beside the workers. */
  readonly withDemo?: boolean;
  readonly insurerDecision?: "APPROVED" | "DENIED" | "NEEDS_INFO";
  readonly cronEveryMs?: number;
  readonly say?: (line: string) => void;
  readonly onLog?: (line: string) => void;
  /** An event of the insurer's, one JSON object. */
  readonly onInsurer?: (line: string) => void;
  readonly script?: StackOptions["script"];
}

export interface System {
  readonly stack: Stack;
  readonly anvil: Anvil | undefined;
  readonly evmRpcUrl: string | undefined;
  readonly contractAddress: string | undefined;
  readonly secrets: Settings;
  readonly insurerUrl: string | undefined;
  /** Of the simulated payer's operator; undefined when the environment names another. */
  readonly operatorUrl: string | undefined;
  /** The demo clinic's account and records. */
  readonly clinic: Clinic | undefined;
  /** What an earlier run left: entries in the ledger; undefined when this is the first. */
  readonly foundEntries: number | undefined;
  readonly secretsMade: number;
  /** Resolves with one line when any of its processes ends without having been asked to. */
  readonly died: Promise<string>;
  dispose(): Promise<void>;
}

/** Names that a worker's settings go by; each can come from the environment. */
const SETTING_NAMES: Readonly<Record<WorkerName, readonly string[]>> = {
  "itrans-core": Object.keys(coreSettingsSchema.shape),
  "itrans-relay": Object.keys(relaySettingsSchema.shape),
  "medlink-hub": Object.keys(hubSettingsSchema.shape),
};

function fromEnvironment(worker: WorkerName, environment: Environment): Settings {
  const given: Record<string, string> = {};
  for (const name of SETTING_NAMES[worker]) {
    const value = environment[name];
    if (value !== undefined) given[name] = value;
  }
  return given;
}

function checkDataVersion(dataDir: string): void {
  const path = join(dataDir, "version");
  mkdirSync(dataDir, { recursive: true });
  if (existsSync(path)) {
    const found = readFileSync(path, "utf8").trim();
    if (found === DATA_VERSION) return;
    throw new Failure(
      `${dataDir} has layout version ${found.slice(0, 20)}, this is version ${DATA_VERSION}: move it away, or choose another directory with --data`,
    );
  }
  if (readdirSync(dataDir).length > 0) {
    throw new Failure(`${dataDir} is not empty and was not made by this: choose another directory with --data`);
  }
  writeFileSync(path, `${DATA_VERSION}\n`);
}

export async function startSystem(options: SystemOptions): Promise<System> {
  const { dataDir, environment, withHub = true, say = () => {} } = options;
  const withDemo = (options.withDemo ?? true) && withHub;
  checkDataVersion(dataDir);
  const run = await claimDataDirectory(dataDir, say);
  const stops: (() => Promise<void>)[] = [async () => run.remove()];
  const dispose = async () => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  };
  try {
    return await start();
  } catch (error) {
    await dispose();
    throw error;
  }

  async function start(): Promise<System> {
    const { secrets, made } = developmentSecrets(options.secretsFile, environment);
    const remoteChain = environment.EVM_RPC_URL ?? "";
    const wanted: Partial<Record<SystemPort, number>> = { core: port("core"), relay: port("relay") };
    if (withHub) wanted.hub = port("hub");
    if (remoteChain === "") wanted.anvil = port("anvil");
    if (withDemo) wanted.insurer = port("insurer");
    const simulatesOperator = (environment.OPERATOR_API_URL ?? "") === "";
    if (simulatesOperator) wanted.operator = port("operator");
    const ports = { ...SYSTEM_PORTS, ...(await claimPorts(wanted)) };

    const pids = new Map<ProcessName, number>();
    const started = (name: ProcessName, pid: number) => {
      pids.set(name, pid);
      run.record([...pids.values()]);
    };
    const deaths: Promise<string>[] = [];

    let anvil: Anvil | undefined;
    let contractAddress = environment.ANCHOR_CONTRACT_ADDRESS;
    if (remoteChain === "") {
      anvil = await startAnvil({
        port: ports.anvil,
        stateFile: join(dataDir, "anvil-state.json"),
        chainId: Number(environment.CHAIN_ID ?? 31_337),
        say,
      });
      stops.push(() => anvil?.dispose() ?? Promise.resolve());
      started("anvil", anvil.pid);
      deaths.push(anvil.died);
      const signerKey = secrets.EVM_PRIVATE_KEY ?? "";
      if ((contractAddress ?? "") === "") {
        contractAddress = (await ensureContract({ anvil, dataDir, signerKey, say })).address;
      }
    }
    const evmRpcUrl = anvil?.url ?? remoteChain;

    if (simulatesOperator) {
      const child = await startOperator(
        dataDir,
        ports.operator,
        secrets.OPERATOR_HMAC_SECRET ?? "",
        environment.OPERATOR_CONTROL_TOKEN,
      );
      stops.push(() => endChild(child));
      if (child.pid !== undefined) started("operator", child.pid);
      deaths.push(deathOf(child, "the payer's operator"));
    }
    const operatorUrl = simulatesOperator ? `http://127.0.0.1:${ports.operator}` : undefined;

    const workers: readonly WorkerName[] = withHub
      ? ["itrans-core", "itrans-relay", "medlink-hub"]
      : ["itrans-core", "itrans-relay"];
    const given = Object.fromEntries(
      await Promise.all(workers.map(async (name) => [name, fromEnvironment(name, environment)] as const)),
    );
    const apart = withHub && options.hubApart === true;
    const startWorkers = (names: readonly WorkerName[], directory: string): Promise<Stack> =>
      startStack({
        dataDir: directory,
        ports,
        workers: names,
        secrets,
        cronEveryMs: options.cronEveryMs ?? 1_000,
        onWorkerd: (pid) => started(directory === dataDir ? "workerd" : "workerd of the hub", pid),
        ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
        ...(options.script === undefined ? {} : { script: options.script }),
        settings: () => ({
          "itrans-core": {
            EVM_RPC_URL: evmRpcUrl,
            ANCHOR_CONTRACT_ADDRESS: contractAddress ?? "",
            ANCHOR_POLL_MS: "500",
            RELAY_URL: `http://127.0.0.1:${ports.relay}`,
            ...(withHub ? { MEDLINK_HUB_URL: `http://127.0.0.1:${ports.hub}` } : {}),
            // Our own hub and its key are not held to what a stranger's MedLink can take.
            ...(withHub
              ? {
                  RELAY_MEDLINK_WEBHOOK_URL: `http://127.0.0.1:${ports.hub}/api/itrans/webhooks/workflow`,
                  RELAY_MEDLINK_REQUESTS_PER_MINUTE: "100000",
                  API_RATE_LIMIT_MAX_REQUESTS: "600000",
                }
              : {}),
            ...given["itrans-core"],
            ...(operatorUrl === undefined ? {} : { OPERATOR_API_URL: operatorUrl }),
          },
          "itrans-relay": { ...given["itrans-relay"] },
          "medlink-hub": {
            ITRANS_AUTO_SUBMIT_ENABLED: "true",
            ...(apart ? { ITRANS_API_URL: `http://127.0.0.1:${ports.core}` } : {}),
            ...given["medlink-hub"],
          },
        }),
      });
    const first = await startWorkers(apart ? workers.filter((name) => name !== "medlink-hub") : workers, dataDir);
    stops.push(() => first.dispose());
    deaths.push(first.died);
    let stack = first;
    if (apart) {
      const hub = await startWorkers(["medlink-hub"], join(dataDir, "hub"));
      stops.push(() => hub.dispose());
      deaths.push(hub.died);
      stack = joinStacks(first, hub);
    }
    await waitUntilHealthy(stack.urls.core, "/health", "core");
    if (withHub) await waitUntilHealthy(stack.urls.hub, "/healthz", "the hub");
    const foundEntries = stack.migrated["itrans-core"]?.length === 0 ? await ledgerSize(stack) : undefined;

    let clinic: Clinic | undefined;
    let insurerUrl: string | undefined;
    if (withDemo) {
      const insurer = await prepareInsurer(stack, secrets, dataDir, ports.insurer);
      insurerUrl = `http://127.0.0.1:${ports.insurer}`;
      const child = await startInsurer(insurer, ports.insurer, stack.urls.core);
      stops.push(() => endChild(child));
      if (child.pid !== undefined) started("insurer", child.pid);
      deaths.push(deathOf(child, "the insurer"));
      clinic = await seedClinic(stack, secrets, dataDir);
    }
    return {
      stack,
      anvil,
      evmRpcUrl: evmRpcUrl === "" ? undefined : evmRpcUrl,
      contractAddress,
      secrets,
      insurerUrl,
      operatorUrl,
      clinic,
      foundEntries,
      secretsMade: made,
      died: Promise.race(deaths),
      dispose,
    };
  }

  function port(name: SystemPort): number {
    return options.ports?.[name] ?? SYSTEM_PORTS[name];
  }

  async function startInsurer(insurer: InsurerAccess, insurerPort: number, coreUrl: string): Promise<ChildProcess> {
    const environmentOfInsurer = {
      INSURER_PORT: String(insurerPort),
      INSURER_CORE_URL: coreUrl,
      INSURER_API_KEY: insurer.apiKey,
      INSURER_WEBHOOK_SECRET: insurer.webhookSecret,
      INSURER_DECISION: options.insurerDecision ?? "APPROVED",
    };
    return startParty("the insurer", ["insurer.ts"], environmentOfInsurer, (line) => options.onInsurer?.(line));
  }
}

type ProcessName = "anvil" | "workerd" | "workerd of the hub" | "insurer" | "operator";

/** Another party's process: started when it says that it listens. */
function startParty(
  name: string,
  [script = "", ...args]: readonly string[],
  environment: Settings,
  onLine: (line: string) => void,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", script), ...args], {
    // Nothing else of this environment: it is someone else's machine.
    env: { PATH: process.env.PATH, ...environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true,
  });
  let complaint = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-500);
  });
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Failure(`${name} did not start: ${complaint.trim()}`)));
    if (child.stdout !== null) {
      createInterface(child.stdout).on("line", (line) => {
        if (line.includes('"listening"')) resolve(child);
        else onLine(line);
      });
    }
  });
}

/** Its books are beside the other data: they outlive a run, as the operator's would. */
const startOperator = (
  dataDir: string,
  port: number,
  secret: string,
  controlToken: string | undefined,
): Promise<ChildProcess> =>
  startParty(
    "the payer's operator",
    ["operator-simulator.ts", "--port", String(port), "--store", join(dataDir, "operator", "books.db")],
    { OPERATOR_HMAC_SECRET: secret, ...(controlToken === undefined ? {} : { OPERATOR_CONTROL_TOKEN: controlToken }) },
    () => {},
  );

const deathOf = (child: ChildProcess, name: string): Promise<string> =>
  new Promise((resolve) => child.once("exit", (code) => stopping(child) || resolve(`${name} ended: exit ${code}`)));

const ended = new WeakSet<ChildProcess>();
const stopping = (child: ChildProcess): boolean => ended.has(child);

async function endChild(child: ChildProcess): Promise<void> {
  ended.add(child);
  if (child.pid !== undefined && child.exitCode === null) await endProcess(child.pid, 2_000);
}

async function waitUntilHealthy(url: string, path: string, name: string): Promise<void> {
  let last = "no answer";
  for (let i = 0; i < 100; i++) {
    try {
      const answer = await call(`${url}${path}`, { timeoutMs: 5_000 });
      if (answer.status === 200) return;
      last = summaryOf(answer);
    } catch (error) {
      last = String(error);
    }
    await sleep(100);
  }
  throw new Failure(`${name} is not healthy: ${last}`);
}

async function ledgerSize(stack: Stack): Promise<number> {
  const database = await stack.database("itrans-core");
  const head = await database.prepare("SELECT SUM(size) AS size FROM ledger_heads").first<{ size: number | null }>();
  return head?.size ?? 0;
}

interface InsurerAccess {
  readonly apiKey: string;
  readonly webhookSecret: string;
}

const accessSchema = z.object({ apiKey: z.string(), webhookSecret: z.string() });

/** The insurer's key and destination, made through core's own API by its operator, once. */
async function prepareInsurer(
  stack: Stack,
  secrets: Settings,
  dataDir: string,
  insurerPort: number,
): Promise<InsurerAccess> {
  const path = join(dataDir, "insurer.json");
  const headers = { "x-api-key": secrets.OPERATOR_API_KEY ?? "" };
  let access = existsSync(path) ? accessSchema.parse(JSON.parse(readFileSync(path, "utf8"))) : undefined;
  if (access === undefined) {
    const made = await call(`${stack.urls.core}/tenants/default/keys`, {
      method: "POST",
      headers,
      body: { surface: "workflow", scopes: ["read", "adjudicate"], insurerAddress: DEMO_INSURER_ADDRESS },
    });
    const parsed = z.looseObject({ key: z.string() }).safeParse(made.body);
    if (made.status !== 201 || !parsed.success)
      throw new Failure(`core made no key for the insurer: ${summaryOf(made)}`);
    access = { apiKey: parsed.data.key, webhookSecret: randomBytes(32).toString("base64url") };
    writeFileSync(path, JSON.stringify(access), { mode: 0o600 });
  }
  const put = await call(`${stack.urls.core}/relay/destinations/demo-insurer`, {
    method: "PUT",
    headers,
    body: {
      kind: "INSURER",
      insurerAddress: DEMO_INSURER_ADDRESS,
      url: `http://127.0.0.1:${insurerPort}/webhooks`,
      secret: access.webhookSecret,
      deliverAfter: "anchor",
    },
  });
  if (put.status !== 200 && put.status !== 201)
    throw new Failure(`core took no destination for the insurer: ${summaryOf(put)}`);
  return access;
}

const accountSchema = z.object({ email: z.string(), password: z.string() });

const seededSchema = z.looseObject({
  patientIds: z.array(z.string()).min(1),
  providerIds: z.array(z.string()).min(1),
  insurerIds: z.array(z.string()).min(1),
});

/** A clinic with its people and records, through the hub's seed for development. Again gives the same. */
async function seedClinic(stack: Stack, secrets: Settings, dataDir: string): Promise<Clinic> {
  const path = join(dataDir, "clinic.json");
  if (!existsSync(path)) {
    const account = { email: "admin@demo.invalid", password: randomBytes(12).toString("base64url") };
    writeFileSync(path, JSON.stringify(account), { mode: 0o600 });
  }
  const { email, password } = accountSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const answer = await callAgain(`${stack.urls.hub}/api/dev/seed`, {
    method: "POST",
    headers: {
      "x-seed-token": createHmac("sha256", secrets.SESSION_SECRET ?? "")
        .update("medlink seed")
        .digest("hex"),
    },
    body: { adminEmail: email, adminPassword: password, insurerAddress: DEMO_INSURER_ADDRESS },
  });
  const parsed = seededSchema.safeParse(answer.body);
  if (!parsed.success) throw new Failure(`the hub seeded no demo clinic: ${summaryOf(answer)}`);
  const [patientId = ""] = parsed.data.patientIds;
  const [providerId = ""] = parsed.data.providerIds;
  const [insurerId = ""] = parsed.data.insurerIds;
  return { hubUrl: stack.urls.hub, email, password, patientId, providerId, insurerId };
}
