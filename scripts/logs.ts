/** `npm run logs`: events of the workers, of the local run or of a deployed environment: live by `wrangler tail`, or from its past. */
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { LOG_LEVELS } from "../src/platform/log.ts";
import type { WorkerName } from "../src/platform/secrets.ts";
import { projectRoot } from "./lib/bundle.ts";
import { valuesOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { cutObjects, isWanted, type LogFilter, linesOfTail, readEvent, showEvent, sinceOf } from "./lib/log-lines.ts";
import { ENVIRONMENTS, type EnvironmentName, type RemoteEnvironment } from "./lib/platform.ts";
import { WORKERS } from "./lib/stack.ts";
import { pastLines, telemetryAccess } from "./lib/telemetry.ts";

const USAGE = `npm run logs [-- options]           events of the last local run, oldest first
npm run logs:errors                 errors only
npm run logs:edi                    EDI and FHIR only

  --env E              of a deployed environment instead: staging or production; live, by wrangler tail
  --since T            15m, 2h, or RFC 3339; with --env from there until now, as the platform keeps it, which takes
                       CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN in the environment or in .env.E
  --level L            ${LOG_LEVELS.join(", ")}: this and above (debug)
  --worker W           ${Object.keys(WORKERS).join(", ")}
  --event NAME         such as request, or relay.*
  --correlation-id ID  one caller's way through all workers
  --data DIR           where the local run keeps its data (.data)
  --json               the lines as they are`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    env: { type: "string" },
    since: { type: "string" },
    level: { type: "string", default: "debug" },
    worker: { type: "string" },
    event: { type: "string" },
    "correlation-id": { type: "string" },
    data: { type: "string", default: ".data" },
    edi: { type: "boolean" },
    json: { type: "boolean" },
  },
});

function filterOf(): LogFilter {
  const least = LOG_LEVELS.find((level) => level === values.level);
  if (least === undefined) throw new Failure(`--level is one of ${LOG_LEVELS.join(", ")}`);
  if (values.worker !== undefined && !Object.hasOwn(WORKERS, values.worker)) {
    throw new Failure(`--worker is one of ${Object.keys(WORKERS).join(", ")}`);
  }
  return {
    since: values.since === undefined ? undefined : sinceOf(values.since, Date.now()),
    least,
    worker: values.worker,
    event: values.event,
    correlationId: values["correlation-id"],
    edi: values.edi,
  };
}

function print(line: string, filter: LogFilter): void {
  const event = readEvent(line);
  if (event !== undefined && isWanted(event, filter)) console.log(values.json === true ? line : showEvent(event));
}

async function local(filter: LogFilter): Promise<void> {
  const path = join(resolve(projectRoot, values.data), "workers.log");
  if (!existsSync(path)) throw new Failure(`there is no ${path}: npm start writes it, --data names another directory`);
  for await (const line of createInterface(createReadStream(path))) print(line, filter);
}

const isRemote = (name: EnvironmentName): name is RemoteEnvironment => name !== "local";

/** From now on, or from a time on until now. */
async function deployed(given: string, filter: LogFilter): Promise<void> {
  const environment = ENVIRONMENTS.filter(isRemote).find((name) => name === given);
  if (environment === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.filter(isRemote).join(", ")}`);
  const all: readonly WorkerName[] = ["itrans-core", "itrans-relay", "medlink-hub"];
  const names = all.filter((name) => values.worker === undefined || values.worker === name);
  if (filter.since === undefined) await Promise.all(names.map((name) => tail(name, environment, filter)));
  else await past(names, environment, filter, filter.since);
}

async function past(
  names: readonly WorkerName[],
  environment: RemoteEnvironment,
  filter: LogFilter,
  since: number,
): Promise<void> {
  const access = telemetryAccess(valuesOf(environment, process.env));
  const now = Date.now();
  const read = await Promise.all(
    names.map((name) => pastLines(access, name, environment, since, now, filter.correlationId)),
  );
  const events = read.flatMap(({ lines }) => lines.flatMap((line) => ({ line, at: readEvent(line)?.at ?? "" })));
  for (const { line } of events.sort((a, b) => a.at.localeCompare(b.at))) print(line, filter);
  if (read.some(({ cut }) => cut))
    console.error("There is more: these are the newest lines. Ask for less, with --worker or --since.");
}

function tail(name: WorkerName, environment: string, filter: LogFilter): Promise<void> {
  const wrangler = join(projectRoot, "node_modules", ".bin", "wrangler");
  const child = spawn(wrangler, ["tail", "-c", WORKERS[name].config, "--env", environment, "--format", "json"], {
    cwd: projectRoot,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    const cut = cutObjects(rest + chunk);
    rest = cut.rest;
    for (const object of cut.objects) for (const line of linesOfTail(object)) print(line, filter);
  });
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code) =>
      code === 0 ? done() : failed(new Failure(`the tail of ${name} ended: exit ${code}`)),
    );
  });
}

// Whoever reads may have seen enough.
process.stdout.on("error", () => process.exit(0));
try {
  if (values.help === true) console.log(USAGE);
  else if (values.env === undefined) await local(filterOf());
  else await deployed(values.env, filterOf());
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
