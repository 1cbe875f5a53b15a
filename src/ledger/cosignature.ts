/** Cosignature/v1: a witness's statement that it saw a checkpoint extend every earlier one (c2sp.org/tlog-cosignature). */
import { concatBytes, utf8 } from "../platform/encoding.ts";
import { SIGNATURE_BYTES, type SigningKey, verifyEd25519 } from "./ed25519.ts";

const TIME_BYTES = 8;

/** Posix seconds and the signature over them and the checkpoint. */
export interface Cosignature {
  readonly timeSeconds: number;
  readonly signature: Uint8Array;
}

const messageOf = (text: string, timeSeconds: number): Uint8Array<ArrayBuffer> =>
  utf8(`cosignature/v1\ntime ${timeSeconds}\n${text}`);

/** uint64 big-endian time, then the signature: what follows the key id in a signature line. */
export function parseCosignature(bytes: Uint8Array): Cosignature | undefined {
  if (bytes.length !== TIME_BYTES + SIGNATURE_BYTES) return undefined;
  const time = new DataView(bytes.buffer, bytes.byteOffset, TIME_BYTES).getBigUint64(0);
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return { timeSeconds: Number(time), signature: bytes.slice(TIME_BYTES) };
}

/** @param text the checkpoint's signed text. */
export async function cosign(key: SigningKey, text: string, timeSeconds: number): Promise<Uint8Array> {
  const time = new Uint8Array(TIME_BYTES);
  new DataView(time.buffer).setBigUint64(0, BigInt(timeSeconds));
  return concatBytes(time, await key.sign(messageOf(text, timeSeconds)));
}

export async function verifyCosignature(publicKey: Uint8Array, text: string, bytes: Uint8Array): Promise<boolean> {
  const parsed = parseCosignature(bytes);
  if (parsed === undefined) return false;
  return verifyEd25519(publicKey, messageOf(text, parsed.timeSeconds), parsed.signature);
}
