/** Tokens that are secrets in themselves (links, API tokens): 256 random bits, so a plain hash of them is safe to keep. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex, utf8 } from "../../platform/encoding.ts";
import type { RandomBytes } from "../../platform/seal.ts";

export interface SecretToken {
  /** Shown once, to the one it is for. */
  readonly token: string;
  /** What the database keeps. */
  readonly hash: string;
}

export const tokenHash = (token: string): string => toHex(sha256(utf8(token)));

/** @param prefix what scanners for leaked secrets can recognize it by; may be empty. */
export function newSecretToken(random: RandomBytes, prefix = ""): SecretToken {
  const token = `${prefix}${toHex(random(32))}`;
  return { token, hash: tokenHash(token) };
}

export const API_TOKEN_PREFIX = "mlk_";
export const INVITATION_MS = 7 * 86_400_000;
export const PASSWORD_RESET_MS = 3_600_000;

/** The token is in the fragment, which browsers send to no server and put into no Referer. */
export const invitationUrl = (origin: string, token: string): string => `${origin}/accept-invitation#${token}`;
export const passwordResetUrl = (origin: string, token: string): string => `${origin}/reset-password#${token}`;
