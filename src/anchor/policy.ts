/** Settings of the anchor, read once into what the loop and the client take. */
import type { CoreSettings } from "../platform/settings.ts";
import type { AnchorPolicy } from "./next-action.ts";

export type AnchorSettings =
  | { readonly type: "disabled"; readonly reason: string }
  | {
      readonly type: "enabled";
      readonly ledgerId: string;
      readonly pollMs: number;
      /** Undefined: the balance is not watched. */
      readonly minBalanceWei: bigint | undefined;
      readonly target: {
        /** One to MAX_NODES; reading asks the next when one is down. */
        readonly rpcUrls: readonly string[];
        readonly chainId: number;
        readonly contractAddress: string;
        readonly privateKey: string;
        readonly gasLimit: bigint;
        readonly timeoutMs: number;
      };
      /** @param signer lower-case address of the key that signs. */
      policyFor(signer: string): AnchorPolicy;
    };

const GWEI = 1_000_000_000n;
/** About two epochs of Ethereum, for nodes that do not say what is final. */
const CONFIRMATIONS_WITHOUT_TAG = 64;
/** 1.125 to the 19th is nine times the first fee. */
const MAX_TRANSACTIONS = 20;
const RPC_TIMEOUT_MS = 10_000;
const RETRY_MAX_MS = 600_000;
const MAX_NODES = 5;
/** In polls. */
const BEHIND_POLLS = 20;

/** Whether anchoring is configured; why not, when it is not. */
export function anchorSettings(settings: CoreSettings, privateKey: string | undefined): AnchorSettings {
  const { EVM_RPC_URL: listed, ANCHOR_CONTRACT_ADDRESS: contractAddress } = settings;
  if (listed === undefined) return { type: "disabled", reason: "EVM_RPC_URL is not set." };
  const rpcUrls = [...new Set(listed.split(",").map((url) => url.trim()))];
  if (rpcUrls.some((url) => !/^https?:\/\/./.test(url))) {
    return { type: "disabled", reason: "EVM_RPC_URL is not an http or https address, or several separated by commas." };
  }
  if (rpcUrls.length > MAX_NODES)
    return { type: "disabled", reason: `EVM_RPC_URL lists more than ${MAX_NODES} nodes.` };
  if (contractAddress === undefined) return { type: "disabled", reason: "ANCHOR_CONTRACT_ADDRESS is not set." };
  if (!/^0x[0-9a-fA-F]{40}$/.test(contractAddress)) {
    return { type: "disabled", reason: "ANCHOR_CONTRACT_ADDRESS is not 0x and 40 hex digits." };
  }
  if (privateKey === undefined || !/^0x[0-9a-fA-F]{64}$/.test(privateKey)) {
    return { type: "disabled", reason: "EVM_PRIVATE_KEY is not 0x and 64 hex digits." };
  }
  const gasLimit = BigInt(settings.ANCHOR_GAS_LIMIT);
  return {
    type: "enabled",
    ledgerId: settings.LEDGER_ID,
    pollMs: settings.ANCHOR_POLL_MS,
    minBalanceWei: settings.ANCHOR_MIN_BALANCE_WEI,
    target: {
      rpcUrls,
      chainId: settings.CHAIN_ID,
      contractAddress: contractAddress.toLowerCase(),
      privateKey,
      gasLimit,
      timeoutMs: RPC_TIMEOUT_MS,
    },
    policyFor: (signer) => ({
      chainId: settings.CHAIN_ID,
      signer,
      confirmations: settings.ANCHOR_CONFIRMATIONS,
      confirmationsWithoutTag: CONFIRMATIONS_WITHOUT_TAG,
      intervalMs: settings.ANCHOR_INTERVAL_MS,
      stuckAfterMs: settings.ANCHOR_STUCK_AFTER_MS,
      rebroadcastAfterMs: settings.ANCHOR_POLL_MS,
      doubtMs: 3 * settings.ANCHOR_POLL_MS,
      behindMs: BEHIND_POLLS * settings.ANCHOR_POLL_MS,
      retryBaseMs: settings.ANCHOR_POLL_MS,
      retryMaxMs: RETRY_MAX_MS,
      maxTransactions: MAX_TRANSACTIONS,
      maxFeePerGasWei: BigInt(settings.ANCHOR_MAX_FEE_GWEI) * GWEI,
      gasLimit,
      minBalanceWei: settings.ANCHOR_MIN_BALANCE_WEI,
    }),
  };
}
