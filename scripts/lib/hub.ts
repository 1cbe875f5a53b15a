/**
 * The hub as its operator calls it. MEDLINK_HUB_URL says where (default: the hub of `npm start`), HUB_OPERATOR_API_KEY who; for
 * a hub on this machine the key is taken from .dev.vars.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import type * as z from "zod";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { type CallOptions, call, summaryOf } from "./http.ts";

const DEFAULT_URL = "http://127.0.0.1:5000";

export interface HubOperator {
  readonly url: string;
  /** @throws Failure with what the hub answered, unless it is 200 and as the schema says. */
  ask<Schema extends z.ZodType>(path: string, schema: Schema, options?: CallOptions): Promise<z.output<Schema>>;
}

export function hubOperatorOf(environment: Readonly<Record<string, string | undefined>>): HubOperator {
  const url = (environment.MEDLINK_HUB_URL ?? DEFAULT_URL).replace(/\/+$/, "");
  const { hostname, protocol } = new URL(url);
  const here = hostname === "127.0.0.1" || hostname === "localhost" || hostname === "[::1]";
  if (!here && protocol !== "https:")
    throw new Failure("MEDLINK_HUB_URL must be https: the key travels with each call");
  const path = join(projectRoot, ".dev.vars");
  // The key of this machine's hub is no other hub's business.
  const local = here && existsSync(path) ? parseEnv(readFileSync(path, "utf8")).HUB_OPERATOR_API_KEY : undefined;
  const key = environment.HUB_OPERATOR_API_KEY ?? local;
  if (key === undefined || key === "") throw new Failure("set HUB_OPERATOR_API_KEY to the hub's operator key");
  return {
    url,
    async ask(path, schema, options = {}) {
      const answer = await call(`${url}${path}`, { ...options, headers: { "x-api-key": key } });
      const parsed = schema.safeParse(answer.body);
      if (answer.status !== 200 || !parsed.success) throw new Failure(`the hub answered ${summaryOf(answer)}`);
      return parsed.data;
    },
  };
}
