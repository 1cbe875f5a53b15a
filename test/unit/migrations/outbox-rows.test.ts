import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, it } from "vitest";
import { migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";
import { HELD_DUE_AT, isOfEntry, WAITS_FROM } from "../../../src/relay/lanes.store.ts";

const NAME = "0017_outbox_rows";
const CREATED = 1_790_000_000_000;
const DUE = CREATED + 60_000;

const migrations = readMigrations(migrationsOf("itrans"));
const at = migrations.findIndex(({ name }) => name.startsWith(NAME));
const migration = migrations[at];
if (migration?.down === undefined) throw new Error(`${NAME} has no two files`);
const { up, down } = migration;

const before = (): DatabaseSync => {
  const sqlite = new DatabaseSync(":memory:");
  for (const earlier of migrations.slice(0, at)) sqlite.exec(earlier.up);
  return sqlite;
};

function insert(sqlite: DatabaseSync, outboxId: number, state: string, seq = outboxId, ledgerId = "main"): void {
  const dueAt = state === "delivered" || state === "dead" ? DUE + 5 : DUE;
  const settledAt = state === "delivered" || state === "dead" || state === "discarded" ? DUE + 5 : null;
  sqlite
    .prepare(
      `INSERT INTO outbox (outbox_id, event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at,
         body, correlation_id, lease_token, last_status, created_at, settled_at)
       VALUES (?1, ?1, 'REQUEST_SUBMITTED', ?6, ?2, 's', 'default', 'd', ?3, ?4, '{}', 'c', 7, 200, ?5, ?7)`,
    )
    .run(outboxId, seq, state, dueAt, CREATED, ledgerId, settledAt);
}

const rows = (sqlite: DatabaseSync, columns: string) =>
  sqlite
    .prepare(`SELECT ${columns} FROM outbox ORDER BY outbox_id`)
    .all()
    .map((row) => ({ ...row }));

const STATES = ["waiting", "due", "leased", "delivered", "dead", "discarded"];

describe("the migration to rows that are written less", () => {
  let sqlite: DatabaseSync;

  beforeEach(() => {
    sqlite = before();
    STATES.forEach((state, i) => {
      insert(sqlite, i + 1, state);
    });
    sqlite.exec(up);
  });

  it("gives each row its place", () => {
    expect(rows(sqlite, "state, open, due_at, leased_until")).toEqual([
      { state: "waiting", open: 1, due_at: WAITS_FROM + 1, leased_until: 0 },
      { state: "due", open: 1, due_at: DUE, leased_until: 0 },
      { state: "leased", open: 1, due_at: CREATED, leased_until: DUE },
      { state: "delivered", open: 0, due_at: DUE + 5, leased_until: 0 },
      { state: "dead", open: 1, due_at: HELD_DUE_AT, leased_until: 0 },
      { state: "discarded", open: 0, due_at: DUE, leased_until: 0 },
    ]);
  });

  it("is taken back with every row as it was, and with the posts that were taken since as attempts", () => {
    sqlite.exec(
      "UPDATE outbox SET state = 'delivered', open = 0, posted_at = 90, post_ms = 4, settled_at = 95 WHERE outbox_id = 2",
    );
    sqlite.exec(down);
    expect(rows(sqlite, "state, due_at")).toEqual([
      { state: "waiting", due_at: CREATED },
      { state: "delivered", due_at: DUE },
      { state: "leased", due_at: DUE },
      { state: "delivered", due_at: DUE + 5 },
      { state: "dead", due_at: DUE + 5 },
      { state: "discarded", due_at: DUE },
    ]);
    expect({ ...sqlite.prepare("SELECT * FROM delivery_attempts").get() }).toEqual({
      outbox_id: 2,
      lease_token: 7,
      started_at: 90,
      duration_ms: 4,
      outcome: "delivered",
      status: 200,
      error: null,
      answer: null,
    });
    sqlite.exec(up);
    expect(rows(sqlite, "open").map(({ open }) => open)).toEqual([1, 0, 1, 0, 1, 0]);
  });

  it("keeps `open` true to the state, whoever writes it", () => {
    insert(sqlite, 10, "delivered");
    sqlite.exec("UPDATE outbox SET state = 'discarded' WHERE outbox_id = 5");
    sqlite.exec("UPDATE outbox SET state = 'due' WHERE outbox_id = 6");
    expect(
      sqlite
        .prepare("SELECT outbox_id FROM outbox WHERE open = 0")
        .all()
        .map((row) => row.outbox_id),
    ).toEqual([4, 5, 10]);
  });
});

describe("the search for an entry's rows", () => {
  it("finds those and no others, whatever was pruned and whatever another ledger has between", () => {
    const sqlite = before();
    sqlite.exec(up);
    const expected = new Map<number, number[]>();
    for (let outboxId = 3, seq = 2; outboxId < 600; outboxId += 1 + (outboxId % 7), seq += outboxId % 3) {
      insert(sqlite, outboxId, "delivered", seq);
      expected.set(seq, [...(expected.get(seq) ?? []), outboxId]);
      if (outboxId % 5 === 0) insert(sqlite, outboxId + 10_000, "delivered", 600 - seq, "other");
    }
    const find = sqlite.prepare(
      `SELECT o.outbox_id FROM (SELECT 'main' AS ledger_id, CAST(?1 AS INTEGER) AS seq) AS e
       CROSS JOIN outbox AS o ON ${isOfEntry("o", "e")} ORDER BY 1`,
    );
    expect(new Set([...expected.values()].map((ids) => ids.length))).toEqual(new Set([1, 2]));
    for (let seq = 0; seq < 500; seq++) {
      expect(
        find.all(seq).map((row) => row.outbox_id),
        `seq ${seq}`,
      ).toEqual(expected.get(seq) ?? []);
    }
    sqlite.exec("DELETE FROM outbox");
    expect(find.all(3)).toEqual([]);
  });
});
