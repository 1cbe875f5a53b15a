/**
 * The local system as it stands before a deploy, with what stands in for Cloudflare in front of it: a deploy, a rollback and a whole
 * cutover run against it by the code that runs against staging and production.
 */
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { unstable_readConfig as readConfig } from "wrangler";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { type BuildFacts, buildFacts, bundleWorker, projectRoot } from "../bundle.ts";
import { type ManagedDatabase, openDatabase } from "../databases.ts";
import type { DatabaseName } from "../migration-files.ts";
import { CONFIGS, type Platform, type RemoteEnvironment } from "../platform.ts";
import { claimPorts } from "../ports.ts";
import { workerSite } from "../stack.ts";
import { type System, startSystem } from "../system.ts";
import { helpKeeper } from "../wrangler-help.ts";
import { type Router, startRouter } from "./router.ts";
import type { DeploySite } from "./site.ts";
import { type StandInParts, standIn } from "./stand-in.ts";

export const HELP_DIRECTORY = join(projectRoot, ".local/wrangler-help");
/** The environment whose names a rehearsal uses. */
export const REHEARSED: RemoteEnvironment = "staging";

export interface Rehearsal {
  readonly system: System;
  readonly site: DeploySite;
  readonly platform: Platform;
  readonly callsFile: string;
  readonly routers: Readonly<Record<WorkerName, Router>>;
  /** What was in service before: the same source, under a commit of no repository, so that it can be told which one answers. */
  readonly former: BuildFacts;
  readonly database: (name: DatabaseName) => ManagedDatabase;
  readonly dataDir: string;
  dispose(): Promise<void>;
}

export interface RehearsalOptions {
  /** Everything of it is kept under here. */
  readonly directory: string;
  readonly onCall?: StandInParts["onCall"];
  readonly script?: StandInParts["script"];
  readonly environment?: Readonly<Record<string, string>>;
  readonly helpDirectory?: string;
  readonly say?: (line: string) => void;
}

const WORKER_NAMES: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

export const deployedNameOf =
  (environment: RemoteEnvironment) =>
  (worker: WorkerName): string =>
    readConfig({ config: join(projectRoot, CONFIGS[worker]), env: environment }).name ?? worker;

export const objectMigrationIn =
  (environment: RemoteEnvironment) =>
  (worker: WorkerName): string | undefined =>
    readConfig({ config: join(projectRoot, CONFIGS[worker]), env: environment }).migrations.at(-1)?.tag;

export const FORMER_COMMIT = "f0".repeat(20);

export async function startRehearsal(options: RehearsalOptions): Promise<Rehearsal> {
  const { directory, say = () => {} } = options;
  mkdirSync(directory, { recursive: true });
  const dataDir = join(directory, "data");
  const stops: (() => Promise<void>)[] = [];
  const dispose = async (): Promise<void> => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  };
  try {
    const receiver = await startReceiver();
    stops.push(receiver.close);
    const free = await claimPorts({
      "itrans-core": 0,
      "itrans-relay": 0,
      "medlink-hub": 0,
      candidateCore: 0,
      candidateRelay: 0,
      candidateHub: 0,
    });
    const portOf = (name: keyof typeof free): number => free[name] ?? 0;
    const former: BuildFacts = { ...buildFacts(), commit: FORMER_COMMIT, builtAt: new Date(0).toISOString() };
    const bundle =
      options.script ?? ((_worker: WorkerName, entry: string, facts: BuildFacts) => bundleWorker(entry, facts));
    const serving = new Map<WorkerName, string>();
    const system = await startSystem({
      dataDir,
      secretsFile: join(directory, ".dev.vars"),
      environment: {
        ITRANS_AUTO_SUBMIT_ENABLED: "false",
        PAGERDUTY_EVENTS_URL: `${receiver.url}/pagerduty`,
        PAGERDUTY_ROUTING_KEY: "rehearsal-routing-key-0123456789",
        SLACK_WEBHOOK_URL: `${receiver.url}/slack`,
        ALERT_CONTACTS: JSON.stringify([
          { role: "on-call-primary", name: "On call", email: "on-call@rehearsal.invalid" },
        ]),
        EMAIL_API_URL: `${receiver.url}/email`,
        EMAIL_API_KEY: "rehearsal-email-key-0123456789ab",
        ...options.environment,
      },
      ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
      say,
      script: async (worker, entry) => {
        const script = await bundle(worker, entry, former);
        serving.set(worker, script);
        return script;
      },
    });
    stops.push(() => system.dispose());
    const nameOf = deployedNameOf(REHEARSED);
    const routers: Record<WorkerName, Router> = {
      "itrans-core": await startRouter(nameOf("itrans-core"), portOf("itrans-core")),
      "itrans-relay": await startRouter(nameOf("itrans-relay"), portOf("itrans-relay")),
      "medlink-hub": await startRouter(nameOf("medlink-hub"), portOf("medlink-hub")),
    };
    for (const worker of WORKER_NAMES) stops.push(() => routers[worker].close());
    const callsFile = join(directory, "platform-calls.jsonl");
    const { ports } = system.stack;
    const platform = standIn({
      stack: system.stack,
      routers,
      callsFile,
      candidatePorts: {
        "itrans-core": portOf("candidateCore"),
        "itrans-relay": portOf("candidateRelay"),
        "medlink-hub": portOf("candidateHub"),
      },
      servingPorts: { "itrans-core": ports.core, "itrans-relay": ports.relay, "medlink-hub": ports.hub },
      serving: {
        "itrans-core": serving.get("itrans-core") ?? "",
        "itrans-relay": serving.get("itrans-relay") ?? "",
        "medlink-hub": serving.get("medlink-hub") ?? "",
      },
      entryOf: (worker) => workerSite(worker).entry,
      helpOf: helpKeeper(options.helpDirectory ?? HELP_DIRECTORY),
      script: bundle,
      ...(options.onCall === undefined ? {} : { onCall: options.onCall }),
    });
    const { secrets } = system;
    return {
      system,
      platform,
      callsFile,
      routers,
      former,
      dataDir,
      site: {
        urls: {
          "itrans-core": routers["itrans-core"].url,
          "itrans-relay": routers["itrans-relay"].url,
          "medlink-hub": routers["medlink-hub"].url,
        },
        keys: {
          core: secrets.OPERATOR_API_KEY ?? "",
          hub: secrets.HUB_OPERATOR_API_KEY ?? "",
          workflow: secrets.WORKFLOW_API_KEY ?? "",
        },
        scrapeToken: secrets.METRICS_SCRAPE_TOKEN ?? "",
        values: secrets,
      },
      database: (name) => openDatabase(name, "local", { dataDir, platform }),
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** PagerDuty, Slack and e-mail of a rehearsal: takes everything and says so. */
async function startReceiver(): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    request.resume();
    request.once("end", () =>
      response.writeHead(202, { "content-type": "application/json" }).end('{"status":"success"}'),
    );
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
