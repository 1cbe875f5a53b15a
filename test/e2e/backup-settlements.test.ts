/** A core is lost with a payment sent and not confirmed. The one that is restored asks the operator, and pays once. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { projectRoot } from "../../scripts/lib/bundle.ts";
import { call } from "../../scripts/lib/http.ts";
import { startSimulator } from "../../scripts/lib/operator-simulator/server.ts";
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
const CONTROL = "control";
const CALM = { callsPerMinute: 1_000_000, timeoutMs: 3_000 };
const closing: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
  directory.remove();
});

const settlementSchema = z.looseObject({ status: z.string(), refId: z.string() });

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(100)) {
    const value = await look();
    if (value !== undefined) return value;
  }
  throw new Error(`it never came to this: ${what}`);
}

test("a payment whose confirmation was lost with the ledger is asked about by the restored one, and not sent again", async () => {
  const simulator = await startSimulator({
    port: 0,
    secrets: [secrets.OPERATOR_HMAC_SECRET ?? ""],
    store: ":memory:",
    controlToken: CONTROL,
    behaviour: { ...CALM, timeouts: 1 },
  });
  closing.push(() => simulator.close());
  const start = async (dataDir: string): Promise<Stack> => {
    const stack = await startStack({
      dataDir,
      ports: ANY_PORT,
      workers: ["itrans-core"],
      secrets,
      script,
      settings: () => ({ "itrans-core": { OPERATOR_API_URL: simulator.url, OPERATOR_TIMEOUT_MS: "500" } }),
    });
    closing.unshift(() => stack.dispose());
    return stack;
  };
  const lost = await start(join(directory.path, "data"));
  const { core } = lost.urls;
  const body = signedSubmit(plainPayload("patient-paid"));
  const made = await expectStatus(201, post(`${core}/claims`, KEYS.claims, body));
  const { claimId } = z.looseObject({ claimId: z.string() }).parse(made);
  await expectStatus(200, post(`${core}/claims/${claimId}/finalize`, KEYS.claims, undefined));
  await post(`${core}/claims/${claimId}/settle`, KEYS.claims, undefined);
  await until("the operator has the payment", async () => (simulator.books.count() === 1 ? true : undefined));

  const environment = {
    PATH: process.env.PATH ?? "",
    BACKUP_DIR: join(directory.path, "backups"),
    ITRANS_CORE_URL: core,
    OPERATOR_API_KEY: KEYS.operator,
    BACKUP_ENCRYPTION_KEY: secrets.BACKUP_ENCRYPTION_KEY ?? "",
    LEDGER_SIGNING_KEY: secrets.LEDGER_SIGNING_KEY ?? "",
  };
  const shell = async (name: string, ...parameters: readonly string[]): Promise<unknown> => {
    const options = { env: environment, cwd: directory.path };
    const { stdout } = await run(join(projectRoot, "scripts", name), [...parameters, "--json"], options);
    return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  };
  // Its newest entries are published, and in the archive: this log's checkpoint is what the restore is held against.
  await lost.scheduled("itrans-core");
  const { archive } = z.looseObject({ archive: z.string() }).parse(await shell("backupLedgerSnapshot.sh"));
  const data = join(directory.path, "restored");
  const restored = await shell("restoreAndVerifyLedgerSnapshot.sh", archive, "--data", data);
  expect(restored).toMatchObject({ counts: { askedAgain: 1 }, independent: true });
  await lost.dispose();
  simulator.behave(CALM);

  const stack = await start(data);
  const paid = await until("the payment is settled", async () => {
    await stack.scheduled("itrans-core");
    const listed = await call(`${stack.urls.core}/settlements`, { headers: { "x-api-key": KEYS.operator } });
    const [one] = z.looseObject({ settlements: z.array(settlementSchema) }).parse(listed.body).settlements;
    return one?.status === "COMPLETED" ? one : undefined;
  });
  expect(simulator.books.find(paid.refId, Date.now())).toMatchObject({ status: "COMPLETED" });
  const control = await call(`${simulator.url}/control/status`, { headers: { "x-control-token": CONTROL } });
  expect(control.body).toMatchObject({ transactions: 1, repeats: 0, conflicts: 0 });
  expect((await call(`${stack.urls.core}/ledger/verify`)).body).toMatchObject({ valid: true });
});
