/** What the database refuses, what verification finds, and that nothing forks the ledger or passes a limit. */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { LedgerSequencer } from "../../../durable-objects/ledger-sequencer.ts";
import { INSURER, submitCommand } from "../../support/commands.ts";
import { call, callWith, KEYS, makeKey, migrate, payloadOf, rowCounts, signed, submit, testEnv } from "./support.ts";

const db = testEnv.DB;

/** The same database as another binding, with a method of its own where one is given: a report cached for one is not another's. */
const bindingOf = (over: Readonly<Record<string, unknown>> = {}): D1Database =>
  new Proxy(db, {
    get: (target, name) => {
      if (typeof name === "string" && name in over) return over[name];
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
const verified = (DB: D1Database = bindingOf()) => callWith({ DB }, "/ledger/verify", { key: "" });

beforeAll(async () => {
  await migrate();
  for (const id of ["A", "B", "C"]) await submit(signed(payloadOf(), { externalRequestId: id }));
});

describe("the database", () => {
  const ZEROS = "0".repeat(64);
  const ONES = "1".repeat(64);
  const LAST = "(SELECT entry_hash FROM ledger_entries WHERE ledger_id = 'main' ORDER BY seq DESC LIMIT 1)";
  const columns = "(ledger_id, seq, entry_hash, prev, subject, command_id, command_index, body)";
  const entry = (seq: number, prev: string, ledger = "main", hash = `'${ONES}'`, command = "'new'") =>
    `${columns} VALUES ('${ledger}', ${seq}, ${hash}, ${prev}, '0x', ${command}, 0, '{}')`;
  const raised = "UPDATE ledger_heads SET version = version + 1, size = size + 1 WHERE ledger_id = 'main'";

  /** Of the first submit; the entry before it is of another command. */
  const COMMAND_OF_A = "(SELECT command_id FROM ledger_entries WHERE ledger_id = 'main' AND seq = 0)";

  /** Each in one batch, as a whole refused. */
  const REFUSED: readonly [what: string, sql: readonly string[], why: RegExp][] = [
    ["UPDATE of an entry", ["UPDATE ledger_entries SET body = '{}' WHERE seq = 1"], /never changed/],
    ["UPDATE that changes nothing", ["UPDATE ledger_entries SET body = body WHERE seq = 1"], /never changed/],
    ["UPDATE OR REPLACE of an entry", ["UPDATE OR REPLACE ledger_entries SET seq = 0 WHERE seq = 1"], /never changed/],
    ["UPDATE OR IGNORE of an entry", ["UPDATE OR IGNORE ledger_entries SET body = '{}'"], /never changed/],
    ["DELETE of the last entry", ["DELETE FROM ledger_entries WHERE seq = 2"], /never deleted/],
    ["DELETE of all entries", ["DELETE FROM ledger_entries"], /never deleted/],
    [
      "INSERT OR REPLACE over an entry",
      [`INSERT OR REPLACE INTO ledger_entries ${entry(1, `'${ZEROS}'`)}`],
      /seq is not the next/,
    ],
    ["REPLACE over the last entry", [`REPLACE INTO ledger_entries ${entry(2, LAST)}`], /seq is not the next/],
    [
      "an upsert over an entry",
      [`INSERT INTO ledger_entries ${entry(1, `'${ZEROS}'`)} ON CONFLICT DO UPDATE SET body = '{}'`],
      /seq is not the next/,
    ],
    [
      "INSERT OR IGNORE of a second entry 0",
      [`INSERT OR IGNORE INTO ledger_entries ${entry(0, `'${ZEROS}'`)}`],
      /seq is not the next/,
    ],
    ["INSERT that leaves a gap", [raised, `INSERT INTO ledger_entries ${entry(4, LAST)}`], /seq is not the next/],
    [
      "INSERT with another prev",
      [raised, `INSERT INTO ledger_entries ${entry(3, `'${ZEROS}'`)}`],
      /prev is not the last/,
    ],
    ["INSERT without a head that has room", [`INSERT INTO ledger_entries ${entry(3, LAST)}`], /beyond the head/],
    [
      "INSERT into a ledger without a head",
      [`INSERT INTO ledger_entries ${entry(0, `'${ZEROS}'`, "other")}`],
      /beyond the head/,
    ],
    [
      "INSERT of a command that exists",
      [raised, `INSERT INTO ledger_entries ${entry(3, LAST, "main", `'${ONES}'`, COMMAND_OF_A)}`],
      /command exists/,
    ],
    [
      "REPLACE by a command that exists",
      [raised, `REPLACE INTO ledger_entries ${entry(3, LAST, "main", `'${ONES}'`, COMMAND_OF_A)}`],
      /command exists/,
    ],
    ["a head whose version stays", ["UPDATE ledger_heads SET head_hash = ''"], /version moved/],
    ["a head whose version jumps", ["UPDATE ledger_heads SET version = version + 2"], /version moved/],
    ["a head whose version falls", ["UPDATE ledger_heads SET version = version - 1"], /version moved/],
    ["a head whose size falls", ["UPDATE ledger_heads SET version = version + 1, size = size - 1"], /size fell/],
    [
      "a head that changes its ledger",
      ["UPDATE ledger_heads SET ledger_id = 'other', version = version + 1"],
      /another ledger/,
    ],
    ["DELETE of the head", ["DELETE FROM ledger_heads"], /never deleted/],
    ["REPLACE of the head", ["REPLACE INTO ledger_heads VALUES ('main', 0, 0, '', '', '[]', '')"], /already present/],
    [
      "a new head that is not empty",
      ["INSERT INTO ledger_heads VALUES ('other', 3, 9, '', '', '[]', '')"],
      /must start empty/,
    ],
    [
      "a second request of one hash",
      [
        `INSERT INTO requests (ledger_id, tenant_id, request_id, request_id_hash, request_type, insurer_address, submitter,
           payload_hash, state, round, submitted_seq, amount_minor, currency)
         SELECT ledger_id, tenant_id, 'D', request_id_hash, request_type, insurer_address, submitter, payload_hash, state,
           round, submitted_seq, amount_minor, currency FROM requests WHERE request_id = 'A'`,
      ],
      /UNIQUE constraint failed/,
    ],
  ];

  it.each(REFUSED)("refuses %s", async (_what, statements, why) => {
    const before = [
      await rowCounts(),
      await db.prepare("SELECT * FROM ledger_heads").all(),
      await db.prepare("SELECT * FROM ledger_entries").all(),
    ];
    await expect(db.batch(statements.map((sql) => db.prepare(sql)))).rejects.toThrow(why);
    const after = [
      await rowCounts(),
      await db.prepare("SELECT * FROM ledger_heads").all(),
      await db.prepare("SELECT * FROM ledger_entries").all(),
    ];
    expect(JSON.stringify(after.map(contents))).toBe(JSON.stringify(before.map(contents)));
  });

  const contents = (value: object) => ("results" in value ? value.results : value);
});

describe("two sequencers of one ledger that are alive at once", () => {
  it("never fork it: what either answers is in the one log", async () => {
    const answers = await runInDurableObject(testEnv.SEQUENCER.getByName("main"), async (_instance, state) => {
      const [one, two] = [new LedgerSequencer(state, testEnv), new LedgerSequencer(state, testEnv)];
      // In turns, so that each finds its head outdated by the other.
      const heard = [];
      for (let i = 0; i < 6; i++) {
        heard.push(await one.append(submitCommand(`ONE-${i}`)), await two.append(submitCommand(`TWO-${i}`)));
      }
      const both = ["X", "Y", "Z"].flatMap((id) => [one.append(submitCommand(id)), two.append(submitCommand(id))]);
      return [...heard, ...(await Promise.all(both))];
    });
    const types = answers.map((answer) => (answer.type === "done" ? answer.result.type : answer.type));
    expect(types.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => "committed"));
    expect(types.filter((type) => type === "committed")).toHaveLength(15);
    const report = await verified();
    expect(report.json).toMatchObject({ valid: true, size: 18, findings: [] });
  });

  it("are one each for ledgers of other names, which share nothing", async () => {
    const before = await verified();
    const other = testEnv.SEQUENCER.getByName("other");
    expect((await other.append(submitCommand("A", { requestIdHash: `0x${"ab".repeat(32)}` }))).type).toBe("done");
    const { results } = await db.prepare("SELECT ledger_id, seq FROM ledger_entries WHERE ledger_id <> 'main'").all();
    expect(results).toEqual([{ ledger_id: "other", seq: 0 }]);
    expect((await verified()).json.rootHash).toBe(before.json.rootHash);
  });
});

describe("the rate limit", () => {
  /** Windows are aligned to the minute: a test that meets its end would see two. */
  async function earlyInTheMinute(): Promise<void> {
    const left = 60_000 - (Date.now() % 60_000);
    if (left < 5_000) await new Promise((resolve) => setTimeout(resolve, left + 50));
  }
  const keyOf = (requestsPerMinute: number) =>
    makeKey("default", { surface: "workflow", scopes: ["read"], requestsPerMinute });

  it("passes exactly the limit, one after the other, then answers 429 with Retry-After, to this key alone", async () => {
    await earlyInTheMinute();
    const [key, other] = [await keyOf(7), await keyOf(7)];
    const statuses = [];
    for (let i = 0; i < 9; i++) statuses.push((await call("/workflow/requests/A", { key })).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 200, 429, 429]);
    const refused = await call("/workflow/requests/A", { key });
    const retryAfter = Number(refused.headers.get("retry-after"));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(60);
    expect(refused.json).toMatchObject({ error: "rate_limited", message: expect.any(String) });
    expect((await call("/workflow/requests/A", { key: other })).status).toBe(200);
  });

  it("passes exactly the limit of a burst, no fewer and no more", async () => {
    await earlyInTheMinute();
    const key = await keyOf(30);
    const burst = await Promise.all(Array.from({ length: 50 }, () => call("/workflow/requests/A", { key })));
    expect(burst.filter(({ status }) => status === 200)).toHaveLength(30);
    expect(burst.filter(({ status }) => status === 429)).toHaveLength(20);
  });

  it("is the setting's for a key that has none of its own, and starts anew with the next window", async () => {
    const key = await makeKey("default", { surface: "workflow", scopes: ["read"] });
    const over = { API_RATE_LIMIT_WINDOW_MS: "1000", API_RATE_LIMIT_MAX_REQUESTS: "3" };
    const inWindow = async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_005 - (Date.now() % 1_000)));
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => callWith(over, "/workflow/requests/A", { key })),
      );
      return answers.map(({ status }) => status).sort();
    };
    expect(await inWindow()).toEqual([200, 200, 200, 429, 429]);
    expect(await inWindow()).toEqual([200, 200, 200, 429, 429]);
  });
});

describe("settings and secrets that are not fit for use", () => {
  it("stop the service with their names and without their values", async () => {
    const answers = [
      await callWith({ LEDGER_COMMIT_MAX_COMMANDS: "XYZZY" }, "/workflow/requests/A"),
      await callWith({ ENVIRONMENT: "production", PAYLOAD_MASTER_KEY: "XYZZY" }, "/workflow/requests/A"),
    ];
    expect(answers.map(({ status }) => status)).toEqual([500, 503]);
    expect(answers[0]?.json.message).toContain("LEDGER_COMMIT_MAX_COMMANDS");
    expect(answers[1]?.json.message).toContain("PAYLOAD_MASTER_KEY is shorter");
    for (const { text } of answers) expect(text).not.toContain("XYZZY");
  });
});

describe("/ledger/verify", () => {
  it("says unverified, and nothing of valid, while the database can not be read", async () => {
    const unreachable = () => Promise.reject(new Error("D1_ERROR: the database is out of reach"));
    const answer = await verified(bindingOf({ batch: unreachable }));
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({
      status: "unverified",
      findings: [],
      error: "unverified",
      message: expect.any(String),
    });
    expect(answer.json).not.toHaveProperty("valid");
    expect((await verified()).status).toBe(200);
  });

  it("says the same to auditors who ask for a range or for everything", async () => {
    const DB = bindingOf({
      prepare: () => {
        throw new Error("D1_ERROR: the database is out of reach");
      },
    });
    const range = await callWith({ DB }, "/ledger/verify?from=0&to=2", { key: KEYS.AUDITOR_TOKEN });
    expect(range.status).toBe(503);
    expect(range.json).toMatchObject({ status: "unverified", findings: [] });
    expect(range.json).not.toHaveProperty("valid");
    const full = await callWith({ DB }, "/ledger/verify?full=true", { key: KEYS.AUDITOR_TOKEN });
    const report = JSON.parse(full.text.trim().split("\n").at(-1) ?? "");
    expect(report).toMatchObject({ type: "report", status: "unverified", findings: [] });
    expect(report).not.toHaveProperty("valid");
  });

  it("answers from its cache for as long as the setting says", async () => {
    const cached = { DB: bindingOf(), LEDGER_VERIFY_CACHE_MS: "60000" };
    const first = await callWith(cached, "/ledger/verify", { key: "" });
    await submit(signed(payloadOf()));
    expect((await callWith(cached, "/ledger/verify", { key: "" })).json).toEqual(first.json);
    expect((await verified()).json.size).toBe(first.json.size + 1);
  });

  it("goes through the ledger once for all who ask at the same time", async () => {
    let batches = 0;
    const batch = (statements: D1PreparedStatement[]) => {
      batches += 1;
      return db.batch(statements);
    };
    const counted = () => ({ DB: bindingOf({ batch }), LEDGER_VERIFY_CACHE_MS: "60000" });
    await callWith(counted(), "/ledger/verify", { key: "" });
    const [alone, together] = [batches, counted()];
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => callWith(together, "/ledger/verify", { key: "" })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(batches).toBe(2 * alone);
  });

  it("asks again after a report that failed, whoever made it", async () => {
    let broken = true;
    const batch = (statements: D1PreparedStatement[]) =>
      broken ? Promise.reject(new Error("D1_ERROR: out of reach")) : db.batch(statements);
    const bound = { DB: bindingOf({ batch }), LEDGER_VERIFY_CACHE_MS: "60000" };
    const failed = await Promise.all([1, 2, 3].map(() => callWith(bound, "/ledger/verify", { key: "" })));
    expect(failed.map(({ status }) => status)).toEqual([503, 503, 503]);
    broken = false;
    expect((await callWith(bound, "/ledger/verify", { key: "" })).status).toBe(200);
  });

  it("answers 503 with valid false and every finding once the stored ledger was changed", async () => {
    const before = await verified();
    expect(before.json).toMatchObject({
      valid: true,
      method: "full",
      verifiedFrom: 0,
      verifiedThrough: before.json.size,
    });
    const { results: triggers } = await db
      .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'ledger_%'")
      .all<{ name: string; sql: string }>();
    await db.batch(triggers.map(({ name }) => db.prepare(`DROP TRIGGER ${name}`)));
    await db.batch([
      db.prepare(
        `UPDATE ledger_entries SET body = replace(body, '${INSURER}', '0x0000000000000000000000000000000000000001') WHERE ledger_id = 'main' AND seq = 1`,
      ),
      db.prepare("UPDATE ledger_entries SET subject = '0x' WHERE ledger_id = 'main' AND seq = 3"),
      db.prepare("DELETE FROM ledger_entries WHERE ledger_id = 'main' AND seq = 5"),
      db.prepare("UPDATE ledger_heads SET head_hash = '' WHERE ledger_id = 'main'"),
    ]);
    const { status, json } = await verified();
    expect(status).toBe(503);
    expect(json).toMatchObject({
      status: "invalid",
      valid: false,
      error: "ledger_invalid",
      message: expect.any(String),
    });
    // Whether a checkpoint was out by then is up to the publisher's alarm.
    const findings = json.findings.filter(({ type }: { type: string }) => !type.startsWith("checkpoint-"));
    expect(findings.map(({ type, seq }: { type: string; seq?: number }) => [type, seq])).toEqual([
      ["entry-hash-mismatch", 1],
      ["column-mismatch", 3],
      ["seq-gap", 5],
      ["prev-mismatch", 6],
      ["head-mismatch", undefined], // its hash, and its frontier
      ["head-mismatch", undefined],
      ["root-mismatch", undefined],
    ]);
  });
});
