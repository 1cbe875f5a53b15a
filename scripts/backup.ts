/**
 * `scripts/backupLedgerSnapshot.sh`: makes a snapshot of a running system, local or deployed, and fetches it as an archive that tar and
 * sha256sum can check. Wrapped keys go into an archive of their own, which is deleted after 30 days.
 */
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { keysEnd, pruneKeyArchives, writeArchive } from "./lib/backup/archive.ts";
import { makeBar } from "./lib/backup/bar.ts";
import { environmentOf, makeSnapshot, remoteSnapshot, siteOf } from "./lib/backup/site.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = `scripts/backupLedgerSnapshot.sh [--env local|staging|production] [--tag T] [options]

  --env E          which system (local); its address and operator key are in the environment or in .env.E (local: .dev.vars)
  --tag T          becomes part of the snapshot's name
  --snapshot NAME  fetches this snapshot instead of making one; of an archive that is there, its keys and tail
  --hub            of the hub instead of core
  --json           the last line on stdout is one summary object

BACKUP_DIR is where the archive goes (.data/backups). It writes itrans-ledger-<time>.tar.gz and .sha256, and beside them
the wrapped keys as .keys.tar.gz, which it deletes when the oldest of them is 30 days old.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      env: { type: "string", default: "local" },
      tag: { type: "string" },
      snapshot: { type: "string" },
      hub: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const printer = makePrinter(values.json ? process.stderr : process.stdout, process.env);
  const bar = makeBar(process.stderr);
  const environment = environmentOf(values.env, process.env);
  const directory = resolve(projectRoot, environment.BACKUP_DIR ?? ".data/backups");
  const site = siteOf(values.hub ? "hub" : "core", environment, values.env);
  const began = performance.now();
  let name = values.snapshot;
  if (name === undefined) {
    const run = await makeSnapshot(site, values.tag, (now) =>
      bar.show(`snapshot: ${now.phase ?? ""}, ${now.newFiles} files written`, 0, Math.max(1, now.size)),
    );
    bar.end();
    name = run.name;
    printer.fact(
      "snapshot",
      `${name}: ${run.size.toLocaleString("en")} entries, ${run.files} files, ${run.newFiles} new`,
    );
  }
  const madeMs = performance.now() - began;
  removePartials(directory);
  for (const old of pruneKeyArchives(directory, Date.now())) printer.fact("deleted", `${old}: 30 days old`);
  const written = await writeArchive(await remoteSnapshot(site, name), directory, bar.show);
  bar.end();
  printer.fact("archive", `${shown(written.archive)} (${statSync(written.archive).size.toLocaleString("en")} bytes)`);
  if (written.keys !== undefined) {
    const until = new Date(keysEnd(written.keys)).toISOString().slice(0, 10);
    printer.fact("keys", `${shown(written.keys)}: keep it apart, and until ${until} at most`);
  }
  const seconds = (performance.now() - began) / 1_000;
  printer.fact("took", `${seconds.toFixed(1)} s, ${(madeMs / 1_000).toFixed(1)} s of them for the snapshot`);
  if (values.json) console.log(JSON.stringify({ name, ...written }));
}

const shown = (path: string): string => (path.startsWith(projectRoot) ? relative(projectRoot, path) : path);

/** What a run that was cut off left. */
function removePartials(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) if (/^itrans-.*\.partial$/.test(name)) rmSync(join(directory, name));
}

main().catch((error: unknown) => {
  console.error(error instanceof Failure ? `backup: ${error.message}` : `backup: ${messageOf(error)}`);
  process.exitCode = 1;
});
