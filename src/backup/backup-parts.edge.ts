/** A worker's bindings, settings and keys as backups take them. */
import type { CoreEnv } from "../core/env.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { acceptedValues } from "../platform/secrets.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { CORE_TABLES } from "./catalogue.ts";
import { backupKeys } from "./sealed-file.ts";
import { shownSettings } from "./shown-settings.ts";
import type { SnapshotParts } from "./snapshot.edge.ts";

export const coreBackupPrefix = (ledgerId: string): string => `core/${ledgerId}/`;

/** @returns undefined while there is no bucket for backups or no key: then nothing is backed up, and the status says so. */
export async function coreBackupParts(env: CoreEnv, settings: CoreSettings): Promise<SnapshotParts | undefined> {
  const secrets = acceptedValues({ ...env }, "BACKUP_ENCRYPTION_KEY");
  if (env.BACKUPS === undefined || secrets.length === 0) return undefined;
  const { currentKeyId } = await makeKeyring(acceptedValues({ ...env }, "PAYLOAD_MASTER_KEY"), "payload");
  return {
    db: env.DB,
    bucket: env.BACKUPS,
    prefix: coreBackupPrefix(settings.LEDGER_ID),
    of: "itrans-core",
    catalogue: CORE_TABLES,
    ledger: { id: settings.LEDGER_ID, masterKeyId: currentKeyId, payloads: env.LEDGER },
    keys: backupKeys(secrets),
    settings: shownSettings(settings),
    now: systemNow,
    leaseMs: settings.BACKUP_LEASE_MS,
  };
}
