/**
 * `npm run restore:drill`: restores the newest snapshot of a running system on this machine, as a loss would have it, says what each class
 * of data would have cost, and tells the system how it went.
 */
import { parseArgs } from "node:util";
import * as z from "zod";
import { parseVerifierKey, type VerifierKey } from "../src/ledger/note.ts";
import { acceptedValues } from "../src/platform/secrets.ts";
import { makeBar } from "./lib/backup/bar.ts";
import { runDrill, servedKeys } from "./lib/backup/drill.ts";
import { environmentOf, makeSnapshot, siteOf } from "./lib/backup/site.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = `npm run restore:drill -- [--env local|staging|production] [--snapshot NAME] [--key VKEY] [--hub]

Without --snapshot the newest good one; when there is none, one is made. Without --key the log's keys as it serves them.
It fails when an entry older than five minutes is in no backup. --hub drills the hub's; core alone keeps a list of drills.`;

const backupsSchema = z.object({
  runs: z.array(z.object({ name: z.string(), state: z.string() })),
  covered: z.number(),
});

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      env: { type: "string", default: "local" },
      snapshot: { type: "string" },
      key: { type: "string", multiple: true, default: [] },
      hub: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const printer = makePrinter(process.stdout, process.env);
  const bar = makeBar(process.stderr);
  const environment = environmentOf(values.env, process.env);
  const secrets = acceptedValues(environment, "BACKUP_ENCRYPTION_KEY");
  if (secrets.length === 0) throw new Failure("set BACKUP_ENCRYPTION_KEY: without it the files do not open");
  const of = values.hub ? "hub" : "core";
  const site = siteOf(of, environment, values.env);
  const given = keysOf(values.key);
  const logKeys = values.hub || given.length > 0 ? given : await servedKeys(site.operator.url);
  const { runs } = backupsSchema.parse(await site.operator.ask(`${site.base}/backups`));
  const snapshot =
    values.snapshot ??
    runs.find(({ state }) => state === "good")?.name ??
    (await makeSnapshot(site, "drill", () => {})).name;
  try {
    const drilled = await runDrill({
      site,
      of,
      snapshot,
      auditorToken: environment.AUDITOR_TOKEN,
      warn: (line) => printer.warn(line),
      secrets,
      logKeys,
      progress: bar.show,
    });
    bar.end();
    const { entries, fetchMs, checkMs, restoreMs, recovery } = drilled;
    const perSecond = Math.round((1_000 * entries) / Math.max(1, checkMs + restoreMs));
    printer.line(`${printer.paint("green", "good")}  ${snapshot}`);
    if (!values.hub)
      printer.fact("restored", `${entries.toLocaleString("en")} entries, ${perSecond.toLocaleString("en")} a second`);
    printer.fact(
      "took",
      `${seconds(fetchMs)} to fetch, ${seconds(checkMs)} to check, ${seconds(restoreMs)} to restore`,
    );
    for (const line of recovery) printer.fact("recovery", line);
  } finally {
    bar.end();
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const keysOf = (texts: readonly string[]): readonly VerifierKey[] =>
  texts.map((text) => {
    const key = parseVerifierKey(text.trim());
    if (key?.type !== "ed25519") throw new Failure("--key is not the verifier key of a log");
    return key;
  });

main().catch((error: unknown) => {
  console.error(`restore:drill: ${messageOf(error)}`);
  process.exitCode = 1;
});
