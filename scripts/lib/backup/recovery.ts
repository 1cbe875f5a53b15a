/** What a loss at this moment would cost, by class of data, as this restore shows it. */
import type { Restored } from "./restore.ts";

const seconds = (from: number, to: number): string =>
  `${Math.max(0, Math.round((to - from) / 1_000)).toLocaleString("en")} s`;

/** @param now epoch ms; undefined: only what the restore itself shows. */
export function recoveryPoints({ manifest, state, lastEntryAt }: Restored, now?: number): readonly string[] {
  const made = Date.parse(manifest.createdAt);
  const records = now === undefined ? `as of ${manifest.createdAt}` : `${seconds(made, now)} ago, the last snapshot`;
  if (manifest.ledger === null) return [`records of the hub: ${records}`];
  const tail = state.size - manifest.ledger.size;
  const newest = lastEntryAt === null ? "" : `, the newest of ${lastEntryAt}`;
  return [
    `entries, payloads, keys: to entry ${state.size}${newest}; ${tail} of them from the minutes after the snapshot`,
    "deliveries: none lost; rows as of their entries, sent again under their event ids",
    `destinations, API keys, attempts: ${records}`,
  ];
}
