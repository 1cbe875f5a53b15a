/** Signed notes (c2sp.org/signed-note), read as strictly as Go's golang.org/x/mod/sumdb/note reads them. */
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from "../platform/encoding.ts";
import { cosign, verifyCosignature } from "./cosignature.ts";
import { PUBLIC_KEY_BYTES, type SigningKey, verifyEd25519 } from "./ed25519.ts";

const KEY_ID_BYTES = 4;
const MAX_NOTE_LENGTH = 1_000_000;
const MAX_SIGNATURES = 100;

const TYPE_BYTES = { ed25519: 1, cosignature: 4 } as const;
/** How a key signs: `ed25519` the note's text, `cosignature` a time and the text. */
export type KeyType = keyof typeof TYPE_BYTES;

export interface VerifierKey {
  readonly name: string;
  /** 8 hex digits. */
  readonly keyId: string;
  readonly type: KeyType;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Not empty, no space of any kind, no plus. */
export const isKeyName = (name: string): boolean => name !== "" && name.isWellFormed() && !/[\s\u0085+]/u.test(name);

/** `SHA-256(name || 0x0A || type || public key)`, its first 4 bytes as hex. */
export function keyIdOf(name: string, type: KeyType, publicKey: Uint8Array): string {
  const hash = sha256(concatBytes(utf8(`${name}\n`), Uint8Array.of(TYPE_BYTES[type]), publicKey));
  return toHex(hash.slice(0, KEY_ID_BYTES));
}

/** @throws RangeError when the name is not one a key may have. */
export function verifierKey(name: string, type: KeyType, publicKey: Uint8Array): VerifierKey {
  if (!isKeyName(name)) throw new RangeError("a key's name has no space and no plus, and is not empty");
  return { name, keyId: keyIdOf(name, type, publicKey), type, publicKey };
}

/** `<name>+<hex key id>+<base64(type || public key)>`. */
export const formatVerifierKey = ({ name, keyId, type, publicKey }: VerifierKey): string =>
  `${name}+${keyId}+${toBase64(concatBytes(Uint8Array.of(TYPE_BYTES[type]), publicKey))}`;

/** Base64 in exactly its one canonical form. */
export function strictBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    const bytes = fromBase64(text);
    return toBase64(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** @returns undefined unless the key id is that of name and key. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const match = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text); // base64 has pluses too: only the first two separate
  if (match === null) return undefined;
  const [, name = "", keyId = "", encoded = ""] = match;
  const bytes = strictBase64(encoded);
  if (bytes === undefined || bytes.length !== 1 + PUBLIC_KEY_BYTES || !isKeyName(name)) return undefined;
  const type = bytes[0] === TYPE_BYTES.ed25519 ? "ed25519" : bytes[0] === TYPE_BYTES.cosignature ? "cosignature" : null;
  if (type === null) return undefined;
  const key = verifierKey(name, type, bytes.slice(1));
  return key.keyId === keyId ? key : undefined;
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: string;
  /** What follows the key id. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** Everything up to and including the line feed before the blank line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const SIGNATURE_LINE = /^— (\S+) (\S+)$/u;

/** One `— <name> <base64>` without its line feed. */
export function parseSignatureLine(line: string): NoteSignature | undefined {
  const match = SIGNATURE_LINE.exec(line);
  if (match === null) return undefined;
  const [, name = "", encoded = ""] = match;
  const bytes = strictBase64(encoded);
  if (bytes === undefined || bytes.length <= KEY_ID_BYTES || !isKeyName(name)) return undefined;
  return { name, keyId: toHex(bytes.slice(0, KEY_ID_BYTES)), signature: bytes.slice(KEY_ID_BYTES) };
}

export const formatSignatureLine = ({ name, keyId, signature }: NoteSignature): string =>
  `— ${name} ${toBase64(concatBytes(fromHex(keyId), signature))}`;

export const formatNote = ({ text, signatures }: Note): string =>
  `${text}\n${signatures.map((signature) => `${formatSignatureLine(signature)}\n`).join("")}`;

/** @returns undefined for what is not a note; nothing is said about its signatures. */
export function parseNote(note: string): Note | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a note has none but the line feed
  if (note.length > MAX_NOTE_LENGTH || !note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note))
    return undefined;
  const split = note.lastIndexOf("\n\n");
  if (split === -1 || !note.endsWith("\n")) return undefined;
  const lines = note.slice(split + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignatureLine(line);
    if (signature === undefined) return undefined;
    signatures.push(signature);
  }
  return { text: note.slice(0, split + 1), signatures };
}

/** @returns undefined when that key's signature is in the note already, or the text is no note. */
export function withSignature(note: string, signature: NoteSignature): string | undefined {
  const parsed = parseNote(note);
  if (parsed === undefined || isSignedBy(parsed, signature)) return undefined;
  return formatNote({ ...parsed, signatures: [...parsed.signatures, signature] });
}

export const isSignedBy = ({ signatures }: Note, key: Pick<NoteSignature, "name" | "keyId">): boolean =>
  signatures.some(({ name, keyId }) => name === key.name && keyId === key.keyId);

export type OpenedNote =
  | { readonly type: "verified"; readonly note: Note; readonly keys: readonly VerifierKey[] }
  | { readonly type: "malformed" }
  /** No signature is by a known key. */
  | { readonly type: "unsigned" }
  /** A known key's signature fails: the whole note is refused. */
  | { readonly type: "bad-signature"; readonly key: VerifierKey };

const isBy = (key: VerifierKey, signature: NoteSignature): boolean =>
  key.name === signature.name && key.keyId === signature.keyId;

export function verifySignature(key: VerifierKey, text: string, signature: Uint8Array): Promise<boolean> {
  switch (key.type) {
    case "ed25519":
      return verifyEd25519(key.publicKey, utf8(text), signature);
    case "cosignature":
      return verifyCosignature(key.publicKey, text, signature);
  }
}

/** @param known the keys that are trusted; signatures of other keys are ignored, a second one of a key as well. */
export async function openNote(text: string, known: readonly VerifierKey[]): Promise<OpenedNote> {
  const note = parseNote(text);
  if (note === undefined) return { type: "malformed" };
  const keys: VerifierKey[] = [];
  for (const signature of note.signatures) {
    const key = known.find((candidate) => isBy(candidate, signature));
    if (key === undefined || keys.includes(key)) continue;
    if (!(await verifySignature(key, note.text, signature.signature))) return { type: "bad-signature", key };
    keys.push(key);
  }
  return keys.length === 0 ? { type: "unsigned" } : { type: "verified", note, keys };
}

/** A key that signs under a name. */
export interface NoteSigner {
  readonly key: VerifierKey;
  sign(text: string): Promise<NoteSignature>;
}

export function makeSigner(name: string, signingKey: SigningKey): NoteSigner {
  const key = verifierKey(name, "ed25519", signingKey.publicKey);
  return {
    key,
    sign: async (text) => ({ name, keyId: key.keyId, signature: await signingKey.sign(utf8(text)) }),
  };
}

/** @param nowSeconds the witness's clock, posix seconds. */
export function makeCosigner(name: string, signingKey: SigningKey, nowSeconds: () => number): NoteSigner {
  const key = verifierKey(name, "cosignature", signingKey.publicKey);
  return {
    key,
    sign: async (text) => ({ name, keyId: key.keyId, signature: await cosign(signingKey, text, nowSeconds()) }),
  };
}

/** @param text ends in a line feed. */
export async function signNote(text: string, signers: readonly NoteSigner[]): Promise<string> {
  return formatNote({ text, signatures: await Promise.all(signers.map((signer) => signer.sign(text))) });
}
