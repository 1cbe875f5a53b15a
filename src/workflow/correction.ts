/**
 * Corrections: nothing recorded is changed; a new request supersedes an old one, and both say so. One successor each, so
 * that what counts now is found by walking forward and there is always one answer.
 */

export type CorrectionRejection =
  /** There is no request of the id that was to be corrected. */
  | { readonly code: "corrects_unknown" }
  | { readonly code: "superseded"; readonly successor: string }
  /** Money moved on the request that was to be corrected. */
  | { readonly code: "needs_reversal" };

/** The superseded request as far as the rule needs it. */
export interface Predecessor {
  readonly requestIdHash: string;
  readonly supersededBy: string | undefined;
  /** Whether money moved on it and was not moved back. */
  readonly settled: boolean;
}

/**
 * Whether a new request may supersede this one; undefined when it may. In any state: a decision does not make a wrong record
 * right, NEEDS_INFO asks for just this, and one that was erased can still be told to be wrong. The successor may be of
 * another insurer or kind, since those too may be what was wrong; it is always of the same tenant, where alone ids are known.
 */
export function decideCorrection(predecessor: Predecessor | undefined): CorrectionRejection | undefined {
  if (predecessor === undefined) return { code: "corrects_unknown" };
  if (predecessor.supersededBy !== undefined) return { code: "superseded", successor: predecessor.supersededBy };
  if (predecessor.settled) return { code: "needs_reversal" };
  return undefined;
}

/** Requests that one walk follows. A chain that long is no series of corrections. */
export const MAX_SUCCESSORS = 1_000;

export type Current =
  | { readonly type: "current"; readonly requestIdHash: string }
  /** Longer than is followed, or it comes back on itself, which no command can make it do. */
  | { readonly type: "endless" };

/**
 * The newest successor of a request: itself when it was never superseded.
 * @param supersededBy successors by requestIdHash, at least those of the chain.
 */
export function currentOf(requestIdHash: string, supersededBy: ReadonlyMap<string, string>): Current {
  let current = requestIdHash;
  for (let steps = 0; steps <= MAX_SUCCESSORS; steps++) {
    const next = supersededBy.get(current);
    if (next === undefined) return { type: "current", requestIdHash: current };
    current = next;
  }
  return { type: "endless" };
}
