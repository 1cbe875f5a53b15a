/** The head of a ledger: all that the next commit builds on. */
import { toHex } from "../platform/encoding.ts";
import { EMPTY_FRONTIER, type Frontier, rootOf } from "./frontier.ts";
import { NO_ENTRY_HASH } from "./hash.ts";

export interface Head {
  /** Rises by one with each commit; the database refuses any other step. */
  readonly version: number;
  readonly headHash: string;
  readonly frontier: Frontier;
  /** RFC 3339, the `at` of the last entry. */
  readonly lastAt: string;
}

export const EMPTY_HEAD: Head = {
  version: 0,
  headHash: NO_ENTRY_HASH,
  frontier: EMPTY_FRONTIER,
  lastAt: "1970-01-01T00:00:00.000Z",
};

export const rootHexOf = (head: Head): string => toHex(rootOf(head.frontier));
