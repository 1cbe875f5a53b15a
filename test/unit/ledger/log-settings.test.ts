import { describe, expect, it } from "vitest";
import { importSigningKey } from "../../../src/ledger/ed25519.ts";
import { logOrigin, logSettings, parseWitnesses } from "../../../src/ledger/log-settings.ts";
import { formatVerifierKey, makeCosigner, makeSigner } from "../../../src/ledger/note.ts";
import { coreSettingsSchema } from "../../../src/platform/settings.ts";

const settings = (values: Readonly<Record<string, string>> = {}) => coreSettingsSchema.parse(values);
const KEY = "A".repeat(43);

describe("the log's name", () => {
  it("is the setting, else the log's URL without scheme and slash, else a fixed one in development only", () => {
    const url = { LEDGER_LOG_URL: "https://ledger.example/ledger/log/" };
    expect(logOrigin(settings({ ...url, LEDGER_ORIGIN: "other.example/log" }))).toBe("other.example/log");
    expect(logOrigin(settings(url))).toBe("ledger.example/ledger/log");
    expect(logOrigin(settings({ ENVIRONMENT: "development" }))).toBe("localhost/ledger/log");
    expect(logOrigin(settings())).toBeUndefined();
  });
});

describe("what publishing needs", () => {
  const named = settings({ LEDGER_ORIGIN: "log.example/a" });

  it("is the name and the key, with the previous one during a rotation", () => {
    expect(logSettings(named, { LEDGER_SIGNING_KEY: KEY })).toMatchObject({ type: "enabled", origin: "log.example/a" });
    const both = logSettings(named, {
      LEDGER_SIGNING_KEY: KEY,
      LEDGER_SIGNING_KEY_PREVIOUS: "B".repeat(42).concat("A"),
    });
    expect(both.type === "enabled" && both.seeds).toHaveLength(2);
  });

  it("is told to be missing by name, never by value", () => {
    for (const [given, secrets, reason] of [
      [settings(), { LEDGER_SIGNING_KEY: KEY }, "LEDGER_ORIGIN"],
      [named, {}, "LEDGER_SIGNING_KEY is not set"],
      [named, { LEDGER_SIGNING_KEY: KEY, LEDGER_SIGNING_KEY_PREVIOUS: "hush" }, "43 characters"],
      [settings({ LEDGER_ORIGIN: "a+b" }), { LEDGER_SIGNING_KEY: KEY }, "a plus"],
      [settings({ LEDGER_ORIGIN: "a", LEDGER_WITNESSES: "[1]" }), { LEDGER_SIGNING_KEY: KEY }, "LEDGER_WITNESSES"],
    ] as const) {
      const log = logSettings(given, secrets);
      expect(log).toMatchObject({ type: "disabled", reason: expect.stringContaining(reason) });
      expect(JSON.stringify(log)).not.toContain("hush");
    }
  });
});

describe("the list of witnesses", () => {
  it("holds URLs and verifier keys for cosignatures, and nothing else", async () => {
    const key = await importSigningKey(new Uint8Array(32));
    const cosigner = formatVerifierKey(makeCosigner("w.example", key, () => 0).key);
    const log = formatVerifierKey(makeSigner("w.example", key).key);
    expect(parseWitnesses(undefined)).toEqual([]);
    const good = parseWitnesses(JSON.stringify([{ url: "https://w.example/", key: cosigner }]));
    expect(good).toMatchObject([{ url: "https://w.example", key: { name: "w.example", type: "cosignature" } }]);
    const one = { url: "https://w.example", key: cosigner };
    for (const bad of [
      "x",
      "{}",
      JSON.stringify([{ ...one, key: log }]),
      JSON.stringify([{ ...one, url: "w" }]),
      JSON.stringify([{ ...one, more: 1 }]),
      JSON.stringify(Array.from({ length: 9 }, () => one)),
    ]) {
      expect(parseWitnesses(bad)).toBeUndefined();
    }
  });
});
