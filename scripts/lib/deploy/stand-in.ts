/**
 * Cloudflare for a rehearsal: takes wrangler's own words and does to the local system what the platform would do to the deployed one.
 * Every call is written down with its arguments, and refused when the installed wrangler's help does not list one of them.
 *
 * A version is a bundle of a worker. Two versions of one worker run side by side over the same databases and buckets; a router in
 * front shares requests out. What the platform does and this does not: calls between workers, queues, crons and Durable Objects
 * stay with the version that serves, until another serves alone.
 */
import { randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { SECRETS, secretsOf, type WorkerName } from "../../../src/platform/secrets.ts";
import { type BuildFacts, bundleWorker } from "../bundle.ts";
import { Failure } from "../fail.ts";
import { CONFIGS, type Platform } from "../platform.ts";
import type { Stack } from "../stack.ts";
import { commandOf, unknownFlags } from "../wrangler-help.ts";
import type { Router } from "./router.ts";

export interface StandInParts {
  readonly stack: Stack;
  readonly routers: Readonly<Record<WorkerName, Router>>;
  /** Where a version that is not serving listens. */
  readonly candidatePorts: Readonly<Record<WorkerName, number>>;
  readonly servingPorts: Readonly<Record<WorkerName, number>>;
  /** What serves at the beginning. */
  readonly serving: Readonly<Record<WorkerName, string>>;
  readonly entryOf: (worker: WorkerName) => string;
  readonly helpOf: (command: string) => Promise<string>;
  /** One JSON object a line is appended. */
  readonly callsFile: string;
  /** @throws Failure where a rehearsal wants the platform to fail. */
  readonly onCall?: (command: string, worker: WorkerName, args: readonly string[]) => void;
  /** A version's script, when it is another than its entry bundles to. */
  readonly script?: (worker: WorkerName, entry: string, facts: BuildFacts) => Promise<string>;
}

interface Version {
  readonly id: string;
  readonly script: string;
  readonly tag: string;
}

interface Deployed {
  readonly versions: Version[];
  shares: readonly { readonly id: string; readonly percentage: number }[];
  /** Whose script the serving worker runs. */
  active: string;
}

const WORKER_NAMES: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];

export function standIn(parts: StandInParts): Platform {
  const { stack, routers, callsFile } = parts;
  mkdirSync(dirname(callsFile), { recursive: true });
  const deployed = new Map<WorkerName, Deployed>(
    WORKER_NAMES.map((worker) => {
      const id = randomUUID();
      return [
        worker,
        {
          versions: [{ id, script: parts.serving[worker], tag: "former" }],
          shares: [{ id, percentage: 100 }],
          active: id,
        },
      ];
    }),
  );
  const of = (worker: WorkerName): Deployed => {
    const found = deployed.get(worker);
    if (found === undefined) throw new Failure(`${worker} does not exist`);
    return found;
  };
  const route = (worker: WorkerName): void => {
    const { shares, active } = of(worker);
    routers[worker].set(
      shares.map(({ id, percentage }) => ({
        versionId: id,
        percentage,
        port: id === active ? parts.servingPorts[worker] : parts.candidatePorts[worker],
      })),
    );
  };
  for (const worker of WORKER_NAMES) route(worker);

  /** The scripts that serve and those beside them, as the shares say. */
  async function exchange(): Promise<void> {
    const scripts: Partial<Record<WorkerName, string>> = {};
    const candidates: Partial<Record<WorkerName, { script: string; port: number }>> = {};
    for (const worker of WORKER_NAMES) {
      const { versions, shares, active } = of(worker);
      const scriptOf = (id: string): string => versions.find((version) => version.id === id)?.script ?? "";
      scripts[worker] = scriptOf(active);
      const other = shares.find(({ id }) => id !== active);
      if (other !== undefined) candidates[worker] = { script: scriptOf(other.id), port: parts.candidatePorts[worker] };
    }
    const pausedAll = WORKER_NAMES.reduce<() => Promise<void>>(
      (work, worker) => () => routers[worker].paused(work),
      async () => {
        await stack.reload(scripts, candidates);
        for (const worker of WORKER_NAMES) route(worker);
      },
    );
    await pausedAll();
  }

  async function share(
    worker: WorkerName,
    wanted: readonly { readonly id: string; readonly percentage: number }[],
  ): Promise<void> {
    const now = of(worker);
    for (const { id } of wanted) {
      if (!now.versions.some((version) => version.id === id)) throw new Failure(`${worker} has no version ${id}`);
    }
    if (wanted.reduce((sum, { percentage }) => sum + percentage, 0) !== 100 || wanted.length > 2)
      throw new Failure("one version or two, 100 % together");
    const before = now.shares
      .map(({ id }) => id)
      .sort()
      .join();
    now.shares = wanted;
    const alone = wanted.find(({ percentage }) => percentage === 100);
    if (wanted.length === 1 && alone !== undefined) now.active = alone.id;
    if (
      before !==
      wanted
        .map(({ id }) => id)
        .sort()
        .join()
    )
      await exchange();
    route(worker);
  }

  async function answer(command: string, worker: WorkerName, args: readonly string[]): Promise<string> {
    const now = of(worker);
    switch (command) {
      case "versions upload":
      case "deploy": {
        const facts = factsIn(args);
        const bundle = parts.script ?? ((_worker, entry, built) => bundleWorker(entry, built));
        const version = {
          id: randomUUID(),
          script: await bundle(worker, parts.entryOf(worker), facts),
          tag: optionOf(args, "--tag"),
        };
        now.versions.push(version);
        if (command === "deploy") await share(worker, [{ id: version.id, percentage: 100 }]);
        return `Worker Version ID: ${version.id}\n`;
      }
      case "versions list":
        return JSON.stringify(
          now.versions.slice(-10).map(({ id, tag }) => ({ id, annotations: { "workers/tag": tag } })),
        );
      case "versions view":
        return JSON.stringify({ id: args[2], resources: { script_runtime: {} } });
      case "deployments status":
        return JSON.stringify({ versions: now.shares.map(({ id, percentage }) => ({ version_id: id, percentage })) });
      case "versions deploy": {
        const specs = args.slice(2).flatMap((arg) => {
          const [, id, percentage] = /^([0-9a-f-]{36})@(\d+)%?$/.exec(arg) ?? [];
          return id === undefined ? [] : [{ id, percentage: Number(percentage) }];
        });
        await share(worker, specs);
        return "";
      }
      case "triggers deploy":
        return "";
      case "secret list":
        return JSON.stringify(
          secretsOf(worker)
            .filter(({ name }) => SECRETS.some((spec) => spec.name === name))
            .map(({ name }) => ({ name })),
        );
      default:
        throw new Failure(`a rehearsal has no ${command}`);
    }
  }

  return {
    async wrangler(args) {
      const command = commandOf(args);
      const unknown = unknownFlags(await parts.helpOf(command), args.slice(command.split(" ").length));
      appendFileSync(callsFile, `${JSON.stringify({ at: new Date().toISOString(), args, unknown })}\n`);
      if (unknown.length > 0) throw new Failure(`wrangler ${command} knows no ${unknown.join(", ")}`);
      const config = optionOf(args, "--config");
      const worker = WORKER_NAMES.find((name) => CONFIGS[name] === config);
      if (worker === undefined) throw new Failure(`${config} is no worker's configuration`);
      parts.onCall?.(command, worker, args);
      return answer(command, worker, args);
    },
  };
}

const optionOf = (args: readonly string[], name: string): string => {
  const place = args.indexOf(name);
  return place === -1 ? "" : (args[place + 1] ?? "");
};

/** As wrangler would put them into the bundle. */
function factsIn(args: readonly string[]): BuildFacts {
  const defines = new Map(
    args.flatMap((arg, index) => {
      const [, name, value] = args[index - 1] === "--define" ? (/^(\w+):([\s\S]*)$/.exec(arg) ?? []) : [];
      return name === undefined || value === undefined ? [] : [[name, String(JSON.parse(value))] as const];
    }),
  );
  const of = (name: string): string => {
    const value = defines.get(name);
    if (value === undefined) throw new Failure(`the upload does not define ${name}`);
    return value;
  };
  return { version: of("__VERSION__"), commit: of("__COMMIT__"), builtAt: of("__BUILT_AT__") };
}
