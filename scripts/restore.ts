/**
 * `scripts/restoreAndVerifyLedgerSnapshot.sh`: checks an archive (checksum, manifest, every file), restores it into a new database, and
 * offers that only when chain, tree, signed checkpoint and anchors agree with it.
 */
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { backupKeys } from "../src/backup/sealed-file.ts";
import { acceptedValues } from "../src/platform/secrets.ts";
import { pruneKeyArchives, writeArchive } from "./lib/backup/archive.ts";
import { makeBar } from "./lib/backup/bar.ts";
import { type HeldAgainst, heldAgainst, requireIndependent } from "./lib/backup/promises.ts";
import { recoveryPoints } from "./lib/backup/recovery.ts";
import { type Restored, restoreArchive } from "./lib/backup/restore.ts";
import { type Environment, environmentOf, remoteSnapshot, siteOf } from "./lib/backup/site.ts";
import { dataTarget, fileTarget } from "./lib/backup/target.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter, type Printer } from "./lib/print.ts";

const USAGE = `scripts/restoreAndVerifyLedgerSnapshot.sh [--env local|staging|production] <archive | --snapshot NAME> [options]

  --snapshot NAME  fetches it from the system of --env, with its wrapped keys and tail as they are now
  --into FILE      the new SQLite database (BACKUP_DIR/restored-<name>.sqlite)
  --data DIR       instead: a new data directory for npm start -- --data DIR
  --key VKEY       the log's verifier key, pinned; once for each key (that of the environment's LEDGER_SIGNING_KEY)
  --log URL        the log as it is served: the restore must reach its newest checkpoint (LEDGER_LOG_URL, or ITRANS_CORE_URL's)
  --checkpoint F   a checkpoint that was kept: the restore must reach it
  --rpc URL --chain-id N --contract ADDR   the chain: the restore must reach its newest anchor (EVM_RPC_URL, CHAIN_ID,
                   ANCHOR_CONTRACT_ADDRESS)
  --unverified     restores also where neither checkpoint nor anchor can be had, which otherwise is refused
  --new-ledger ID  where the backup falls short of what was promised: opens a new ledger whose entry 0 names the old one, the
                   promise and what there is of it
  --without-keys   restores without the wrapped keys: ids stay hashes and no payload opens
  --hub            of the hub, with --snapshot
  --json           the last line on stdout is one summary object

BACKUP_ENCRYPTION_KEY opens the files (and BACKUP_ENCRYPTION_KEY_PREVIOUS). What is in brackets is taken from the environment, .env.E or
.dev.vars where the option is not given. Exit code 0: restored, and held against what the last lines say.`;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        env: { type: "string", default: "local" },
        snapshot: { type: "string" },
        into: { type: "string" },
        data: { type: "string" },
        key: { type: "string", multiple: true, default: [] },
        log: { type: "string" },
        checkpoint: { type: "string" },
        rpc: { type: "string" },
        "chain-id": { type: "string" },
        contract: { type: "string" },
        "new-ledger": { type: "string" },
        unverified: { type: "boolean", default: false },
        "without-keys": { type: "boolean", default: false },
        hub: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new Failure(messageOf(error));
  }
}

type Values = ReturnType<typeof readArguments>["values"];

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const printer = makePrinter(values.json ? process.stderr : process.stdout, process.env);
  const bar = makeBar(process.stderr);
  const environment = environmentOf(values.env, process.env);
  const secrets = acceptedValues(environment, "BACKUP_ENCRYPTION_KEY");
  if (secrets.length === 0) throw new Failure("set BACKUP_ENCRYPTION_KEY: without it the files do not open");
  const directory = resolve(projectRoot, environment.BACKUP_DIR ?? ".data/backups");
  const archive = await archiveOf(values, positionals, environment, directory, bar.show);
  const continuesAs = values["new-ledger"];
  if (continuesAs !== undefined && !/^[a-z0-9-]{1,32}$/.test(continuesAs))
    throw new Failure("--new-ledger is 1 to 32 lower-case letters, digits and hyphens");
  const into = resolve(
    values.data ?? values.into ?? join(directory, `restored-${basename(archive, ".tar.gz")}.sqlite`),
  );
  let held: HeldAgainst | undefined;
  const restored = await restoreArchive(archive, {
    keys: backupKeys(secrets),
    async promisesFor(manifest) {
      const { key, log, checkpoint, rpc, contract } = values;
      held = await heldAgainst(
        manifest,
        { keys: key, log, checkpoint, rpc, chainId: values["chain-id"], contract },
        environment,
      );
      requireIndependent(held, values.unverified);
      return held;
    },
    continuesAs,
    withoutKeys: values["without-keys"],
    targetOf: (manifest) => (values.data === undefined ? fileTarget(into, manifest) : dataTarget(into, manifest)),
    progress: bar.show,
  });
  bar.end();
  if (held === undefined) throw new Error("a restore asks what it is held against");
  report(printer, restored, into, held, continuesAs);
  if (values.json) {
    const { manifest, state, checkMs, restoreMs } = restored;
    const { size, counts } = state;
    const { independent, compared, notCompared } = held;
    const against = { independent, compared, notCompared };
    console.log(JSON.stringify({ name: manifest.name, into, size, counts, checkMs, restoreMs, ...against }));
  }
}

async function archiveOf(
  values: Values,
  positionals: readonly string[],
  environment: Environment,
  directory: string,
  progress: ReturnType<typeof makeBar>["show"],
): Promise<string> {
  const [path, ...more] = positionals;
  if (more.length > 0 || (path === undefined) === (values.snapshot === undefined)) {
    throw new Failure("name one archive, or --snapshot NAME (--help)");
  }
  if (path !== undefined) return resolve(path);
  const name = values.snapshot ?? "";
  const site = siteOf(values.hub ? "hub" : "core", environment, values.env);
  pruneKeyArchives(directory, Date.now());
  const source = await remoteSnapshot(site, name).catch((error: unknown) => {
    throw new Failure(
      `${name} can not be fetched from ${site.operator.url} (${messageOf(error)}); an archive that was kept is named itself`,
    );
  });
  // Keys and tail as they are now: those of an archive's own day miss what was erased and what was appended since.
  return (await writeArchive(source, directory, progress)).archive;
}

function report(
  printer: Printer,
  restored: Restored,
  into: string,
  { promises, compared, notCompared, independent }: HeldAgainst,
  continuesAs: string | undefined,
): void {
  const { manifest, state, rows, checkMs, restoreMs } = restored;
  const { counts, size } = state;
  const perSecond = Math.round((1_000 * size) / Math.max(1, restoreMs));
  printer.line(`${printer.paint("green", "restored")}  ${manifest.name}`);
  printer.fact("files", `${manifest.files.length} held against the manifest in ${(checkMs / 1_000).toFixed(1)} s`);
  if (manifest.ledger !== null) {
    printer.fact(
      "ledger",
      `${size.toLocaleString("en")} entries: hashes, chain and tree hold (${perSecond.toLocaleString("en")} entries/s with all that follows)`,
    );
    const { checkpoint, anchor } = manifest.ledger;
    printer.fact("checkpoint", checkpoint === null ? "none" : `${checkpoint.size} entries, the snapshot's own`);
    printer.fact("anchor", anchor === null ? "none" : `${anchor.size} entries, block ${anchor.blockNumber}, its own`);
    for (const { what, size: promised } of promises.slice(-3)) {
      printer.fact(promised > size ? "missed" : "reached", `${what}: ${promised} entries`);
    }
    if (continuesAs !== undefined) {
      printer.warn(`${manifest.ledger.id} ends here; ${continuesAs} begins, and its entry 0 says so (docs/backup.md)`);
    }
    const { subjects, erased, withoutKey, keys, payloads, sentAgain, askedAgain } = counts;
    printer.fact("subjects", `${subjects}, ${erased} erased, ${withoutKey} whose key no backup holds`);
    printer.fact("payloads", `${payloads} parts, ${keys} wrapped keys`);
    printer.fact("relay", `paused; ${sentAgain} deliveries of unknown fate are due again under their event ids`);
    if (continuesAs === undefined)
      printer.fact("settlements", `${askedAgain} under way: the operator is asked about each before anything is sent`);
  }
  for (const line of compared) printer.fact("compared", line);
  for (const line of notCompared) printer.warn(`not compared: ${line}`);
  if (!independent)
    printer.warn("--unverified: nothing but the backup itself says that this is the ledger, and all of it");
  const { attachments, attachmentsWithout } = counts;
  if (manifest.of === "medlink-hub")
    printer.fact("attachments", `${attachments} restored; ${attachmentsWithout} rows whose object the backup has not`);
  printer.fact(
    "rows",
    `${Object.values(rows)
      .reduce((sum, n) => sum + n, 0)
      .toLocaleString("en")} in all`,
  );
  for (const line of recoveryPoints(restored)) printer.fact("recovery", line);
  printer.fact("took", `${((checkMs + restoreMs) / 1_000).toFixed(1)} s`);
  printer.fact("database", into.startsWith(projectRoot) ? relative(projectRoot, into) : into);
}

main().catch((error: unknown) => {
  console.error(`restore: ${messageOf(error)}`);
  process.exitCode = 1;
});
