/**
 * What one round of the scrub remembers for the next, apart from the database: digests of what only grows, so that a row taken out of
 * the middle is seen.
 */
import { toHex, utf8 } from "../platform/encoding.ts";
import type { Hasher } from "./check-tree.ts";
import type { Finding } from "./finding.ts";

/** Rows of a table that only grows, up to some key: how many there were, and a digest over them. */
export interface Remembered {
  readonly through: number;
  readonly count: number;
  readonly digest: string;
}
export const NOTHING_REMEMBERED: Remembered = { through: 0, count: 0, digest: "" };

export interface Memory {
  readonly size: number;
  readonly rootHash: string;
  readonly checkpoints: Remembered;
  readonly anchorEvents: Remembered;
  /** By size: the id of its last event and a digest of the row. */
  readonly anchors: Readonly<Record<string, readonly [number, string]>>;
}

/** One row more. */
export function remember(hasher: Hasher, before: Remembered, through: number, text: string): Remembered {
  const digest = toHex(hasher.leaf(utf8(`${before.digest}\n${text}`)));
  return { through, count: before.count + 1, digest };
}

const REMEMBERED = {
  "checkpoint-missing": "recorded checkpoints",
  "anchor-missing": "events of anchors",
} as const;

/** Once as far as an earlier round went, the rows must be those that were there then. */
export function forgotten(
  earlier: Remembered | undefined,
  before: Remembered,
  now: Remembered,
  type: keyof typeof REMEMBERED,
): readonly Finding[] {
  if (earlier === undefined || earlier.count === 0) return [];
  const reaches = now.through >= earlier.through && (before.count === 0 || before.through < earlier.through);
  if (!reaches || (now.through === earlier.through && now.digest === earlier.digest)) return [];
  return [{ type, place: "earlier-round", detail: `the ${REMEMBERED[type]} are not those of an earlier round` }];
}

/** A table that ends before the place an earlier round reached. */
export function endsEarly(
  earlier: Remembered | undefined,
  now: Remembered,
  type: keyof typeof REMEMBERED,
): readonly Finding[] {
  if (earlier === undefined || earlier.count === 0 || (now.count > 0 && now.through >= earlier.through)) return [];
  return [{ type, place: "earlier-round", detail: `the ${REMEMBERED[type]} end before those of an earlier round` }];
}
