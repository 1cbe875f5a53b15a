/** Time-based one-time passwords (RFC 6238 over RFC 4226): SHA-1, 30 seconds, 6 digits, as every authenticator takes them. */
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import type { RandomBytes } from "../../platform/seal.ts";
import { timingSafeEqual } from "../../platform/timing-safe.ts";

export const TOTP_STEP_MS = 30_000;
const DIGITS = 6;
/** Bytes; what RFC 4226 recommends for SHA-1. */
const SECRET_BYTES = 20;
/** Clocks differ, and people type slowly: the step before and the step after are taken too. */
const TOLERANCE_STEPS = 1;

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 without padding. */
export function toBase32(bytes: Uint8Array): string {
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((buffer >> bits) & 31);
    }
    buffer &= 31;
  }
  return bits === 0 ? text : text + BASE32.charAt((buffer << (5 - bits)) & 31);
}

/** @returns undefined when the text is not base32. */
export function fromBase32(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const character of text.toUpperCase()) {
    const value = BASE32.indexOf(character);
    if (value < 0) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((buffer >> bits) & 255);
    }
    buffer &= 255;
  }
  return Uint8Array.from(bytes);
}

/** @returns 160 bits as 32 characters of base32. */
export const newTotpSecret = (random: RandomBytes): string => toBase32(random(SECRET_BYTES));

export const totpStep = (epochMs: number): number => Math.floor(epochMs / TOTP_STEP_MS);

export function totpCode(key: Uint8Array, step: number, digits = DIGITS): string {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(step));
  const digest = hmac(sha1, key, new Uint8Array(counter.buffer));
  const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
  const truncated = view.getUint32((digest[19] ?? 0) & 15) & 0x7f_ff_ff_ff;
  return String(truncated % 10 ** digits).padStart(digits, "0");
}

/**
 * @param lastStep the step of the last code taken: it and those before it are spent.
 * @returns the step whose code this is; undefined when the code is wrong or spent.
 */
export function matchTotp(secret: string, code: string, now: number, lastStep: number): number | undefined {
  const key = fromBase32(secret);
  if (key === undefined) return undefined;
  const middle = totpStep(now);
  let matched: number | undefined;
  for (let step = middle - TOLERANCE_STEPS; step <= middle + TOLERANCE_STEPS; step++) {
    if (timingSafeEqual(totpCode(key, step), code) && step > lastStep) matched = step;
  }
  return matched;
}

/** What an authenticator reads from the QR code (the key URI format). */
export function otpauthUrl(secret: string, email: string, issuer = "MedLink"): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(email)}`;
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${DIGITS}&period=30`;
}

export const BACKUP_CODES = 10;

/** Ten characters of base32 (50 bits) in two groups: they can be read aloud. */
export function newBackupCodes(random: RandomBytes): readonly string[] {
  return Array.from({ length: BACKUP_CODES }, () => {
    const text = toBase32(random(7)).slice(0, 10).toLowerCase();
    return `${text.slice(0, 5)}-${text.slice(5)}`;
  });
}

/** As people type them: any case, with or without the dash. */
export const normalizeBackupCode = (code: string): string => code.replace(/[\s-]/g, "").toLowerCase();
