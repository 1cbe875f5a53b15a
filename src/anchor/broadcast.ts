/** Nodes agree on no error codes for a refused transaction; their messages are stable in practice (geth's txpool words). */
import type { BroadcastResult } from "./state.ts";

const BY_WORDS: readonly (readonly [RegExp, BroadcastResult])[] = [
  [/already known|already imported|known transaction|already exists|already in (the )?mempool/i, "already-known"],
  [/nonce (is )?too low|nonce has already been used|oldnonce|nonce expired/i, "nonce-too-low"],
  [
    /underpriced|fee too low|max fee per gas less than|gas price too low|feetoolow|less than block base fee/i,
    "underpriced",
  ],
  [/insufficient funds|insufficient balance/i, "insufficient-funds"],
];

/** @param message the node's words, or undefined when it did not answer. */
export function classifyBroadcastError(message: string | undefined): BroadcastResult {
  if (message === undefined) return "unreachable";
  return BY_WORDS.find(([words]) => words.test(message))?.[1] ?? "rejected";
}
