/** Deploys the anchor contract once to the development chain and remembers where. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ContractFactory, computeAddress, Interface } from "ethers";
import * as z from "zod";
import type { Anvil } from "./anvil.ts";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";

const artifactSchema = z.object({
  abi: z.array(z.unknown()),
  bytecode: z.string().regex(/^(0x)?[0-9a-fA-F]+$/),
});

const recordSchema = z.object({ address: z.string(), chainId: z.number(), deployedInBlock: z.number() });

export type DeployedContract = z.output<typeof recordSchema>;

function readArtifact(): z.output<typeof artifactSchema> {
  const path = join(projectRoot, "contracts", "artifacts", "LedgerAnchor.json");
  const compiler = join(projectRoot, "scripts", "build-contract.ts");
  if (!existsSync(path) && existsSync(compiler)) execFileSync(process.execPath, [compiler], { cwd: projectRoot });
  if (!existsSync(path))
    throw new Failure("contracts/artifacts/LedgerAnchor.json is missing: run npm run build:contract");
  return artifactSchema.parse(JSON.parse(readFileSync(path, "utf8")));
}

const receiptSchema = z.object({ contractAddress: z.string().nullable(), blockNumber: z.string(), status: z.string() });

/**
 * Finds the contract of an earlier run on the chain, or deploys it from one of the node's own accounts, so that the
 * signer's nonces belong to the ledger alone. The signer is given ether either way.
 */
export async function ensureContract(options: {
  readonly anvil: Anvil;
  readonly dataDir: string;
  readonly signerKey: string;
  readonly say: (line: string) => void;
}): Promise<DeployedContract> {
  const { anvil, dataDir, signerKey, say } = options;
  const signer = computeAddress(signerKey);
  await anvil.rpc("anvil_setBalance", [signer, `0x${(10n ** 21n).toString(16)}`]);
  const chainId = Number(await anvil.rpc("eth_chainId"));
  const recordPath = join(dataDir, "contract.json");
  const record = existsSync(recordPath) ? recordSchema.parse(JSON.parse(readFileSync(recordPath, "utf8"))) : undefined;
  if (record !== undefined && record.chainId === chainId) {
    const code = await anvil.rpc("eth_getCode", [record.address, "latest"]);
    if (typeof code === "string" && code.length > 2) return record;
    say(`the chain no longer holds the contract at ${record.address}: its state was lost; deploying anew`);
  }
  const artifact = readArtifact();
  const accounts = z.array(z.string()).parse(await anvil.rpc("eth_accounts"));
  const deployer = accounts[0];
  if (deployer === undefined) throw new Failure("the chain has no account to deploy from");
  const abi = new Interface(JSON.stringify(artifact.abi));
  const values = abi.deploy.inputs.map(({ name, type }) => {
    if (type !== "address")
      throw new Failure(`the contract's constructor wants ${type} ${name}, which no setting gives`);
    return /owner|admin/i.test(name) ? deployer : signer;
  });
  const { data } = await new ContractFactory(abi, artifact.bytecode).getDeployTransaction(...values);
  const hash = await anvil.rpc("eth_sendTransaction", [{ from: deployer, data }]);
  for (let i = 0; i < 200; i++) {
    const answer = await anvil.rpc("eth_getTransactionReceipt", [hash]);
    if (answer !== null) {
      const receipt = receiptSchema.parse(answer);
      if (receipt.status !== "0x1" || receipt.contractAddress === null)
        throw new Failure("the contract's deployment reverted");
      const deployed = { address: receipt.contractAddress, chainId, deployedInBlock: Number(receipt.blockNumber) };
      writeFileSync(recordPath, `${JSON.stringify(deployed)}\n`);
      return deployed;
    }
    await sleep(100);
  }
  throw new Failure("the contract's deployment was not mined within 20 s");
}
