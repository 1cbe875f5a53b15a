/** Where core is and the operator's key: from the environment, else from this copy's .dev.vars. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { type CallOptions, call, summaryOf } from "./http.ts";

export interface Operator {
  readonly url: string;
  /** @throws Failure with what core answered, unless it is 2xx. */
  ask(path: string, options?: Pick<CallOptions, "method" | "body">): Promise<unknown>;
}

const LOCAL_URL = "http://127.0.0.1:3002";

export function operatorOf(environment: Readonly<Record<string, string | undefined>>): Operator {
  const file = join(projectRoot, ".dev.vars");
  const local = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const given = environment.ITRANS_CORE_URL ?? "";
  const url = (given === "" ? (local.ITRANS_CORE_URL ?? LOCAL_URL) : given).replace(/\/+$/, "");
  const ownKey = environment.OPERATOR_API_KEY ?? "";
  // A key of this copy is for this machine: it is never sent elsewhere.
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
  const key = ownKey !== "" ? ownKey : isLocal ? (local.OPERATOR_API_KEY ?? "") : "";
  if (key === "")
    throw new Failure("set OPERATOR_API_KEY (and ITRANS_CORE_URL), or run npm start once on this machine");
  return {
    url,
    async ask(path, options = {}) {
      const answer = await call(`${url}${path}`, { ...options, headers: { "x-api-key": key }, timeoutMs: 90_000 });
      if (answer.status < 200 || answer.status > 299) throw new Failure(summaryOf(answer));
      return answer.body;
    },
  };
}
