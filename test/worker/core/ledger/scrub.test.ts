/** The scrub and verification in workerd: what they say of a ledger that is whole, and of one that was changed. */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { LedgerScrubber } from "../../../../durable-objects/ledger-scrubber.ts";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { seededRandom } from "../../../e2e/support/random.ts";
import { MemoryChain } from "../../../support/memory-chain.ts";
import { type Attacked, type Done, dropTriggers, mutate, type Row, unnamed } from "../../../support/tamper.ts";
import {
  call,
  callWith,
  KEYS,
  migrate,
  payloadOf,
  rowCounts,
  signed,
  submit,
  tableNames,
  testEnv,
} from "../support.ts";

const scrubber = () => testEnv.SCRUBBER.getByName("main");
const publisher = () => testEnv.PUBLISHER.getByName("main");
const verify = (path = "/ledger/verify", key = "") => callWith({ LEDGER_VERIFY_CACHE_MS: "0" }, path, { key });

const attacked: Attacked = {
  chain: new MemoryChain(""), // no node is configured here
  db: {
    all: async (sql, ...values) =>
      (
        await testEnv.DB.prepare(sql)
          .bind(...values)
          .all<Row>()
      ).results,
    run: async (sql, ...values) =>
      (
        await testEnv.DB.prepare(sql)
          .bind(...values)
          .run()
      ).meta.changes,
  },
  bucket: {
    keys: async () => (await testEnv.LEDGER.list()).objects.map(({ key }) => key),
    get: async (key) => {
      const object = await testEnv.LEDGER.get(key);
      return object === null ? undefined : new Uint8Array(await object.arrayBuffer());
    },
    put: async (key, bytes) => void (await testEnv.LEDGER.put(key, bytes)),
    delete: (key) => testEnv.LEDGER.delete(key),
  },
};

async function submitMany(prefix: string, count: number): Promise<void> {
  const notes = "x".repeat(20_000); // over 16 kB sealed it goes to R2
  for (let from = 0; from < count; from += 20) {
    const answers = await Promise.all(
      Array.from({ length: Math.min(20, count - from) }, (_, i) => {
        const payload = (from + i) % 10 === 0 ? payloadOf({ notes }) : payloadOf();
        return submit(signed(payload, { externalRequestId: `${prefix}-${from + i}` }));
      }),
    );
    expect(answers.filter(({ status }) => status !== 201)).toEqual([]);
  }
}

const findingsNow = async () => (await verify()).json.findings;

beforeAll(async () => {
  await migrate();
  await submitMany("A", 280);
  await call("/workflow/requests/A-3/acknowledge", { method: "POST", body: { notes: "received" } });
  await call("/workflow/requests/A-3/adjudicate", { method: "POST", body: { decision: "APPROVED", notes: "fine" } });
  await publisher().publish();
}, 60_000);

describe("a ledger that is whole", () => {
  it("is valid before the first round, and says that there was none", async () => {
    const { status, json } = await verify();
    expect(status).toBe(200);
    expect(json).toMatchObject({
      status: "valid",
      valid: true,
      method: "full",
      tree: "first-entry",
      size: 282,
      verifiedFrom: 0,
      verifiedThrough: 282,
      checkpoint: 282,
      anchor: null,
      scrubbedAt: null,
      scrub: { round: 1, phase: "waiting", position: 0, startedAt: null, lastCompletedAt: null },
      findings: [],
    });
    expect((await call("/health", { key: "" })).json.ledger).toEqual({ size: 282, lastVerifiedAt: null });
  });

  it("is gone through within a tick, which health and verification show", async () => {
    const report = await scrubber().tick();
    expect(report).toMatchObject({ round: 2, phase: "waiting", lastSize: 282, findings: [], signaturesChecked: true });
    const { json } = await verify();
    expect(json).toMatchObject({ valid: true, scrubbedThrough: 282, scrub: { round: 2, chainChecked: false } });
    const { ledger } = (await call("/health", { key: "" })).json;
    expect(ledger.lastVerifiedAt).toBe(json.scrubbedAt);
  });

  it("is gone through in bounded slices, across restarts", async () => {
    const env: CoreEnv = { ...testEnv, LEDGER_SCRUB_ENTRIES_PER_MINUTE: "100" } as CoreEnv;
    const phases: string[] = [];
    for (let i = 0; i < 20; i++) {
      const report = await runInDurableObject(scrubber(), (_, state) => new LedgerScrubber(state, env).tick());
      phases.push(report.phase);
      if (report.phase === "waiting") break;
    }
    expect(phases.length).toBeGreaterThan(2);
    expect(phases.at(-1)).toBe("waiting");
    expect(await findingsNow()).toEqual([]);
  });

  it("has nothing found while it is appended to", async () => {
    const appending = submitMany("B", 100);
    for (let i = 0; i < 5; i++) {
      await scrubber().tick();
      expect(await findingsNow()).toEqual([]);
    }
    await appending;
    await publisher().publish();
    await scrubber().tick();
    expect(await findingsNow()).toEqual([]);
  });
});

describe("for auditors", () => {
  it("a range is verified from the tiles, and needs the audit scope", async () => {
    const path = "/ledger/verify?from=300&to=320";
    expect((await verify(path)).status).toBe(401);
    expect((await verify(path, KEYS.WORKFLOW_API_KEY)).status).toBe(403);
    for (const key of [KEYS.AUDITOR_TOKEN, KEYS.OPERATOR_API_KEY]) {
      const { status, json } = await verify(path, key);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        method: "range",
        tree: "tiles",
        verifiedFrom: 256,
        verifiedThrough: 320,
        findings: [],
      });
    }
    for (const query of ["from=5&to=5", "from=0&to=100000", "from=x"]) {
      expect((await verify(`/ledger/verify?${query}`, KEYS.AUDITOR_TOKEN)).status).toBe(400);
    }
  });

  it("everything is streamed as lines of progress that end in the report", async () => {
    const { status, text, headers } = await verify("/ledger/verify?full=true", KEYS.AUDITOR_TOKEN);
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/x-ndjson");
    const lines = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.length).toBeGreaterThan(4);
    expect(lines.slice(0, -1).every(({ type }) => type === "progress")).toBe(true);
    expect(lines.at(-1)).toMatchObject({
      type: "report",
      status: "valid",
      valid: true,
      method: "full",
      verifiedThrough: 382,
    });
    expect((await verify("/ledger/verify?full=true")).status).toBe(401);
  });
});

describe("what was changed", () => {
  const CHANGES = 14;

  it("is named, kind after kind, and is gone from the report a round after it was put right", async () => {
    await dropTriggers(attacked);
    const tables = (await tableNames()).filter((name) =>
      /^(ledger_|requests|claims|checkpoints|anchors|payload)/.test(name),
    );
    const copies = new Map<string, readonly Row[]>();
    for (const table of tables) copies.set(table, await attacked.db.all(`SELECT * FROM ${table}`));
    const files = new Map<string, Uint8Array>();
    for (const key of await attacked.bucket.keys())
      files.set(key, (await attacked.bucket.get(key)) ?? new Uint8Array());
    const restore = async () => {
      for (const [table, rows] of copies) {
        const [first] = rows;
        await attacked.db.run(`DELETE FROM ${table}`);
        if (first === undefined) continue;
        const names = Object.keys(first);
        const columns = names.map((name) => `value ->> '${name}'`).join(", ");
        for (let from = 0; from < rows.length; from += 100) {
          await attacked.db.run(
            `INSERT INTO ${table} (${names.join(", ")}) SELECT ${columns} FROM json_each(?)`,
            JSON.stringify(rows.slice(from, from + 100)),
          );
        }
      }
      for (const key of await attacked.bucket.keys()) if (!files.has(key)) await attacked.bucket.delete(key);
      for (const [key, bytes] of files) await attacked.bucket.put(key, bytes);
    };

    const missed: string[] = [];
    for (let n = 0; n < CHANGES; n++) {
      const random = seededRandom(500 + n).next;
      const done: Done = await mutate(attacked, n * 9, random);
      await scrubber().tick();
      const { status, json } = await verify();
      if (unnamed([done], json.findings).length > 0)
        missed.push(`${done.what}: ${JSON.stringify(json.findings.slice(0, 3))}`);
      expect(status).toBe(503);
      expect(json).toMatchObject({ status: "invalid", valid: false, error: "ledger_invalid" });
      await restore();
      await scrubber().tick();
      expect(await findingsNow()).toEqual([]);
    }
    expect(missed).toEqual([]);
    expect((await rowCounts()).ledger_entries).toBe(382);
  }, 120_000);
});
