/**
 * The Merkle frontier: the roots of the complete subtrees that a tree of some size splits into, largest first. It is all
 * that appending needs, at most one hash for each bit of the size.
 */
import { fromHex, toHex } from "../platform/encoding.ts";
import { EMPTY_ROOT, HASH_BYTES, type Hash, nodeHash } from "./hash.ts";

export interface Frontier {
  /** Number of leaves. */
  readonly size: number;
  /** One root for each bit set in `size`, the highest bit first. */
  readonly roots: readonly Hash[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, roots: [] };

/** Bits set in a safe integer; sizes pass 2^31, so no 32-bit operators. */
function bitsSet(size: number): number {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
}

/** The frontier with one more leaf: equal subtrees merge from the right, like the carry of a binary counter. */
export function appendLeaf(frontier: Frontier, leaf: Hash): Frontier {
  const roots = [...frontier.roots];
  let carried = leaf;
  for (let rest = frontier.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    const left = roots.pop();
    if (left === undefined) throw new Error(`a frontier of size ${frontier.size} lacks a root`);
    carried = nodeHash(left, carried);
  }
  roots.push(carried);
  return { size: frontier.size + 1, roots };
}

/** The tree's root: the subtrees folded from the right (RFC 6962 section 2.1). */
export function rootOf(frontier: Frontier): Hash {
  let root: Hash | undefined;
  for (const subtree of frontier.roots.toReversed()) root = root === undefined ? subtree : nodeHash(subtree, root);
  return root ?? EMPTY_ROOT;
}

/** JSON array of lower-case hex, as it is stored with the head. */
export const serializeFrontier = (frontier: Frontier): string =>
  JSON.stringify(frontier.roots.map((root) => toHex(root)));

/** @throws Error when the text is not a frontier of that size: a damaged head must not be built upon. */
export function parseFrontier(size: number, text: string): Frontier {
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed) || parsed.length !== bitsSet(size)) {
    throw new Error(`the stored frontier does not fit a ledger of ${size} entries`);
  }
  const roots = parsed.map((hex: unknown) => {
    const root = typeof hex === "string" ? fromHex(hex) : new Uint8Array(0);
    if (root.length !== HASH_BYTES) throw new Error("the stored frontier holds something that is not a hash");
    return root;
  });
  return { size, roots };
}
