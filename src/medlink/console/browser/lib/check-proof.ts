/**
 * Checks a proof bundle here, with the ledger's own pure modules: nothing that the server says of the proof is believed. The
 * hashes and the signature come out right or they do not.
 */
import { hashesFromHex, type ProofBundle, parseBundle } from "../../../../ledger/bundle.ts";
import { type Checkpoint, openCheckpoint, parseCheckpointText } from "../../../../ledger/checkpoint.ts";
import { verifyEd25519 } from "../../../../ledger/ed25519.ts";
import { decodeEntry, type Entry } from "../../../../ledger/entry.ts";
import { leafHash } from "../../../../ledger/hash.ts";
import { parseNote, parseVerifierKey, strictBase64, type VerifierKey } from "../../../../ledger/note.ts";
import { verifyConsistency, verifyInclusion } from "../../../../ledger/proof.ts";
import { fromHex, toHex } from "../../../../platform/encoding.ts";

export type StepName = "entry" | "claim" | "inclusion" | "signature" | "memory" | "anchor";

export interface Step {
  readonly name: StepName;
  /** `open`: it can not be said here, which is no failure. */
  readonly result: "passed" | "failed" | "open";
  readonly reason: Reason;
  readonly values: Readonly<Record<string, string | number>>;
}

/** What is said of a step; messages/verify.ts has the words. */
export type Reason =
  | "malformed"
  | "entry"
  | "entryWrong"
  | "claim"
  | "claimOther"
  | "inclusion"
  | "inclusionWrong"
  | "signature"
  | "signatureWrong"
  | "signatureNoKey"
  | "signatureNoCrypto"
  | "memoryFirst"
  | "memorySame"
  | "memoryKeyChanged"
  | "memoryForked"
  | "anchor"
  | "anchorNone"
  | "anchorWrong";

/** What this browser remembers of a log from one check to the next. */
export interface Memory {
  /** Verifier keys, one a line. */
  readonly keys: string;
  readonly size: number;
  /** 64 hex digits. */
  readonly root: string;
}

export interface Checked {
  readonly steps: readonly Step[];
  /** What to remember, when all that could be checked passed. */
  readonly memory: { readonly origin: string; readonly seen: Memory } | undefined;
}

export interface CheckInput {
  /** The bundle as it was received. */
  readonly received: unknown;
  /** requestIdHash of the claim, which the entry must be about. */
  readonly subject: string;
  readonly keys: string | undefined;
  readonly recall: (origin: string) => Memory | undefined;
}

const step = (name: StepName, result: Step["result"], reason: Reason, values: Step["values"] = {}): Step => ({
  name,
  result,
  reason,
  values,
});

export async function checkProof({ received, subject, keys, recall }: CheckInput): Promise<Checked> {
  const bundle = parseBundle(received);
  const note = bundle === undefined ? undefined : parseNote(bundle.checkpoint);
  const checkpoint = note === undefined ? undefined : parseCheckpointText(note.text);
  if (bundle === undefined || checkpoint === undefined) {
    return { steps: [step("entry", "failed", "malformed")], memory: undefined };
  }
  const bytes = strictBase64(bundle.entry);
  const entry = bytes === undefined ? undefined : decodeEntry(bytes);
  const hash = bytes === undefined ? undefined : await hashHere(bytes);
  const sound =
    entry !== undefined && hash !== undefined && toHex(hash) === bundle.entryHash && entry.seq === bundle.index;
  const steps: Step[] = [
    sound && entry !== undefined
      ? step("entry", "passed", "entry", { seq: entry.seq, type: entry.type, at: Date.parse(entry.at) })
      : step("entry", "failed", "entryWrong"),
    aboutClaim(entry, subject),
    hash !== undefined &&
    verifyInclusion(bundle.index, checkpoint.size, hash, hashesFromHex(bundle.inclusionProof), checkpoint.root)
      ? step("inclusion", "passed", "inclusion", { size: checkpoint.size, hashes: bundle.inclusionProof.length })
      : step("inclusion", "failed", "inclusionWrong"),
  ];
  const known = recall(checkpoint.origin);
  steps.push(await checkSignature(bundle.checkpoint, keys));
  steps.push(checkMemory(known, checkpoint, keys));
  steps.push(checkAnchor(bundle, checkpoint));
  const passed = steps.every(({ result }) => result !== "failed");
  const newer = known === undefined || checkpoint.size >= known.size;
  return {
    steps,
    memory:
      passed && keys !== undefined && newer
        ? { origin: checkpoint.origin, seen: { keys, size: checkpoint.size, root: toHex(checkpoint.root) } }
        : undefined,
  };
}

/** By WebCrypto, and by the ledger's own code: they must agree. */
async function hashHere(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const prefixed = new Uint8Array(1 + bytes.length);
  prefixed.set(bytes, 1);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", prefixed));
  return toHex(digest) === toHex(leafHash(bytes)) ? digest : undefined;
}

const aboutClaim = (entry: Entry | undefined, subject: string): Step =>
  entry?.subject === subject ? step("claim", "passed", "claim") : step("claim", "failed", "claimOther");

export const readKeys = (text: string): readonly VerifierKey[] =>
  text
    .split("\n")
    .map((line) => parseVerifierKey(line.trim()))
    .filter((key) => key !== undefined);

async function checkSignature(note: string, text: string | undefined): Promise<Step> {
  const keys = text === undefined ? [] : readKeys(text);
  if (keys.length === 0) return step("signature", "open", "signatureNoKey");
  if (!(await knowsEd25519())) return step("signature", "open", "signatureNoCrypto");
  const opened = await openCheckpoint(note, keys);
  return opened.type === "verified"
    ? step("signature", "passed", "signature", {
        key: opened.keys.map(({ name, keyId }) => `${name}+${keyId}`).join(", "),
      })
    : step("signature", "failed", "signatureWrong");
}

/** A browser without Ed25519 would call every signature wrong. RFC 8032 section 7.1, test 1: the empty message. */
const knowsEd25519 = (): Promise<boolean> =>
  verifyEd25519(
    fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
    new Uint8Array(0),
    fromHex(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
  );

/** What was seen before must still hold: a log that shows different people different trees has to keep that up for ever. */
function checkMemory(known: Memory | undefined, checkpoint: Checkpoint, keys: string | undefined): Step {
  if (known === undefined) return step("memory", "open", "memoryFirst");
  if (keys !== undefined && !sharesKey(known.keys, keys)) return step("memory", "failed", "memoryKeyChanged");
  if (known.size === checkpoint.size && known.root !== toHex(checkpoint.root)) {
    return step("memory", "failed", "memoryForked", { size: known.size });
  }
  return step("memory", "passed", "memorySame", { size: known.size });
}

const sharesKey = (a: string, b: string): boolean => {
  const ids = new Set(readKeys(a).map(({ name, keyId }) => `${name}+${keyId}`));
  return readKeys(b).some(({ name, keyId }) => ids.has(`${name}+${keyId}`));
};

function checkAnchor({ anchor, index }: ProofBundle, checkpoint: Checkpoint): Step {
  if (anchor === null) return step("anchor", "open", "anchorNone");
  const { size, rootHash, blockNumber, txHash } = anchor;
  const holds =
    index < size &&
    verifyConsistency(
      size,
      checkpoint.size,
      fromHex(rootHash),
      checkpoint.root,
      hashesFromHex(anchor.consistencyProof),
    );
  return holds
    ? step("anchor", "passed", "anchor", { size, block: blockNumber, tx: txHash })
    : step("anchor", "failed", "anchorWrong");
}
