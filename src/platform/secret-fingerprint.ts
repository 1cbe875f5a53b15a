/** Telling one value of a secret from another without keeping anything of it. */
import { toHex, utf8 } from "./encoding.ts";
import { sha256Of } from "./sha256.ts";

const FINGERPRINT_BYTES = 8;

/** Secrets are random and long, so their hash can not be guessed back; half of one is enough to see that it changed. */
export const fingerprintOf = (name: string, value: string): string =>
  toHex(sha256Of(utf8(`secret age\n${name}\n${value}`)).slice(0, FINGERPRINT_BYTES));

export interface SecretSighting {
  readonly name: string;
  readonly fingerprint: string;
}

/** @param names of the secrets to look at. @param values the worker's environment. */
export const sightingsIn = (
  names: readonly string[],
  values: Readonly<Record<string, unknown>>,
): readonly SecretSighting[] =>
  names.flatMap((name) => {
    const value = values[name];
    return typeof value === "string" && value !== "" ? [{ name, fingerprint: fingerprintOf(name, value) }] : [];
  });
