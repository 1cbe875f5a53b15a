import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { countLifecycle } from "../../../src/medlink/operations/record-metrics.cron.ts";
import { readTotals } from "../../../src/operations/metrics.store.ts";
import { d1On } from "../../support/d1-sqlite.ts";

function migratedHub(): DatabaseSync {
  const sqlite = new DatabaseSync(":memory:");
  const migrations = new URL("../../../migrations/medlink/", import.meta.url);
  const files = readdirSync(migrations).filter((file) => file.endsWith(".up.sql"));
  for (const file of files.sort()) sqlite.exec(readFileSync(new URL(file, migrations), "utf8"));
  return sqlite;
}

const NOW = 1_800_000_000_000;

test("exchanges with EDI networks are counted by their answers, each once, and a database without them has none", async () => {
  const sqlite = migratedHub();
  const db = d1On(sqlite);
  sqlite.exec("DROP TABLE IF EXISTS edi_exchanges");
  expect(await countLifecycle(db, NOW)).toBe(false);
  sqlite.exec(
    "CREATE TABLE edi_exchanges (exchange_id INTEGER PRIMARY KEY, connector, kind, direction, ok, at INTEGER)",
  );
  const exchange = (connector: string, kind: string, direction: string, ok: 0 | 1) =>
    sqlite
      .prepare("INSERT INTO edi_exchanges (connector, kind, direction, ok, at) VALUES (?, ?, ?, ?, ?)")
      .run(connector, kind, direction, ok, NOW);
  exchange("cdanet", "submit", "out", 1);
  exchange("cdanet", "submit", "in", 1);
  exchange("cdanet", "submit", "in", 0);
  exchange("unheard-of", "status", "in", 1);
  expect(await countLifecycle(db, NOW)).toBe(true);
  expect(await countLifecycle(db, NOW)).toBe(false);
  exchange("cdanet", "submit", "in", 1);
  expect(await countLifecycle(db, NOW)).toBe(true);
  const totals = await readTotals(db, ["medlink_edi_transactions_total"]);
  expect(totals.map(({ labels, value }) => [...labels, value])).toEqual([
    ["cdanet", "submit", "failed", 1],
    ["cdanet", "submit", "ok", 2],
    ["other", "status", "ok", 1],
  ]);
});

test("two crons at once count what they both see once", async () => {
  const sqlite = migratedHub();
  const db = d1On(sqlite);
  sqlite.exec(`INSERT INTO audit_events (clinic_id, actor, action, subject, correlation_id, at)
    VALUES ('c', 'u', 'auth.login', 'u', 'x', ${NOW}), ('c', 'u', 'claim.create', 'u', 'x', ${NOW})`);
  await Promise.all([countLifecycle(db, NOW), countLifecycle(db, NOW)]);
  expect(await readTotals(db, ["medlink_logins_total"])).toMatchObject([{ value: 1 }]);
});
