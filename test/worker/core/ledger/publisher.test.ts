import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { LedgerPublisher } from "../../../../durable-objects/ledger-publisher.ts";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { openCheckpoint } from "../../../../src/ledger/checkpoint.ts";
import { importSigningKey } from "../../../../src/ledger/ed25519.ts";
import { formatVerifierKey, makeCosigner, makeSigner, openNote, parseNote } from "../../../../src/ledger/note.ts";
import { cosignatureLines, decideAddCheckpoint, type WitnessedCheckpoint } from "../../../../src/ledger/witness.ts";
import { fromBase64, toHex } from "../../../../src/platform/encoding.ts";
import { call, migrate, payloadOf, signed, submit, testEnv } from "../support.ts";

const publisher = () => testEnv.PUBLISHER.getByName("main");
let submitted = 0;

/** Committed, and not published: the tests say when. */
async function commit(count: number): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: count }, () => {
      submitted += 1;
      return submit(signed(payloadOf(), { externalRequestId: `P-${submitted}` }));
    }),
  );
  for (const { status } of answers) expect(status).toBe(201);
}

/** A new instance over the object's own storage: what a restart leaves. */
const restarted = <Result>(
  over: Partial<CoreEnv>,
  run: (publisher: LedgerPublisher, state: DurableObjectState) => Promise<Result>,
) =>
  runInDurableObject(publisher(), (_instance, state) =>
    run(new LedgerPublisher(state, { ...testEnv, ...over }), state),
  );

const seed = fromBase64(`${testEnv.LEDGER_SIGNING_KEY.replaceAll("-", "+").replaceAll("_", "/")}=`);
const logKey = async () => makeSigner("localhost/ledger/log", await importSigningKey(seed)).key;

async function released() {
  const object = await testEnv.LEDGER.get("log/main/checkpoint");
  if (object === null) return undefined;
  const opened = await openCheckpoint(await object.text(), [await logKey()]);
  if (opened.type !== "verified") throw new Error(opened.reason);
  return opened.checkpoint;
}

const head = () =>
  testEnv.DB.prepare("SELECT size, root_hash FROM ledger_heads WHERE ledger_id = 'main'").first<{
    size: number;
    root_hash: string;
  }>();

/** A binding whose call number `at`, counted over all its methods, fails before or after it took effect. */
function failing<Binding extends object>(binding: Binding, at: number, when: "before" | "after", count: { n: number }) {
  return new Proxy(binding, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const call = () => Reflect.apply(member, target, args);
        if (name === "prepare") return call(); // only what is awaited fails
        count.n += 1;
        if (count.n !== at) return call();
        if (when === "before") return Promise.reject(new Error("the binding failed"));
        return Promise.resolve(call()).then(() => {
          throw new Error("the binding failed after it took effect");
        });
      };
    },
  });
}

beforeAll(migrate);

describe("a publisher that fails at any call of the bucket or the database", () => {
  for (const when of ["before", "after"] as const) {
    it(`${when === "before" ? "before" : "after"} it took effect, publishes all of it after a restart`, async () => {
      for (let at = 1; at <= 14; at++) {
        await commit(at === 4 ? 250 : 3);
        const count = { n: 0 };
        const bucket = failing(testEnv.LEDGER, at, when, count);
        const db = failing(testEnv.DB, at, when, count);
        await restarted({ LEDGER: bucket, DB: db }, (instance) => instance.publish());
        const status = await restarted({}, (instance) => instance.publish());
        expect(status).toMatchObject({ state: "current", reason: null });
        const [checkpoint, committed] = [await released(), await head()];
        expect(checkpoint?.size).toBe(committed?.size);
        expect(checkpoint && toHex(checkpoint.root)).toBe(committed?.root_hash);
      }
      const rows = await testEnv.DB.prepare("SELECT size, note FROM checkpoints ORDER BY size").all<{
        size: number;
        note: string;
      }>();
      for (const { size, note } of rows.results) {
        const opened = await openCheckpoint(note, [await logKey()]);
        expect(opened).toMatchObject({ type: "verified", checkpoint: { size } });
      }
    });
  }

  it("tries again by its alarm", async () => {
    await commit(1);
    const count = { n: 0 };
    const alarm = await restarted({ LEDGER: failing(testEnv.LEDGER, 1, "before", count) }, async (instance, state) => {
      await state.storage.deleteAlarm();
      expect((await instance.publish()).state).toBe("failing");
      return state.storage.getAlarm();
    });
    expect(alarm).not.toBeNull();
  });
});

describe("own storage that was lost", () => {
  it("is found again from the published checkpoint and the entries, and nothing inconsistent is signed", async () => {
    await restarted({}, (instance) => instance.publish());
    const before = await released();
    await restarted({}, async (_instance, state) => {
      state.storage.sql.exec("DELETE FROM signed_checkpoint");
      state.storage.sql.exec("DELETE FROM built_tree");
    });
    expect(await publisher().promised()).toMatchObject({ size: before?.size, rootHash: before && toHex(before.root) });
    await commit(2);
    const status = await restarted({}, (instance) => instance.publish());
    expect(status).toMatchObject({ state: "current", size: (before?.size ?? 0) + 2 });
  });

  it("is not made up from a checkpoint that our key did not sign", async () => {
    await restarted({ LEDGER_SIGNING_KEY: "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE" }, async (instance, state) => {
      const kept = state.storage.sql.exec("SELECT * FROM signed_checkpoint").one();
      state.storage.sql.exec("DELETE FROM signed_checkpoint");
      await expect(instance.promised()).rejects.toThrow("can not be trusted");
      expect((await instance.publish()).state).toBe("failing");
      state.storage.sql.exec("INSERT INTO signed_checkpoint VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ...Object.values(kept));
    });
  });
});

/** A witness by the protocol, at an address of its own; it answers after `delayMs`, and never when that is undefined. */
async function makeWitness(name: string, seed: number, delayMs: number | undefined) {
  const cosigner = makeCosigner(
    `witness.example/${name}`,
    await importSigningKey(new Uint8Array(32).fill(seed)),
    () => 1_800_000_000,
  );
  const logs = new Map([["localhost/ledger/log", [await logKey()]]]);
  let known: WitnessedCheckpoint | undefined;
  const url = `http://${name}.invalid`;
  return {
    key: cosigner.key,
    setting: { url: `${url}/`, key: formatVerifierKey(cosigner.key) },
    known: () => known,
    async answer(input: string, init: RequestInit | undefined): Promise<Response | undefined> {
      if (input !== `${url}/add-checkpoint`) return undefined;
      if (delayMs === undefined) {
        return new Promise((_resolve, reject) =>
          init?.signal?.addEventListener("abort", () => reject(new DOMException("timed out", "TimeoutError"))),
        );
      }
      if (delayMs > 0) await scheduler.wait(delayMs);
      const decision = await decideAddCheckpoint(String(init?.body), logs, () => known);
      if (decision.type === "conflict") {
        return new Response(`${decision.size}\n`, { status: 409, headers: { "content-type": "text/x.tlog.size" } });
      }
      if (decision.type !== "cosign") return new Response(decision.type, { status: 422 });
      known = { size: decision.checkpoint.size, rootHash: toHex(decision.checkpoint.root) };
      return new Response(await cosignatureLines(decision.text, [cosigner]));
    },
  };
}

type TestWitness = Awaited<ReturnType<typeof makeWitness>>;

async function withWitnesses(
  witnesses: readonly TestWitness[],
  over: Readonly<Record<string, string>>,
  run: (publisher: LedgerPublisher) => Promise<void>,
): Promise<void> {
  const original = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    for (const witness of witnesses) {
      const answer = await witness.answer(String(input), init);
      if (answer !== undefined) return answer;
    }
    if (String(input).startsWith("http://dead.invalid")) throw new TypeError("connection refused");
    return original(input, init);
  };
  const LEDGER_WITNESSES = JSON.stringify(witnesses.map(({ setting }) => setting));
  try {
    await restarted({ LEDGER_WITNESSES, ...over } as Partial<CoreEnv>, run);
  } finally {
    globalThis.fetch = original;
  }
}

const publishedNote = async () => (await (await testEnv.LEDGER.get("log/main/checkpoint"))?.text()) ?? "";
const recordedNote = (size: number) =>
  testEnv.DB.prepare("SELECT note FROM checkpoints WHERE size = ?").bind(size).first<string>("note");
const cosigned = (note: string | null, { key }: TestWitness): boolean =>
  parseNote(note ?? "")?.signatures.some(({ keyId }) => keyId === key.keyId) ?? false;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200 && !(await condition()); i++) await scheduler.wait(50);
  expect(await condition()).toBe(true);
}

describe("witnesses", () => {
  it("are on the checkpoint when it comes out, and a dead one holds up nothing", async () => {
    const witness = await makeWitness("quick", 5, 0);
    const dead = await makeWitness("dead", 6, 0);
    const refusing = { ...dead, answer: async () => undefined };
    for (const size of [1, 2]) {
      await commit(size);
      await withWitnesses([witness, refusing], { LEDGER_PUBLISH_INTERVAL_MS: "0" }, async (instance) => {
        expect(await instance.publish()).toMatchObject({ state: "current", cosignatures: 1 });
      });
      const note = await publishedNote();
      expect(await openNote(note, [await logKey(), witness.key])).toMatchObject({
        type: "verified",
        keys: [await logKey(), witness.key],
      });
      expect(parseNote(note)?.signatures).toHaveLength(2);
      expect(witness.known()?.size).toBe((await head())?.size);
      expect(await recordedNote((await head())?.size ?? 0)).toBe(note);
    }
  });

  it("that answer in time are on every checkpoint of a busy log, whatever becomes of one that hangs", async () => {
    const [prompt, hanging] = [await makeWitness("prompt", 7, 100), await makeWitness("hanging", 8, undefined)];
    await withWitnesses([hanging, prompt], { LEDGER_PUBLISH_INTERVAL_MS: "1000" }, async (instance) => {
      for (let round = 0; round < 5; round++) {
        await commit(1);
        expect(await instance.publish()).toMatchObject({ state: "current", size: (await head())?.size });
        const note = await publishedNote();
        expect(cosigned(note, prompt)).toBe(true);
        expect(cosigned(await recordedNote((await head())?.size ?? 0), prompt)).toBe(true);
        await scheduler.wait(1_000);
      }
    });
  });

  it("that are late are on the newest checkpoint with its next write, and on record for an older one", async () => {
    const late = await makeWitness("late", 9, 900);
    await withWitnesses([late], { LEDGER_PUBLISH_INTERVAL_MS: "0" }, async (instance) => {
      await commit(1);
      await instance.publish();
      const older = (await head())?.size ?? 0;
      expect(cosigned(await publishedNote(), late)).toBe(false);
      await commit(1);
      await instance.publish(); // before the witness has answered for the first
      expect(cosigned(await recordedNote(older), late)).toBe(false);
      await until(async () => cosigned(await recordedNote(older), late));

      const newest = (await head())?.size ?? 0;
      expect(newest).toBe(older + 1);
      await until(() => late.known()?.size === newest);
      await until(async () => {
        await instance.publish(); // what the alarm does
        return cosigned(await publishedNote(), late);
      });
      expect(await recordedNote(newest)).toBe(await publishedNote());
    });
  });
});

describe("a publisher without what it needs", () => {
  it("is disabled, with the reason", async () => {
    for (const [over, reason] of [
      [{ LEDGER_SIGNING_KEY: "" }, "LEDGER_SIGNING_KEY is not set."],
      [{ LEDGER_SIGNING_KEY: "short" }, "43 characters"],
      [{ ENVIRONMENT: "production" }, "Neither LEDGER_ORIGIN nor LEDGER_LOG_URL is set."],
      [{ LEDGER_ORIGIN: "a b" }, "space"],
      [{ LEDGER_WITNESSES: "{}" }, "LEDGER_WITNESSES"],
    ] as const) {
      const status = await restarted(over as Partial<CoreEnv>, (instance) => instance.publish());
      expect(status).toMatchObject({ state: "disabled", reason: expect.stringContaining(reason) });
    }
  });
});

describe("the checkpoints on record", () => {
  it("are never deleted, replaced, made smaller or given another root", async () => {
    const run = (sql: string) => testEnv.DB.prepare(sql).run();
    for (const sql of [
      "DELETE FROM checkpoints",
      "UPDATE checkpoints SET root_hash = 'x'",
      "UPDATE checkpoints SET size = size + 1000",
      "INSERT INTO checkpoints SELECT ledger_id, size - 1, root_hash, note, signed_at FROM checkpoints ORDER BY size DESC LIMIT 1",
      "INSERT OR REPLACE INTO checkpoints SELECT ledger_id, size, 'x', note, signed_at FROM checkpoints",
    ]) {
      await expect(run(sql)).rejects.toThrow("checkpoint:");
    }
  });
});

// Last: it leaves the database behind what was promised.
describe("a database behind the last signed checkpoint", () => {
  it("is neither published nor appended to by a sequencer that loads it", async () => {
    await restarted({}, (instance) => instance.publish());
    const before = await released();
    const dropped = ["ledger_entries_delete", "ledger_heads_update", "ledger_heads_delete", "ledger_heads_insert"];
    for (const trigger of dropped) await testEnv.DB.prepare(`DROP TRIGGER ${trigger}`).run();
    await testEnv.DB.batch([
      testEnv.DB.prepare("DELETE FROM ledger_entries"),
      testEnv.DB.prepare("DELETE FROM ledger_heads"),
    ]);
    const status = await restarted({}, (instance) => instance.publish());
    expect(status).toMatchObject({ state: "refused", reason: "database-behind" });
    // The sequencer that is running finds out by its next commit, which fails, and then loads the head anew.
    const answer = await submit(signed(payloadOf(), { externalRequestId: "P-behind" }));
    expect(answer.status).toBe(503);
    expect((await released())?.size).toBe(before?.size);
    const entries = await testEnv.DB.prepare("SELECT COUNT(*) AS n FROM ledger_entries").first("n");
    expect(entries).toBe(0);
    expect((await call("/ledger/log/checkpoint", { key: "" })).status).toBe(200);
  });
});
