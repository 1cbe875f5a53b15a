/** The values that an operator set for an environment: from its files, and over them from the process. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { projectRoot } from "./bundle.ts";
import type { EnvironmentName } from "./platform.ts";

export type Values = Readonly<Record<string, string | undefined>>;

/**
 * `config/<environment>.env`, over it `.env.<environment>`; on this machine `.dev.vars`; and over all the values of the process that are
 * not empty.
 * @param root where the files are.
 */
export function valuesOf(environment: EnvironmentName, given: Values, root: string = projectRoot): Values {
  const files = environment === "local" ? [".dev.vars"] : [`config/${environment}.env`, `.env.${environment}`];
  const read = files.map((file) => join(root, file)).filter((path) => existsSync(path));
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ""));
  return Object.assign({}, ...read.map((path) => parseEnv(readFileSync(path, "utf8"))), own);
}
