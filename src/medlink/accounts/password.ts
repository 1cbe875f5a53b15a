/**
 * Password hashing with scrypt (RFC 7914). A stored hash carries its parameters, so the cost can rise: old hashes still
 * verify and say that they want renewing.
 */

import { scrypt } from "node:crypto";
import { fromBase64, toBase64 } from "../../platform/encoding.ts";
import type { RandomBytes } from "../../platform/seal.ts";
import { timingSafeEqual } from "../../platform/timing-safe.ts";
import type { FieldIssue } from "../field-rule.ts";
import { PASSWORD_COST, type ScryptCost } from "./password-cost.ts";

export { PASSWORD_COST };

const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** The runtime's own scrypt: in JavaScript the same cost takes many times as long, and blocks the isolate meanwhile. */
const derive = (password: string, salt: Uint8Array, { ln, r, p }: ScryptCost): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const memory = 128 * r * (2 ** ln + p + 2); // bytes: V, B and the working blocks
    scrypt(password.normalize("NFKC"), salt, HASH_BYTES, { N: 2 ** ln, r, p, maxmem: memory }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });

/** What every hash of this cost begins with. */
export const costPrefix = (cost: ScryptCost = PASSWORD_COST): string =>
  `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$`;

/** @returns `$scrypt$ln=14,r=8,p=5$<base64 salt>$<base64 hash>`. */
export async function hashPassword(password: string, random: RandomBytes, cost = PASSWORD_COST): Promise<string> {
  const salt = random(SALT_BYTES);
  const hash = await derive(password, salt, cost);
  return `${costPrefix(cost)}${toBase64(salt)}$${toBase64(hash)}`;
}

const STORED = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/;

/** @returns whether the password is right, and whether its hash should be made again at today's cost. */
export async function verifyPassword(
  password: string,
  stored: string,
): Promise<{ readonly ok: boolean; readonly stale: boolean }> {
  const match = STORED.exec(stored);
  if (match === null) return { ok: false, stale: false };
  const [, ln = "", r = "", p = "", salt = "", hash = ""] = match;
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  if (cost.ln > 20 || cost.r > 32 || cost.p > 16) return { ok: false, stale: false }; // bounds memory and time
  const ok = timingSafeEqual(toBase64(await derive(password, fromBase64(salt), cost)), hash);
  const stale = cost.ln !== PASSWORD_COST.ln || cost.r !== PASSWORD_COST.r || cost.p !== PASSWORD_COST.p;
  return { ok, stale: ok && stale };
}

export const PASSWORD_MIN_LENGTH = 12;
export const PASSWORD_MAX_LENGTH = 1_024;
const MIN_DIFFERENT = 5;

export type PasswordFault = Omit<FieldIssue, "path">;

/**
 * Length is what counts (NIST SP 800-63B); only what anyone would try first is refused beside it.
 * @returns what to change, undefined when it will do.
 */
export function passwordFault(password: string, email: string): PasswordFault | undefined {
  const characters = [...password.normalize("NFKC")];
  if (characters.length < PASSWORD_MIN_LENGTH) {
    const message = `A password has at least ${PASSWORD_MIN_LENGTH} characters.`;
    return { rule: "shorter", message, limit: PASSWORD_MIN_LENGTH };
  }
  if (new Set(characters).size < MIN_DIFFERENT) {
    return { rule: "repetitive", message: "This password repeats too few characters." };
  }
  const [name = ""] = email.toLowerCase().split("@");
  const lower = password.toLowerCase();
  if (lower === email.toLowerCase() || lower.replaceAll(name, "").length < MIN_DIFFERENT) {
    return { rule: "address", message: "This password is the e-mail address, or nearly." };
  }
  return undefined;
}

/** Verified against when no such user exists, so that an unknown address takes as long as a wrong password. */
export const NOBODY_HASH = `${costPrefix()}bm9ib2R5LXNpZ25zLWluIQ==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=`;
