import { describe, expect, it } from "vitest";
import { Cosigning } from "../../../src/ledger/cosigning.ts";
import type { Witness } from "../../../src/ledger/log-settings.ts";
import { type NoteSignature, verifierKey } from "../../../src/ledger/note.ts";
import type { SignedCheckpoint } from "../../../src/ledger/publish.ts";

const PATIENCE_MS = 500;
const TIMEOUT_MS = 3_000;

/** What a witness does about a checkpoint: cosigns after so long, refuses after so long, or hangs until the timeout. */
type Behaviour =
  | { readonly type: "cosigns"; readonly after: number }
  | { readonly type: "refuses" }
  | { readonly type: "hangs" };

/** A clock that is moved by hand. */
class World {
  now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];
  newest: SignedCheckpoint | undefined;
  readonly saved: { readonly name: string; readonly size: number; readonly at: number }[] = [];
  readonly asked: { readonly name: string; readonly size: number }[] = [];
  readonly behaviours = new Map<string, Behaviour>();
  readonly cosigning: Cosigning;

  constructor(behaviours: Readonly<Record<string, Behaviour>>) {
    for (const [name, behaviour] of Object.entries(behaviours)) this.behaviours.set(name, behaviour);
    const witnesses = Object.keys(behaviours).map((name): Witness => {
      return { url: `https://${name}.example`, key: verifierKey(name, "cosignature", new Uint8Array(32)) };
    });
    this.cosigning = new Cosigning(witnesses, PATIENCE_MS, {
      ask: async ({ key: { name, keyId } }, { size }) => {
        this.asked.push({ name, size });
        const behaviour = this.behaviours.get(name);
        if (behaviour?.type === "refuses") return { type: "refused", status: 500 };
        await this.wait(behaviour?.type === "cosigns" ? behaviour.after : TIMEOUT_MS);
        const signature: NoteSignature = { name, keyId, signature: new Uint8Array(72) };
        return behaviour?.type === "cosigns" ? { type: "cosigned", signature } : { type: "unreachable" };
      },
      save: async ({ size }, { name }) => void this.saved.push({ name, size, at: this.now }),
      lacking: ({ key: { name } }) =>
        this.saved.some((one) => one.name === name && one.size === this.newest?.size) ? undefined : this.newest,
      failed: () => undefined,
      inBackground: () => undefined,
      now: () => this.now,
      wait: (ms) => this.wait(ms),
    });
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#timers.push({ at: this.now + ms, run: resolve }));
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.now = next.at;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      next.run();
    }
    this.now = end;
  }

  /** A new checkpoint. @returns how long its release waited, and who had cosigned it by then. */
  async release(size: number): Promise<{ readonly waited: number; readonly cosigned: readonly string[] }> {
    const began = this.now;
    this.newest = { size, rootHash: "", note: `note ${size}`, signedBy: "", signedAt: began };
    let waited: number | undefined;
    const gathering = this.cosigning.gather().then(() => {
      waited = this.now - began;
    });
    let cosigned: readonly string[] = [];
    while (waited === undefined) {
      await this.pass(10);
      if (this.now > began + 10 * PATIENCE_MS) throw new Error("the release waits for ever");
    }
    await gathering;
    cosigned = this.saved.filter((one) => one.size === size).map(({ name }) => name);
    return { waited, cosigned };
  }
}

describe("a release", () => {
  it("has the cosignatures of all that are quick, and waits only for the slowest of them", async () => {
    const world = new World({ one: { type: "cosigns", after: 20 }, two: { type: "cosigns", after: 100 } });
    for (let size = 1; size <= 5; size++) {
      const { waited, cosigned } = await world.release(size);
      expect(cosigned.toSorted()).toEqual(["one", "two"]);
      expect(waited).toBeLessThanOrEqual(100);
      await world.pass(1_000);
    }
  });

  it("waits for a witness that hangs once in a while only, and never longer than its patience", async () => {
    const world = new World({ hung: { type: "hangs" }, quick: { type: "cosigns", after: 100 } });
    const waits: number[] = [];
    for (let size = 1; size <= 120; size++) {
      const { waited, cosigned } = await world.release(size);
      expect(cosigned).toEqual(["quick"]);
      waits.push(waited);
      await world.pass(1_000);
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(PATIENCE_MS);
    expect(waits.filter((waited) => waited > 100).length).toBeLessThanOrEqual(7);
    expect(world.asked.filter(({ name }) => name === "hung").length).toBeLessThanOrEqual(7);
  });

  it("does not wait for one that refuses, and asks it again after a pause that grows to a minute", async () => {
    const world = new World({ bad: { type: "refuses" } });
    for (let size = 1; size <= 600; size++) {
      expect((await world.release(size)).waited).toBe(0);
      await world.pass(1_000);
    }
    const asked = world.asked.length;
    expect(asked).toBeGreaterThanOrEqual(12);
    expect(asked).toBeLessThanOrEqual(20);
  });

  it("waits again for a witness that has become quick", async () => {
    const world = new World({ once: { type: "cosigns", after: 800 } });
    expect((await world.release(1)).cosigned).toEqual([]);
    world.behaviours.set("once", { type: "cosigns", after: 50 });
    await world.pass(1_000);
    await world.release(2);
    await world.pass(1_000);
    expect((await world.release(3)).cosigned).toEqual(["once"]);
  });
});

describe("a witness that is slow", () => {
  it("has its cosignature kept whenever it comes, and is asked about the newest checkpoint next", async () => {
    const world = new World({ slow: { type: "cosigns", after: 1_800 } });
    for (let size = 1; size <= 10; size++) {
      await world.release(size);
      await world.pass(1_000);
    }
    await world.pass(5_000);
    expect(world.saved.length).toBeGreaterThanOrEqual(5);
    expect(world.saved.at(-1)?.size).toBe(10);
    const sizes = world.asked.map(({ size }) => size);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(new Set(sizes).size).toBe(sizes.length);
  });
});
