/**
 * `npm test`: every project of vitest.config.ts. The browser's tests come last and by themselves: the whole system stands behind
 * them as long as vitest runs. With arguments it is `vitest run` with these.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { projectRoot } from "./lib/bundle.ts";

const given = process.argv.slice(2);
const runs =
  given.length > 0
    ? [given]
    : [
        ["--project", "!browser"],
        ["--project", "browser"],
      ];
let code = 0;
for (const args of runs) {
  const vitest = join(projectRoot, "node_modules/vitest/vitest.mjs");
  const { status } = spawnSync(process.execPath, [vitest, "run", ...args], { stdio: "inherit" });
  code ||= status ?? 1;
}
process.exit(code);
