/**
 * `npm run restore:drill`: restores the newest snapshot of a running system on this machine, as a loss would have it, says what each class
 * of data would have cost, and tells the system how it went.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { backupKeys } from "../src/backup/sealed-file.ts";
import { parseVerifierKey, type VerifierKey } from "../src/ledger/note.ts";
import { acceptedValues } from "../src/platform/secrets.ts";
import { writeArchive } from "./lib/backup/archive.ts";
import { makeBar } from "./lib/backup/bar.ts";
import { recoveryPoints } from "./lib/backup/recovery.ts";
import { restoreArchive } from "./lib/backup/restore.ts";
import { environmentOf, makeSnapshot, remoteSnapshot, siteOf } from "./lib/backup/site.ts";
import { fileTarget } from "./lib/backup/target.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { call } from "./lib/http.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = `npm run restore:drill -- [--env local|staging|production] [--snapshot NAME] [--key VKEY]

Without --snapshot the newest good one; when there is none, one is made. Without --key the log's keys as it serves them.`;

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
  const site = siteOf("core", environment);
  const logKeys = values.key.length > 0 ? keysOf(values.key) : await servedKeys(site.operator.url);
  const startedAt = new Date();
  const { runs } = backupsSchema.parse(await site.operator.ask(`${site.base}/backups`));
  const name =
    values.snapshot ??
    runs.find(({ state }) => state === "good")?.name ??
    (await makeSnapshot(site, "drill", () => {})).name;
  const scratch = mkdtempSync(join(tmpdir(), "itrans-drill-"));
  let entries = 0;
  let reason: string | null = null;
  let report: Record<string, string | number> = {};
  try {
    const began = performance.now();
    const { archive } = await writeArchive(await remoteSnapshot(site, name), scratch, bar.show);
    const fetchMs = performance.now() - began;
    const restored = await restoreArchive(archive, {
      keys: backupKeys(secrets),
      logKeys,
      promises: [],
      withoutKeys: false,
      targetOf: (manifest) => fileTarget(join(scratch, "restored.sqlite"), manifest),
      progress: bar.show,
    });
    bar.end();
    entries = restored.state.size;
    const { checkMs, restoreMs, state } = restored;
    report = {
      fetchMs: Math.round(fetchMs),
      checkMs: Math.round(checkMs),
      restoreMs: Math.round(restoreMs),
      ...state.counts,
    };
    const perSecond = Math.round((1_000 * entries) / Math.max(1, checkMs + restoreMs));
    printer.line(`${printer.paint("green", "good")}  ${name}`);
    printer.fact("restored", `${entries.toLocaleString("en")} entries, ${perSecond.toLocaleString("en")} a second`);
    printer.fact(
      "took",
      `${seconds(fetchMs)} to fetch, ${seconds(checkMs)} to check, ${seconds(restoreMs)} to restore`,
    );
    for (const line of recoveryPoints(restored, startedAt.getTime())) printer.fact("recovery", line);
  } catch (error) {
    reason = messageOf(error).slice(0, 500);
  } finally {
    bar.end();
    rmSync(scratch, { recursive: true, force: true });
  }
  const finishedAt = new Date();
  await site.operator.ask("/operations/restore-drills", {
    method: "POST",
    body: {
      snapshot: name,
      good: reason === null,
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      entries,
      reason,
      report,
    },
  });
  if (reason !== null) throw new Failure(`the drill failed: ${reason}`);
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const keysOf = (texts: readonly string[]): readonly VerifierKey[] =>
  texts.map((text) => {
    const key = parseVerifierKey(text.trim());
    if (key?.type !== "ed25519") throw new Failure("--key is not the verifier key of a log");
    return key;
  });

/** A drill is about the backup: whether the log is what others pinned, `npm run verify` says. */
async function servedKeys(url: string): Promise<readonly VerifierKey[]> {
  const answer = await call(`${url}/ledger/log/key`);
  if (answer.status !== 200 || typeof answer.body !== "string") return [];
  return answer.body
    .split("\n")
    .map(parseVerifierKey)
    .filter((key) => key !== undefined);
}

main().catch((error: unknown) => {
  console.error(`restore:drill: ${messageOf(error)}`);
  process.exitCode = 1;
});
