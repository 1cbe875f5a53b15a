/** From a running core to an archive, to a new data directory, to a core that goes on from there. */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { projectRoot } from "../../scripts/lib/bundle.ts";
import { call } from "../../scripts/lib/http.ts";
import { type Stack, startStack } from "../../scripts/lib/stack.ts";
import {
  ANY_PORT,
  bundledOnce,
  expectStatus,
  KEYS,
  plainPayload,
  post,
  secrets,
  signedSubmit,
  temporaryDirectory,
} from "./support/stack.ts";

const run = promisify(execFile);
const script = bundledOnce();
const directory = temporaryDirectory();
const backups = join(directory.path, "backups");
let stack: Stack;
let archive = "";
let erasedId = "";
let keptId = "";

const start = (dataDir: string, settings: Readonly<Record<string, string>> = {}) =>
  startStack({
    dataDir,
    ports: ANY_PORT,
    workers: ["itrans-core"],
    secrets,
    script,
    // A receiver that is never there: deliveries are on their way when the snapshot is made.
    settings: () => ({ "itrans-core": { RELAY_MEDLINK_WEBHOOK_URL: "http://127.0.0.1:9/", ...settings } }),
  });

const environment = () => ({
  PATH: process.env.PATH ?? "",
  BACKUP_DIR: backups,
  ITRANS_CORE_URL: stack.urls.core,
  OPERATOR_API_KEY: KEYS.operator,
  BACKUP_ENCRYPTION_KEY: secrets.BACKUP_ENCRYPTION_KEY ?? "",
  LEDGER_SIGNING_KEY: secrets.LEDGER_SIGNING_KEY ?? "",
});

const shellAt = (coreUrl: string, name: string, ...parameters: readonly string[]) =>
  run(join(projectRoot, "scripts", name), parameters, {
    env: { ...environment(), ITRANS_CORE_URL: coreUrl },
    cwd: directory.path,
  });
const shell = (name: string, ...parameters: readonly string[]) => shellAt(stack.urls.core, name, ...parameters);

const submittedSchema = z.looseObject({ requestId: z.string() });

async function submit(patientId: string): Promise<string> {
  const made = await expectStatus(
    201,
    post(`${stack.urls.core}/workflow/claims`, KEYS.workflow, signedSubmit(plainPayload(patientId))),
  );
  return submittedSchema.parse(made).requestId;
}

beforeAll(async () => {
  stack = await start(join(directory.path, "data"));
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push(await submit(`patient-${i}`));
  [erasedId = "", keptId = ""] = ids;
  await expectStatus(
    200,
    call(`${stack.urls.core}/workflow/requests/${erasedId}/personal-data?reason=PATIENT_REQUEST`, {
      method: "DELETE",
      headers: { "x-api-key": KEYS.workflow },
      body: { reason: "PATIENT_REQUEST" },
    }),
  );
  await stack.scheduled("itrans-core");
});

afterAll(async () => {
  await stack.dispose();
  directory.remove();
});

test("the script writes an archive that tar and sha256sum check by themselves, and the keys apart", async () => {
  const { stdout } = await shell("backupLedgerSnapshot.sh", "--tag", "test", "--json");
  const summary = z
    .object({ archive: z.string(), keys: z.string() })
    .parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  archive = summary.archive;
  expect(archive).toMatch(/itrans-ledger-\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z-test\.tar\.gz$/);
  execFileSync("sha256sum", ["-c", "--quiet", `${archive}.sha256`], { cwd: backups });
  const unpacked = join(directory.path, "unpacked");
  mkdirSync(unpacked);
  execFileSync("tar", ["-xzf", archive, "-C", unpacked]);
  const [root = ""] = readdirSync(unpacked);
  execFileSync("sha256sum", ["-c", "--quiet", "SHA256SUMS"], { cwd: join(unpacked, root) });
  expect(existsSync(join(unpacked, root, "keys"))).toBe(false);
  expect(readdirSync(join(unpacked, root)).sort()).toEqual(["SHA256SUMS", "manifest.json", "objects"]);
});

test("what was appended since comes back with the tail, and a restored core goes on from there with its relay paused", async () => {
  const later = await submit("patient-later");
  // The first cron begins the night's snapshot, and ends it; the second finds what is new since.
  await stack.scheduled("itrans-core");
  const last = await submit("patient-last");
  await stack.scheduled("itrans-core");
  const { stdout } = await shell("backupLedgerSnapshot.sh", "--json");
  const { archive: newest } = z
    .object({ archive: z.string() })
    .parse(JSON.parse(stdout.trim().split("\n").at(-1) ?? ""));
  const key = (await call(`${stack.urls.core}/ledger/log/key`)).body;
  const data = join(directory.path, "restored");
  // With the ledger gone and no other witness of it, nothing but the backup speaks for the backup.
  const alone = shellAt("http://127.0.0.1:9", "restoreAndVerifyLedgerSnapshot.sh", newest, "--data", data);
  await expect(alone).rejects.toThrow("can be held against nothing but itself");
  expect(existsSync(data)).toBe(false);
  const restored = await shell(
    "restoreAndVerifyLedgerSnapshot.sh",
    ...[newest, "--data", data, "--key", String(key).trim(), "--log", `${stack.urls.core}/ledger/log`, "--json"],
  );
  const summary = z
    .object({
      size: z.number(),
      counts: z.object({ erased: z.number(), withoutKey: z.number() }),
      independent: z.boolean(),
      compared: z.array(z.string()),
    })
    .parse(JSON.parse(restored.stdout.trim().split("\n").at(-1) ?? ""));
  expect(summary).toMatchObject({ size: 13, counts: { erased: 1, withoutKey: 0 }, independent: true });
  expect(summary.compared.join()).toContain("the published checkpoint: 13 entries");

  const headers = { "x-api-key": KEYS.workflow, "x-correlation-id": "restore-test" };
  const readAll = () =>
    Promise.all(
      [keptId, later, last, erasedId].map(async (id) => {
        const { status, body } = await call(`${stack.urls.core}/workflow/requests/${id}`, { headers });
        return { status, body };
      }),
    );
  const before = await readAll();
  await stack.dispose();
  stack = await start(data);
  expect(await readAll()).toEqual(before);
  const relay = z.looseObject({ paused: z.boolean(), pending: z.number() });
  const status = relay.parse((await call(`${stack.urls.core}/relay/workflow/status`, { headers })).body);
  expect(status).toMatchObject({ paused: true, pending: 8 });
  await submit("patient-after");
  expect((await call(`${stack.urls.core}/ledger/verify`)).status).toBe(200);
  // A whole round of the scrub opens every payload and replays every projection.
  for (let i = 0; i < 3; i++) await stack.scheduled("itrans-core");
  const verified = await call(`${stack.urls.core}/ledger/verify`);
  expect(verified.body).toMatchObject({ valid: true });
});

test("the restore drill says what each class of data would have cost, and the system shows its result", async () => {
  await shell("backupLedgerSnapshot.sh");
  const { stdout } = await run(
    join(projectRoot, "node_modules/.bin/node"),
    [join(projectRoot, "scripts/restore-drill.ts")],
    {
      env: environment(),
      cwd: directory.path,
    },
  );
  expect(stdout).toContain("good");
  expect(stdout.match(/recovery/g)).toHaveLength(3);
  const listed = await call(`${stack.urls.core}/operations/backups`, { headers: { "x-api-key": KEYS.operator } });
  const { drills } = z
    .looseObject({ drills: z.array(z.looseObject({ state: z.string(), entries: z.number() })) })
    .parse(listed.body);
  expect(drills[0]).toMatchObject({ state: "good", source: "command", reason: null });
  expect(drills[0]?.entries).toBeGreaterThanOrEqual(15);
});

test("where the log was promised larger, a new ledger is opened that names the old one, and a core goes on with it", async () => {
  const data = join(directory.path, "continued");
  const log = `${stack.urls.core}/ledger/log`;
  const key = String((await call(`${log}/key`)).body).trim();
  const held = ["--key", key, "--log", log, "--data", data, "--json"];
  await expect(shell("restoreAndVerifyLedgerSnapshot.sh", archive, ...held)).rejects.toThrow("this backup reaches");
  expect(existsSync(data)).toBe(false);
  await shell("restoreAndVerifyLedgerSnapshot.sh", archive, ...held, "--new-ledger", "main-2");
  const continued = await start(data, {
    LEDGER_ID: "main-2",
    LEDGER_LOG_URL: "https://ledger.example/ledger/main-2/log",
    LEDGER_LOG_PUBLIC: "true",
  });
  try {
    const { core } = continued.urls;
    const offchain = signedSubmit(plainPayload("patient-of-the-new-ledger"));
    const made = await expectStatus(201, post(`${core}/workflow/claims`, KEYS.workflow, offchain));
    expect(made).toMatchObject({ ledger: { id: "main-2", seq: 1 } });
    const { body } = await call(`${core}/ledger/entries/0`);
    expect(JSON.stringify(body)).toContain("LEDGER_CONTINUED");
    for (let i = 0; i < 3; i++) await continued.scheduled("itrans-core");
    expect((await call(`${core}/ledger/verify`)).body).toMatchObject({ valid: true });
  } finally {
    await continued.dispose();
  }
});

test("an archive with one byte changed is refused, and nothing is left of the restore", async () => {
  const bytes = readFileSync(archive);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(archive, bytes);
  const into = join(directory.path, "refused.sqlite");
  await expect(shell("restoreAndVerifyLedgerSnapshot.sh", archive, "--into", into)).rejects.toThrow(
    "is not the archive that",
  );
  expect(readdirSync(directory.path).filter((name) => name.startsWith("refused"))).toEqual([]);
});
