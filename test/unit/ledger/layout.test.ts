import { describe, expect, it } from "vitest";
import { parseTilePath, partialTiles, type Tile, tilePath, tileWidth } from "../../../src/ledger/layout.ts";

const PATHS: readonly (readonly [Tile, string])[] = [
  [{ kind: "hashes", level: 0, index: 5, width: 256 }, "tile/0/005"],
  [{ kind: "hashes", level: 1, index: 1000, width: 256 }, "tile/1/x001/000"],
  [{ kind: "hashes", level: 0, index: 1_234_067, width: 256 }, "tile/0/x001/x234/067"],
  [{ kind: "hashes", level: 2, index: 0, width: 1 }, "tile/2/000.p/1"],
  [{ kind: "hashes", level: 0, index: 999, width: 255 }, "tile/0/999.p/255"],
  [{ kind: "entries", index: 0, width: 256 }, "tile/entries/000"],
  [{ kind: "entries", index: 1_234_067, width: 44 }, "tile/entries/x001/x234/067.p/44"],
  [{ kind: "hashes", level: 0, index: 2 ** 45, width: 3 }, "tile/0/x035/x184/x372/x088/832.p/3"],
];

describe("tile paths", () => {
  for (const [tile, path] of PATHS) {
    it(`${path} is written and read`, () => {
      expect(tilePath(tile)).toBe(path);
      expect(parseTilePath(path)).toEqual(tile);
    });
  }

  const REFUSED = [
    "tile/0/5",
    "tile/0/x000/005",
    "tile/00/005",
    "tile/64/005",
    "tile/0/005.p/0",
    "tile/0/005.p/256",
    "tile/0/005.p/044",
    "tile/0/x1/005",
    "tile/0/1000",
    "tile/0/x001",
    "tile/0/005/",
    "tile/0/../005",
    "tile/-1/005",
    "tile/entries/005.p/",
    "/tile/0/005",
    "tile/0/x999/x999/x999/x999/x999/999",
  ];
  for (const path of REFUSED) {
    it(`${path} is refused`, () => expect(parseTilePath(path)).toBeUndefined());
  }
});

describe("tile widths", () => {
  it("a tree of 70,000 entries is laid out as the specification's example", () => {
    expect(partialTiles(70_000)).toEqual([
      { kind: "hashes", level: 0, index: 273, width: 112 },
      { kind: "hashes", level: 1, index: 1, width: 17 },
      { kind: "hashes", level: 2, index: 0, width: 1 },
    ]);
    expect(tileWidth(0, 272, 70_000)).toBe(256);
    expect(tileWidth(0, 273, 70_000)).toBe(112);
    expect(tileWidth(0, 274, 70_000)).toBe(0);
    expect(tileWidth(1, 0, 70_000)).toBe(256);
  });

  it("a tree of 256 entries has a full tile and one hash above it", () => {
    expect(partialTiles(256)).toEqual([{ kind: "hashes", level: 1, index: 0, width: 1 }]);
    expect(partialTiles(0)).toEqual([]);
  });

  it("holds past 2^31 entries", () => {
    const size = 2 ** 40 + 3;
    expect(partialTiles(size)).toEqual([
      { kind: "hashes", level: 0, index: 2 ** 32, width: 3 },
      { kind: "hashes", level: 5, index: 0, width: 1 },
    ]);
    expect(tileWidth(0, 2 ** 32, size)).toBe(3);
    expect(tileWidth(4, 0, size)).toBe(256);
  });
});
