/** What publishing needs to know, from the settings and secrets of core. */
import * as z from "zod";
import { acceptedValues } from "../platform/secrets.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { isOrigin, originOfUrl } from "./checkpoint.ts";
import { importSigningKey, parseSeed } from "./ed25519.ts";
import { makeSigner, type NoteSigner, parseVerifierKey, type VerifierKey } from "./note.ts";

const MAX_WITNESSES = 8;

const witnessesSchema = z.array(z.strictObject({ url: z.url(), key: z.string() })).max(MAX_WITNESSES);

export interface Witness {
  /** The submission prefix; `/add-checkpoint` follows. */
  readonly url: string;
  readonly key: VerifierKey;
}

export type LogSettings =
  | { readonly type: "disabled"; readonly reason: string }
  | {
      readonly type: "enabled";
      readonly origin: string;
      /** The current key's first; during a rotation the previous one's too. */
      readonly seeds: readonly Uint8Array[];
      readonly witnesses: readonly Witness[];
    };

const DEVELOPMENT_ORIGIN = "localhost/ledger/log";

type OriginSettings = Pick<CoreSettings, "ENVIRONMENT" | "LEDGER_ORIGIN" | "LEDGER_LOG_URL">;

/** The log's name; undefined while neither it nor the log's URL is set. */
export function logOrigin(settings: OriginSettings): string | undefined {
  if (settings.LEDGER_ORIGIN !== undefined) return settings.LEDGER_ORIGIN;
  if (settings.LEDGER_LOG_URL !== undefined) return originOfUrl(settings.LEDGER_LOG_URL);
  return settings.ENVIRONMENT === "development" ? DEVELOPMENT_ORIGIN : undefined;
}

/** @returns undefined when the text is not a JSON list of witnesses with verifier keys for cosignatures. */
export function parseWitnesses(text: string | undefined): readonly Witness[] | undefined {
  if (text === undefined) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list = witnessesSchema.safeParse(parsed);
  if (!list.success) return undefined;
  const witnesses: Witness[] = [];
  for (const { url, key: text } of list.data) {
    const key = parseVerifierKey(text);
    if (key?.type !== "cosignature") return undefined;
    witnesses.push({ url: url.replace(/\/+$/, ""), key });
  }
  return witnesses;
}

/** @param secrets the worker's environment; only the signing key and its predecessor are looked at. */
export function logSettings(
  settings: OriginSettings & Pick<CoreSettings, "LEDGER_WITNESSES">,
  secrets: Readonly<Record<string, unknown>>,
): LogSettings {
  const origin = logOrigin(settings);
  if (origin === undefined) return { type: "disabled", reason: "Neither LEDGER_ORIGIN nor LEDGER_LOG_URL is set." };
  if (!isOrigin(origin)) return { type: "disabled", reason: "The log's origin has a space or a plus." };
  const values = acceptedValues(secrets, "LEDGER_SIGNING_KEY");
  if (values.length === 0) return { type: "disabled", reason: "LEDGER_SIGNING_KEY is not set." };
  const seeds = values.map(parseSeed).filter((seed) => seed !== undefined);
  if (seeds.length < values.length) {
    return { type: "disabled", reason: "LEDGER_SIGNING_KEY or its predecessor is not 43 characters of base64url." };
  }
  const witnesses = parseWitnesses(settings.LEDGER_WITNESSES);
  if (witnesses === undefined) return { type: "disabled", reason: "LEDGER_WITNESSES is not a list of witnesses." };
  return { type: "enabled", origin, seeds, witnesses };
}

/** Every key that signs now, the current one first. */
export const logSigners = (log: Extract<LogSettings, { type: "enabled" }>): Promise<readonly NoteSigner[]> =>
  Promise.all(log.seeds.map(async (seed) => makeSigner(log.origin, await importSigningKey(seed))));
