/**
 * `npm run build:contract`: compiles contracts/LedgerAnchor.sol into contracts/artifacts/LedgerAnchor.json. The artifact is committed, so that
 * starting and deploying need no compiler; a test recompiles and compares.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import * as z from "zod";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

const SOURCE = new URL("../contracts/LedgerAnchor.sol", import.meta.url);
export const ARTIFACT = new URL("../contracts/artifacts/LedgerAnchor.json", import.meta.url);
const SOURCE_NAME = "contracts/LedgerAnchor.sol";

/** London: the oldest machine with EIP-1559 fees and without PUSH0, so the bytecode runs on every chain since. */
const SETTINGS = {
  evmVersion: "london",
  optimizer: { enabled: true, runs: 10_000 },
  metadata: { bytecodeHash: "ipfs" },
} as const;

const compilerSchema = z.object({
  version: z.custom<() => string>((value) => typeof value === "function"),
  compile: z.custom<(input: string) => string>((value) => typeof value === "function"),
});

const outputSchema = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).optional(),
  contracts: z
    .record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          abi: z.array(z.record(z.string(), z.unknown())),
          evm: z.object({ bytecode: z.object({ object: z.string() }) }),
        }),
      ),
    )
    .optional(),
});

export interface ContractArtifact {
  readonly contractName: string;
  readonly sourceName: string;
  /** Lower-case hex. */
  readonly sourceSha256: string;
  readonly compiler: { readonly name: "solc"; readonly version: string; readonly settings: typeof SETTINGS };
  readonly abi: readonly Readonly<Record<string, unknown>>[];
  /** Creation bytecode, 0x and hex; constructor arguments follow it. */
  readonly bytecode: string;
}

/** @throws Error with the compiler's messages when the source does not compile without a warning. */
export function compileLedgerAnchor(): ContractArtifact {
  const compiler = compilerSchema.parse(createRequire(import.meta.url)("solc"));
  const source = readFileSync(SOURCE, "utf8");
  const input = {
    language: "Solidity",
    sources: { [SOURCE_NAME]: { content: source } },
    settings: { ...SETTINGS, outputSelection: { [SOURCE_NAME]: { LedgerAnchor: ["abi", "evm.bytecode.object"] } } },
  };
  const output = outputSchema.parse(JSON.parse(compiler.compile(JSON.stringify(input))));
  const contract = output.contracts?.[SOURCE_NAME]?.LedgerAnchor;
  if (contract === undefined || (output.errors ?? []).length > 0) {
    throw new Error((output.errors ?? []).map((error) => error.formattedMessage).join("\n"));
  }
  return {
    contractName: "LedgerAnchor",
    sourceName: SOURCE_NAME,
    sourceSha256: createHash("sha256").update(source).digest("hex"),
    compiler: { name: "solc", version: compiler.version(), settings: SETTINGS },
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
  };
}

export const artifactText = (artifact: ContractArtifact): string => `${JSON.stringify(artifact, null, 2)}\n`;

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  mkdirSync(new URL(".", ARTIFACT), { recursive: true });
  const artifact = compileLedgerAnchor();
  writeFileSync(ARTIFACT, artifactText(artifact));
  console.log(`contracts/artifacts/LedgerAnchor.json written, ${(artifact.bytecode.length - 2) / 2} bytes of bytecode`);
}
