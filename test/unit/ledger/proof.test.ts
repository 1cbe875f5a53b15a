import { describe, expect, it } from "vitest";
import { HASH_BYTES, type Hash, leafHash, nodeHash } from "../../../src/ledger/hash.ts";
import { type HashTile, tileWidth } from "../../../src/ledger/layout.ts";
import {
  proveConsistency,
  proveInclusion,
  rootFromTiles,
  verifyConsistency,
  verifyInclusion,
} from "../../../src/ledger/proof.ts";
import { fromHex, toHex } from "../../../src/platform/encoding.ts";
import { leafHash as naiveLeafHash, pathOf, rootOf } from "../../support/rfc6962.ts";
import { leafEntries, logFiles, readerOf } from "../../support/tree.ts";
import rfc6962 from "../../vectors/rfc6962.json" with { type: "json" };
import vector from "../../vectors/tiles-300.json" with { type: "json" };

const hex = (hashes: readonly Hash[]): string[] => hashes.map(toHex);
const bytesOf = (hash: Uint8Array): Uint8Array => Uint8Array.from(hash);
const SIZE = 300;
const read = readerOf(logFiles(leafEntries(SIZE)).files);
const leaves = leafEntries(SIZE).map((entry) => bytesOf(naiveLeafHash(entry)));
const roots = Array.from({ length: SIZE + 1 }, (_, size) => bytesOf(rootOf(leaves.slice(0, size))));
const root = (size: number): Hash => roots[size] ?? new Uint8Array();
const leaf = (index: number): Hash => leaves[index] ?? new Uint8Array();
const flipped = (hash: Hash): Hash => hash.map((byte, i) => (i === 7 ? byte ^ 1 : byte));

describe("inclusion proofs", () => {
  it("are those of the vector", async () => {
    const { index, size, hashes } = vector.inclusionProof;
    expect(hex(await proveInclusion(index, size, SIZE, read))).toEqual(hashes);
    expect(verifyInclusion(index, size, leaf(index), hashes.map(fromHex), root(size))).toBe(true);
  });

  it("are those of the recursive definition, for every entry of many sizes, read from the tiles of a larger tree", async () => {
    for (const size of [1, 2, 3, 7, 8, 9, 100, 255, 256, 257, 300]) {
      for (let index = 0; index < size; index += size > 20 ? 13 : 1) {
        const proof = await proveInclusion(index, size, SIZE, read);
        expect(hex(proof)).toEqual(hex(pathOf(index, leaves.slice(0, size)).map(bytesOf)));
        expect(verifyInclusion(index, size, leaf(index), proof, root(size))).toBe(true);
      }
    }
  });

  it("fail for any other index, size, leaf, root, and any hash changed, left out or added", async () => {
    const proof = await proveInclusion(270, 300, SIZE, read);
    const check = (over: Partial<{ index: number; size: number; leaf: Hash; proof: readonly Hash[]; root: Hash }>) => {
      const it = { index: 270, size: 300, leaf: leaf(270), proof, root: root(300), ...over };
      return verifyInclusion(it.index, it.size, it.leaf, it.proof, it.root);
    };
    expect(check({})).toBe(true);
    expect(check({ index: 271 })).toBe(false);
    expect(check({ index: 300 })).toBe(false);
    expect(check({ index: -1 })).toBe(false);
    expect(check({ index: 270.5 })).toBe(false);
    expect(check({ size: 2 ** 53 })).toBe(false);
    expect(check({ size: 512 + 300 })).toBe(false);
    expect(check({ leaf: leaf(269) })).toBe(false);
    expect(check({ root: root(299) })).toBe(false);
    for (const i of proof.keys()) {
      expect(check({ proof: proof.map((hash, at) => (at === i ? flipped(hash) : hash)) })).toBe(false);
      expect(check({ proof: proof.filter((_, at) => at !== i) })).toBe(false);
    }
    expect(check({ proof: [...proof, leaf(0)] })).toBe(false);
    expect(check({ proof: proof.map((hash) => hash.slice(1)) })).toBe(false);
    expect(verifyInclusion(0, 0, leaf(0), [], root(0))).toBe(false);
  });

  it("are refused beyond the tree that is published", async () => {
    await expect(proveInclusion(5, 5, SIZE, read)).rejects.toThrow(RangeError);
    await expect(proveInclusion(5, 301, SIZE, read)).rejects.toThrow(RangeError);
    await expect(proveInclusion(0.5, 5, SIZE, read)).rejects.toThrow(RangeError);
  });
});

describe("consistency proofs", () => {
  it("are those of the vector", async () => {
    const { from, to, hashes } = vector.consistencyProof;
    expect(hex(await proveConsistency(from, to, SIZE, read))).toEqual(hashes);
    expect(verifyConsistency(from, to, root(from), root(to), hashes.map(fromHex))).toBe(true);
  });

  it("verify between any two sizes, and not against any other root", async () => {
    const sizes = [1, 2, 3, 4, 6, 7, 8, 64, 100, 128, 255, 256, 257, 299, 300];
    for (const from of sizes) {
      for (const to of sizes.filter((size) => size >= from)) {
        const proof = await proveConsistency(from, to, SIZE, read);
        expect(verifyConsistency(from, to, root(from), root(to), proof)).toBe(true);
        expect(verifyConsistency(from, to, flipped(root(from)), root(to), proof)).toBe(false);
        expect(verifyConsistency(from, to, root(from), flipped(root(to)), proof)).toBe(false);
        expect(verifyConsistency(from, to, root(from), root(to), [...proof, leaf(0)])).toBe(false);
        for (const i of proof.keys()) {
          const tampered = proof.map((hash, at) => (at === i ? flipped(hash) : hash));
          expect(verifyConsistency(from, to, root(from), root(to), tampered)).toBe(false);
          expect(verifyConsistency(from, to, root(from), root(to), proof.toSpliced(i, 1))).toBe(false);
        }
      }
    }
  });

  it("are as long as their sizes ask for, or fail", async () => {
    const proof = await proveConsistency(4, 8, SIZE, read);
    expect(verifyConsistency(4, 8, root(4), root(8), proof)).toBe(true);
    for (const [from, to] of [
      [4, 12],
      [4, 16],
      [2, 8],
    ] as const) {
      expect(verifyConsistency(from, to, root(4), root(8), proof)).toBe(false);
    }
  });

  it("are refused from nothing, backwards, and empty between different sizes", async () => {
    expect(verifyConsistency(0, 5, root(0), root(5), [])).toBe(false);
    expect(verifyConsistency(6, 5, root(6), root(5), [leaf(0)])).toBe(false);
    expect(verifyConsistency(4, 5, root(4), root(5), [])).toBe(false);
    expect(verifyConsistency(5, 5, root(5), root(5), [leaf(0)])).toBe(false);
    await expect(proveConsistency(0, 5, SIZE, read)).rejects.toThrow(RangeError);
    await expect(proveConsistency(5, 301, SIZE, read)).rejects.toThrow(RangeError);
  });
});

it("the roots of the RFC's test leaves come out of the tiles", async () => {
  const entries = rfc6962.leavesHex.map((text) => Uint8Array.from(Buffer.from(text, "hex")));
  const reader = readerOf(logFiles(entries).files);
  for (let size = 1; size <= 8; size++) {
    expect(toHex(await rootFromTiles(size, 8, reader))).toBe(rfc6962.rootBySize[size]);
  }
});

describe("past 2^31 entries", () => {
  // A tree whose entries are all the same: each subtree's root depends on its height alone, so any tile can be made up.
  const byHeight: Hash[] = [leafHash(new Uint8Array())];
  const rootAt = (height: number): Hash => {
    for (let at = byHeight.length; at <= height; at++) {
      const below = byHeight[at - 1];
      if (below !== undefined) byHeight.push(nodeHash(below, below));
    }
    return byHeight[height] ?? new Uint8Array();
  };
  const uniform = async ({ level, width }: HashTile): Promise<Uint8Array> => {
    const bytes = new Uint8Array(width * HASH_BYTES);
    for (let i = 0; i < width; i++) bytes.set(rootAt(8 * level), i * HASH_BYTES);
    return bytes;
  };
  const rootOfSize = (size: number): Hash => {
    let top: Hash | undefined;
    for (let height = 0, rest = size; rest > 0; height++, rest = Math.floor(rest / 2)) {
      if (rest % 2 === 1) top = top === undefined ? rootAt(height) : nodeHash(rootAt(height), top);
    }
    return top ?? new Uint8Array();
  };
  const sizes = [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32, 2 ** 32 + 7, 2 ** 40 - 1, 2 ** 45 + 12_345, 2 ** 53 - 1];

  it("inclusion is proved and verified, and not at another index", async () => {
    for (const size of sizes) {
      expect(toHex(await rootFromTiles(size, size, uniform))).toBe(toHex(rootOfSize(size)));
      for (const index of [0, 2 ** 30, 2 ** 31 - 2, size - 1, Math.floor(size / 3)]) {
        const proof = await proveInclusion(index, size, size, uniform);
        expect(verifyInclusion(index, size, rootAt(0), proof, rootOfSize(size))).toBe(true);
        expect(verifyInclusion(index, size, rootAt(1), proof, rootOfSize(size))).toBe(false);
      }
    }
  });

  it("consistency is proved and verified", async () => {
    for (const from of [1, 3, 2 ** 20, ...sizes]) {
      for (const to of sizes.filter((size) => size >= from)) {
        const proof = await proveConsistency(from, to, to, uniform);
        expect(verifyConsistency(from, to, rootOfSize(from), rootOfSize(to), proof)).toBe(true);
        if (from < to) expect(verifyConsistency(from, to, rootOfSize(from), rootOfSize(from), proof)).toBe(false);
      }
    }
  });

  it("tile widths stay within what a tile holds", () => {
    for (const size of sizes) {
      for (let level = 0; level < 8; level++) {
        const index = Math.floor(size / 256 ** (level + 1));
        expect(tileWidth(level, index, size)).toBeLessThan(256);
      }
    }
  });
});
