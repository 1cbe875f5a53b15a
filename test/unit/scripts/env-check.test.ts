import { describe, expect, it } from "vitest";
import { configuredVars, deployedFaults, environmentFaults, settingFaults } from "../../../scripts/env-check.ts";
import { prepare } from "../../../scripts/lib/deploy/before.ts";
import { CONFIGS } from "../../../scripts/lib/platform.ts";
import { secretsOf } from "../../../src/platform/secrets.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { recordingPlatform } from "../../support/recording-platform.ts";

const STRONG = { ...TEST_SECRETS.core, ...TEST_SECRETS.relay, ...TEST_SECRETS.hub };

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

  it("names a part that no alert would watch", () => {
    for (const name of ["MEDLINK_HUB_URL", "RELAY_URL", "METRICS_SCRAPE_TOKEN"]) {
      const faults = environmentFaults("production", { ...production, [name]: "" });
      expect(faults.map((fault) => fault.split(":")[0])).toContain(`${name} is not set`);
    }
    expect(environmentFaults("local", { ...production, ENVIRONMENT: "development", RELAY_URL: "" })).toEqual([]);
  });

  it("wants one whole channel for alerts, whichever, and contacts that can be read", () => {
    const silent = { ...production, SLACK_WEBHOOK_URL: "" };
    const faultsOf = (more: Readonly<Record<string, string>>) =>
      environmentFaults("production", { ...silent, ...more });
    expect(faultsOf({}).join()).toContain("no alert reaches anybody");
    expect(faultsOf({ PAGERDUTY_ROUTING_KEY: "a1B2c3D4e5F6g7H8i9" })).toEqual([]);
    const email = {
      EMAIL_API_URL: "https://mail.example",
      EMAIL_API_KEY: "k1J2h3G4f5D6s7A8",
      EMAIL_FROM: "a@b.example",
    };
    expect(faultsOf(email)).toEqual([]);
    expect(faultsOf({ ...email, EMAIL_API_KEY: "" })).toHaveLength(2);
    expect(faultsOf({ ...email, EMAIL_FROM: "" })).toEqual(["EMAIL_FROM is not set: mail comes from no host"]);
    expect(faultsOf({ ...email, ALERT_CONTACTS: "nobody" }).join()).toContain("ALERT_CONTACTS is not");
  });

  it("names settings that a deploy would not set as the file has them, and no value", () => {
    const configured = {
      ENVIRONMENT: "production",
      EVM_RPC_URL: "https://node.example",
      RELAY_URL: "https://other.example",
    };
    const varsOf = () => configured;
    const faults = settingFaults("production", { ...production, LOG_LEVEL: "info", METRICS: "on" }, varsOf);
    expect(faults).toContain("itrans-core: RELAY_URL differs from [env.production.vars] of wrangler.toml");
    expect(faults).toContain("itrans-core: MEDLINK_HUB_URL is not in [env.production.vars] of wrangler.toml");
    expect(faults).toContain("medlink-hub: HUB_PUBLIC_URL is not in [env.production.vars] of wrangler.medlink.toml");
    // What equals its default need not be written down, and secrets are no settings.
    expect(faults.join()).not.toMatch(/EVM_RPC_URL|LOG_LEVEL|METRICS|SLACK|KEY|example/);
  });

  it("comes before a deploy, which stops at a setting that would not arrive", async () => {
    const platform = recordingPlatform(({ args }) => {
      const worker = (["itrans-core", "itrans-relay", "medlink-hub"] as const).find((name) =>
        args.includes(CONFIGS[name]),
      );
      return JSON.stringify(secretsOf(worker ?? "itrans-core").map(({ name }) => ({ name, type: "secret_text" })));
    });
    const parts = {
      platform,
      rules: "production" as const,
      environment: "production" as const,
      values: { ...production, ...configuredVars("itrans-core", "production"), RELAY_URL: "https://relay.example" },
      database: () => {
        throw new Error("the databases were opened");
      },
      snapshots: "unused",
      tag: "test",
      say: () => {},
    };
    await expect(prepare(parts)).rejects.toThrow(/RELAY_URL is not in \[env\.production\.vars\]/);
    await expect(deployedFaults(platform, "production")).resolves.toEqual([]);
  });
});
