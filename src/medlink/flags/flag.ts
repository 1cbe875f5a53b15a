/** Feature flags: on for a share of the users, the same ones each time. */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "../../platform/encoding.ts";

export const FLAG_NAMES = [
  "FEATURE_FLAG_NEW_UI",
  "FEATURE_FLAG_ADVANCED_ANALYTICS",
  "FEATURE_FLAG_BULK_OPERATIONS",
] as const;
export type FlagName = (typeof FLAG_NAMES)[number];

export interface Flag {
  readonly enabled: boolean;
  /** 0 to 100. */
  readonly percentage: number;
}

const BUCKETS = 10_000;

/** Where a user stands for a flag, 0 to 9,999: evenly spread, and another place for each flag. */
export function bucketOf(name: FlagName, userId: string): number {
  const digest = sha256(utf8(`${name}\n${userId}`));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) % BUCKETS;
}

/** A higher percentage keeps everyone for whom it was on. */
export const isOnFor = (flag: Flag, name: FlagName, userId: string): boolean =>
  flag.enabled && bucketOf(name, userId) < (flag.percentage * BUCKETS) / 100;

/** The UTC day, as YYYY-MM-DD. */
export const dayOf = (epochMs: number): string => new Date(epochMs).toISOString().slice(0, 10);
