/** What whoever verifies knows of a log from somewhere else than the log, and what its lack means. */
import type { VerifierKey } from "../../src/ledger/note.ts";
import { Failure } from "./fail.ts";
import type { ChainPins } from "./verify-chain.ts";
import type { Reporter } from "./verify-report.ts";

export interface Pins {
  /** Keys of the log; empty: nothing is pinned. */
  readonly keys: readonly VerifierKey[];
  readonly chainId: number | undefined;
  /** The anchor contract's address. */
  readonly contract: string | undefined;
  /** A node to ask; undefined: the chain is not asked. */
  readonly rpcUrl: string | undefined;
  /** Whoever verifies does without the chain, for a log that has none: the key is enough then. */
  readonly withoutChain: boolean;
}

/**
 * Says which pins of the chain are missing: without them a history that was rewritten as a whole and signed again with the
 * real key looks like the true one.
 * @returns how to ask the chain; undefined when it is not asked.
 * @throws Failure on pins that contradict each other.
 */
export function chainOf(pins: Pins, reporter: Reporter): ChainPins | undefined {
  const { chainId, contract, rpcUrl } = pins;
  if (pins.withoutChain) {
    if (chainId !== undefined || contract !== undefined || rpcUrl !== undefined) {
      throw new Failure(
        "--no-chain is for a log without a chain: it goes with none of --chain-id, --contract and --rpc",
      );
    }
    reporter.skip("pins", "the chain was not looked at, as --no-chain asks: what was signed may have been rewritten");
    return undefined;
  }
  const missing = [
    ...(chainId === undefined ? ["chain id (--chain-id)"] : []),
    ...(contract === undefined ? ["contract (--contract)"] : []),
  ];
  if (missing.length > 0) {
    const what = `no ${missing.join(" and no ")} is pinned`;
    reporter.unverified(
      "pins",
      `${what}: whoever holds the log's key may have rewritten everything and signed it again`,
    );
  }
  if (rpcUrl === undefined) return undefined;
  if (chainId === undefined || contract === undefined) throw new Failure("--rpc needs --chain-id and --contract");
  return { rpcUrl, chainId, contract };
}
