/** Checks one proof bundle: nothing but the file, the pins and, where a node is named, the chain. */
import { hashesFromHex, PROOF_HEADER, type ProofBundle, parseBundle, parseTextProof } from "../../src/ledger/bundle.ts";
import { type Checkpoint, openCheckpoint, parseCheckpointText } from "../../src/ledger/checkpoint.ts";
import { decodeEntry } from "../../src/ledger/entry.ts";
import { type Hash, leafHash } from "../../src/ledger/hash.ts";
import { parseNote, strictBase64, type VerifierKey } from "../../src/ledger/note.ts";
import { verifyConsistency, verifyInclusion } from "../../src/ledger/proof.ts";
import { fromHex, toHex } from "../../src/platform/encoding.ts";
import { anchorsOfTransaction, type ChainPins, ChainUnavailable, checkChain } from "./verify-chain.ts";
import { type Report, Reporter } from "./verify-report.ts";

export interface BundlePins {
  /** Keys of the log; empty: nothing is pinned. */
  readonly keys: readonly VerifierKey[];
  readonly chainId: number | undefined;
  readonly contract: string | undefined;
  /** A node to ask; undefined: offline. */
  readonly rpcUrl: string | undefined;
  /** The entry's bytes, for the text form, which does not hold them. */
  readonly entry: Uint8Array | undefined;
  /** The newest checkpoint seen of this log. */
  readonly seen: Checkpoint | undefined;
}

export async function verifyBundle(subject: string, text: string, pins: BundlePins): Promise<Report> {
  const reporter = new Reporter();
  const parsed = parse(text);
  if (parsed === undefined) {
    reporter.fail("bundle", "bundle-malformed", "it is neither the text nor the JSON form of a proof");
    return reporter.report({ subject, origin: undefined, size: undefined, rootHash: undefined });
  }
  const checkpoint = await checkCheckpoint(reporter, parsed.checkpoint, pins);
  const entry = parsed.bundle === undefined ? pins.entry : strictBase64(parsed.bundle.entry);
  if (checkpoint !== undefined) {
    checkEntry(reporter, parsed, entry, checkpoint);
    if (parsed.bundle === undefined) reporter.skip("anchor", "the text form holds no anchor");
    else await checkAnchor(reporter, parsed.bundle, checkpoint, pins);
  }
  return reporter.report({
    subject,
    origin: checkpoint?.origin,
    size: checkpoint?.size,
    rootHash: checkpoint && toHex(checkpoint.root),
  });
}

interface Parsed {
  readonly index: number;
  readonly hashes: readonly Hash[];
  readonly checkpoint: string;
  readonly bundle: ProofBundle | undefined;
}

function parse(text: string): Parsed | undefined {
  if (text.startsWith(PROOF_HEADER)) {
    const proof = parseTextProof(text);
    return proof && { ...proof, bundle: undefined };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const bundle = parseBundle(json);
  if (bundle === undefined) return undefined;
  const { index, inclusionProof, checkpoint } = bundle;
  return { index, hashes: hashesFromHex(inclusionProof), checkpoint, bundle };
}

async function checkCheckpoint(reporter: Reporter, note: string, pins: BundlePins): Promise<Checkpoint | undefined> {
  let checkpoint: Checkpoint | undefined;
  if (pins.keys.length === 0) {
    const parsed = parseNote(note);
    checkpoint = parsed && parseCheckpointText(parsed.text);
    if (checkpoint === undefined) {
      reporter.fail("checkpoint", "checkpoint-refused", "it is not a checkpoint");
      return undefined;
    }
    reporter.unverified("checkpoint", "no key is pinned (--key), so anyone may have signed it");
  } else {
    const opened = await openCheckpoint(note, pins.keys);
    if (opened.type === "refused") {
      reporter.fail("checkpoint", "checkpoint-refused", opened.reason);
      return undefined;
    }
    checkpoint = opened.checkpoint;
    reporter.ok("checkpoint", `${checkpoint.origin} at ${checkpoint.size} entries, signed by the pinned key`);
  }
  const { seen } = pins;
  if (seen !== undefined && seen.origin === checkpoint.origin && seen.size === checkpoint.size) {
    if (toHex(seen.root) !== toHex(checkpoint.root)) {
      reporter.fail("earlier view", "checkpoint-not-extending", `another tree of ${seen.size} entries was seen before`);
    }
  }
  return checkpoint;
}

function checkEntry(reporter: Reporter, parsed: Parsed, entry: Uint8Array | undefined, checkpoint: Checkpoint): void {
  if (entry === undefined) {
    if (parsed.bundle === undefined) {
      reporter.unverified("entry", "the text form holds no entry; give its bytes with --entry FILE");
    } else {
      reporter.fail("entry", "bundle-malformed", "the entry is not base64");
    }
    return;
  }
  const leaf = leafHash(entry);
  if (parsed.bundle !== undefined && toHex(leaf) !== parsed.bundle.entryHash) {
    reporter.fail("entry", "entry-hash-mismatch", "the entry does not hash to the hash beside it");
  }
  const decoded = decodeEntry(entry);
  if (decoded === undefined) reporter.fail("entry", "entry-unreadable", "it is not an entry in canonical form");
  else if (decoded.seq !== parsed.index) {
    reporter.fail("entry", "seq-gap", `the entry says it is entry ${decoded.seq}, the proof says ${parsed.index}`);
  } else reporter.ok("entry", `entry ${decoded.seq}, ${decoded.type}, of ${decoded.at}`);
  if (verifyInclusion(parsed.index, checkpoint.size, leaf, parsed.hashes, checkpoint.root)) {
    reporter.ok("inclusion", `it is entry ${parsed.index} of the checkpoint's tree`);
  } else {
    reporter.fail("inclusion", "inclusion-mismatch", `it is not entry ${parsed.index} of the checkpoint's tree`);
  }
}

async function checkAnchor(
  reporter: Reporter,
  { anchor, index }: ProofBundle,
  checkpoint: Checkpoint,
  pins: BundlePins,
): Promise<void> {
  if (anchor === null) return reporter.skip("anchor", "the bundle holds no anchor: the entry was not on the chain yet");
  const { size, rootHash } = anchor;
  const wrong = (detail: string): void => reporter.fail("anchor", "anchor-mismatch", detail);
  if (pins.chainId !== undefined && anchor.chainId !== pins.chainId) {
    return wrong(`it is on chain ${anchor.chainId}, not ${pins.chainId}`);
  }
  if (pins.contract !== undefined && anchor.contractAddress.toLowerCase() !== pins.contract.toLowerCase()) {
    return wrong(`it is of contract ${anchor.contractAddress}, not ${pins.contract}`);
  }
  if (index >= size) return wrong(`the anchored tree of ${size} entries does not hold entry ${index}`);
  const proof = hashesFromHex(anchor.consistencyProof);
  if (!verifyConsistency(size, checkpoint.size, fromHex(rootHash), checkpoint.root, proof)) {
    return wrong(`the checkpoint's tree does not extend the anchored one of ${size} entries`);
  }
  const { chainId, contract, rpcUrl } = pins;
  if (rpcUrl === undefined || chainId === undefined || contract === undefined) {
    return reporter.skip(
      "anchor",
      `the checkpoint extends the tree of ${size} entries that is said to be anchored in block ${anchor.blockNumber}; the chain was not asked (--rpc, --chain-id, --contract)`,
    );
  }
  const chain: ChainPins = { rpcUrl, chainId, contract };
  try {
    await checkChain(chain);
    const found = (await anchorsOfTransaction(chain, anchor.txHash)).find((candidate) => candidate.size === size);
    if (found === undefined) return wrong(`the chain has no anchor of ${size} entries in transaction ${anchor.txHash}`);
    if (found.rootHash !== rootHash) return wrong(`the chain's anchor of ${size} entries has another root`);
    if (found.blockNumber !== anchor.blockNumber || found.blockHash !== anchor.blockHash.toLowerCase()) {
      return wrong(`the anchor is in block ${found.blockNumber}, not in the one the bundle names`);
    }
    reporter.ok(
      "anchor",
      `block ${found.blockNumber} anchors the tree of ${size} entries, which the checkpoint extends`,
    );
  } catch (error) {
    if (!(error instanceof ChainUnavailable)) throw error;
    reporter.unverified("anchor", error.message);
  }
}
