/** `npm run maintenance:daily`, `maintenance:weekly`, `maintenance:monthly`: the operators' task lists, run and reported. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "./lib/bundle.ts";
import { siteOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { RHYTHMS, runTasks } from "./lib/maintenance/tasks.ts";
import { ENVIRONMENTS } from "./lib/platform.ts";
import { makePrinter } from "./lib/print.ts";
import { remedyIn } from "./lib/remedy.ts";

const USAGE = `npm run maintenance:daily   [-- --env local|staging|production]
npm run maintenance:weekly  [-- --env E]
npm run maintenance:monthly [-- --env E]

Each task is looked at or run; exit 1 when one is not well. The report is under .local/maintenance/. Addresses and keys are in
.env.<environment>; on this machine .dev.vars has them.`;

async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({
    args: rest,
    options: {
      help: { type: "boolean" },
      env: { type: "string", default: "local" },
      data: { type: "string", default: ".data" },
      output: { type: "string", default: join(projectRoot, ".local/maintenance") },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) {
    printer.line(USAGE);
    return 0;
  }
  const rhythm = RHYTHMS.find((name) => name === command);
  const environment = ENVIRONMENTS.find((name) => name === values.env);
  if (rhythm === undefined || environment === undefined) throw new Failure(USAGE);
  const now = Date.now();
  const dataDir = resolve(projectRoot, values.data);
  const parts = { site: siteOf(environment, process.env), environment, now, dataDir };
  const results = await runTasks(rhythm, parts, ({ title, ok, detail, remedy }) => {
    printer.line(
      `  ${ok ? printer.paint("green", "ok    ") : printer.paint("red", "failed")}  ${title}: ${printer.paint("dim", detail)}`,
    );
    if (!ok) printer.warn(`        ${remedyIn(remedy, environment)}`);
  });
  const at = new Date(now).toISOString();
  const path = join(values.output, `${rhythm}-${environment}-${at.replace(/[:.]/g, "-")}`);
  mkdirSync(values.output, { recursive: true });
  const rows = results.map(
    ({ title, ok, detail }) =>
      `| ${title} | ${ok ? "ok" : "**failed**"} | ${detail.replaceAll("|", "/").replaceAll("\n", " ")} |`,
  );
  writeFileSync(
    `${path}.md`,
    [
      `# Maintenance, ${rhythm}: ${environment}`,
      "",
      at,
      "",
      "| Task | Result | Seen |",
      "| --- | --- | --- |",
      ...rows,
      "",
    ].join("\n"),
  );
  writeFileSync(`${path}.json`, `${JSON.stringify({ rhythm, environment, at, results }, null, 2)}\n`);
  printer.note(`Written to ${path}.md and .json.`);
  return results.every(({ ok }) => ok) ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  },
);
