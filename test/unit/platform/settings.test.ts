import { describe, expect, it } from "vitest";
import { acceptedValues, SECRETS, secretFaults, secretsOf } from "../../../src/platform/secrets.ts";
import { coreSettingsSchema, parseSettings, relaySettingsSchema } from "../../../src/platform/settings.ts";
import { TEST_SECRETS } from "../../secrets.ts";

describe("settings", () => {
  const settings = (values: Readonly<Record<string, unknown>>) => parseSettings(coreSettingsSchema, values);

  it("have the contract's defaults when nothing is set, and are production then", () => {
    const parsed = settings({});
    expect(parsed).toMatchObject({
      ok: true,
      settings: {
        ENVIRONMENT: "production",
        LEDGER_ID: "main",
        API_RATE_LIMIT_WINDOW_MS: 60_000,
        API_RATE_LIMIT_MAX_REQUESTS: 6_000,
        RELAY_WEBHOOK_TIMEOUT_MS: 8_000,
        RELAY_MAX_RETRIES: 8,
        RELAY_INITIAL_BACKOFF_MS: 1_000,
        RELAY_MAX_BACKOFF_MS: 60_000,
        RELAY_NOT_YET_KNOWN_WINDOW_MS: 600_000,
        RELAY_MEDLINK_REQUESTS_PER_MINUTE: 240,
      },
    });
    expect(parseSettings(relaySettingsSchema, {}).ok).toBe(true);
  });

  it("take numbers as the environment has them, as text, and an empty address as none", () => {
    const parsed = settings({ API_RATE_LIMIT_MAX_REQUESTS: "12", RELAY_MEDLINK_WEBHOOK_URL: "" });
    expect(parsed).toMatchObject({ ok: true, settings: { API_RATE_LIMIT_MAX_REQUESTS: 12 } });
    expect(parsed.ok && parsed.settings.RELAY_MEDLINK_WEBHOOK_URL).toBeUndefined();
  });

  it.each([
    ["ENVIRONMENT", "prodution-XYZZY"],
    ["LEDGER_ID", "Main XYZZY"],
    ["LEDGER_COMMIT_MAX_COMMANDS", "XYZZY"],
    ["LEDGER_COMMIT_MAX_COMMANDS", "501"],
    ["LEDGER_COMMIT_MAX_BYTES", "2000000"],
    ["API_RATE_LIMIT_MAX_REQUESTS", "0"],
    ["API_RATE_LIMIT_WINDOW_MS", "1.5"],
    ["API_RATE_LIMIT_WINDOW_MS", ""],
  ])("that are wrong are named, never shown: %s", (name, value) => {
    const parsed = settings({ [name]: value, CHAIN_ID: "XYZZY" });
    expect(parsed).toMatchObject({ ok: false, problem: { code: "internal" } });
    const text = JSON.stringify(parsed);
    expect(text).toContain(name);
    expect(text).toContain("CHAIN_ID");
    expect(text).not.toContain("XYZZY");
  });
});

describe("secrets", () => {
  const good = TEST_SECRETS.core;

  it("that are fit for use have no faults, in every worker", () => {
    expect(secretFaults("itrans-core", TEST_SECRETS.core)).toEqual([]);
    expect(secretFaults("itrans-relay", TEST_SECRETS.relay)).toEqual([]);
    expect(secretFaults("medlink-hub", TEST_SECRETS.hub)).toEqual([]);
  });

  it.each<[string, Readonly<Record<string, unknown>>, readonly string[]]>([
    ["missing", { CLAIMS_API_KEY: undefined }, ["CLAIMS_API_KEY is not set"]],
    ["empty", { CLAIMS_API_KEY: "" }, ["CLAIMS_API_KEY is not set"]],
    ["not text", { CLAIMS_API_KEY: 7 }, ["CLAIMS_API_KEY is not set"]],
    ["short", { PAYLOAD_MASTER_KEY: "XYZZY-short" }, ["PAYLOAD_MASTER_KEY is shorter than 32 characters"]],
    ["a placeholder", { WORKFLOW_API_KEY: "XYZZY-change-me-XYZZY" }, ["WORKFLOW_API_KEY looks like a placeholder"]],
    [
      "one character over and over",
      { WORKFLOW_API_KEY: "zzzzzzzzzzzzzzzzzzzz" },
      ["WORKFLOW_API_KEY looks like a placeholder"],
    ],
    ["no private key", { EVM_PRIVATE_KEY: `0x${"XYZZY".repeat(13)}` }, ["EVM_PRIVATE_KEY is not 0x and 64 hex digits"]],
    [
      "used twice",
      { CLAIMS_API_KEY: good.WORKFLOW_API_KEY },
      ["CLAIMS_API_KEY has the same value as WORKFLOW_API_KEY; they must differ"],
    ],
    [
      "wrong in several places",
      { CLAIMS_API_KEY: "", PAYLOAD_MASTER_KEY: "" },
      ["CLAIMS_API_KEY is not set", "PAYLOAD_MASTER_KEY is not set"],
    ],
  ])("that are %s are named, never shown", (_what, change, faults) => {
    const found = secretFaults("itrans-core", { ...good, ...change });
    expect(found).toEqual(faults);
    expect(found.join()).not.toContain("XYZZY");
    for (const value of Object.values({ ...good, ...change })) {
      if (typeof value === "string" && value !== "") expect(found.join()).not.toContain(value);
    }
  });

  it("are looked at only by the worker that holds them, and an optional one may be absent", () => {
    expect(secretFaults("itrans-core", { ...good, SESSION_SECRET: "x" })).toEqual([]);
    expect(secretFaults("itrans-core", { ...good, OPERATOR_API_KEY: undefined })).toEqual([]);
    expect(secretsOf("itrans-relay").map(({ name }) => name)).toEqual([
      "METRICS_SCRAPE_TOKEN",
      "DESTINATION_WRAPPING_KEY",
      "RELAY_WEBHOOK_SIGNING_SECRET",
    ]);
  });

  it("name a partner that exists wherever two ends share one", () => {
    const names = new Set(SECRETS.map(({ name }) => name));
    const partners = SECRETS.flatMap(({ sameAs }) => (sameAs === undefined ? [] : [sameAs]));
    expect(partners.filter((partner) => !names.has(partner))).toEqual([]);
    expect(partners).toHaveLength(5);
  });

  it("are accepted together with the previous value during a rotation, the current one first", () => {
    expect(acceptedValues({ KEY: "new", KEY_PREVIOUS: "old" }, "KEY")).toEqual(["new", "old"]);
    expect(acceptedValues({ KEY: "new", KEY_PREVIOUS: "" }, "KEY")).toEqual(["new"]);
    expect(acceptedValues({}, "KEY")).toEqual([]);
  });
});
