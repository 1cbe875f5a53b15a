/**
 * What a client of the published log does that knows golang.org/x/mod/sumdb/{note,tlog} and nothing of this project: it opens the
 * note, asks for the tiles that tlog.NewTiles names for its growth, and builds the tree from the entries. Written from those packages
 * and on node:crypto alone; only what it reads is made by the code under test.
 */
import { createHash, createPublicKey, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { formatVerifierKey } from "../../../src/ledger/note.ts";
import { LEDGER, LedgerWorld } from "../../support/ledger-world.ts";

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const WIDTH = 256;

/** note.Open: the text, or an error unless the one known key signed it. */
function openNote(note: string, vkey: string): string {
  const split = note.lastIndexOf("\n\n");
  const text = note.slice(0, split + 1);
  const [name = "", keyId = "", ...rest] = vkey.split("+");
  const key = Buffer.from(rest.join("+"), "base64");
  const id = sha256(Buffer.from(`${name}\n`), key).subarray(0, 4);
  if (id.toString("hex") !== keyId || key[0] !== 1) throw new Error("the verifier key does not hold together");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key.subarray(1)]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  for (const line of note
    .slice(split + 2)
    .trimEnd()
    .split("\n")) {
    const [dash, signer, signature = ""] = line.split(" ");
    if (dash !== "—" || signer !== name) continue;
    const bytes = Buffer.from(signature, "base64");
    if (!bytes.subarray(0, 4).equals(id)) continue;
    if (verify(null, Buffer.from(text), publicKey, bytes.subarray(4))) return text;
    throw new Error("the note's signature does not verify");
  }
  throw new Error("no known key signed the note");
}

interface TileName {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** tlog.NewTiles with height 8. */
function newTiles(before: number, size: number): readonly TileName[] {
  const tiles: TileName[] = [];
  for (let level = 0; Math.floor(size / WIDTH ** level) > 0; level++) {
    const [old, now] = [Math.floor(before / WIDTH ** level), Math.floor(size / WIDTH ** level)];
    if (old === now) continue;
    for (let index = Math.floor(old / WIDTH); index < Math.floor(now / WIDTH); index++) {
      tiles.push({ level, index, width: WIDTH });
    }
    if (now % WIDTH > 0) tiles.push({ level, index: Math.floor(now / WIDTH), width: now % WIDTH });
  }
  return tiles;
}

const pathOf = (kind: string, { index, width }: Pick<TileName, "index" | "width">): string => {
  const groups = [String(index % 1_000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    groups.unshift(`x${String(rest % 1_000).padStart(3, "0")}`);
  }
  return `tile/${kind}/${groups.join("/")}${width < WIDTH ? `.p/${width}` : ""}`;
};

const rootOf = (hashes: readonly Buffer[]): Buffer => {
  const [only] = hashes;
  if (only === undefined) return sha256();
  if (hashes.length === 1) return only;
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return sha256(Buffer.of(1), rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
};

class Client {
  readonly #fetch: (path: string) => Promise<Buffer>;
  readonly #vkey: string;
  readonly #leaves: Buffer[] = [];
  readonly asked: string[] = [];

  constructor(fetch: (path: string) => Promise<Buffer>, vkey: string) {
    this.#fetch = fetch;
    this.#vkey = vkey;
  }

  #get(path: string): Promise<Buffer> {
    this.asked.push(path);
    return this.#fetch(path);
  }

  /** Downloads all that is new, and throws at the first thing that does not agree. @returns the size. */
  async update(): Promise<number> {
    const text = openNote((await this.#get("checkpoint")).toString("utf8"), this.#vkey);
    const [, sizeLine, rootLine] = text.split("\n");
    const size = Number(sizeLine);
    const before = this.#leaves.length;
    const tiles = newTiles(before, size);
    for (const { index, width } of tiles.filter(({ level }) => level === 0)) {
      const bundle = await this.#get(pathOf("entries", { index, width }));
      let at = 0;
      for (let i = 0; i < width; i++) {
        const length = bundle.readUInt16BE(at);
        const leaf = sha256(Buffer.of(0), bundle.subarray(at + 2, at + 2 + length));
        const known = this.#leaves[index * WIDTH + i];
        if (known !== undefined && !known.equals(leaf))
          throw new Error(`entry ${index * WIDTH + i} was another before`);
        this.#leaves[index * WIDTH + i] = leaf;
        at += 2 + length;
      }
      if (at !== bundle.length) throw new Error("a bundle is longer than its entries");
    }
    if (this.#leaves.length !== size) throw new Error(`${this.#leaves.length} entries for a tree of ${size}`);
    for (const { level, index, width } of tiles) {
      const tile = await this.#get(pathOf(String(level), { index, width }));
      const span = WIDTH ** level;
      const expected = Array.from({ length: width }, (_, i) =>
        rootOf(this.#leaves.slice((index * WIDTH + i) * span, (index * WIDTH + i + 1) * span)),
      );
      if (!tile.equals(Buffer.concat(expected))) throw new Error(`${pathOf(String(level), { index, width })} differs`);
    }
    if (rootOf(this.#leaves).toString("base64") !== rootLine) throw new Error("the root is not that of the entries");
    return size;
  }
}

async function published(): Promise<{ readonly world: LedgerWorld; readonly client: Client }> {
  const world = await LedgerWorld.make();
  const fetch = async (path: string): Promise<Buffer> => {
    const object = await world.bucket.get(`log/${LEDGER}/${path}`);
    if (object === null) throw new Error(`${path} is not there`);
    return Buffer.from(await object.arrayBuffer());
  };
  return { world, client: new Client(fetch, formatVerifierKey(world.signer.key)) };
}

describe("a client that knows only note and tlog", () => {
  it("downloads the whole log tile by tile as it grows, and every file is there and agrees", async () => {
    const { world, client } = await published();
    let size = 0;
    for (const more of [1, 1, 253, 1, 1, 43, 212, 488]) {
      await world.addEntries(more);
      await world.publish();
      size += more;
      expect(await client.update()).toBe(size);
    }
    expect(client.asked).toEqual(
      expect.arrayContaining([
        "tile/0/000.p/1",
        "tile/0/000",
        "tile/1/000.p/1",
        "tile/1/000.p/3",
        "tile/entries/003.p/232",
      ]),
    );
  });

  it("starts with a log of any size", async () => {
    const { world, client } = await published();
    await world.addEntries(777);
    await world.publish();
    expect(await client.update()).toBe(777);
  });

  it.each([
    ["an entry", "tile/entries/001", 700],
    ["a hash", "tile/0/001", 40],
    ["a hash of a higher level", "tile/1/000.p/2", 40],
    ["the checkpoint's root", "checkpoint", 25],
  ])("sees a changed bit of %s", async (_what, path, at) => {
    const { world, client } = await published();
    await world.addEntries(600);
    await world.publish();
    const name = `log/${LEDGER}/${path}`;
    const bytes = Buffer.from((await (await world.bucket.get(name))?.arrayBuffer()) ?? new ArrayBuffer(0));
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await world.bucket.put(name, bytes);
    await expect(client.update()).rejects.toThrow();
  });
});
