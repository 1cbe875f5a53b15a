/** Checkpoints: the signed size and root of a log (c2sp.org/tlog-checkpoint). */
import { toBase64 } from "../platform/encoding.ts";
import { HASH_BYTES, type Hash } from "./hash.ts";
import { isKeyName, type NoteSigner, openNote, signNote, strictBase64, type VerifierKey } from "./note.ts";

export interface Checkpoint {
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  readonly root: Hash;
}

/** The text that is signed: three lines, each ended by a line feed. */
export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${toBase64(root)}\n`;

/** A decimal without leading zeros that is a safe integer. */
export function parseSize(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const size = Number(text);
  return Number.isSafeInteger(size) ? size : undefined;
}

/** Extension lines are read over; ours have none. @returns undefined for what is no checkpoint. */
export function parseCheckpointText(text: string): Checkpoint | undefined {
  if (!text.endsWith("\n")) return undefined;
  const lines = text.slice(0, -1).split("\n");
  const [origin = "", decimal = "", encoded = ""] = lines;
  const size = parseSize(decimal);
  const root = strictBase64(encoded);
  if (lines.some((line) => line === "") || size === undefined || root?.length !== HASH_BYTES) return undefined;
  return { origin, size, root };
}

/** @returns the note. Every signer's name must be the origin. */
export async function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): Promise<string> {
  if (signers.length === 0 || signers.some(({ key }) => key.name !== checkpoint.origin)) {
    throw new RangeError("a checkpoint is signed by keys named like its origin");
  }
  return signNote(checkpointText(checkpoint), signers);
}

export type OpenedCheckpoint =
  | { readonly type: "verified"; readonly checkpoint: Checkpoint; readonly keys: readonly VerifierKey[] }
  | { readonly type: "refused"; readonly reason: string };

/** @param logKeys keys of the log; the checkpoint's origin must be their name. */
export async function openCheckpoint(note: string, logKeys: readonly VerifierKey[]): Promise<OpenedCheckpoint> {
  const opened = await openNote(note, logKeys);
  switch (opened.type) {
    case "malformed":
      return { type: "refused", reason: "it is not a signed note" };
    case "unsigned":
      return { type: "refused", reason: "it has no signature by a known key" };
    case "bad-signature":
      return { type: "refused", reason: `its signature by ${opened.key.name}+${opened.key.keyId} does not verify` };
    case "verified": {
      const checkpoint = parseCheckpointText(opened.note.text);
      if (checkpoint === undefined) return { type: "refused", reason: "its text is not that of a checkpoint" };
      if (opened.keys.some((key) => key.name !== checkpoint.origin)) {
        return { type: "refused", reason: `its origin is ${checkpoint.origin}, not the name of the key` };
      }
      return { type: "verified", checkpoint, keys: opened.keys };
    }
  }
}

/** A log's name: a URL without scheme or trailing slash. */
export const originOfUrl = (url: string): string => url.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").replace(/\/+$/, "");

export const isOrigin = isKeyName;
