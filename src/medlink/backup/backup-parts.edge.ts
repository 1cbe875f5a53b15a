/** The hub's bindings, settings and key as backups take them. */
import { HUB_TABLES } from "../../backup/catalogue.ts";
import { backupKeys } from "../../backup/sealed-file.ts";
import { shownSettings } from "../../backup/shown-settings.ts";
import type { SnapshotParts } from "../../backup/snapshot.edge.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { acceptedValues } from "../../platform/secrets.ts";
import type { HubEnv } from "../env.ts";
import type { HubSettings } from "../settings.ts";

/** @returns undefined while there is no bucket for backups or no key. */
export function hubBackupParts(env: HubEnv, settings: HubSettings): SnapshotParts | undefined {
  const secrets = acceptedValues({ ...env }, "BACKUP_ENCRYPTION_KEY");
  if (env.BACKUPS === undefined || secrets.length === 0) return undefined;
  return {
    db: env.DB,
    bucket: env.BACKUPS,
    prefix: "hub/",
    of: "medlink-hub",
    catalogue: HUB_TABLES,
    ledger: undefined,
    attachments: env.ATTACHMENTS,
    keys: backupKeys(secrets),
    settings: shownSettings(settings),
    now: systemNow,
    leaseMs: settings.BACKUP_LEASE_MS,
  };
}
