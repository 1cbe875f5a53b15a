/** Where core is and the operator's key: from the environment, else from this copy's .dev.vars. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { type CallOptions, call, summaryOf } from "./http.ts";

export interface Operator {
  readonly url: string;
  readonly key: string;
  /** @throws Failure with what was answered, unless it is 2xx. */
  ask(path: string, options?: Pick<CallOptions, "method" | "body">): Promise<unknown>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the relay answers; it has no operator's key. undefined: it is not known. */
export function relayUrlOf(environment: Environment): string | undefined {
  const given = environment.RELAY_URL ?? "";
  if (given !== "") return given.replace(/\/+$/, "");
  const core = environment.ITRANS_CORE_URL ?? "";
  return core === "" || isHere(core) ? "http://127.0.0.1:3003" : undefined;
}

const isHere = (url: string): boolean => ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);

/** The names under which an environment has an address and the operator's key for it. */
interface Site {
  readonly urlName: string;
  readonly keyName: string;
  readonly localUrl: string;
}

const CORE: Site = { urlName: "ITRANS_CORE_URL", keyName: "OPERATOR_API_KEY", localUrl: "http://127.0.0.1:3002" };
const HUB: Site = { urlName: "MEDLINK_HUB_URL", keyName: "HUB_OPERATOR_API_KEY", localUrl: "http://127.0.0.1:5000" };

export const operatorOf = (environment: Environment): Operator => operatorAt(CORE, environment);

export const hubOperatorOf = (environment: Environment): Operator => operatorAt(HUB, environment);

function operatorAt({ urlName, keyName, localUrl }: Site, environment: Environment): Operator {
  const file = join(projectRoot, ".dev.vars");
  const local = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const given = environment[urlName] ?? "";
  const url = (given === "" ? (local[urlName] ?? localUrl) : given).replace(/\/+$/, "");
  const ownKey = environment[keyName] ?? "";
  // A key of this copy is for this machine: it is never sent elsewhere.
  const isLocal = isHere(url);
  const key = ownKey !== "" ? ownKey : isLocal ? (local[keyName] ?? "") : "";
  if (key === "") throw new Failure(`set ${keyName} (and ${urlName}), or run npm start once on this machine`);
  return {
    url,
    key,
    async ask(path, options = {}) {
      const answer = await call(`${url}${path}`, { ...options, headers: { "x-api-key": key }, timeoutMs: 90_000 });
      if (answer.status < 200 || answer.status > 299) throw new Failure(summaryOf(answer));
      return answer.body;
    },
  };
}
