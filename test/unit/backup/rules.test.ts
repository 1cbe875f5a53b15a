import { expect, test } from "vitest";
import { checkFile, readManifest, sealManifest, sha256Sums } from "../../../src/backup/manifest.ts";
import { nightlyIsDue } from "../../../src/backup/nightly.ts";
import { expiredNames, isTag, snapshotName, timeOfName } from "../../../src/backup/retention.ts";
import { backupKeys, openFile, sealFile } from "../../../src/backup/sealed-file.ts";
import { endsChunk, nextSegment, packLines, pathOf, rangeOfPath, unpackLines } from "../../../src/backup/segments.ts";
import { shownSettings } from "../../../src/backup/shown-settings.ts";
import { utf8 } from "../../../src/platform/encoding.ts";

const DAY = 86_400_000;
const keys = backupKeys(["a backup key of the tests, long enough"]);
const otherKeys = backupKeys(["another backup key of the tests, as long"]);

test("a sealed file opens under its key alone, and not when a byte of it differs or is missing", async () => {
  const contents = new Uint8Array(600_000).map((_, i) => i % 251);
  const { bytes } = await sealFile(keys, contents);
  expect(await openFile(keys, bytes)).toEqual(contents);
  await expect(openFile(otherKeys, bytes)).rejects.toThrow("which is not held");
  expect(
    await openFile(
      backupKeys(["another backup key of the tests, as long", "a backup key of the tests, long enough"]),
      bytes,
    ),
  ).toEqual(contents);
  for (const at of [0, 8, 20, 50, 262_200, 300_000, bytes.length - 1]) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    await expect(openFile(keys, changed)).rejects.toThrow();
  }
  for (const length of [0, 41, 42, 50, 262_206, bytes.length - 1]) {
    await expect(openFile(keys, bytes.slice(0, length))).rejects.toThrow();
  }
});

test("equal contents are equal files under equal names; under another key they share nothing", async () => {
  const contents = utf8("the same");
  const [a, b, c] = await Promise.all([
    sealFile(keys, contents),
    sealFile(keys, contents),
    sealFile(otherKeys, contents),
  ]);
  expect(a).toEqual(b);
  expect(c.digest).not.toBe(a.digest);
});

test("an empty file is sealed and opened like any other", async () => {
  const { bytes } = await sealFile(keys, new Uint8Array());
  expect(await openFile(keys, bytes)).toEqual(new Uint8Array());
});

test("lines come back as they were packed, and equal lines give equal bytes", () => {
  const lines = [{ a: 1 }, ["é", null], "x"].map((line) => JSON.stringify(line));
  expect(unpackLines(packLines(lines))).toEqual([{ a: 1 }, ["é", null], "x"]);
  expect(packLines(lines)).toEqual(packLines(lines));
  expect(unpackLines(packLines([]))).toEqual([]);
});

test("a segment is sealed when it is whole", () => {
  expect(nextSegment(0, 4_095)).toBeUndefined();
  expect(nextSegment(0, 4_096)).toEqual({ from: 0, to: 4_096 });
  expect(nextSegment(4_096, 8_191)).toBeUndefined();
});

test("a row that comes changes one chunk of its table, however large the table is", () => {
  const chunksOf = (ids: readonly string[]): readonly string[] => {
    const chunks: string[] = [];
    let chunk: string[] = [];
    for (const id of [...ids].sort()) {
      chunk.push(id);
      if (endsChunk([id], chunk.length, 0)) {
        chunks.push(chunk.join());
        chunk = [];
      }
    }
    return [...chunks, chunk.join()];
  };
  const ids = Array.from({ length: 20_000 }, (_, i) => `row-${(i * 7_919) % 1_000_003}`);
  const before = new Set(chunksOf(ids));
  expect(before.size).toBeGreaterThan(20);
  expect(chunksOf([...ids, "row-5-new"]).filter((chunk) => !before.has(chunk)).length).toBeLessThanOrEqual(2);
});

test("names of keys and tail files say which entries they are about", () => {
  const digest = "ab".repeat(32);
  expect(rangeOfPath(pathOf({ kind: "keys", range: { from: 4_096, to: 8_192 }, digest }))).toEqual({
    from: 4_096,
    to: 8_192,
  });
  expect(rangeOfPath("keys/x")).toBeUndefined();
});

test("the newest snapshot of each of 30 days and of each of 12 months is kept, and all of the last day", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  const names: string[] = [];
  for (let day = 0; day < 500; day++) {
    names.push(snapshotName(now - day * DAY - 10 * 3_600_000, undefined));
    names.push(snapshotName(now - day * DAY - 5 * 3_600_000, "before-deploy"));
  }
  const expired = new Set(expiredNames([...names, "not-a-snapshot"], now));
  const kept = names.filter((name) => !expired.has(name));
  expect(expired.has("not-a-snapshot")).toBe(false);
  expect(kept.filter((name) => (timeOfName(name) ?? 0) > now - DAY)).toHaveLength(2);
  const days = new Set(kept.map((name) => name.slice(0, 10)));
  for (let day = 0; day < 30; day++) expect(days).toContain(new Date(now - day * DAY).toISOString().slice(0, 10));
  const months = new Set(kept.map((name) => name.slice(0, 7)));
  expect(months.size).toBe(12);
  expect(kept.length).toBe(1 + 30 + 11 - 1);
});

test("a tag is of letters, digits and hyphens, and becomes part of the name", () => {
  expect(isTag("before-deploy")).toBe(true);
  expect(isTag("a b")).toBe(false);
  expect(timeOfName(snapshotName(Date.parse("2026-01-02T03:04:05Z"), "t"))).toBe(Date.parse("2026-01-02T03:04:05Z"));
});

test("the night's snapshot begins once from its hour on, and again an hour after it failed, four times", () => {
  const at = (time: string) => Date.parse(`2026-11-22T${time}:00Z`);
  const run = (time: string, state: string) => ({ kind: "nightly" as const, state, startedAt: at(time) });
  const before = { kind: "nightly" as const, state: "good", startedAt: at("02:00") - DAY };
  expect(nightlyIsDue([before], at("01:59"), 2)).toBe(false);
  expect(nightlyIsDue([before], at("02:00"), 2)).toBe(true);
  expect(nightlyIsDue([run("02:00", "good"), before], at("23:00"), 2)).toBe(false);
  expect(nightlyIsDue([run("02:00", "running")], at("02:01"), 2)).toBe(false);
  expect(nightlyIsDue([run("02:00", "failed")], at("02:30"), 2)).toBe(false);
  expect(nightlyIsDue([run("02:00", "failed")], at("03:00"), 2)).toBe(true);
  const failures = ["02:00", "03:00", "04:00", "05:00"].map((time) => run(time, "failed"));
  expect(nightlyIsDue(failures, at("09:00"), 2)).toBe(false);
  expect(nightlyIsDue([{ ...before, kind: "nightly" }], at("01:00") + DAY, 2)).toBe(true);
});

const facts = {
  name: "2026-11-22T02-00-00Z",
  of: "itrans-core" as const,
  createdAt: "2026-11-22T02:00:00.000Z",
  schema: [],
  ledger: null,
  settings: {},
  files: [
    {
      path: "objects/tables/tenants/a.sealed",
      kind: "table" as const,
      bytes: 1,
      sha256: "0".repeat(64),
      rows: 1,
      table: "tenants",
    },
  ],
};

test("a manifest that was changed, or sealed under another key, is refused", () => {
  const manifest = sealManifest(facts, keys);
  expect(readManifest(JSON.stringify(manifest), keys)).toEqual({ ok: true, manifest });
  expect(readManifest(JSON.stringify(manifest), otherKeys)).toMatchObject({ ok: false });
  expect(readManifest(JSON.stringify({ ...manifest, createdAt: "2026-11-23T02:00:00.000Z" }), keys)).toMatchObject({
    ok: false,
  });
  expect(readManifest(JSON.stringify(manifest).slice(1), keys)).toMatchObject({ ok: false });
  const twice = sealManifest({ ...facts, files: [...facts.files, ...facts.files] }, keys);
  expect(readManifest(JSON.stringify(twice), keys)).toEqual({ ok: false, reason: "a file stands in it twice" });
});

test("a file that is missing, of another length or of other bytes is named", () => {
  const file = { path: "objects/x", bytes: 3, sha256: "ab".repeat(32) };
  expect(checkFile(file, { bytes: 3, sha256: "ab".repeat(32) })).toEqual({ ok: true });
  for (const found of [undefined, { bytes: 2, sha256: "ab".repeat(32) }, { bytes: 3, sha256: "00".repeat(32) }]) {
    expect(checkFile(file, found)).toMatchObject({ ok: false, path: "objects/x" });
  }
  expect(sha256Sums([file])).toBe(`${"ab".repeat(32)}  objects/x\n`);
});

test("settings are kept without what an address may carry", () => {
  expect(
    shownSettings({
      LEDGER_ID: "main",
      EVM_RPC_URL: "https://node.example/v3/a-key",
      N: 1,
      B: true,
      BIG: 5n,
      NONE: undefined,
    }),
  ).toEqual({ LEDGER_ID: "main", EVM_RPC_URL: "https://node.example", N: 1, B: true, BIG: "5", NONE: null });
});
