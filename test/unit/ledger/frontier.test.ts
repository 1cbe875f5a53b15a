import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  parseFrontier,
  rootOf,
  serializeFrontier,
} from "../../../src/ledger/frontier.ts";
import { leafHash, nodeHash } from "../../../src/ledger/hash.ts";
import { fromHex, toHex, utf8 } from "../../../src/platform/encoding.ts";
import * as reference from "../../support/rfc6962.ts";

const vectors = (name: "rfc6962" | "tiles-300") =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), "utf8"));

const grown = (leaves: readonly Uint8Array[]): Frontier =>
  leaves.reduce<Frontier>((frontier, leaf) => appendLeaf(frontier, leafHash(leaf)), EMPTY_FRONTIER);

const numbered = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => utf8(`leaf ${i}`));

/** A frontier nobody grew leaf by leaf: a made-up root for each bit set. */
const synthetic = (size: bigint): Frontier => ({
  size: Number(size),
  roots: [...size.toString(2)].flatMap((bit, i) => (bit === "1" ? [leafHash(utf8(`subtree ${i}`))] : [])),
});

describe("the frontier", () => {
  const rfc6962: { readonly leavesHex: readonly string[]; readonly rootBySize: readonly string[] } = vectors("rfc6962");
  const leaves = rfc6962.leavesHex.map(fromHex);
  const cases = rfc6962.rootBySize.map((root, size) => ({ size, root }));

  it.each(cases)("has RFC 6962's root at size $size", ({ size, root }) => {
    expect(toHex(rootOf(grown(leaves.slice(0, size))))).toBe(root);
  });

  it("has the roots that Go's tlog gives for 300 leaves", () => {
    const { rootBySize: roots }: { readonly rootBySize: Readonly<Record<string, string>> } = vectors("tiles-300");
    expect(Object.keys(roots)).toEqual(["100", "256", "300"]);
    for (const [size, root] of Object.entries(roots)) {
      expect(toHex(rootOf(grown(numbered(Number(size)))))).toBe(root);
    }
  });

  it("agrees with the recursive definition at every size up to 130, and keeps one root for each bit", () => {
    const many = numbered(130);
    const hashes = many.map((leaf) => reference.leafHash(leaf));
    let frontier: Frontier = EMPTY_FRONTIER;
    for (const [i, leaf] of many.entries()) {
      frontier = appendLeaf(frontier, leafHash(leaf));
      expect(frontier.size).toBe(i + 1);
      expect(frontier.roots).toHaveLength([...(i + 1).toString(2)].filter((bit) => bit === "1").length);
      expect(toHex(rootOf(frontier))).toBe(reference.hexOf(reference.rootOf(hashes.slice(0, i + 1))));
    }
  });

  it("leaves the frontier it was given as it was", () => {
    const three = grown(numbered(3));
    const before = serializeFrontier(three);
    appendLeaf(three, leafHash(utf8("another")));
    expect(serializeFrontier(three)).toBe(before);
  });

  it.each([2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n + 5n, 2n ** 53n - 2n])(
    "carries past 32 bits: one leaf more at size %s merges the trailing ones and nothing else",
    (size) => {
      const before = synthetic(size);
      const leaf = leafHash(utf8("the next"));
      const after = appendLeaf(before, leaf);
      const trailingOnes = /1*$/.exec(size.toString(2))?.[0].length ?? 0;
      const merged = before.roots.slice(before.roots.length - trailingOnes);
      const carried = merged.reduceRight((right, left) => nodeHash(left, right), leaf);
      expect(after.size).toBe(Number(size) + 1);
      expect(after.roots.map(toHex)).toEqual(
        [...before.roots.slice(0, before.roots.length - trailingOnes), carried].map(toHex),
      );
      expect(parseFrontier(after.size, serializeFrontier(after))).toEqual(after);
    },
  );

  it("refuses to carry when a root is missing", () => {
    expect(() => appendLeaf({ size: 3, roots: [leafHash(utf8("a"))] }, leafHash(utf8("b")))).toThrow("lacks a root");
  });
});

describe("a stored frontier", () => {
  const five = grown(numbered(5));
  const text = serializeFrontier(five);

  it("reads back as it was written", () => {
    expect(parseFrontier(5, text)).toEqual(five);
    expect(parseFrontier(0, "[]")).toEqual(EMPTY_FRONTIER);
    expect(JSON.parse(text)).toEqual(five.roots.map(toHex));
  });

  const [first = "", second = ""]: string[] = JSON.parse(text);
  it.each([
    ["of another size", 7, text],
    ["of an empty ledger for one that is not", 5, "[]"],
    ["of a ledger for an empty one", 0, text],
    ["with a root too many", 5, JSON.stringify([first, second, second])],
    ["with a short root", 5, JSON.stringify([first, second.slice(2)])],
    ["with a long root", 5, JSON.stringify([first, `${second}00`])],
    ["with a root that is no hex", 5, JSON.stringify([first, `zz${second.slice(2)}`])],
    ["with a number for a root", 5, JSON.stringify([first, 7])],
    ["with null for a root", 5, JSON.stringify([first, null])],
    ["that is no array", 5, JSON.stringify({ 0: first, 1: second, length: 2 })],
    ["cut short", 5, text.slice(0, -3)],
    ["that is nothing", 5, ""],
  ])("%s is refused", (_what, size, damaged) => {
    expect(() => parseFrontier(size, damaged)).toThrow();
  });
});
