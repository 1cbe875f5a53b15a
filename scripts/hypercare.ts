/** `npm run hypercare:*`: the days after a go-live, as the operating manual's templates want them, filled in from data. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "./lib/bundle.ts";
import { statusMessage } from "./lib/cutover/messages.ts";
import { siteOf } from "./lib/deploy/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { contactIn, gather, liveSince } from "./lib/hypercare/gather.ts";
import { actionItems, isAmiss, messageLines, reviewPage, rowsOf, statusPage } from "./lib/hypercare/report.ts";
import { ENVIRONMENTS } from "./lib/platform.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = `npm run hypercare:status -- [--env E] [--hours 24] [--by NAME]   the daily status, and what to tell stakeholders
npm run hypercare:review -- [--env E] [--since TIME]               the review 72 hours after the go-live

E is local, staging or production (local). Written to .local/hypercare/ as Markdown and JSON. Without --since the review begins
where the newest cutover went live. Exit 1 when a figure is critical (status) or could not be read. Addresses and keys are in .env.<environment>; on this machine .dev.vars has them.`;

const HOUR_MS = 3_600_000;

async function main(): Promise<number> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({
    args: rest,
    options: {
      help: { type: "boolean" },
      env: { type: "string", default: "local" },
      hours: { type: "string", default: "24" },
      since: { type: "string" },
      by: { type: "string" },
      output: { type: "string", default: join(projectRoot, ".local/hypercare") },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) {
    printer.line(USAGE);
    return 0;
  }
  const environment = ENVIRONMENTS.find((name) => name === values.env);
  const hours = Number(values.hours);
  if (environment === undefined || !(hours > 0)) throw new Failure(USAGE);
  const cutovers = join(projectRoot, ".local/cutover");
  const site = siteOf(environment, process.env);
  const now = Date.now();
  const at = new Date(now).toISOString();
  const stamp = at.replace(/[:.]/g, "-");
  mkdirSync(values.output, { recursive: true });
  const keep = (name: string, text: string): string => {
    const path = join(values.output, `${name}-${stamp}`);
    writeFileSync(`${path}.md`, text);
    return path;
  };
  switch (command) {
    case "status": {
      const data = await gather(site, environment, cutovers, now - hours * HOUR_MS, now);
      const page = statusPage(data, at, values.by ?? process.env.USER ?? "on-call");
      const path = keep("status", page);
      writeFileSync(
        `${path}.json`,
        `${JSON.stringify({ at, ...data, rows: rowsOf(data), actionItems: actionItems(data) }, null, 2)}\n`,
      );
      const contact = contactIn(join(cutovers, `${environment}-sign-offs.json`)) ?? "the on-call engineer";
      writeFileSync(`${path}-message.txt`, statusMessage(environment, at, messageLines(data), contact));
      printer.line(page);
      printer.note(`Written to ${path}.md, .json and -message.txt.`);
      return isAmiss(data) ? 1 : 0;
    }
    case "review": {
      const since = values.since === undefined ? liveSince(cutovers, environment)?.at : Date.parse(values.since);
      if (since === undefined) throw new Failure(`no cutover to ${environment} went live from here: give --since`);
      if (!Number.isFinite(since) || since >= now)
        throw new Failure("--since is not a time before now, as 2026-11-22T09:00:00Z");
      const data = await gather(site, environment, cutovers, since, now);
      const page = reviewPage(data, at);
      const path = keep("review", page);
      writeFileSync(
        `${path}.json`,
        `${JSON.stringify({ at, ...data, rows: rowsOf(data), actionItems: actionItems(data) }, null, 2)}\n`,
      );
      printer.line(page);
      printer.note(`Written to ${path}.md and .json; names and lessons are yours to add.`);
      return data.missing.length > 0 ? 1 : 0;
    }
    default:
      throw new Failure(USAGE);
  }
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
