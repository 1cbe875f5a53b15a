/** A ledger too large for one answer: its newest entries, bound to the whole by the published tiles. */
import { beforeAll, describe, expect, it } from "vitest";
import { verifyNewest, verifyRange } from "../../../src/ledger/verify.ts";
import { LedgerWorld } from "../../support/ledger-world.ts";

const LENGTH = 1_000;
let world: LedgerWorld;
const verified = () => verifyNewest(world.port(), LENGTH);

beforeAll(async () => {
  world = await LedgerWorld.make();
  await world.addEntries(300);
  await world.anchor("confirmed");
  await world.addEntries(2_500);
  await world.publish();
  await world.addEntries(77);
});

/** The same with one change, which is taken back. */
async function changed(sql: string, undo: string) {
  world.sqlite.exec(sql);
  try {
    return (await verified()).findings.map(({ type, size, place }) => [type, size ?? place]);
  } finally {
    world.sqlite.exec(undo);
  }
}

describe("the newest segment", () => {
  it("is bound to the head's root by the tiles, and holds the checkpoint and an anchor before it", async () => {
    expect(await verified()).toMatchObject({
      findings: [],
      method: "newest-segment",
      from: 2_048,
      through: 2_877,
      size: 2_877,
      tree: "tiles",
      checkpoint: 2_800,
      anchor: 300,
    });
  });

  it("says when the anchored tree is not the one that the published one extends", async () => {
    const other = "f".repeat(64);
    const { root_hash: root } = world.sqlite.prepare("SELECT root_hash FROM anchors").get() ?? {};
    const set = (value: unknown) => `UPDATE anchors SET root_hash = '${String(value)}'`;
    expect(await changed(set(other), set(root))).toEqual([["anchor-mismatch", 300]]);
  });

  it("says when a tile before it has other bytes, or is gone", async () => {
    const key = "log/main/tile/1/000.p/10";
    const bytes = world.bucket.objects.get(key);
    if (bytes === undefined) throw new Error("no such tile");
    const flipped = bytes.slice();
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    world.bucket.objects.set(key, flipped);
    const types = (await verified()).findings.map(({ type }) => type);
    expect(types).toContain("root-mismatch");
    world.bucket.objects.delete(key);
    expect((await verified()).findings.map(({ place }) => place)).toContain("tile/1/000.p/10");
    world.bucket.objects.set(key, bytes);
    expect((await verified()).findings).toEqual([]);
  });

  it.each([
    [0, 100, 0],
    [300, 301, 256],
    [700, 2_500, 512],
    [2_700, 9_000, 2_560],
  ])("a range from %i to %i is begun from the tiles at %3$i", async (from, to, start) => {
    const { findings, method, from: began, through } = await verifyRange(world.port(), from, to);
    expect({ findings, method, began, through }).toEqual({
      findings: [],
      method: "range",
      began: start,
      through: Math.min(to, 2_877),
    });
  });
});
