/**
 * Files of a backup that are encrypted: AES-256-GCM in chunks (NIST SP 800-38D), so that neither side holds more than one file of a
 * few megabytes. The file's own key is made from the backup key and the digest of what is in it, so equal contents are equal
 * files, no nonce is used twice under one key, and a file opens as what it was sealed as or not at all.
 *
 *   "ITBK1\n" || key id[4] || digest[32] || { length[4, big-endian] || ciphertext || tag[16] } ...
 *
 * The nonce of chunk i is i as 88 bits, then one byte that is 1 for the last chunk: a file cut short does not open.
 */
import { concatBytes, fromHex, toHex, utf8 } from "../platform/encoding.ts";
import { deriveKey } from "../platform/keyring.ts";
import { hmacSha256 } from "../platform/signature.ts";

const MAGIC = utf8("ITBK1\n");
const KEY_ID_BYTES = 4;
const DIGEST_BYTES = 32;
const HEADER_BYTES = MAGIC.length + KEY_ID_BYTES + DIGEST_BYTES;
const LENGTH_BYTES = 4;
const TAG_BYTES = 16;
const CHUNK_BYTES = 256 * 1_024;

interface BackupKey {
  readonly id: string;
  readonly fileKey: Uint8Array<ArrayBuffer>;
  readonly nameKey: Uint8Array<ArrayBuffer>;
  readonly macKey: Uint8Array<ArrayBuffer>;
}

/** The backup key and, during a rotation, the one before it. */
export interface BackupKeys {
  readonly current: BackupKey;
  readonly all: readonly BackupKey[];
}

export class SealedFileError extends Error {
  override readonly name = "SealedFileError";
}

/** @param secrets BACKUP_ENCRYPTION_KEY, then those before it that still open files. @throws Error when there is none. */
export function backupKeys(secrets: readonly string[]): BackupKeys {
  const all = secrets.map((secret): BackupKey => {
    const nameKey = deriveKey(secret, "backup names");
    return {
      id: toHex(hmacSha256(nameKey, utf8("key id")).slice(0, KEY_ID_BYTES)),
      fileKey: deriveKey(secret, "backup files"),
      nameKey,
      macKey: deriveKey(secret, "backup manifests"),
    };
  });
  const [current] = all;
  if (current === undefined) throw new Error("there is no backup key");
  return { current, all };
}

/** 64 hex: what the contents are called. Without the key it says nothing about them. */
export const digestOf = ({ nameKey }: BackupKey, contents: Uint8Array): string => toHex(hmacSha256(nameKey, contents));

/** 64 hex over a manifest's text. */
export const manifestMac = ({ macKey }: BackupKey, text: string): string => toHex(hmacSha256(macKey, utf8(text)));

const importFileKey = (key: BackupKey, digest: Uint8Array<ArrayBuffer>) =>
  crypto.subtle.importKey("raw", new Uint8Array(hmacSha256(key.fileKey, digest)), "AES-GCM", false, [
    "encrypt",
    "decrypt",
  ]);

function nonceOf(chunk: number, last: boolean): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(7, chunk);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

/** @returns the file, and the digest that its contents are called by. */
export async function sealFile(
  keys: BackupKeys,
  contents: Uint8Array<ArrayBuffer>,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly digest: string }> {
  const digest = digestOf(keys.current, contents);
  const digestBytes = new Uint8Array(fromHex(digest));
  const key = await importFileKey(keys.current, digestBytes);
  const chunks = Math.max(1, Math.ceil(contents.length / CHUNK_BYTES));
  const bytes = new Uint8Array(HEADER_BYTES + contents.length + chunks * (LENGTH_BYTES + TAG_BYTES));
  bytes.set(MAGIC);
  bytes.set(fromHex(keys.current.id), MAGIC.length);
  bytes.set(digestBytes, MAGIC.length + KEY_ID_BYTES);
  const view = new DataView(bytes.buffer);
  let at = HEADER_BYTES;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const part = contents.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
    const iv = nonceOf(chunk, chunk === chunks - 1);
    const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, part));
    view.setUint32(at, sealed.length);
    bytes.set(sealed, at + LENGTH_BYTES);
    at += LENGTH_BYTES + sealed.length;
  }
  return { bytes, digest };
}

/** @throws SealedFileError when the key is not held, or any byte is not the one that was written. */
export async function openFile(keys: BackupKeys, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new SealedFileError("it is not a sealed file");
  }
  const id = toHex(bytes.slice(MAGIC.length, MAGIC.length + KEY_ID_BYTES));
  const held = keys.all.find((candidate) => candidate.id === id);
  if (held === undefined) throw new SealedFileError(`it was sealed under the backup key ${id}, which is not held`);
  const digest = bytes.slice(MAGIC.length + KEY_ID_BYTES, HEADER_BYTES);
  const key = await importFileKey(held, digest);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: Uint8Array[] = [];
  let at = HEADER_BYTES;
  try {
    for (let chunk = 0; at < bytes.length; chunk++) {
      const from = at + LENGTH_BYTES;
      const end = from + view.getUint32(at);
      if (end > bytes.length) throw new RangeError("a chunk is cut short");
      const iv = nonceOf(chunk, end === bytes.length);
      const opened = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, bytes.subarray(from, end));
      parts.push(new Uint8Array(opened));
      at = end;
    }
  } catch {
    throw new SealedFileError("it does not open");
  }
  const contents = concatBytes(...parts);
  if (parts.length === 0 || digestOf(held, contents) !== toHex(digest)) throw new SealedFileError("it does not open");
  return contents;
}
