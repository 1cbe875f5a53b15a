import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { leafHash } from "../../../src/ledger/hash.ts";
import {
  bundlePrefix,
  decodeBundle,
  EMPTY_EDGE,
  encodeBundle,
  extendEdge,
  rootOfEdge,
  splitTile,
} from "../../../src/ledger/tiles.ts";
import { hexOf, leafHash as naiveLeafHash, rootOf } from "../../support/rfc6962.ts";
import { leafEntries, logFiles } from "../../support/tree.ts";
import rfc6962 from "../../vectors/rfc6962.json" with { type: "json" };
import vector from "../../vectors/tiles-300.json" with { type: "json" };

const sha256Hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("tiles of a tree", () => {
  it("are byte for byte those of the vector, and no others", () => {
    const { files } = logFiles(leafEntries(300));
    const sums = Object.fromEntries([...files].map(([path, bytes]) => [path, sha256Hex(bytes)]));
    expect(sums).toEqual(vector.sha256OfFile);
  });

  it("come out the same in whatever steps the tree grows", () => {
    const leaves = leafEntries(700).map(leafHash);
    const once = extendEdge(EMPTY_EDGE, leaves);
    let edge = EMPTY_EDGE;
    const completed = [];
    for (let at = 0, step = 1; at < leaves.length; at += step, step = (step * 7) % 97 || 1) {
      const next = extendEdge(edge, leaves.slice(at, at + step));
      edge = next.edge;
      completed.push(...next.completed);
    }
    expect(edge).toEqual(once.edge);
    expect(completed).toEqual(once.completed);
  });

  it("give the root of the tree at every size", () => {
    const leaves = leafEntries(520);
    const naive = leaves.map(naiveLeafHash);
    let edge = EMPTY_EDGE;
    for (let size = 0; size <= leaves.length; size++) {
      expect(hexOf(rootOfEdge(edge))).toBe(hexOf(rootOf(naive.slice(0, size))));
      const next = leaves[size];
      if (next !== undefined) edge = extendEdge(edge, [leafHash(next)]).edge;
    }
  });

  it("reach the level above the second at 65,536 entries", () => {
    const leaf = leafHash(new Uint8Array());
    const { edge, completed } = extendEdge(
      EMPTY_EDGE,
      Array.from({ length: 65_537 }, () => leaf),
    );
    expect(edge.levels.map((hashes) => hashes.length)).toEqual([1, 0, 1]);
    expect(completed.filter(({ tile }) => tile.level === 0)).toHaveLength(256);
    expect(completed.at(-1)?.tile).toEqual({ kind: "hashes", level: 1, index: 0, width: 256 });
  });

  it("split into hashes only when they are whole", () => {
    expect(splitTile(new Uint8Array(64))).toHaveLength(2);
    for (const length of [0, 31, 33, 257 * 32]) expect(splitTile(new Uint8Array(length))).toBeUndefined();
  });
});

describe("entry bundles", () => {
  const entries = rfc6962.leavesHex.map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));

  it("are those of the vector and read back", () => {
    expect(hexOf(encodeBundle(entries))).toBe(rfc6962.entryBundleOfAllEightHex);
    expect(decodeBundle(encodeBundle(entries))).toEqual(entries);
  });

  it("have prefixes that are the narrower bundles", () => {
    const bytes = encodeBundle(entries);
    expect(bundlePrefix(bytes, 3)).toEqual(encodeBundle(entries.slice(0, 3)));
    expect(bundlePrefix(bytes, 9)).toBeUndefined();
  });

  it("are refused when cut short or too wide", () => {
    const bytes = encodeBundle(entries);
    expect(decodeBundle(bytes.slice(0, -1))).toBeUndefined();
    expect(decodeBundle(Uint8Array.of(0))).toBeUndefined();
    expect(decodeBundle(new Uint8Array(2 * 257))).toBeUndefined();
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow(RangeError);
  });
});
