import { describe, expect, it } from "vitest";
import { rotationOf } from "../../../src/platform/rotation.ts";
import { fingerprintOf, sightingsIn } from "../../../src/platform/secret-fingerprint.ts";
import { SECRETS, secretFaults } from "../../../src/platform/secrets.ts";
import { TEST_SECRETS } from "../../secrets.ts";

const faults = (over: Readonly<Record<string, string | undefined>>) =>
  secretFaults("itrans-core", { ...TEST_SECRETS.core, ...over });

describe("the check of secrets", () => {
  it("finds nothing wrong with strong, distinct ones", () => {
    expect(faults({})).toEqual([]);
  });

  it.each<[string, Record<string, string | undefined>, string]>([
    ["a missing one", { WORKFLOW_API_KEY: undefined }, "WORKFLOW_API_KEY is not set"],
    ["a short one", { PAYLOAD_MASTER_KEY: "aB3-dE6_gH9" }, "PAYLOAD_MASTER_KEY is shorter than 32 characters"],
    ["a placeholder", { CLAIMS_API_KEY: "change-me-please-1234567" }, "CLAIMS_API_KEY looks like a placeholder"],
    ["a monotonous one", { CLAIMS_API_KEY: "abababababababababab" }, "CLAIMS_API_KEY has fewer than 8"],
    [
      "one that is used twice",
      { CLAIMS_API_KEY: TEST_SECRETS.core.WORKFLOW_API_KEY },
      "same value as WORKFLOW_API_KEY",
    ],
    ["a weak one of an overlap", { AUDITOR_TOKEN_PREVIOUS: "zZ9-k" }, "AUDITOR_TOKEN_PREVIOUS is shorter"],
    [
      "an overlap with another's value",
      { AUDITOR_TOKEN_PREVIOUS: TEST_SECRETS.core.CLAIMS_API_KEY },
      "AUDITOR_TOKEN_PREVIOUS has the same",
    ],
    ["a key of the wrong form", { EVM_PRIVATE_KEY: `0x${"zq".repeat(32)}` }, "EVM_PRIVATE_KEY is not 0x"],
  ])("names %s, and never its value", (_what, over, expected) => {
    const found = faults(over);
    expect(found.join("\n")).toContain(expected);
    for (const value of Object.values(over)) if (value !== undefined) expect(found.join("\n")).not.toContain(value);
  });

  it("lets a value stand in both places of its own secret, between two steps of a rotation", () => {
    expect(faults({ AUDITOR_TOKEN_PREVIOUS: TEST_SECRETS.core.AUDITOR_TOKEN })).toEqual([]);
  });
});

it("tells values of a secret apart by fingerprints that hold nothing of them", () => {
  expect(fingerprintOf("A", "x")).not.toBe(fingerprintOf("A", "y"));
  expect(fingerprintOf("A", "x")).not.toBe(fingerprintOf("B", "x"));
  expect(sightingsIn(["A", "B", "C"], { A: "value", B: "" })).toEqual([
    { name: "A", fingerprint: fingerprintOf("A", "value") },
  ]);
});

it("knows for every secret of ours how it is rotated", () => {
  const own = SECRETS.filter(({ external }) => external !== true);
  const unplanned = own
    .filter(({ name, sameAs }) => rotationOf(name, sameAs).kind === "replaced")
    .map(({ name }) => name);
  expect(unplanned.filter((name) => name !== "OPERATOR_HMAC_SECRET")).toEqual([]);
});
