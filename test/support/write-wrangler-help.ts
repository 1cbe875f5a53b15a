/** Writes wrangler-help.json: what the installed wrangler says of each command that the scripts use. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../scripts/lib/bundle.ts";

const COMMANDS = [
  "d1 execute",
  "d1 export",
  "d1 insights",
  "d1 time-travel info",
  "d1 time-travel restore",
  "d1 migrations apply",
  "secret put",
  "secret delete",
  "secret list",
  "secret bulk",
  "versions upload",
  "versions deploy",
  "versions list",
  "versions view",
  "deployments status",
  "triggers deploy",
  "deploy",
];

const { version } = JSON.parse(readFileSync(join(projectRoot, "node_modules/wrangler/package.json"), "utf8"));
const help = Object.fromEntries(
  COMMANDS.map((command) => [
    command,
    execFileSync(
      process.execPath,
      [join(projectRoot, "node_modules/wrangler/bin/wrangler.js"), ...command.split(" "), "--help"],
      { encoding: "utf8", env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" } },
    ),
  ]),
);
writeFileSync(join(import.meta.dirname, "wrangler-help.json"), `${JSON.stringify({ version, help }, null, 2)}\n`);
