/** The tlog-witness protocol, both sides (c2sp.org/tlog-witness): what is sent, and what a witness answers. */
import { fromHex, toBase64, toHex } from "../platform/encoding.ts";
import { MAX_PROOF_HASHES, parseHashLines } from "./bundle.ts";
import { type Checkpoint, openCheckpoint, parseCheckpointText, parseSize } from "./checkpoint.ts";
import type { Hash } from "./hash.ts";
import {
  formatSignatureLine,
  type NoteSignature,
  type NoteSigner,
  parseNote,
  parseSignatureLine,
  type VerifierKey,
  verifySignature,
} from "./note.ts";
import { verifyConsistency } from "./proof.ts";

export const SIZE_CONTENT_TYPE = "text/x.tlog.size";

export interface AddCheckpoint {
  /** The size that the witness cosigned last, or 0. */
  readonly oldSize: number;
  readonly proof: readonly Hash[];
  /** The signed note. */
  readonly checkpoint: string;
}

export const formatAddCheckpoint = ({ oldSize, proof, checkpoint }: AddCheckpoint): string =>
  `${[`old ${oldSize}`, ...proof.map(toBase64)].join("\n")}\n\n${checkpoint}`;

export function parseAddCheckpoint(body: string): AddCheckpoint | undefined {
  const split = body.indexOf("\n\n");
  if (split === -1) return undefined;
  const [first = "", ...lines] = body.slice(0, split).split("\n");
  const oldSize = first.startsWith("old ") ? parseSize(first.slice("old ".length)) : undefined;
  const proof = lines.length > MAX_PROOF_HASHES ? undefined : parseHashLines(lines);
  return oldSize === undefined || proof === undefined
    ? undefined
    : { oldSize, proof, checkpoint: body.slice(split + 2) };
}

/** What a witness remembers of a log. */
export interface WitnessedCheckpoint {
  readonly size: number;
  /** 64 lower-case hex. */
  readonly rootHash: string;
}

export type WitnessDecision =
  | { readonly type: "cosign"; readonly checkpoint: Checkpoint; readonly text: string }
  | { readonly type: "malformed" }
  | { readonly type: "unknown-origin" }
  | { readonly type: "bad-signature" }
  /** Not the size the witness knows, or its size with another root. */
  | { readonly type: "conflict"; readonly size: number }
  | { readonly type: "inconsistent" };

/**
 * What a witness does about a request. The caller must store the checkpoint before it answers, and let nothing else be
 * decided for the origin between reading `known` and storing.
 * @param logs the keys trusted for each origin.
 * @param known what the witness cosigned last for an origin.
 */
export async function decideAddCheckpoint(
  body: string,
  logs: ReadonlyMap<string, readonly VerifierKey[]>,
  known: (origin: string) => WitnessedCheckpoint | undefined,
): Promise<WitnessDecision> {
  const request = parseAddCheckpoint(body);
  const note = request && parseNote(request.checkpoint);
  const claimed = note && parseCheckpointText(note.text);
  if (request === undefined || note === undefined || claimed === undefined) return { type: "malformed" };
  const keys = logs.get(claimed.origin);
  if (keys === undefined) return { type: "unknown-origin" };
  const opened = await openCheckpoint(request.checkpoint, keys);
  if (opened.type === "refused") return { type: "bad-signature" };
  const { checkpoint } = opened;
  if (request.oldSize > checkpoint.size) return { type: "malformed" };
  const last = known(checkpoint.origin);
  if (request.oldSize !== (last?.size ?? 0)) return { type: "conflict", size: last?.size ?? 0 };
  if (last?.size === checkpoint.size && last.rootHash !== toHex(checkpoint.root)) {
    return { type: "conflict", size: last.size };
  }
  if (!extendsKnown(request, checkpoint, last)) return { type: "inconsistent" };
  return { type: "cosign", checkpoint, text: note.text };
}

function extendsKnown(
  { proof }: AddCheckpoint,
  checkpoint: Checkpoint,
  last: WitnessedCheckpoint | undefined,
): boolean {
  if (last === undefined || last.size === 0) return proof.length === 0;
  const lastRoot = fromHex(last.rootHash);
  return verifyConsistency(last.size, checkpoint.size, lastRoot, checkpoint.root, proof);
}

/** The body of a 200: one cosignature line for each key. */
export async function cosignatureLines(text: string, cosigners: readonly NoteSigner[]): Promise<string> {
  const lines = await Promise.all(cosigners.map(async (cosigner) => formatSignatureLine(await cosigner.sign(text))));
  return lines.map((line) => `${line}\n`).join("");
}

/** What became of asking a witness. */
export type CosignResult =
  | { readonly type: "cosigned"; readonly signature: NoteSignature }
  /** The witness is at another size than any that we can start from. */
  | { readonly type: "refused"; readonly status: number }
  | { readonly type: "unreachable" };

/** The cosignature by `key` in a witness's answer; undefined when there is none that verifies. */
export async function cosignatureIn(
  answer: string,
  text: string,
  key: VerifierKey,
): Promise<NoteSignature | undefined> {
  for (const line of answer.split("\n").slice(0, 100)) {
    const signature = parseSignatureLine(line);
    if (signature === undefined || signature.name !== key.name || signature.keyId !== key.keyId) continue;
    if (await verifySignature(key, text, signature.signature)) return signature;
  }
  return undefined;
}
