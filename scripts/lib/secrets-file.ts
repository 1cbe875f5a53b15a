/** Development secrets: made once, kept in an ignored file, and never used where the environment gives its own. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { SECRETS, type SecretSpec } from "../../src/platform/secrets.ts";

type Values = Readonly<Record<string, string | undefined>>;

function generate(spec: SecretSpec): string {
  switch (spec.form) {
    case "text":
    case "ed25519-jwk-d":
      return randomBytes(32).toString("base64url");
    case "evm-private-key":
      return `0x${randomBytes(32).toString("hex")}`;
  }
}

/**
 * @param layers values by name, the strongest first. A value given for one end of a shared key counts for the other end
 *   too, before anything in a weaker layer.
 * @returns a value for every secret; what no layer gives is made, or left out where it is another party's to give.
 */
export function completeSecrets(
  layers: readonly Values[],
  specs: readonly SecretSpec[] = SECRETS,
): Readonly<Record<string, string>> {
  const made = new Map<string, string>();
  const sharedName = (spec: SecretSpec): string => spec.sameAs ?? spec.name;
  const chosen = specs.flatMap((spec) => {
    const ends = specs.filter((other) => sharedName(other) === sharedName(spec));
    const given = layers
      .flatMap((layer) => [layer[spec.name], ...ends.map((end) => layer[end.name])])
      .find((value) => value !== undefined && value !== "");
    if (given === undefined && spec.external === true) return [];
    const value = given ?? made.get(sharedName(spec)) ?? generate(spec);
    made.set(sharedName(spec), value);
    return [[spec.name, value] as const];
  });
  return Object.fromEntries(chosen);
}

/**
 * @param path the ignored file; made on first use, and completed when a newer version knows more secrets.
 * @param environment overrides the file; what it gives is not written down.
 * @returns every secret of SECRETS, `<NAME>_PREVIOUS` of those that have one, and how many were made now.
 */
export function developmentSecrets(
  path: string,
  environment: Values,
): { readonly secrets: Readonly<Record<string, string>>; readonly made: number } {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "# Secrets of this copy, for development only.\n";
  const stored = parseEnv(text);
  const file = completeSecrets([stored]);
  const missing = Object.keys(file).filter((name) => (stored[name] ?? "") === "");
  if (missing.length > 0) {
    const lines = missing.map((name) => `${name}="${file[name]}"\n`).join("");
    writeFileSync(path, text.replace(/\n*$/, "\n") + lines, { mode: 0o600 });
  }
  const previous: Record<string, string> = {};
  for (const { name } of SECRETS) {
    const value = environment[`${name}_PREVIOUS`] ?? stored[`${name}_PREVIOUS`];
    if (value !== undefined && value !== "") previous[`${name}_PREVIOUS`] = value;
  }
  return { secrets: { ...previous, ...completeSecrets([environment, file]) }, made: missing.length };
}
