/** What proves to a development hub that a seeding script holds its session secret, without sending the secret. */
import { toHex, utf8 } from "../../platform/encoding.ts";
import { hmacSha256 } from "../../platform/signature.ts";

export const SEED_TOKEN_HEADER = "x-seed-token";

/** 64 hex digits; the value of the header x-seed-token. */
export const seedToken = (sessionSecret: string): string =>
  toHex(hmacSha256(utf8(sessionSecret), utf8("medlink seed")));
