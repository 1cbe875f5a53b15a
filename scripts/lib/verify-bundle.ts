/** Checks one proof bundle: nothing but the file, the pins and, where a node is named, the chain. */
import { hashesFromHex, PROOF_HEADER, type ProofBundle, parseBundle, parseTextProof } from "../../src/ledger/bundle.ts";
import { type Checkpoint, openCheckpoint, parseCheckpointText } from "../../src/ledger/checkpoint.ts";
import { decodeEntry } from "../../src/ledger/entry.ts";
import { type Hash, leafHash } from "../../src/ledger/hash.ts";
import { parseNote, strictBase64 } from "../../src/ledger/note.ts";
import { verifyConsistency, verifyInclusion } from "../../src/ledger/proof.ts";
import { fromHex, toHex } from "../../src/platform/encoding.ts";
import { anchorsOfTransaction, type ChainPins, ChainUnavailable, checkChain } from "./verify-chain.ts";
import { chainOf, type Pins } from "./verify-pins.ts";
import { type Report, Reporter } from "./verify-report.ts";
import { checkOrigin, readVerifierState, type VerifierState, withSeen, writeVerifierState } from "./verify-state.ts";

export interface BundleOptions {
  /** The entry's bytes, for the text form, which does not hold them. */
  readonly entry: Uint8Array | undefined;
  /** What a verification of the same log remembered, or will. */
  readonly stateFile: string | undefined;
}

export async function verifyBundle(
  subject: string,
  text: string,
  pins: Pins,
  { entry: entryBeside, stateFile }: BundleOptions,
): Promise<Report> {
  const reporter = new Reporter();
  const chain = chainOf(pins, reporter);
  const state = stateFile === undefined ? undefined : readVerifierState(stateFile);
  const parsed = parse(text);
  if (parsed === undefined) {
    reporter.fail("bundle", "bundle-malformed", "it is neither the text nor the JSON form of a proof");
    return reporter.report({ subject, origin: undefined, size: undefined, rootHash: undefined });
  }
  const checkpoint = await openedCheckpoint(reporter, parsed.checkpoint, pins);
  if (checkpoint !== undefined) {
    checkOrigin(state, checkpoint.origin, "bundle");
    if (state !== undefined) compareWithSeen(reporter, state, checkpoint);
    checkEntry(
      reporter,
      parsed,
      parsed.bundle === undefined ? entryBeside : strictBase64(parsed.bundle.entry),
      checkpoint,
    );
    if (parsed.bundle === undefined) reporter.skip("anchor", "the text form holds no anchor");
    else await checkAnchor(reporter, parsed.bundle, checkpoint, pins, chain);
    if (state === undefined && stateFile !== undefined) {
      rememberFirst(reporter, stateFile, checkpoint, parsed.checkpoint, pins);
    }
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

async function openedCheckpoint(reporter: Reporter, note: string, pins: Pins): Promise<Checkpoint | undefined> {
  if (pins.keys.length === 0) {
    const parsed = parseNote(note);
    const checkpoint = parsed && parseCheckpointText(parsed.text);
    if (checkpoint === undefined) {
      reporter.fail("checkpoint", "checkpoint-refused", "it is not a checkpoint");
      return undefined;
    }
    reporter.unverified("checkpoint", "no key is pinned (--key), so anyone may have signed it");
    return checkpoint;
  }
  const opened = await openCheckpoint(note, pins.keys);
  if (opened.type === "refused") {
    reporter.fail("checkpoint", "checkpoint-refused", opened.reason);
    return undefined;
  }
  const { checkpoint } = opened;
  reporter.ok("checkpoint", `${checkpoint.origin} at ${checkpoint.size} entries, signed by the pinned key`);
  return checkpoint;
}

const EARLIER_VIEW = "earlier view";

function compareWithSeen(reporter: Reporter, { seen }: VerifierState, checkpoint: Checkpoint): void {
  if (seen.size !== checkpoint.size) {
    reporter.skip(
      EARLIER_VIEW,
      `a checkpoint of ${seen.size} entries was seen before, the bundle has one of ${checkpoint.size}: a bundle has no proof between them, so what is remembered stays as it is; verify the log itself with this --state`,
    );
  } else if (seen.rootHash !== toHex(checkpoint.root)) {
    const detail = `another tree of ${seen.size} entries was seen before`;
    reporter.fail(EARLIER_VIEW, "checkpoint-not-extending", detail);
  } else reporter.ok(EARLIER_VIEW, `it is the checkpoint of ${seen.size} entries seen before`);
}

/** Only where nothing was remembered: a bundle can not show that its checkpoint extends another. */
function rememberFirst(reporter: Reporter, path: string, checkpoint: Checkpoint, note: string, pins: Pins): void {
  const nothing = "nothing was seen of this log before";
  if (pins.keys.length === 0 || reporter.findingCount > 0) {
    reporter.skip(EARLIER_VIEW, `${nothing}; what is not verified is not remembered`);
  } else {
    writeVerifierState(path, withSeen(undefined, checkpoint, note));
    reporter.skip(EARLIER_VIEW, `${nothing}; the checkpoint of ${checkpoint.size} entries is remembered now`);
  }
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
  pins: Pins,
  chain: ChainPins | undefined,
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
  if (chain === undefined) {
    const why = pins.withoutChain ? "--no-chain" : "no node was named (--rpc)";
    return reporter.skip(
      "anchor",
      `the checkpoint extends the tree of ${size} entries that is said to be anchored in block ${anchor.blockNumber}; the chain was not asked: ${why}`,
    );
  }
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
