/** One EVM node with the anchor contract for the worker tests of core: they run in workerd and cannot start a process. */
import { computeAddress } from "ethers";
import type { TestProject } from "vitest/node";
import { deployLedgerAnchor } from "../../scripts/deploy-contract.ts";
import { TEST_SECRETS } from "../secrets.ts";
import { ANVIL_CHAIN_ID, startAnvil } from "./anvil.ts";
import type { AnvilContext } from "./anvil-context.ts";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const anvil = await startAnvil();
  const key = TEST_SECRETS.core.EVM_PRIVATE_KEY;
  const { contractAddress } = await deployLedgerAnchor({
    rpcUrl: anvil.url,
    chainId: ANVIL_CHAIN_ID,
    deployerKey: key,
    anchorer: computeAddress(key),
  });
  const context: Record<AnvilContext, string> = { anvilUrl: anvil.url, anvilContract: contractAddress };
  project.provide("anvilUrl", context.anvilUrl);
  project.provide("anvilContract", context.anvilContract);
  return () => anvil.stop();
}
