import { describe, expect, it } from "vitest";
import { type EncodedEntry, encodeEntry } from "../../../src/ledger/entry.ts";
import { type Hash, NO_ENTRY_HASH } from "../../../src/ledger/hash.ts";
import { TILE_WIDTH, tilePath } from "../../../src/ledger/layout.ts";
import { proveConsistency, rootFromTiles } from "../../../src/ledger/proof.ts";
import {
  type Built,
  type CommittedEntry,
  type CommittedHead,
  mayAppend,
  NOTHING_BUILT,
  type PublisherPort,
  type PublishResult,
  publishRound,
  type SignedCheckpoint,
} from "../../../src/ledger/publish.ts";
import { PublishWaker } from "../../../src/ledger/publish-waker.ts";
import { decodeBundle } from "../../../src/ledger/tiles.ts";
import { fromUtf8, toHex } from "../../../src/platform/encoding.ts";
import { hexOf, rootOf } from "../../support/rfc6962.ts";

const LIMITS = { maxEntries: 512, writesAtOnce: 3 };

function chain(count: number, marker = ""): readonly EncodedEntry[] {
  const entries: EncodedEntry[] = [];
  for (let seq = 0; seq < count; seq++) {
    entries.push(
      encodeEntry({
        v: 1,
        seq,
        prev: entries.at(-1)?.hashHex ?? NO_ENTRY_HASH,
        at: "2026-01-01T00:00:00.000Z",
        type: "CLAIM_CREATED",
        subject: `0x${"0".repeat(64)}`,
        data: { marker },
      }),
    );
  }
  return entries;
}

const rootHex = (entries: readonly EncodedEntry[]): string => hexOf(rootOf(entries.map(({ hash }) => hash)));

type Step = Exclude<keyof PublisherPort, "signedBy" | "now">;

/** Database, bucket and own storage in memory, where any call can fail before or after it took effect. */
class World {
  entries: readonly CommittedEntry[] = [];
  head: CommittedHead | undefined;
  readonly files = new Map<string, Uint8Array>();
  readonly records: SignedCheckpoint[] = [];
  readonly signed: { readonly size: number; readonly root: Hash }[] = [];
  checkpoint: string | undefined;
  stored: {
    signed: SignedCheckpoint | undefined;
    cosignedNote: string | undefined;
    released: boolean;
    cosignedSince: boolean;
    built: Built;
  } = {
    signed: undefined,
    cosignedNote: undefined,
    released: false,
    cosignedSince: false,
    built: NOTHING_BUILT,
  };
  keys = "key-1";
  /** Whether a witness cosigns while it is waited for. */
  witnessed = false;
  calls = 0;
  fail: { readonly at: number; readonly when: "before" | "after" } | undefined;

  commit(entries: readonly EncodedEntry[], rootHash = rootHex(entries)): void {
    this.entries = entries.map(({ entry, hashHex, body }) => ({ seq: entry.seq, entryHash: hashHex, body }));
    this.head = { size: entries.length, rootHash, headHash: entries.at(-1)?.hashHex ?? "" };
  }

  async step<Value>(_name: Step, effect: () => Value | Promise<Value>): Promise<Value> {
    this.calls += 1;
    const failing = this.fail?.at === this.calls ? this.fail.when : undefined;
    if (failing === "before") throw new Error("failed");
    const value = await effect();
    if (failing === "after") throw new Error("failed, but it took effect");
    return value;
  }

  port(): PublisherPort {
    return {
      loadState: () => this.step("loadState", () => ({ ...this.stored })),
      saveBuilt: (built) =>
        this.step("saveBuilt", () => {
          this.stored.built = built;
        }),
      compareAndSet: (expected, next, built) =>
        this.step("compareAndSet", () => {
          if (this.stored.signed !== expected) return { type: "overtaken" as const };
          const replaced = this.stored.cosignedNote ?? this.stored.signed?.note;
          this.stored = { signed: next, cosignedNote: undefined, released: false, cosignedSince: false, built };
          return { type: "set" as const, replaced };
        }),
      cosign: (signed) =>
        this.step("cosign", () => {
          if (this.witnessed) this.stored.cosignedNote = `${signed.note} witness`;
          return this.stored.cosignedNote ?? signed.note;
        }),
      markReleased: (signed, note) =>
        this.step("markReleased", () => {
          if (this.stored.signed?.note !== signed.note) return;
          this.stored.released = true;
          this.stored.cosignedSince = (this.stored.cosignedNote ?? signed.note) !== note;
        }),
      readHead: () => this.step("readHead", () => this.head),
      readEntries: (from, to) => this.step("readEntries", () => this.entries.slice(from, to)),
      writeOnce: (path, bytes) =>
        this.step("writeOnce", () => {
          if (this.files.has(path)) return "exists" as const;
          this.files.set(path, bytes);
          return "written" as const;
        }),
      overwrite: (path, bytes) => this.step("overwrite", () => void this.files.set(path, bytes)),
      read: (path) => this.step("read", () => this.files.get(path)),
      readTile: (tile) =>
        this.step("readTile", () => {
          const bytes = this.files.get(tilePath(tile));
          if (bytes === undefined) throw new Error(`${tilePath(tile)} is not there`);
          return bytes;
        }),
      signedBy: this.keys,
      sign: (size, root) =>
        this.step("sign", () => {
          this.signed.push({ size, root });
          return `${size} ${toHex(root)} ${this.keys}`;
        }),
      record: (signed) => this.step("record", () => void this.records.push(signed)),
      release: (note) =>
        this.step("release", () => {
          // What readers are told they must find: everything the checkpoint promises is there before it is.
          const size = Number(note.split(" ")[0]);
          expect(this.stored.cosignedNote ?? this.stored.signed?.note).toBe(note);
          expect(this.promisesHold(size)).toBe(true);
          this.checkpoint = note;
        }),
      now: () => 1,
    };
  }

  /** What a witness that was too late does. */
  cosignLate(): void {
    this.stored.cosignedNote = `${this.stored.cosignedNote ?? this.stored.signed?.note} late`;
    this.stored.cosignedSince = true;
  }

  promisesHold(size: number): boolean {
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
      const bundle = this.files.get(tilePath({ kind: "entries", index, width }));
      const bodies = bundle && decodeBundle(bundle)?.map(fromUtf8);
      const expected = this.entries.slice(index * TILE_WIDTH, index * TILE_WIDTH + width).map(({ body }) => body);
      if (bodies?.join("\n") !== expected.join("\n")) return false;
      if (!this.files.has(tilePath({ kind: "hashes", level: 0, index, width }))) return false;
    }
    return true;
  }

  publish(limits = LIMITS): Promise<PublishResult> {
    return publishRound(this.port(), limits);
  }

  /** As alarms do it: until there is nothing left, failures and all. */
  async settle(limits = LIMITS): Promise<PublishResult | undefined> {
    let last: PublishResult | undefined;
    for (let round = 0; round < 20; round++) {
      try {
        last = await this.publish(limits);
        if (last.type === "current" || last.type === "refused") return last;
      } catch {
        this.fail = undefined;
      }
    }
    return last;
  }
}

describe("publishing", () => {
  it("signs the tree of the committed entries once its files are there", async () => {
    const world = new World();
    const entries = chain(300);
    world.commit(entries);
    expect(await world.publish()).toMatchObject({
      type: "published",
      signed: { size: 300, rootHash: rootHex(entries) },
    });
    expect(world.checkpoint).toBe(`300 ${rootHex(entries)} key-1`);
    expect(world.records).toHaveLength(1);
    expect(await world.publish()).toEqual({ type: "current" });
  });

  it("does nothing for a ledger without entries", async () => {
    expect(await new World().publish()).toEqual({ type: "current" });
  });

  it("catches up in bounded steps and signs only at the head", async () => {
    const world = new World();
    world.commit(chain(1_500));
    expect(await world.publish()).toEqual({ type: "catching-up", built: 512, size: 1_500 });
    expect(await world.publish()).toEqual({ type: "catching-up", built: 1_024, size: 1_500 });
    expect(world.checkpoint).toBeUndefined();
    expect(await world.publish()).toMatchObject({ type: "published", signed: { size: 1_500 } });
  });

  it("costs a new entry in a large tree a handful of files", async () => {
    const world = new World();
    const entries = chain(1_301);
    world.commit(entries.slice(0, 1_300));
    await world.settle();
    const before = world.files.size;
    world.commit(entries);
    world.calls = 0;
    await world.publish();
    expect(world.files.size - before).toBe(2); // the last bundle and the last tile
    expect(world.calls).toBeLessThan(25);
  });

  it("gives the same files whatever the commits were", async () => {
    const entries = chain(600);
    const once = new World();
    once.commit(entries);
    await once.settle();
    const often = new World();
    for (const size of [1, 2, 200, 256, 257, 511, 512, 513, 600]) {
      often.commit(entries.slice(0, size));
      expect(await often.settle()).toEqual({ type: "current" });
    }
    for (const [path, bytes] of once.files) expect(toHex(often.files.get(path) ?? new Uint8Array())).toBe(toHex(bytes));
  });

  it("proves every signed tree from the one before, read from its files", async () => {
    const world = new World();
    const entries = chain(520);
    for (const size of [3, 255, 256, 300, 512, 520]) {
      world.commit(entries.slice(0, size));
      await world.settle();
      expect(toHex(await rootFromTiles(size, size, world.port().readTile))).toBe(rootHex(entries.slice(0, size)));
      await proveConsistency(3, size, size, world.port().readTile);
    }
    expect(world.signed.map(({ size }) => size)).toEqual([3, 255, 256, 300, 512, 520]);
  });

  it("signs again, and only that, when a key is added", async () => {
    const world = new World();
    world.commit(chain(5));
    await world.settle();
    world.keys = "key-2 key-1";
    expect(await world.publish()).toMatchObject({ type: "published", signed: { size: 5 } });
    expect(world.checkpoint).toContain("key-2");
  });
});

describe("cosignatures", () => {
  it("that come in time are recorded and released with the checkpoint", async () => {
    const world = new World();
    world.witnessed = true;
    world.commit(chain(5));
    await world.publish();
    expect(world.checkpoint).toMatch(/^5 .* key-1 witness$/);
    expect(world.records.map(({ note }) => note)).toEqual([world.checkpoint]);
    world.calls = 0;
    expect(await world.publish()).toEqual({ type: "current" });
    expect(world.calls).toBe(2);
  });

  it("that come after the release are released with the next round when nothing was committed since", async () => {
    const world = new World();
    world.commit(chain(5));
    await world.publish();
    world.cosignLate();
    expect(await world.publish()).toEqual({ type: "current" });
    expect(world.checkpoint).toMatch(/^5 .* late$/);
    expect(world.records.at(-1)?.note).toBe(world.checkpoint);
    expect(world.stored.cosignedSince).toBe(false);
  });

  it("that come after the release are only recorded when a larger tree is about to come out", async () => {
    const world = new World();
    const entries = chain(7);
    world.commit(entries.slice(0, 5));
    await world.publish();
    world.cosignLate();
    world.commit(entries);
    const released: string[] = [];
    const port = world.port();
    await publishRound(
      {
        ...port,
        release: (note) => {
          released.push(note);
          return port.release(note);
        },
      },
      LIMITS,
    );
    expect(released.map((note) => note.split(" ")[0])).toEqual(["7"]);
    expect(world.records.map(({ size, note }) => [size, note.endsWith("late")])).toEqual([
      [5, false],
      [5, true],
      [7, false],
    ]);
  });

  it("that come while the next round builds are recorded with the checkpoint that they are of", async () => {
    const world = new World();
    const entries = chain(7);
    world.commit(entries.slice(0, 5));
    await world.publish();
    world.commit(entries);
    const port = world.port();
    const signing: PublisherPort = {
      ...port,
      sign: (size, root) => {
        world.cosignLate();
        return port.sign(size, root);
      },
    };
    await publishRound(signing, LIMITS);
    expect(world.checkpoint).toMatch(/^7 /);
    expect(world.records.filter(({ size }) => size === 5).at(-1)?.note).toMatch(/ late$/);
  });
});

describe("a crash at any step", () => {
  const entries = chain(300);
  const sizes = [250, 300] as const;
  const roots = new Map<number, string>(sizes.map((size) => [size, rootHex(entries.slice(0, size))]));
  /** So small a step that the second tree needs two. */
  const limits = { maxEntries: 256, writesAtOnce: 3 };

  async function callsWithoutFault(): Promise<number> {
    const world = new World();
    for (const size of sizes) {
      world.commit(entries.slice(0, size), roots.get(size));
      await world.settle(limits);
    }
    return world.calls;
  }

  for (const when of ["before", "after"] as const) {
    it(`that fails ${when === "before" ? "" : "after it took effect "}leaves what the next rounds complete`, async () => {
      const calls = await callsWithoutFault();
      expect(calls).toBeGreaterThan(30);
      for (let at = 1; at <= calls; at++) {
        const world = new World();
        world.witnessed = at % 2 === 0;
        world.fail = { at, when };
        for (const size of sizes) {
          world.commit(entries.slice(0, size), roots.get(size));
          expect(await world.settle(limits)).toEqual({ type: "current" });
        }
        expect(world.checkpoint).toMatch(new RegExp(`^300 ${roots.get(300)} key-1(?: witness)?$`));
        expect(world.checkpoint).toBe(world.stored.cosignedNote ?? world.stored.signed?.note);
        expect(world.stored.released).toBe(true);
        expect(world.promisesHold(300)).toBe(true);
        expect(new Map(world.signed.map(({ size, root }) => [size, toHex(root)]))).toEqual(roots);
      }
    });
  }
});

describe("nothing is signed", () => {
  async function published(count: number): Promise<World> {
    const world = new World();
    world.commit(chain(count));
    await world.settle();
    return world;
  }
  const refusal = async (world: World) => {
    const signed = world.signed.length;
    const result = await world.settle();
    expect(world.signed).toHaveLength(signed);
    return result?.type === "refused" ? result.reason : result?.type;
  };

  it("when the database is behind what was promised", async () => {
    const world = await published(20);
    world.commit(chain(19));
    expect(await refusal(world)).toBe("database-behind");
    world.head = undefined;
    expect(await refusal(world)).toBe("database-behind");
  });

  it("when the whole history was rewritten, at the same size or a larger one", async () => {
    for (const count of [20, 300]) {
      const world = await published(count);
      world.commit(chain(count, "rewritten"));
      expect(await refusal(world)).toBe("root-mismatch");
      world.commit(chain(count + 30, "rewritten"));
      expect(await refusal(world)).toBe("entry-mismatch");
    }
  });

  it("when the history was rewritten and the progress lost as well", async () => {
    for (const count of [20, 300]) {
      const world = await published(count);
      world.stored.built = NOTHING_BUILT;
      world.commit(chain(count + 300, "rewritten"));
      expect(["tile-differs", "inconsistent"]).toContain(await refusal(world));
    }
  });

  it("when an entry is missing, changed or does not name its predecessor", async () => {
    const good = chain(30);
    const cases: readonly (readonly [(entries: CommittedEntry[]) => void, string])[] = [
      [(entries) => entries.splice(15, 1), "entry-missing"],
      [(entries) => entries.splice(25), "entry-missing"],
      [(entries) => entries.splice(15, 1, { ...(entries[15] ?? never()), body: "{}" }), "entry-mismatch"],
      [
        (entries) => entries.splice(15, 1, { ...(chain(16, "other")[15] ?? never()), seq: 15, ...other() }),
        "entry-mismatch",
      ],
    ];
    for (const [mutate, reason] of cases) {
      const world = new World();
      world.commit(good);
      const entries = [...world.entries];
      mutate(entries);
      world.entries = entries;
      expect(await refusal(world)).toBe(reason);
    }
  });

  it("when the head's root or hash is not that of the entries", async () => {
    for (const over of [{ rootHash: "0".repeat(64) }, { headHash: "0".repeat(64) }]) {
      const world = new World();
      world.commit(chain(30));
      if (world.head !== undefined) world.head = { ...world.head, ...over };
      expect(await refusal(world)).toBe("root-mismatch");
    }
  });

  it("when a published tile was changed", async () => {
    const world = await published(300);
    const entries = chain(310);
    world.files.set("tile/1/000.p/1", new Uint8Array(32));
    world.commit(entries);
    expect(await refusal(world)).toBe("inconsistent");
    world.files.set("tile/0/000", new Uint8Array(8_192));
    world.stored.built = NOTHING_BUILT;
    expect(await refusal(world)).toBe("tile-differs");
  });

  it("when another publisher signed meanwhile", async () => {
    const world = await published(10);
    world.commit(chain(12));
    const port = world.port();
    const result = await publishRound({ ...port, compareAndSet: async () => ({ type: "overtaken" }) }, LIMITS);
    expect(result).toEqual({ type: "refused", reason: "overtaken" });
    expect(world.checkpoint).toMatch(/^10 /);
  });

  function never(): never {
    throw new Error("not there");
  }
  function other(): { entryHash: string; body: string } {
    const entry = chain(16, "other")[15] ?? never();
    return { entryHash: entry.hashHex, body: entry.body };
  }
});

it("tiles of entries that were lost before anyone was promised them are overwritten", async () => {
  const world = new World();
  world.commit(chain(900, "lost"));
  await world.publish();
  expect(world.files.has("tile/0/001")).toBe(true);
  const entries = chain(400);
  world.commit(entries);
  expect(await world.settle()).toEqual({ type: "current" });
  expect(world.checkpoint).toBe(`400 ${rootHex(entries)} key-1`);
});

describe("whether a database may be appended to", () => {
  const at = (size: number, rootHash = "aa") => ({ size, rootHash });
  it("it may when it is at or past the last signed checkpoint, and not behind or beside it", () => {
    expect(mayAppend(at(0), undefined)).toBe(true);
    expect(mayAppend(at(5), at(4, "bb"))).toBe(true);
    expect(mayAppend(at(5), at(5))).toBe(true);
    expect(mayAppend(at(5), at(5, "bb"))).toBe(false);
    expect(mayAppend(at(5), at(6))).toBe(false);
  });
});

describe("waking the publisher", () => {
  function setup() {
    let now = 0;
    const calls: { readonly at: number; readonly answer: (roundAt: number) => void; readonly fail: () => void }[] = [];
    const failures: unknown[] = [];
    const waker = new PublishWaker({
      wake: () =>
        new Promise((resolve, reject) =>
          calls.push({ at: now, answer: resolve, fail: () => reject(new Error("lost")) }),
        ),
      now: () => now,
      failed: (error) => failures.push(error),
    });
    const advance = (ms: number): void => {
      now += ms;
    };
    return { waker, calls, failures, advance };
  }

  it("takes one call for all commits until the round begins, and another for the next", async () => {
    const { waker, calls, advance } = setup();
    const first = waker.committed();
    calls[0]?.answer(500);
    await first;
    for (let i = 0; i < 39; i++) {
      advance(10);
      expect(waker.committed()).toBeUndefined();
    }
    expect(calls).toHaveLength(1);
    advance(20); // within the margin of the round's begin: it may have begun
    void waker.committed();
    expect(calls).toHaveLength(2);
  });

  it("calls again for a commit that came while a slow call was under way and its round had begun", async () => {
    const { waker, calls, advance } = setup();
    const first = waker.committed();
    advance(600);
    expect(waker.committed()).toBeUndefined();
    calls[0]?.answer(500);
    await Promise.resolve();
    await Promise.resolve();
    expect(calls).toHaveLength(2);
    calls[1]?.answer(1_200);
    await first;
    expect(calls).toHaveLength(2);
  });

  it("tells of a lost call and calls again at the next commit", async () => {
    const { waker, calls, failures } = setup();
    const first = waker.committed();
    calls[0]?.fail();
    await first;
    expect(failures).toHaveLength(1);
    void waker.committed();
    expect(calls).toHaveLength(2);
  });
});
