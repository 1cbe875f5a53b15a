/**
 * `scripts/restoreAndVerifyLedgerSnapshot.sh`: checks an archive (checksum, manifest, every file), restores it into a new database, and
 * offers that only when chain, tree, signed checkpoint and anchors agree with it.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Promised } from "../src/backup/restore-files.edge.ts";
import { backupKeys } from "../src/backup/sealed-file.ts";
import { openCheckpoint } from "../src/ledger/checkpoint.ts";
import { parseVerifierKey, type VerifierKey } from "../src/ledger/note.ts";
import { fromUtf8, toHex } from "../src/platform/encoding.ts";
import { acceptedValues } from "../src/platform/secrets.ts";
import { writeArchive } from "./lib/backup/archive.ts";
import { makeBar } from "./lib/backup/bar.ts";
import { recoveryPoints } from "./lib/backup/recovery.ts";
import { type Restored, restoreArchive } from "./lib/backup/restore.ts";
import { type Environment, environmentOf, remoteSnapshot, siteOf } from "./lib/backup/site.ts";
import { dataTarget, fileTarget } from "./lib/backup/target.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { logSource } from "./lib/log-source.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { checkChain, readAnchors } from "./lib/verify-chain.ts";

const USAGE = `scripts/restoreAndVerifyLedgerSnapshot.sh [--env local|staging|production] <archive | --snapshot NAME> [options]

  --snapshot NAME  fetches it from the system of --env, with its wrapped keys
  --into FILE      the new SQLite database (BACKUP_DIR/restored-<name>.sqlite)
  --data DIR       instead: a new data directory for npm start -- --data DIR
  --key VKEY       the log's verifier key, pinned; once for each key
  --log URL        the log as it is served: the restore must reach its newest checkpoint
  --checkpoint F   a checkpoint that was kept: the restore must reach it
  --rpc URL --chain-id N --contract ADDR   the chain: the restore must reach its newest anchor
  --new-ledger ID  where the backup falls short of what was promised: opens a new ledger whose entry 0 names the old one, the
                   promise and what there is of it; with --key and --log or --checkpoint, or --rpc
  --without-keys   restores without the wrapped keys: ids stay hashes and no payload opens
  --hub            of the hub, with --snapshot
  --json           the last line on stdout is one summary object

BACKUP_ENCRYPTION_KEY opens the files (and BACKUP_ENCRYPTION_KEY_PREVIOUS). Exit code 0: restored and verified.`;

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
  const { logKeys, promises } = await promisesOf(values, environment);
  const continuesAs = values["new-ledger"];
  if (continuesAs !== undefined && !/^[a-z0-9-]{1,32}$/.test(continuesAs))
    throw new Failure("--new-ledger is 1 to 32 lower-case letters, digits and hyphens");
  const into = resolve(
    values.data ?? values.into ?? join(directory, `restored-${basename(archive, ".tar.gz")}.sqlite`),
  );
  const restored = await restoreArchive(archive, {
    keys: backupKeys(secrets),
    logKeys,
    promises,
    continuesAs,
    withoutKeys: values["without-keys"],
    targetOf: (manifest) => (values.data === undefined ? fileTarget(into, manifest) : dataTarget(into, manifest)),
    progress: bar.show,
  });
  bar.end();
  report(printer, restored, into, logKeys, promises, continuesAs);
  if (values.json) {
    const { manifest, state, checkMs, restoreMs } = restored;
    console.log(
      JSON.stringify({ name: manifest.name, into, size: state.size, counts: state.counts, checkMs, restoreMs }),
    );
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
  const known = join(directory, `itrans-${values.hub ? "hub" : "ledger"}-${name}.tar.gz`);
  if (existsSync(known)) return known;
  const site = siteOf(values.hub ? "hub" : "core", environment, values.env);
  return (await writeArchive(await remoteSnapshot(site, name), directory, progress)).archive;
}

/** What the ledger was promised to be, by whoever keeps such promises apart from the backup. */
async function promisesOf(
  values: Values,
  environment: Environment,
): Promise<{ readonly logKeys: readonly VerifierKey[]; readonly promises: readonly Promised[] }> {
  const logKeys = values.key.map((text) => {
    const key = parseVerifierKey(text.trim());
    if (key?.type !== "ed25519") throw new Failure("--key is not the verifier key of a log");
    return key;
  });
  const promises: Promised[] = [];
  const add = async (note: string, what: string): Promise<void> => {
    if (logKeys.length === 0) throw new Failure(`${what} is trusted by its signature: pin the log's key with --key`);
    const opened = await openCheckpoint(note, logKeys);
    if (opened.type === "refused") throw new Failure(`${what} can not be trusted: ${opened.reason}`);
    promises.push({ size: opened.checkpoint.size, rootHash: toHex(opened.checkpoint.root), what });
  };
  if (values.checkpoint !== undefined)
    await add(readFileSync(values.checkpoint, "utf8"), "the checkpoint that was kept");
  if (values.log !== undefined) {
    const note = await logSource(values.log, environment.AUDITOR_TOKEN).fetchFile("checkpoint");
    if (note === undefined) throw new Failure(`there is no checkpoint at ${values.log}`);
    await add(fromUtf8(note), "the published checkpoint");
  }
  if (values.rpc !== undefined) {
    const chainId = Number(values["chain-id"]);
    const { contract } = values;
    if (!Number.isSafeInteger(chainId) || contract === undefined)
      throw new Failure("--rpc needs --chain-id and --contract");
    const chain = { rpcUrl: values.rpc, chainId, contract };
    await checkChain(chain);
    const { anchors, faults } = await readAnchors(chain, undefined);
    if (faults[0] !== undefined) throw new Failure(faults[0]);
    for (const { size, rootHash } of anchors) promises.push({ size, rootHash, what: "the anchor on the chain" });
  }
  return { logKeys, promises };
}

function report(
  printer: Printer,
  restored: Restored,
  into: string,
  logKeys: readonly VerifierKey[],
  promises: readonly Promised[],
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
    const signed = logKeys.length > 0 ? "its signature holds" : "signature not checked: no --key";
    printer.fact("checkpoint", checkpoint === null ? "none" : `${checkpoint.size} entries; ${signed}`);
    printer.fact("anchor", anchor === null ? "none" : `${anchor.size} entries, block ${anchor.blockNumber}`);
    for (const { what, size: promised } of promises.slice(-3)) {
      printer.fact(promised > size ? "missed" : "reached", `${what}: ${promised} entries`);
    }
    if (continuesAs !== undefined) {
      printer.warn(`${manifest.ledger.id} ends here; ${continuesAs} begins, and its entry 0 says so (docs/backup.md)`);
    }
    if (promises.length === 0) printer.warn("not held against what is published: give --log and --key, and --rpc");
    const { subjects, erased, withoutKey, keys, payloads, sentAgain, askedAgain } = counts;
    printer.fact("subjects", `${subjects}, ${erased} erased, ${withoutKey} whose key no backup holds`);
    printer.fact("payloads", `${payloads} parts, ${keys} wrapped keys`);
    printer.fact("relay", `paused; ${sentAgain} deliveries of unknown fate are due again under their event ids`);
    if (continuesAs === undefined)
      printer.fact("settlements", `${askedAgain} under way: the operator is asked about each before anything is sent`);
  }
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
