import type { Operation } from "../operation.edge.ts";
import {
  advanceHubBackup,
  listHubBackupKeys,
  listHubBackups,
  readHubBackup,
  readHubBackupObject,
  readHubManifest,
  startHubBackup,
} from "./backups.route.ts";

/** In the order in which they are tried. */
export const BACKUPS: readonly Operation[] = [
  startHubBackup,
  listHubBackups,
  readHubBackup,
  advanceHubBackup,
  readHubManifest,
  listHubBackupKeys,
  readHubBackupObject,
];
