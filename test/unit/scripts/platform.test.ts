import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import {
  appliedMigrations,
  applyTo,
  fileDatabase,
  recordSql,
  remoteDatabase,
  unrecordSql,
} from "../../../scripts/lib/databases.ts";
import { migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";
import { d1Insights, deleteSecret, putSecret, secretNames } from "../../../scripts/lib/platform.ts";
import { OWN_OBJECTS, objectsOf } from "../../../scripts/lib/schema-shape.ts";
import { checkArguments, type RecordedCall, recordingPlatform } from "../../support/recording-platform.ts";

const directory = mkdtempSync(join(tmpdir(), "platform-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const optionOf = ({ args }: RecordedCall, name: string): string => args[args.indexOf(name) + 1] ?? "";

/** A remote D1 behind wrangler's own words. */
function remote() {
  const sqlite = new DatabaseSync(":memory:");
  const platform = recordingPlatform((call) => {
    switch (
      call.args
        .slice(0, 3)
        .join(" ")
        .replace(/ itrans-staging$/, "")
    ) {
      case "d1 execute": {
        if (call.args.includes("--file")) {
          applyTo(sqlite, readFileSync(optionOf(call, "--file"), "utf8"));
          return "";
        }
        const results = sqlite.prepare(optionOf(call, "--command")).all();
        return `resource location: remote\n${JSON.stringify([{ results, success: true, meta: { size_after: 4096 } }])}`;
      }
      case "d1 export":
        writeFileSync(optionOf(call, "--output"), "-- everything");
        return "";
      case "d1 time-travel info":
        return JSON.stringify({ bookmark: "0000-bookmark" });
      case "d1 migrations apply":
        sqlite.exec(
          'CREATE TABLE IF NOT EXISTS "d1_migrations"(id INTEGER PRIMARY KEY, name TEXT UNIQUE, applied_at TEXT DEFAULT "now")',
        );
        for (const { name, up } of readMigrations(migrationsOf("itrans"))) applyTo(sqlite, `${up}\n${recordSql(name)}`);
        return "";
      default:
        return JSON.stringify([{ name: "AUDITOR_TOKEN" }]);
    }
  });
  return { platform, sqlite, database: remoteDatabase("itrans", "staging", platform, "itrans-staging") };
}

describe("a remote database, through wrangler's own commands", () => {
  it("is migrated, recorded and taken back a step, with a snapshot that says how to get everything back", async () => {
    const { database, platform, sqlite } = remote();
    const applied = await database.migrate();
    expect((await appliedMigrations(database)).map(({ name }) => name)).toEqual(applied);
    const snapshot = await database.snapshot(directory, "t1");
    expect(snapshot.bookmark).toBe("0000-bookmark");
    expect(snapshot.lines.join("\n")).toContain("time-travel restore itrans-staging --bookmark 0000-bookmark");
    const last = readMigrations(migrationsOf("itrans")).at(-1);
    await database.apply(`${last?.down}\n${unrecordSql(last?.name ?? "")}`);
    expect((await appliedMigrations(database)).map(({ name }) => name)).toEqual(applied.slice(0, -1));
    const before = new DatabaseSync(":memory:");
    for (const { up } of readMigrations(migrationsOf("itrans")).slice(0, -1)) before.exec(up);
    expect(objectsOf(sqlite.prepare(OWN_OBJECTS).all())).toEqual(objectsOf(before.prepare(OWN_OBJECTS).all()));
    for (const { args } of platform.calls) {
      expect(args).toContain("--env");
      if (args[1] === "execute" || args[1] === "export") expect(args).toContain("--remote");
    }
    expect(await database.sizeBytes()).toBe(4096);
  });

  it("is never given a secret's value as an argument", async () => {
    const { platform } = remote();
    await putSecret(platform, "itrans-core", "production", "AUDITOR_TOKEN", "the-value");
    await deleteSecret(platform, "itrans-core", "production", "AUDITOR_TOKEN_PREVIOUS");
    expect(await secretNames(platform, "itrans-core", "production")).toEqual(["AUDITOR_TOKEN"]);
    await d1Insights(platform, { worker: "itrans-core", environment: "production", name: "itrans" }, 5);
    expect(platform.calls.flatMap(({ args }) => args).join(" ")).not.toContain("the-value");
    expect(platform.calls[0]?.input).toBe("the-value");
  });
});

it("refuses what the installed wrangler does not list", () => {
  expect(() => checkArguments(["d1", "execute", "x", "--remotely"])).toThrow("knows no --remotely");
  expect(() => checkArguments(["d1", "execute", "x", "--remote", "--command", "SELECT 1"])).not.toThrow();
});

it("keeps a snapshot of a local database that opens and holds what it held, and never writes over one", async () => {
  const path = join(directory, "local.sqlite");
  const database = fileDatabase("itrans", path);
  expect(await database.migrate()).toEqual(readMigrations(migrationsOf("itrans")).map(({ name }) => name));
  const [file = ""] = (await database.snapshot(directory, "t2")).lines;
  const kept = new DatabaseSync(file, { readOnly: true });
  expect(kept.prepare("SELECT COUNT(*) AS n FROM tenants").get()).toMatchObject({ n: 1 });
  kept.close();
  await expect(database.snapshot(directory, "t2")).rejects.toThrow("exists already");
  expect(existsSync(`${file}.part`)).toBe(false);
  database.close();
});
