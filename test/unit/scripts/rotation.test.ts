import { describe, expect, it } from "vitest";
import { deployedFaults, environmentFaults } from "../../../scripts/env-check.ts";
import { changesOf, endsOf, planOf, retireFault } from "../../../scripts/lib/rotation.ts";
import { deploy, withChanges } from "../../../scripts/secrets.ts";
import { acceptedValues, SECRETS, secretFaults, secretsOf, type WorkerName } from "../../../src/platform/secrets.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { recordingPlatform } from "../../support/recording-platform.ts";

const STRONG = { ...TEST_SECRETS.core, ...TEST_SECRETS.relay, ...TEST_SECRETS.hub };
const FRESH = "nQ4rT8vX2zB6dF0hJ3lM7pS1uW5yA9cE-fresh";

describe("a rotation", () => {
  const overlapping = SECRETS.filter(({ name }) => planOf(name).kind !== "handover");

  it.each(overlapping.map(({ name }) => name))(
    "of %s leaves no worker without what another one uses, step by step",
    (name) => {
      const workers = new Map<WorkerName, Record<string, string | null>>();
      for (const end of endsOf(name))
        for (const worker of end.workers) workers.set(worker, { ...workers.get(worker), [end.name]: "old" });
      const used = () => endsOf(name).flatMap((end) => end.workers.map((worker) => workers.get(worker)?.[end.name]));
      const accepted = (worker: WorkerName) =>
        endsOf(name)
          .filter((end) => end.workers.includes(worker))
          .map((end) => acceptedValues(workers.get(worker) ?? {}, end.name));
      for (const step of ["add", "switch", "retire"] as const) {
        // In any order of workers, with the others a step behind.
        for (const { worker, set } of changesOf(step, name, "old", FRESH).toReversed()) {
          workers.set(worker, { ...workers.get(worker), ...set });
          for (const holder of workers.keys())
            for (const values of accepted(holder)) for (const value of used()) expect(values).toContain(value);
        }
      }
      expect(new Set(used())).toEqual(new Set([FRESH]));
      for (const worker of workers.keys()) for (const values of accepted(worker)) expect(values).toEqual([FRESH]);
    },
  );

  it("keeps the old value while a re-wrap goes on, rows do not open, or somebody still comes with it", () => {
    const now = Date.parse("2026-11-22T12:00:00Z");
    const run = (over = {}) => ({
      overlaps: [],
      rewraps: [{ kind: "payload-keys", finished: true, unreadable: 0, ...over }],
    });
    expect(retireFault("PAYLOAD_MASTER_KEY", run({ finished: false }), now, 0)).toContain("not finished");
    expect(retireFault("PAYLOAD_MASTER_KEY", run({ unreadable: 2 }), now, 0)).toContain("lost");
    expect(retireFault("PAYLOAD_MASTER_KEY", run(), now, 0)).toBeUndefined();
    const used = { rewraps: [], overlaps: [{ name: "WORKFLOW_API_KEY", previousUsedAt: "2026-11-22T11:55:00Z" }] };
    expect(retireFault("WORKFLOW_API_KEY", used, now, 900_000)).toContain("300 s ago");
    expect(retireFault("ITRANS_WORKFLOW_API_KEY", used, now, 900_000)).toContain("300 s ago");
    expect(retireFault("WORKFLOW_API_KEY", used, now, 60_000)).toBeUndefined();
  });

  it("changes a worker's secrets in one request, through its standard input", async () => {
    const platform = recordingPlatform(() => "");
    await deploy(platform, "production", changesOf("switch", "WORKFLOW_API_KEY", "old-value", FRESH));
    expect(platform.calls).toHaveLength(2);
    expect(platform.calls.flatMap(({ args }) => args).join(" ")).not.toContain(FRESH);
    expect(JSON.parse(platform.calls[0]?.input ?? "")).toEqual({
      WORKFLOW_API_KEY: FRESH,
      WORKFLOW_API_KEY_PREVIOUS: "old-value",
    });
  });

  it("changes the lines of a local file and no others", () => {
    const text = '# Secrets\nA="1"\nAUDITOR_TOKEN="old"\nAUDITOR_TOKEN_PREVIOUS="older"\n';
    const change = {
      worker: "itrans-core",
      set: { AUDITOR_TOKEN: "a$&b", AUDITOR_TOKEN_PREVIOUS: null, NEW: "x" },
    } as const;
    expect(withChanges(text, [change])).toBe('# Secrets\nA="1"\nAUDITOR_TOKEN="a$&b"\nNEW="x"\n');
  });
});

describe("the check of an environment", () => {
  const production = {
    ...STRONG,
    ENVIRONMENT: "production",
    EVM_RPC_URL: "https://node.example",
    ANCHOR_CONTRACT_ADDRESS: `0x${"1a".repeat(20)}`,
    LEDGER_LOG_URL: "https://core.example/ledger/log",
    HUB_PUBLIC_URL: "https://hub.example",
    MEDLINK_HUB_URL: "https://hub.example",
    RELAY_URL: "https://relay.example",
    SLACK_WEBHOOK_URL: "https://hooks.slack.invalid/services/a1B2c3",
  };

  it("finds nothing wrong with a whole one", () => {
    expect(environmentFaults("production", production)).toEqual([]);
  });

  it("names what is missing, weak, shared or of another environment, and prints no value", () => {
    const faults = environmentFaults("production", {
      ...production,
      ENVIRONMENT: "staging",
      LEDGER_LOG_URL: "",
      SESSION_SECRET: "too-short-1",
      HASH_KEY: production.PAYLOAD_MASTER_KEY,
      ITRANS_CLAIMS_API_KEY: "another-claims-key-0000aZ9",
      RELAY_MAX_RETRIES: "many",
    });
    const text = faults.join("\n");
    for (const part of [
      "ENVIRONMENT is not",
      "LEDGER_LOG_URL is not set",
      "SESSION_SECRET is shorter",
      "HASH_KEY has the same value as PAYLOAD_MASTER_KEY",
      "ITRANS_CLAIMS_API_KEY and CLAIMS_API_KEY",
      "RELAY_MAX_RETRIES",
    ])
      expect(text).toContain(part);
    for (const value of ["too-short-1", "another-claims-key", production.PAYLOAD_MASTER_KEY, "many"])
      expect(text).not.toContain(value);
  });

  it("compares the names that deployed workers hold with those they should", async () => {
    const platform = recordingPlatform(({ args }) => {
      const own = args.includes("wrangler.relay.toml")
        ? ["DESTINATION_WRAPPING_KEY", "PAYLOAD_MASTER_KEY", "RELAY_WEBHOOK_SIGNING_SECRET_PREVIOUS"]
        : [];
      return JSON.stringify(own.map((name) => ({ name, type: "secret_text" })));
    });
    const faults = await deployedFaults(platform, "staging");
    expect(faults).toContain("itrans-relay: RELAY_WEBHOOK_SIGNING_SECRET is not deployed");
    expect(faults).toContain("itrans-relay: RELAY_WEBHOOK_SIGNING_SECRET_PREVIOUS is deployed: a rotation is not over");
    expect(faults).toContain("itrans-relay: PAYLOAD_MASTER_KEY is deployed and is none of its secrets");
    expect(faults).toContain("itrans-core: EVM_PRIVATE_KEY is not deployed");
  });
});

it.each(["itrans-core", "itrans-relay", "medlink-hub"] as const)(
  "finds the tests' own secrets of %s strong",
  (worker) => {
    expect(secretFaults(worker, STRONG)).toEqual([]);
    expect(secretsOf(worker).length).toBeGreaterThan(0);
  },
);
