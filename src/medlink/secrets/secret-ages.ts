/** How old the hub's secrets are, told without keeping anything of them. */
import { toHex, utf8 } from "../../platform/encoding.ts";
import { secretsOf } from "../../platform/secrets.ts";
import { sha256Of } from "../../platform/sha256.ts";

/** Rotation is due after this. */
export const SECRET_MAX_AGE_MS = 90 * 86_400_000;

const FINGERPRINT_BYTES = 8;

/** Secrets are random and long, so their hash can not be guessed back; half of one is enough to see that it changed. */
const fingerprintOf = (name: string, value: string): string =>
  toHex(sha256Of(utf8(`secret age\n${name}\n${value}`)).slice(0, FINGERPRINT_BYTES));

/** @param values the worker's environment. */
export const sightingsOf = (values: Readonly<Record<string, unknown>>) =>
  secretsOf("medlink-hub").flatMap(({ name }) => {
    const value = values[name];
    return typeof value === "string" && value !== "" ? [{ name, fingerprint: fingerprintOf(name, value) }] : [];
  });
