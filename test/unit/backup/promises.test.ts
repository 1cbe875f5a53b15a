/** What a restore is held against, and what it says of that. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { heldAgainst, type Pins, requireIndependent } from "../../../scripts/lib/backup/promises.ts";
import type { Manifest } from "../../../src/backup/manifest.ts";
import { signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { importSigningKey } from "../../../src/ledger/ed25519.ts";
import { formatVerifierKey, makeSigner } from "../../../src/ledger/note.ts";
import { fromHex } from "../../../src/platform/encoding.ts";
import { backupWorld, takeSnapshot } from "../../support/backups.ts";
import { grownWorld, type LedgerWorld } from "../../support/ledger-world.ts";

/** Of the world's signing key and log. */
const LEDGER_SIGNING_KEY = Buffer.alloc(32, 7).toString("base64url");
const LEDGER_ORIGIN = "test.invalid/log";
const OTHER_SIGNING_KEY = Buffer.alloc(32, 8).toString("base64url");

let world: LedgerWorld;
let manifest: Manifest;
let server: Server;
let url = "";
let key = "";
const NO_PINS: Pins = { keys: [] };

beforeAll(async () => {
  world = await grownWorld(20);
  manifest = await takeSnapshot(backupWorld(world.db, world.bucket));
  await world.addSubject("request", 1);
  await world.publish();
  key = formatVerifierKey(world.signer.key);
  server = createServer((request, response) => {
    const bytes = world.bucket.objects.get(`log/main${request.url}`);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => server.close());

const settings = () => ({ LEDGER_ORIGIN, LEDGER_LOG_URL: url });

test("a backup that nothing else can speak for is refused, and restored only where that was asked for in so many words", async () => {
  const held = await heldAgainst(manifest, NO_PINS, settings());
  expect(held).toMatchObject({ independent: false, promises: [], logKeys: [] });
  expect(() => requireIndependent(held, false)).toThrow("can be held against nothing but itself");
  expect(() => requireIndependent(held, false)).toThrow("the published checkpoint: no key is pinned");
  expect(() => requireIndependent(held, true)).not.toThrow();
});

test("key and log are those of the environment where no option names them", async () => {
  const held = await heldAgainst(manifest, NO_PINS, { ...settings(), LEDGER_SIGNING_KEY });
  const { size = 0, rootHash = "" } = world.promised ?? {};
  expect(size).toBeGreaterThan(manifest.ledger?.size ?? 0);
  expect(held.promises).toEqual([{ size, rootHash, what: "the published checkpoint" }]);
  expect(held.logKeys).toEqual([world.signer.key]);
  expect(held.compared.join("\n")).toContain(`the published checkpoint: ${size} entries, signed by the key that`);
  expect(() => requireIndependent(held, false)).not.toThrow();
  expect((await heldAgainst(manifest, { keys: [key], log: url }, {})).promises).toEqual(held.promises);
});

test("a checkpoint that the pinned key did not sign is no checkpoint, the snapshot's own as little as the published one", async () => {
  const other = { ...settings(), LEDGER_SIGNING_KEY: OTHER_SIGNING_KEY };
  await expect(heldAgainst(manifest, NO_PINS, other)).rejects.toThrow("the published checkpoint can not be trusted");
  const { ledger } = manifest;
  const note = ledger?.checkpoint?.note.replace(/\n\d+\n/, "\n1\n") ?? "";
  const forged: Manifest = {
    ...manifest,
    ledger: ledger === null ? null : { ...ledger, checkpoint: { size: 1, rootHash: "0".repeat(64), note } },
  };
  await expect(heldAgainst(forged, { keys: [key], log: url }, {})).rejects.toThrow(
    "the checkpoint of the snapshot can not be trusted",
  );
});

test("a snapshot of before a rotation is held against what today's key signed, and its own signature is told as not compared", async () => {
  const { ledger } = manifest;
  if (ledger === null || ledger.checkpoint === null) throw new Error("the snapshot has a checkpoint");
  const { size, rootHash } = ledger.checkpoint;
  const retired = makeSigner(LEDGER_ORIGIN, await importSigningKey(new Uint8Array(32).fill(9)));
  const note = await signCheckpoint({ origin: LEDGER_ORIGIN, size, root: fromHex(rootHash) }, [retired]);
  const old: Manifest = { ...manifest, ledger: { ...ledger, checkpoint: { size, rootHash, note } } };
  const held = await heldAgainst(old, NO_PINS, { ...settings(), LEDGER_SIGNING_KEY });
  expect(held).toMatchObject({ independent: true, logKeys: [] });
  expect(held.notCompared[0]).toContain("not by the keys of today");
  const known = { ...settings(), LEDGER_SIGNING_KEY, LEDGER_RETIRED_KEYS: formatVerifierKey(retired.key) };
  expect((await heldAgainst(old, NO_PINS, known)).notCompared.join()).not.toContain("signature");
  // A retired key vouches for what it signed in its day, and for nothing published since.
  const stolen = { ...known, LEDGER_SIGNING_KEY: OTHER_SIGNING_KEY, LEDGER_RETIRED_KEYS: key };
  await expect(heldAgainst(manifest, NO_PINS, stolen)).rejects.toThrow("the published checkpoint can not be trusted");
  const given = [key, formatVerifierKey(retired.key)];
  expect((await heldAgainst(old, { keys: given, log: url }, {})).logKeys).toHaveLength(2);
});

test("a log that does not answer is told; one that was named by an option is a failure", async () => {
  const nowhere = "http://127.0.0.1:9";
  const held = await heldAgainst(manifest, NO_PINS, { LEDGER_ORIGIN, LEDGER_LOG_URL: nowhere, LEDGER_SIGNING_KEY });
  expect(held.independent).toBe(false);
  expect(held.notCompared.join("\n")).toContain("does not answer");
  await expect(heldAgainst(manifest, { keys: [key], log: nowhere }, {})).rejects.toThrow("does not answer");
}, 30_000);

test("a log of another ledger is not asked for this one's promises", async () => {
  const held = await heldAgainst(manifest, NO_PINS, { ...settings(), LEDGER_SIGNING_KEY, LEDGER_ID: "main-2" });
  expect(held.promises).toEqual([]);
  expect(held.notCompared.join("\n")).toContain("the environment's ledger is main-2");
});
