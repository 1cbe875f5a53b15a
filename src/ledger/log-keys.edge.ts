/** Whose checkpoints are this log's. */
import type { CoreEnv } from "../core/env.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { logSettings, logSigners } from "./log-settings.ts";
import { parseVerifierKey, type VerifierKey } from "./note.ts";

/** Verifier keys that have signed checkpoints: those of now, and those that were retired. None: nothing is published. */
export async function logKeysOf(env: CoreEnv, settings: CoreSettings): Promise<readonly VerifierKey[]> {
  const log = logSettings(settings, { ...env });
  if (log.type === "disabled") return [];
  const retired = (settings.LEDGER_RETIRED_KEYS ?? "")
    .split(/[\s,]+/)
    .map(parseVerifierKey)
    .filter((key) => key !== undefined);
  return [...(await logSigners(log)).map(({ key }) => key), ...retired];
}
