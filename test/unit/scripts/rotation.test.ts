import { describe, expect, it } from "vitest";
import { deployedFaults, environmentFaults } from "../../../scripts/env-check.ts";
import {
  changesOf,
  endsOf,
  planOf,
  type RotationState,
  retireFault,
  switchFault,
} from "../../../scripts/lib/rotation.ts";
import { deploy, withChanges } from "../../../scripts/secrets.ts";
import { SESSION_LIFETIME_MS } from "../../../src/medlink/accounts/session.ts";
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

  const NOW = Date.parse("2026-11-22T12:00:00Z");
  const ago = (seconds: number): number => NOW - seconds * 1_000;

  /** All is well with this secret: switched a day ago, seen everywhere, saved since. */
  function settled(name: string, over: Partial<RotationState> = {}): RotationState {
    const { renewal } = planOf(name);
    const switchedAt = ago(86_400);
    return {
      switchedAt,
      seen: endsOf(name).flatMap((end) =>
        end.workers.map((worker) => ({ worker, name: end.name, at: switchedAt + 60 })),
      ),
      overlaps: endsOf(name).flatMap((end) =>
        end.workers.map((worker) => ({ worker, name: end.name, previousUsedAt: undefined })),
      ),
      renewals:
        renewal === undefined
          ? []
          : [{ job: renewal.job, finished: true, left: 0, startedAt: ago(80_000), finishedAt: ago(70_000) }],
      snapshots: new Map(renewal === undefined ? [] : [[renewal.worker, [ago(60_000)]]]),
      ...over,
    };
  }

  const certain = overlapping.map(({ name }) => name).filter((name) => planOf(name).askPerson !== true);

  it.each(certain)("lets the old %s go when all that it waits for has happened", (name) => {
    expect(retireFault(name, settled(name), NOW, 900_000)).toBeUndefined();
  });

  it.each(certain)("keeps the old %s until its switch is recorded, and the quiet time has passed since", (name) => {
    expect(retireFault(name, settled(name, { switchedAt: undefined }), NOW, 0)).toContain("no record");
    const justNow = settled(name).seen.map((one) => ({ ...one, at: ago(1) }));
    const fault = retireFault(name, settled(name, { switchedAt: ago(1), seen: justNow }), NOW, 900_000);
    expect(fault).toContain("switched 1 s ago");
  });

  it.each(certain)("keeps the old %s while a worker was not seen with the new one", (name) => {
    const [first, ...others] = settled(name).seen;
    if (first === undefined) throw new Error("somebody holds it");
    for (const at of [undefined, ago(90_000)]) {
      const fault = retireFault(name, settled(name, { seen: [{ ...first, at }, ...others] }), NOW, 0);
      expect(fault).toContain(`${first.worker} was not seen`);
    }
  });

  it("keeps the old value while somebody still comes with it", () => {
    const used = settled("WORKFLOW_API_KEY", {
      overlaps: [{ worker: "itrans-core", name: "WORKFLOW_API_KEY", previousUsedAt: ago(300) }],
    });
    expect(retireFault("WORKFLOW_API_KEY", used, NOW, 900_000)).toContain("300 s ago");
    expect(retireFault("ITRANS_WORKFLOW_API_KEY", used, NOW, 900_000)).toContain("300 s ago");
    expect(retireFault("WORKFLOW_API_KEY", used, NOW, 60_000)).toBeUndefined();
  });

  it("keeps the old SESSION_SECRET for as long as a session lives, whatever quiet time is asked for", () => {
    expect(planOf("SESSION_SECRET").leastMs).toBe(SESSION_LIFETIME_MS);
    const seen = [{ worker: "medlink-hub", name: "SESSION_SECRET", at: ago(11 * 3_600) }] as const;
    const fault = retireFault("SESSION_SECRET", settled("SESSION_SECRET", { switchedAt: ago(40_000), seen }), NOW, 0);
    expect(fault).toContain("43200 s must have passed");
  });

  const sealing = certain.filter((name) => planOf(name).renewal !== undefined);

  it("knows the four secrets under which rows are sealed or hashed", () => {
    expect(sealing).toEqual(["PAYLOAD_MASTER_KEY", "DESTINATION_WRAPPING_KEY", "ENCRYPTION_KEY", "HASH_KEY"]);
  });

  it.each(sealing)("keeps the old %s until every row is made anew and a snapshot began after that", (name) => {
    const { renewal } = planOf(name);
    const [done] = settled(name).renewals;
    if (renewal === undefined || done === undefined) throw new Error("it has a job");
    const fault = (over: Partial<RotationState>) => retireFault(name, settled(name, over), NOW, 0);
    expect(fault({ renewals: [] })).toContain("has not begun");
    expect(fault({ renewals: [{ ...done, startedAt: ago(90_000) }] })).toContain("has not begun since the switch");
    expect(fault({ renewals: [{ ...done, finished: false }] })).toContain("has not finished");
    expect(fault({ renewals: [{ ...done, left: 2 }] })).toContain("lost");
    expect(fault({ snapshots: new Map([[renewal.worker, [ago(70_001)]]]) })).toContain("a restore would need");
    expect(fault({ snapshots: new Map() })).toContain("were not asked for");
    expect(fault({ snapshots: new Map([[renewal.worker, undefined]]) })).toBeUndefined();
  });

  const askedOfAPerson = overlapping.map(({ name }) => name).filter((name) => planOf(name).askPerson === true);

  it.each(askedOfAPerson)("leaves it to a person when nobody needs the old %s any more", (name) => {
    expect(retireFault(name, settled(name), NOW, 900_000)).toContain("--confirmed");
    expect(retireFault(name, settled(name), NOW, 900_000, true)).toBeUndefined();
    // A person's word is for what nothing can tell, and for no more.
    expect(retireFault(name, settled(name, { seen: [] }), NOW, 900_000, true)).toContain("was not seen");
  });

  it("asks a person of every secret whose old value somebody outside may still come with, unnoticed", () => {
    expect(askedOfAPerson).toEqual(
      expect.arrayContaining(["RELAY_WEBHOOK_SIGNING_SECRET", "AUDITOR_TOKEN", "HUB_OPERATOR_API_KEY"]),
    );
    expect(certain).toEqual(expect.arrayContaining(["WORKFLOW_API_KEY", "CLAIMS_API_KEY", "OPERATOR_API_KEY"]));
  });

  it("switches no secret that a worker does not accept beside the old one yet", () => {
    const state = settled("BACKUP_ENCRYPTION_KEY");
    expect(switchFault("BACKUP_ENCRYPTION_KEY", state)).toBeUndefined();
    const overlaps = state.overlaps.filter(({ worker }) => worker === "itrans-core");
    expect(switchFault("BACKUP_ENCRYPTION_KEY", { overlaps })).toContain(
      "medlink-hub does not have BACKUP_ENCRYPTION_KEY_PREVIOUS",
    );
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
