import { expect, it } from "vitest";
import { migratedCoreSqlite } from "../../support/d1-sqlite.ts";

const HASH = "1".repeat(64);

/** Entry `seq` of a ledger whose head has room for it. */
const entry = (verb: string, seq: number, hash: string, prev: string) => `
  UPDATE ledger_heads SET version = version + 1, size = ${seq + 1};
  ${verb} INTO ledger_entries (ledger_id, seq, entry_hash, prev, subject, command_id, command_index, body)
  VALUES ('main', ${seq}, '${hash}', '${prev}', '0x', 'command-${seq}', 0, '{}')`;

it("keeps an entry whose hash comes again, whatever the statement", () => {
  const sqlite = migratedCoreSqlite();
  sqlite.exec("INSERT INTO ledger_heads VALUES ('main', 0, 0, '', '', '[]', '')");
  sqlite.exec(entry("INSERT", 0, HASH, "0".repeat(64)));
  sqlite.exec(entry("INSERT OR REPLACE", 1, HASH, HASH));
  const rows = sqlite.prepare("SELECT seq, command_id AS command FROM ledger_entries ORDER BY seq").all();
  expect(rows.map(({ seq, command }) => [seq, command])).toEqual([
    [0, "command-0"],
    [1, "command-1"],
  ]);
});
