import { readFileSync } from "node:fs";
import { computeAddress, JsonRpcProvider, type TransactionReceipt, Wallet } from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ARTIFACT, artifactText, compileLedgerAnchor } from "../../../scripts/build-contract.ts";
import { deployLedgerAnchor, readArtifact } from "../../../scripts/deploy-contract.ts";
import { LEDGER_ANCHOR } from "../../../src/anchor/contract.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, type Anvil, startAnvil } from "../../support/anvil.ts";
import { hexOf, leafHash, pathOf, rootOf } from "../../support/rfc6962.ts";
import rfc6962 from "../../vectors/rfc6962.json" with { type: "json" };
import tiles from "../../vectors/tiles-300.json" with { type: "json" };

const [OWNER_KEY, ANCHORER_KEY, STRANGER_KEY] = ANVIL_KEYS;
const root = (n: number): string => `0x${n.toString(16).padStart(2, "0").repeat(32)}`;

let anvil: Anvil;
let provider: JsonRpcProvider;
let address: string;

beforeAll(async () => {
  anvil = await startAnvil();
  provider = new JsonRpcProvider(anvil.url, ANVIL_CHAIN_ID, {
    staticNetwork: true,
    pollingInterval: 50,
    cacheTimeout: -1,
  });
});

afterAll(async () => {
  provider.destroy();
  await anvil.stop();
});

async function deploy(): Promise<string> {
  const deployment = await deployLedgerAnchor({
    rpcUrl: anvil.url,
    chainId: ANVIL_CHAIN_ID,
    deployerKey: OWNER_KEY,
    anchorer: computeAddress(ANCHORER_KEY),
  });
  return deployment.contractAddress;
}

async function send(key: string, name: string, args: readonly unknown[]): Promise<TransactionReceipt> {
  const sent = await new Wallet(key, provider).sendTransaction({
    to: address,
    data: LEDGER_ANCHOR.encodeFunctionData(name, [...args]),
    gasLimit: 200_000,
  });
  const receipt = await provider.waitForTransaction(sent.hash);
  if (receipt === null) throw new Error("not mined");
  return receipt;
}

async function read(name: string, args: readonly unknown[] = []): Promise<readonly unknown[]> {
  const data = await provider.call({ to: address, data: LEDGER_ANCHOR.encodeFunctionData(name, [...args]) });
  return LEDGER_ANCHOR.decodeFunctionResult(name, data).toArray();
}

/** The error's name and arguments that a call by `key` reverts with. */
async function revertOf(key: string, name: string, args: readonly unknown[]): Promise<string> {
  try {
    await provider.call({
      from: computeAddress(key),
      to: address,
      data: LEDGER_ANCHOR.encodeFunctionData(name, [...args]),
    });
    return "no revert";
  } catch (error) {
    const data = error instanceof Error && "data" in error && typeof error.data === "string" ? error.data : "0x";
    const parsed = LEDGER_ANCHOR.parseError(data);
    return parsed === null ? `unknown ${data}` : `${parsed.name}(${parsed.args.join(", ")})`;
  }
}

describe("the artifact", () => {
  it("is what the committed source compiles to", () => {
    expect(artifactText(compileLedgerAnchor())).toBe(readFileSync(ARTIFACT, "utf8"));
  });

  it("has every function, event and error that the bindings name, in the same form", () => {
    const abi = JSON.stringify(readArtifact().abi);
    for (const fragment of LEDGER_ANCHOR.fragments) {
      if (!("name" in fragment)) continue;
      expect(abi).toContain(`"name":"${String(fragment.name)}"`);
    }
  });
});

describe("anchoring", () => {
  beforeAll(async () => {
    address = await deploy();
  });

  it("keeps size, root and block and emits an event that names the block of the anchor before it", async () => {
    const first = await send(ANCHORER_KEY, "anchor", [0, 5, root(1)]);
    expect(first.status).toBe(1);
    expect(await read("anchored")).toEqual([5n, root(1), BigInt(first.blockNumber)]);

    const second = await send(ANCHORER_KEY, "anchor", [5, 9, root(2)]);
    const [log] = second.logs;
    if (log === undefined) throw new Error("no event");
    expect(LEDGER_ANCHOR.decodeEventLog("Anchored", log.data, log.topics).toArray()).toEqual([
      9n,
      root(2),
      5n,
      BigInt(first.blockNumber),
    ]);
  });

  it("reverts an anchor sent a second time, and leaves the anchored state alone", async () => {
    const before = await read("anchored");
    const replay = await send(ANCHORER_KEY, "anchor", [5, 9, root(2)]);
    expect(replay.status).toBe(0);
    expect(replay.logs).toEqual([]);
    expect(await revertOf(ANCHORER_KEY, "anchor", [5, 9, root(2)])).toBe("PreviousSizeMismatch(9, 5)");
    expect(await read("anchored")).toEqual(before);
  });

  it.each([
    ["an equal size", [9, 9, root(3)], "SizeNotLarger(9, 9)"],
    ["a smaller size", [9, 8, root(3)], "SizeNotLarger(9, 8)"],
    ["a previous size that is too small", [0, 20, root(3)], "PreviousSizeMismatch(9, 0)"],
    ["a previous size that is too large", [10, 20, root(3)], "PreviousSizeMismatch(9, 10)"],
  ])("refuses %s", async (_what, args, revert) => {
    expect(await revertOf(ANCHORER_KEY, "anchor", args)).toBe(revert);
  });

  it("costs about 34,500 gas once the slots are in use", async () => {
    await send(ANCHORER_KEY, "anchor", [9, 1_001_000, `0x${"a7".repeat(32)}`]);
    // A root and sizes without zero bytes: the dearest calldata.
    const receipt = await send(ANCHORER_KEY, "anchor", [1_001_000, 2_000_123_456, `0x${"5c".repeat(32)}`]);
    console.log(`gas of a steady anchor: ${receipt.gasUsed}`);
    expect(receipt.gasUsed).toBeLessThan(35_000n);
    expect(receipt.gasUsed).toBeGreaterThan(33_000n);
  });

  it("costs less than the default gas limit the first time", async () => {
    address = await deploy();
    const receipt = await send(ANCHORER_KEY, "anchor", [0, 1_234_567, `0x${"5c".repeat(32)}`]);
    console.log(`gas of the first anchor: ${receipt.gasUsed}`);
    expect(receipt.gasUsed).toBeLessThan(60_000n);
  });
});

describe("roles", () => {
  beforeAll(async () => {
    address = await deploy();
  });

  it("lets only the anchorer anchor: not the owner, not a stranger", async () => {
    expect(await revertOf(OWNER_KEY, "anchor", [0, 1, root(1)])).toBe("NotAnchorer()");
    expect(await revertOf(STRANGER_KEY, "anchor", [0, 1, root(1)])).toBe("NotAnchorer()");
    expect(await revertOf(ANCHORER_KEY, "anchor", [0, 1, root(1)])).toBe("no revert");
  });

  it("lets only the owner name another anchorer, who then anchors in place of the first", async () => {
    const stranger = computeAddress(STRANGER_KEY);
    expect(await revertOf(ANCHORER_KEY, "setAnchorer", [stranger])).toBe("NotOwner()");
    expect(await revertOf(OWNER_KEY, "setAnchorer", [`0x${"00".repeat(20)}`])).toBe("ZeroAddress()");
    await send(ANCHORER_KEY, "anchor", [0, 3, root(1)]);
    await send(OWNER_KEY, "setAnchorer", [stranger]);
    expect(await read("anchorer")).toEqual([stranger]);
    expect((await read("anchored"))[0]).toBe(3n); // shares its slot with the anchorer
    expect(await revertOf(ANCHORER_KEY, "anchor", [3, 4, root(1)])).toBe("NotAnchorer()");
    expect(await revertOf(STRANGER_KEY, "anchor", [3, 4, root(1)])).toBe("no revert");
  });

  it("moves ownership only when the offered owner accepts", async () => {
    const stranger = computeAddress(STRANGER_KEY);
    expect(await revertOf(STRANGER_KEY, "transferOwnership", [stranger])).toBe("NotOwner()");
    await send(OWNER_KEY, "transferOwnership", [stranger]);
    expect(await read("owner")).toEqual([computeAddress(OWNER_KEY)]);
    expect(await revertOf(ANCHORER_KEY, "acceptOwnership", [])).toBe("NotPendingOwner()");
    await send(STRANGER_KEY, "acceptOwnership", []);
    expect(await read("owner")).toEqual([stranger]);
    expect(await revertOf(STRANGER_KEY, "acceptOwnership", [])).toBe("NotPendingOwner()");
    expect(await revertOf(OWNER_KEY, "setAnchorer", [stranger])).toBe("NotOwner()");
  });
});

describe("verifyInclusion", () => {
  const leaves = rfc6962.leavesHex.map((hex) => leafHash(Buffer.from(hex, "hex")));
  const hex32 = (bytes: Uint8Array): string => `0x${hexOf(bytes)}`;

  it("accepts every index of every tree size of the published leaves, against the published roots", async () => {
    address = await deploy();
    for (let size = 1; size <= leaves.length; size++) {
      const tree = leaves.slice(0, size);
      expect(hexOf(rootOf(tree))).toBe(rfc6962.rootBySize[size]);
      await send(ANCHORER_KEY, "anchor", [size - 1, size, `0x${rfc6962.rootBySize[size]}`]);
      for (const [index, leaf] of tree.entries()) {
        const proof = pathOf(index, tree).map(hex32);
        expect(await read("verifyInclusion", [index, hex32(leaf), size, proof])).toEqual([true]);
      }
    }
  });

  it("refuses another leaf, index, size, a shorter, longer or reordered proof, and an index outside the tree", async () => {
    const proof = pathOf(5, leaves).map(hex32);
    const leaf = hex32(leaves[5] ?? Buffer.alloc(32));
    const verdict = (index: number, hash: string, size: number, path: readonly string[]) =>
      read("verifyInclusion", [index, hash, size, path]);
    expect(await verdict(5, leaf, 8, proof)).toEqual([true]);
    expect(await verdict(5, hex32(leaves[4] ?? Buffer.alloc(32)), 8, proof)).toEqual([false]);
    expect(await verdict(4, leaf, 8, proof)).toEqual([false]);
    expect(await verdict(5, leaf, 7, proof)).toEqual([false]);
    expect(await verdict(5, leaf, 8, proof.slice(1))).toEqual([false]);
    expect(await verdict(5, leaf, 8, [...proof, root(0)])).toEqual([false]);
    expect(await verdict(5, leaf, 8, proof.toReversed())).toEqual([false]);
    expect(await verdict(8, leaf, 8, proof)).toEqual([false]);
    expect(await verdict(0, leaf, 0, [])).toEqual([false]);
  });

  it("accepts a proof made by Go's tlog package, against the root that it was made for", async () => {
    const { index, size, hashes } = tiles.inclusionProof;
    const leaf = hex32(leafHash(Buffer.from(`leaf ${index}`)));
    const proof = hashes.map((hash) => `0x${hash}`);
    const known = `0x${tiles.rootBySize["300"]}`;
    expect(await read("verifyInclusionIn", [known, index, leaf, size, proof])).toEqual([true]);
    expect(await read("verifyInclusionIn", [known, index - 1, leaf, size, proof])).toEqual([false]);
  });
});
