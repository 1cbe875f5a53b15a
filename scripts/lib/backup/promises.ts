/**
 * What a restored ledger is held against: its newest signed checkpoint and its newest anchor, as others keep them. The key comes from the
 * caller or the environment, never from the backup or from the log itself; a contract that only the manifest names is asked, and proves
 * nothing alone.
 */
import { readFileSync } from "node:fs";
import type { Manifest } from "../../../src/backup/manifest.ts";
import type { Promised } from "../../../src/backup/restore-files.edge.ts";
import { openCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { importSigningKey, parseSeed } from "../../../src/ledger/ed25519.ts";
import { logOrigin } from "../../../src/ledger/log-settings.ts";
import { makeSigner, parseVerifierKey, type VerifierKey } from "../../../src/ledger/note.ts";
import { fromUtf8, toHex } from "../../../src/platform/encoding.ts";
import { acceptedValues } from "../../../src/platform/secrets.ts";
import type { Values } from "../environment.ts";
import { Failure, messageOf } from "../fail.ts";
import { LogUnavailable, logSource } from "../log-source.ts";
import { ChainUnavailable, checkChain, readAnchors } from "../verify-chain.ts";

export interface Pins {
  /** Verifier keys of the log, as text. */
  readonly keys: readonly string[];
  readonly log?: string | undefined;
  /** The file of a checkpoint that was kept. */
  readonly checkpoint?: string | undefined;
  readonly rpc?: string | undefined;
  readonly chainId?: string | undefined;
  readonly contract?: string | undefined;
}

export interface HeldAgainst {
  readonly logKeys: readonly VerifierKey[];
  readonly promises: readonly Promised[];
  /** Whether anything of it is not the backup's own word. */
  readonly independent: boolean;
  /** A line each. */
  readonly compared: readonly string[];
  readonly notCompared: readonly string[];
}

export const LOCAL_CORE = "http://127.0.0.1:3002";

/**
 * What is named in `pins` must answer; what only the environment names is told as not compared when it does not.
 * @param values of the environment, and of this process.
 * @throws Failure when something is not what it should be: a checkpoint that the key did not sign, a node of another chain.
 */
export async function heldAgainst(manifest: Manifest, pins: Pins, values: Values): Promise<HeldAgainst> {
  const { ledger } = manifest;
  if (ledger === null) {
    const compared = ["every file, with the sealed manifest; the hub has no ledger that others could have kept"];
    return { logKeys: [], promises: [], independent: true, compared, notCompared: [] };
  }
  const compared: string[] = [];
  const notCompared: string[] = [];
  const keys = await keysOf(pins, manifest, values);
  const retired = (textOf(values.LEDGER_RETIRED_KEYS) ?? "")
    .split(/[\s,]+/)
    .map(parseVerifierKey)
    .filter((key) => key !== undefined)
    .filter(({ type }) => type === "ed25519");
  const own = await ownCheckpoint(ledger.checkpoint, { ...keys, keys: [...keys.keys, ...retired] });
  (own.holds ? compared : notCompared).push(own.line);
  const signed = await signedPromises(pins, ledger.id, keys, values, notCompared);
  const anchored = await anchoredPromises(pins, manifest, values, notCompared);
  for (const { size, what } of signed) compared.push(`${what}: ${size} entries, signed by the key ${keys.from}`);
  const [newest] = anchored.promises.toSorted((one, other) => other.size - one.size);
  if (newest !== undefined) {
    compared.push(
      `${anchored.promises.length} anchors on the chain, the newest of ${newest.size} entries; ${anchored.from}`,
    );
  }
  return {
    logKeys: own.holds ? [...keys.keys, ...retired] : [],
    promises: [...signed, ...anchored.promises],
    independent: signed.length > 0 || (anchored.independent && anchored.promises.length > 0),
    compared,
    notCompared,
  };
}

/** @throws Failure when nothing independent was there, and that was not asked for. */
export function requireIndependent(held: HeldAgainst, unverified: boolean): void {
  if (held.independent || unverified) return;
  throw new Failure(
    `this backup can be held against nothing but itself (${held.notCompared.join("; ")}): give --key with --log or --checkpoint, or --rpc with --chain-id and --contract; with --unverified it is restored all the same`,
  );
}

interface Keys {
  readonly keys: readonly VerifierKey[];
  /** How they came to be pinned, in words. */
  readonly from: string;
  readonly explicit: boolean;
}

const textOf = (value: unknown): string | undefined =>
  value === undefined || value === null || value === "" ? undefined : String(value);

async function keysOf(pins: Pins, { settings }: Manifest, values: Values): Promise<Keys> {
  if (pins.keys.length > 0) {
    const keys = pins.keys.map((text) => {
      const key = parseVerifierKey(text.trim());
      if (key?.type !== "ed25519") throw new Failure("--key is not the verifier key of a log");
      return key;
    });
    return { keys, from: "of --key", explicit: true };
  }
  const from = "that LEDGER_SIGNING_KEY makes";
  const environment = values.ENVIRONMENT ?? settings.ENVIRONMENT;
  const origin = logOrigin({
    ENVIRONMENT: environment === "staging" || environment === "production" ? environment : "development",
    LEDGER_ORIGIN: textOf(values.LEDGER_ORIGIN) ?? textOf(settings.LEDGER_ORIGIN),
    LEDGER_LOG_URL: textOf(values.LEDGER_LOG_URL),
  });
  if (origin === undefined) return { keys: [], from, explicit: false };
  const keys: VerifierKey[] = [];
  for (const text of acceptedValues(values, "LEDGER_SIGNING_KEY")) {
    const seed = parseSeed(text);
    if (seed === undefined) throw new Failure("LEDGER_SIGNING_KEY is not the seed of a key");
    keys.push(makeSigner(origin, await importSigningKey(seed)).key);
  }
  return { keys, from, explicit: false };
}

/** The manifest's own checkpoint. Its key may be one of long ago: then only a key that was given says that it does not hold. */
async function ownCheckpoint(
  checkpoint: NonNullable<Manifest["ledger"]>["checkpoint"],
  { keys, from, explicit }: Keys,
): Promise<{ readonly holds: boolean; readonly line: string }> {
  const what = "the signature of the snapshot's own checkpoint";
  if (checkpoint === null) return { holds: false, line: `${what}: it has none` };
  if (keys.length === 0) return { holds: false, line: `${what}: no key is pinned (--key, or LEDGER_SIGNING_KEY)` };
  const opened = await openCheckpoint(checkpoint.note, keys);
  if (opened.type === "verified")
    return { holds: true, line: `${what}: ${checkpoint.size} entries, by the key ${from}` };
  if (!explicit && opened.reason === "it has no signature by a known key")
    return {
      holds: false,
      line: `${what}: it is not by the keys of today; LEDGER_RETIRED_KEYS, or --key with that of its day, checks it`,
    };
  throw new Failure(`the checkpoint of the snapshot can not be trusted: ${opened.reason}`);
}

async function signedPromises(
  pins: Pins,
  ledgerId: string,
  { keys }: Keys,
  values: Values,
  notCompared: string[],
): Promise<readonly Promised[]> {
  const promises: Promised[] = [];
  const add = async (note: string, what: string): Promise<void> => {
    if (keys.length === 0) throw new Failure(`${what} is trusted by its signature: pin the log's key with --key`);
    const opened = await openCheckpoint(note, keys);
    if (opened.type === "refused") throw new Failure(`${what} can not be trusted: ${opened.reason}`);
    promises.push({ size: opened.checkpoint.size, rootHash: toHex(opened.checkpoint.root), what });
  };
  if (pins.checkpoint !== undefined) await add(readFileSync(pins.checkpoint, "utf8"), "the checkpoint that was kept");
  const what = "the published checkpoint";
  const fetched = (url: string) => logSource(url, textOf(values.AUDITOR_TOKEN)).fetchFile("checkpoint");
  if (pins.log !== undefined) {
    const note = await fetched(pins.log);
    if (note === undefined) throw new Failure(`there is no checkpoint at ${pins.log}`);
    await add(fromUtf8(note), what);
    return promises;
  }
  const skip = (reason: string): readonly Promised[] => {
    notCompared.push(`${what}: ${reason}`);
    return promises;
  };
  if (keys.length === 0) return skip("no key is pinned (--key, or LEDGER_SIGNING_KEY)");
  if ((textOf(values.LEDGER_ID) ?? ledgerId) !== ledgerId)
    return skip(`the environment's ledger is ${values.LEDGER_ID}`);
  const core = (textOf(values.ITRANS_CORE_URL) ?? LOCAL_CORE).replace(/\/+$/, "");
  const url = textOf(values.LEDGER_LOG_URL) ?? `${core}/ledger/log`;
  let note: Uint8Array | undefined;
  try {
    note = await fetched(url);
  } catch (error) {
    if (!(error instanceof LogUnavailable)) throw error;
    return skip(error.message);
  }
  if (note === undefined) return skip(`there is none at ${url}`);
  await add(fromUtf8(note), what);
  return promises;
}

interface Anchored {
  readonly promises: readonly Promised[];
  /** Whether the contract is known from elsewhere than the backup. */
  readonly independent: boolean;
  readonly from: string;
}

async function anchoredPromises(
  pins: Pins,
  { settings, ledger }: Manifest,
  values: Values,
  notCompared: string[],
): Promise<Anchored> {
  const given = textOf(pins.contract) ?? textOf(values.ANCHOR_CONTRACT_ADDRESS);
  const contract = given ?? textOf(settings.ANCHOR_CONTRACT_ADDRESS) ?? ledger?.anchor?.contractAddress;
  const chainId = Number(
    textOf(pins.chainId) ?? textOf(values.CHAIN_ID) ?? textOf(settings.CHAIN_ID) ?? ledger?.anchor?.chainId,
  );
  const independent = given !== undefined;
  const from = independent
    ? `contract ${given}`
    : "at the contract that the snapshot itself names, which proves little";
  const none: Anchored = { promises: [], independent, from };
  const skip = (reason: string): Anchored => {
    notCompared.push(`the anchors on the chain: ${reason}`);
    return none;
  };
  const nodes = pins.rpc === undefined ? (textOf(values.EVM_RPC_URL)?.split(",") ?? []) : [pins.rpc];
  if (nodes.length === 0) return skip("no node is named (--rpc, or EVM_RPC_URL)");
  if (contract === undefined || !Number.isSafeInteger(chainId)) {
    if (pins.rpc !== undefined) throw new Failure("--rpc needs --chain-id and --contract");
    return skip("no contract is named (--contract, or ANCHOR_CONTRACT_ADDRESS)");
  }
  let reason = "";
  for (const rpcUrl of nodes) {
    const chain = { rpcUrl: rpcUrl.trim(), chainId, contract };
    try {
      await checkChain(chain);
      const { anchors, faults } = await readAnchors(chain, undefined);
      if (faults[0] !== undefined) throw new Failure(faults[0]);
      if (anchors.length === 0) return skip(`there is none at ${contract}`);
      return {
        ...none,
        promises: anchors.map(({ size, rootHash }) => ({ size, rootHash, what: "the anchor on the chain" })),
      };
    } catch (error) {
      if (!(error instanceof ChainUnavailable) || pins.rpc !== undefined) throw error;
      reason = messageOf(error);
    }
  }
  return skip(reason);
}
