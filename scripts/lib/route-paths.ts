/** Every path that a route declares, as it stands in the label `route` of its metrics. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./bundle.ts";

export function routePaths(): readonly string[] {
  const source = join(projectRoot, "src");
  const declared = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(route|edge)\.tsx?$/.test(name))
    .flatMap((name) => [...readFileSync(join(source, name), "utf8").matchAll(/["'](\/[\w./{}-]*)["']/g)])
    .map(([, path = ""]) => path);
  return [...new Set(declared)].toSorted();
}
