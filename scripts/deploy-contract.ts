/**
 * `npm run deploy:contract [-- --record FILE | --no-record]`: deploys contracts/artifacts/LedgerAnchor.json and prints
 * `Contract address: 0x...`. From the environment: EVM_RPC_URL, CHAIN_ID, EVM_PRIVATE_KEY (deploys, unless
 * DEPLOYER_PRIVATE_KEY does; its address becomes the anchorer), ANCHOR_OWNER_ADDRESS (default: the deployer). The deployment is
 * recorded in contracts/deployments/<chain id>-<address>.json, or where `--record FILE` says; `--no-record` records nothing.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { ContractFactory, computeAddress, JsonRpcProvider, NonceManager, Wallet } from "ethers";
import * as z from "zod";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

const artifactSchema = z.object({
  abi: z.array(z.record(z.string(), z.unknown())),
  bytecode: z.string(),
  sourceSha256: z.string(),
  compiler: z.object({ version: z.string() }),
});

export const readArtifact = () =>
  artifactSchema.parse(
    JSON.parse(readFileSync(new URL("../contracts/artifacts/LedgerAnchor.json", import.meta.url), "utf8")),
  );

export interface DeployOptions {
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly deployerKey: string;
  /** Default: the deployer. */
  readonly owner?: string | undefined;
  /** Default: the deployer. */
  readonly anchorer?: string | undefined;
}

export interface Deployment {
  /** Lower-case. */
  readonly contractAddress: string;
  readonly chainId: number;
  readonly txHash: string;
  readonly blockNumber: number;
  readonly owner: string;
  readonly anchorer: string;
  readonly sourceSha256: string;
  readonly compilerVersion: string;
}

/** @returns once the deployment is mined. @throws when the node's chain id is another one or the transaction fails. */
export async function deployLedgerAnchor(options: DeployOptions): Promise<Deployment> {
  const artifact = readArtifact();
  const provider = new JsonRpcProvider(options.rpcUrl, options.chainId, {
    staticNetwork: true,
    pollingInterval: 200,
    cacheTimeout: -1, // a cached nonce would be stale right after another transaction
  });
  try {
    const chainId = Number(z.string().parse(await provider.send("eth_chainId", [])));
    if (chainId !== options.chainId) throw new Error(`the node is on chain ${chainId}, not ${options.chainId}`);
    const deployer = computeAddress(options.deployerKey);
    const owner = options.owner ?? deployer;
    const anchorer = options.anchorer ?? deployer;
    const signer = new NonceManager(new Wallet(options.deployerKey, provider));
    const contract = await new ContractFactory(artifact.abi, artifact.bytecode, signer).deploy(owner, anchorer);
    const receipt = await contract.deploymentTransaction()?.wait(1, 300_000);
    if (receipt === null || receipt === undefined || receipt.contractAddress === null) {
      throw new Error("the deployment was not mined within five minutes");
    }
    return {
      contractAddress: receipt.contractAddress.toLowerCase(),
      chainId,
      txHash: receipt.hash,
      blockNumber: receipt.blockNumber,
      owner: owner.toLowerCase(),
      anchorer: anchorer.toLowerCase(),
      sourceSha256: artifact.sourceSha256,
      compilerVersion: artifact.compiler.version,
    };
  } finally {
    provider.destroy();
  }
}

const evmKey = z.string().regex(/^0x[0-9a-fA-F]{64}$/);
const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .optional();
const environmentSchema = z.object({
  // The setting may list several nodes; the first one deploys.
  EVM_RPC_URL: z
    .string()
    .transform((urls) => urls.split(",")[0]?.trim())
    .pipe(z.url({ protocol: /^https?$/ })),
  CHAIN_ID: z.coerce.number().int().min(1).default(31_337),
  EVM_PRIVATE_KEY: evmKey,
  DEPLOYER_PRIVATE_KEY: evmKey.optional(),
  ANCHOR_OWNER_ADDRESS: address,
});

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { record: { type: "string" }, "no-record": { type: "boolean" } } });
  const environment = environmentSchema.safeParse(process.env);
  if (!environment.success) {
    const names = new Set(environment.error.issues.map((issue) => issue.path.join(".")));
    console.error(`Missing or wrong in the environment: ${[...names].join(", ")}`);
    process.exitCode = 1;
    return;
  }
  const env = environment.data;
  const deployment = await deployLedgerAnchor({
    rpcUrl: env.EVM_RPC_URL,
    chainId: env.CHAIN_ID,
    deployerKey: env.DEPLOYER_PRIVATE_KEY ?? env.EVM_PRIVATE_KEY,
    owner: env.ANCHOR_OWNER_ADDRESS,
    anchorer: computeAddress(env.EVM_PRIVATE_KEY),
  });
  if (values["no-record"] !== true) {
    const file =
      values.record ??
      fileURLToPath(
        new URL(`../contracts/deployments/${deployment.chainId}-${deployment.contractAddress}.json`, import.meta.url),
      );
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(deployment, null, 2)}\n`);
  }
  console.log(`Contract address: ${deployment.contractAddress}`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main().catch((error: unknown) => {
    // Only the kind: ethers puts the node's address, which may hold a key, into its messages.
    const code = z.object({ code: z.string() }).safeParse(error);
    console.error(
      `Not deployed: ${code.success ? code.data.code : error instanceof Error ? error.message : "unknown"}`,
    );
    process.exitCode = 1;
  });
}
