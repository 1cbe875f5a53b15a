/** Where core is and the operator's key: from the environment, else from this copy's .dev.vars. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { type CallOptions, call, summaryOf } from "./http.ts";
import type { EnvironmentName } from "./platform.ts";

export interface Operator {
  readonly url: string;
  readonly key: string;
  /** @throws Failure with what was answered, unless it is 2xx. */
  ask(path: string, options?: Pick<CallOptions, "method" | "body">): Promise<unknown>;
}

type Environment = Readonly<Record<string, string | undefined>>;

export const LOCAL_RELAY_URL = "http://127.0.0.1:3003";

/** Where the relay answers; it has no operator's key. undefined: it is not known. */
export function relayUrlOf(environment: Environment): string | undefined {
  const given = environment.RELAY_URL ?? "";
  if (given !== "") return given.replace(/\/+$/, "");
  const core = environment.ITRANS_CORE_URL ?? "";
  return core === "" || isLoopback(core) ? LOCAL_RELAY_URL : undefined;
}

/** The names under which an environment has an address and the operator's key for it. */
interface Site {
  readonly urlName: string;
  readonly keyName: string;
  readonly localUrl: string;
}

const CORE: Site = { urlName: "ITRANS_CORE_URL", keyName: "OPERATOR_API_KEY", localUrl: "http://127.0.0.1:3002" };
const HUB: Site = { urlName: "MEDLINK_HUB_URL", keyName: "HUB_OPERATOR_API_KEY", localUrl: "http://127.0.0.1:5000" };

/**
 * @param of whose environment this is. Of staging and production nothing of this machine is taken: neither its address nor its keys,
 *   and an address on it is refused, so that no command asks one system and changes another.
 */
export const operatorOf = (environment: Environment, of: EnvironmentName = "local"): Operator =>
  operatorAt(CORE, environment, of);

export const hubOperatorOf = (environment: Environment, of: EnvironmentName = "local"): Operator =>
  operatorAt(HUB, environment, of);

export const isLoopback = (url: string): boolean =>
  URL.canParse(url) && /^(127(\.\d+){3}|localhost|\[::1\]|0\.0\.0\.0)$/.test(new URL(url).hostname);

/** @throws Failure when an address of a deployed system is not set, is not https or is on this machine. */
export function checkDeployedUrl(of: "staging" | "production", name: string, url: string): void {
  if (url === "") throw new Failure(`set ${name} for ${of}, in the environment, .env.${of} or config/${of}.env`);
  if (isLoopback(url)) throw new Failure(`${name} is on this machine, which is not ${of}`);
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") throw new Failure(`${name} is not an https address`);
}

function operatorAt({ urlName, keyName, localUrl }: Site, environment: Environment, of: EnvironmentName): Operator {
  const file = join(projectRoot, ".dev.vars");
  const local = of === "local" && existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const given = environment[urlName] ?? "";
  if (of !== "local") checkDeployedUrl(of, urlName, given);
  const url = (given === "" ? (local[urlName] ?? localUrl) : given).replace(/\/+$/, "");
  if (!URL.canParse(url)) throw new Failure(`${urlName} is not a URL`);
  if (!isLoopback(url) && new URL(url).protocol !== "https:") {
    throw new Failure(`${urlName} must be https: the key travels with each call`);
  }
  const ownKey = environment[keyName] ?? "";
  // A key of this copy is for this machine: it is never sent elsewhere.
  const key = ownKey !== "" ? ownKey : isLoopback(url) ? (local[keyName] ?? "") : "";
  if (key === "" && of !== "local") throw new Failure(`set ${keyName} for ${of}`);
  if (key === "") throw new Failure(`set ${keyName} (and ${urlName}), or run npm start once on this machine`);
  return {
    url,
    key,
    async ask(path, options = {}) {
      const answer = await call(`${url}${path}`, { ...options, headers: { "x-api-key": key }, timeoutMs: 120_000 });
      if (answer.status < 200 || answer.status > 299) throw new Failure(summaryOf(answer));
      return answer.body;
    },
  };
}
