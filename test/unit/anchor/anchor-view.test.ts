import { describe, expect, it } from "vitest";
import { anchorView, type EntryAnchor } from "../../../src/anchor/anchor-view.ts";
import { anchorSettings } from "../../../src/anchor/policy.ts";
import { coreSettingsSchema } from "../../../src/platform/settings.ts";

const KEY = `0x${"11".repeat(32)}`;
const ADDRESS = `0x${"Ab".repeat(20)}`;
const outlook = { enabled: true, pollMs: 5_000, latestBlock: 120 };
const sent = {
  size: 9,
  rootHash: "aa".repeat(32),
  txHash: `0x${"bb".repeat(32)}`,
  contractAddress: ADDRESS.toLowerCase(),
  chainId: 1,
  submittedAt: 1_800_000_000_000,
};
const confirmed: EntryAnchor = {
  state: "confirmed",
  ...sent,
  blockNumber: 118,
  blockHash: `0x${"cc".repeat(32)}`,
  logIndex: 2,
  confirmedAt: 1_800_000_060_000,
};

describe("anchorView", () => {
  it("says why there is no anchor yet and when to come back", () => {
    const view = anchorView({ state: "none" }, outlook);
    expect(view).toMatchObject({ status: "none", anchored: false, txHash: null, retryAfterSeconds: 5 });
    expect(view.reason).toContain("next anchor");
  });

  it("says so when no chain is configured", () => {
    const view = anchorView({ state: "none" }, { ...outlook, enabled: false });
    expect(view.reason).toContain("No chain is configured");
    expect(view.retryAfterSeconds).toBe(3_600);
  });

  it("shows the transaction in flight, without a block", () => {
    expect(anchorView({ state: "submitted", ...sent }, outlook)).toMatchObject({
      status: "submitted",
      anchored: false,
      txHash: sent.txHash,
      blockNumber: null,
      confirmations: null,
      submittedAt: "2027-01-15T08:00:00.000Z",
      retryAfterSeconds: 5,
    });
  });

  it("shows a confirmed anchor with its block and confirmations, its own block counted", () => {
    expect(anchorView(confirmed, outlook)).toMatchObject({
      status: "confirmed",
      anchored: true,
      blockNumber: 118,
      logIndex: 2,
      confirmations: 3,
      confirmedAt: "2027-01-15T08:01:00.000Z",
      reason: null,
      retryAfterSeconds: null,
    });
    expect(anchorView(confirmed, { ...outlook, latestBlock: undefined }).confirmations).toBeNull();
    expect(anchorView(confirmed, { ...outlook, latestBlock: 7 }).confirmations).toBe(1);
  });
});

describe("anchorSettings", () => {
  const settings = (values: Record<string, string>) => coreSettingsSchema.parse(values);
  const complete = { EVM_RPC_URL: "https://node.test/v1", ANCHOR_CONTRACT_ADDRESS: ADDRESS };

  it.each([
    ["EVM_RPC_URL", { ANCHOR_CONTRACT_ADDRESS: ADDRESS }, KEY],
    ["EVM_RPC_URL", { ...complete, EVM_RPC_URL: "ws://node.test" }, KEY],
    ["EVM_RPC_URL", { ...complete, EVM_RPC_URL: "https://node.test,ftp://node.test" }, KEY],
    ["EVM_RPC_URL", { ...complete, EVM_RPC_URL: [1, 2, 3, 4, 5, 6].map((n) => `https://n${n}.test`).join(",") }, KEY],
    ["ANCHOR_CONTRACT_ADDRESS", { EVM_RPC_URL: complete.EVM_RPC_URL }, KEY],
    ["ANCHOR_CONTRACT_ADDRESS", { ...complete, ANCHOR_CONTRACT_ADDRESS: "0x12" }, KEY],
    ["EVM_PRIVATE_KEY", complete, undefined],
    ["EVM_PRIVATE_KEY", complete, "0x12"],
  ])("names %s when that is what keeps anchoring off", (name, values, key) => {
    const read = anchorSettings(settings(values), key);
    expect(read).toMatchObject({ type: "disabled", reason: expect.stringContaining(name) });
    expect(JSON.stringify(read)).not.toContain("0x12");
  });

  it("is on with a node, a contract and a key", () => {
    const read = anchorSettings(settings(complete), KEY);
    if (read.type !== "enabled") throw new Error(read.reason);
    expect(read.target.contractAddress).toBe(ADDRESS.toLowerCase());
    expect(read.policyFor("0xsigner")).toMatchObject({ chainId: 31_337, signer: "0xsigner", gasLimit: 120_000n });
  });

  it("takes several nodes separated by commas, each once, in their order", () => {
    const read = anchorSettings(
      settings({ ...complete, EVM_RPC_URL: "https://b.test, https://a.test,https://b.test" }),
      KEY,
    );
    if (read.type !== "enabled") throw new Error(read.reason);
    expect(read.target.rpcUrls).toEqual(["https://b.test", "https://a.test"]);
  });

  it("watches the balance only where a minimum is set", () => {
    const minimum = (values: Record<string, string>) => settings(values).ANCHOR_MIN_BALANCE_WEI;
    expect(minimum({})).toBeUndefined();
    expect(minimum({ ANCHOR_MIN_BALANCE_WEI: "" })).toBeUndefined();
    expect(minimum({ ANCHOR_MIN_BALANCE_WEI: "50000000000000000" })).toBe(5n * 10n ** 16n);
    expect(() => minimum({ ANCHOR_MIN_BALANCE_WEI: "0.05" })).toThrow();
  });
});
