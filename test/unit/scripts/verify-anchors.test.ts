import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Contract, JsonRpcProvider, Wallet } from "ethers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deployLedgerAnchor } from "../../../scripts/deploy-contract.ts";
import { verifyBundle } from "../../../scripts/lib/verify-bundle.ts";
import { readAnchors } from "../../../scripts/lib/verify-chain.ts";
import { verifyLog } from "../../../scripts/lib/verify-log.ts";
import type { Pins } from "../../../scripts/lib/verify-pins.ts";
import { LEDGER_ANCHOR } from "../../../src/anchor/contract.ts";
import { formatTextProof, hexHashes, type ProofBundle } from "../../../src/ledger/bundle.ts";
import { formatVerifierKey, type NoteSigner } from "../../../src/ledger/note.ts";
import { proveConsistency, proveInclusion } from "../../../src/ledger/proof.ts";
import { toBase64, toHex, utf8 } from "../../../src/platform/encoding.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, type Anvil, startAnvil } from "../../support/anvil.ts";
import { filesOf, linkedEntries, logSigner, ORIGIN, type ServedLog, serveLog } from "../../support/served-log.ts";
import { readerOf } from "../../support/tree.ts";

const SIZE = 300;
const entries = linkedEntries(SIZE);
let signer: NoteSigner;
let log: ServedLog;
let anvil: Anvil;
let contractAddress: string;
let anchorTransactions: {
  readonly size: number;
  readonly txHash: string;
  readonly block: number;
  readonly hash: string;
}[];

const rootAt = async (size: number): Promise<string> => toHex((await filesOf(entries.slice(0, size), signer)).root);

async function anchor(contract: Contract, from: number, size: number, root: string) {
  const sent = await contract.getFunction("anchor")(from, size, `0x${root}`);
  const receipt = await sent.wait();
  return { size, txHash: receipt.hash, block: receipt.blockNumber, hash: receipt.blockHash };
}

async function deployed(provider: JsonRpcProvider): Promise<Contract> {
  const wallet = new Wallet(ANVIL_KEYS[0], provider);
  const { contractAddress: address } = await deployLedgerAnchor({
    rpcUrl: anvil.url,
    chainId: ANVIL_CHAIN_ID,
    deployerKey: ANVIL_KEYS[0],
    anchorer: wallet.address,
  });
  return new Contract(address, LEDGER_ANCHOR, wallet);
}

let provider: JsonRpcProvider;
beforeAll(async () => {
  signer = await logSigner();
  log = await serveLog((await filesOf(entries, signer)).files);
  anvil = await startAnvil();
  provider = new JsonRpcProvider(anvil.url, ANVIL_CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
  const contract = await deployed(provider);
  contractAddress = await contract.getAddress();
  anchorTransactions = [
    await anchor(contract, 0, 5, await rootAt(5)),
    await anchor(contract, 5, 128, await rootAt(128)),
    await anchor(contract, 128, 290, await rootAt(290)),
  ];
}, 60_000);
afterAll(async () => {
  provider.destroy();
  await log.close();
  await anvil.stop();
});

const chainOf = (contract: string) => ({ rpcUrl: anvil.url, chainId: ANVIL_CHAIN_ID, contract });
const freshState = (): string => join(mkdtempSync(join(tmpdir(), "verify-")), "state.json");
const verify = (contract: string, stateFile?: string) =>
  verifyLog(
    log.url,
    { keys: [signer.key], ...chainOf(contract), withoutChain: false },
    { token: undefined, stateFile, fetchesAtOnce: 4 },
  );

describe("the anchors of a log", () => {
  it("are all walked back from the newest and held against the log", async () => {
    const { anchors, faults } = await readAnchors(chainOf(contractAddress), undefined);
    expect(faults).toEqual([]);
    expect(anchors.map(({ size }) => size)).toEqual([5, 128, 290]);
    const report = await verify(contractAddress);
    expect(report).toMatchObject({ status: "valid", findings: [] });
    expect(report.checks).toContainEqual(
      expect.objectContaining({ name: "anchors", status: "ok", detail: expect.stringContaining("3 anchors") }),
    );
  });

  it("are not read again once they were checked", async () => {
    const stateFile = freshState();
    await verify(contractAddress, stateFile);
    const report = await verify(contractAddress, stateFile);
    expect(report.checks).toContainEqual(
      expect.objectContaining({ name: "anchors", detail: expect.stringContaining("0 anchors on the chain since") }),
    );
  });

  it("catch a history that was rewritten before or after an anchor and signed again", async () => {
    const kept = log.files;
    const rewritten = linkedEntries(SIZE, "rewritten");
    log.files = (await filesOf(rewritten, signer)).files;
    const report = await verify(contractAddress);
    log.files = kept;
    expect(report.status).toBe("invalid");
    expect(report.findings.every(({ type }) => type === "anchor-mismatch")).toBe(true);
    expect(report.findings).toHaveLength(3);
  });

  it("catch one root among them that is not the log's", async () => {
    const contract = await deployed(provider);
    await anchor(contract, 0, 5, await rootAt(5));
    await anchor(contract, 5, 128, "ab".repeat(32));
    await anchor(contract, 128, 290, await rootAt(290));
    const report = await verify(await contract.getAddress());
    expect(report.findings.map(({ type }) => type)).toEqual(["anchor-mismatch", "anchor-mismatch"]);
  });

  it("catch a log that has fewer entries than were anchored", async () => {
    const contract = await deployed(provider);
    await anchor(contract, 0, 301, "cd".repeat(32));
    const report = await verify(await contract.getAddress());
    expect(report.findings).toEqual([{ type: "truncated", detail: expect.stringContaining("301") }]);
  });

  it("are unverified when the node is of another chain, or there is no contract", async () => {
    const options = { token: undefined, stateFile: undefined, fetchesAtOnce: 4 };
    const other = { ...chainOf(contractAddress), keys: [signer.key], withoutChain: false, chainId: 5 };
    expect((await verifyLog(log.url, other, options)).status).toBe("unverified");
    expect((await verify(`0x${"12".repeat(20)}`)).status).toBe("unverified");
  });
});

describe("a proof bundle", () => {
  async function bundle(index = 100, over: Partial<ProofBundle> = {}): Promise<ProofBundle> {
    const read = readerOf(log.files);
    const entry = entries[index];
    const anchored = anchorTransactions[1];
    if (entry === undefined || anchored === undefined) throw new Error("no entry");
    return {
      format: "itrans-proof@v1",
      ledgerId: "main",
      index,
      entry: toBase64(utf8(entry.body)),
      entryHash: entry.hashHex,
      inclusionProof: hexHashes(await proveInclusion(index, SIZE, SIZE, read)),
      checkpoint: (await filesOf(entries, signer)).note,
      anchor: {
        chainId: ANVIL_CHAIN_ID,
        contractAddress,
        txHash: anchored.txHash,
        blockNumber: anchored.block,
        blockHash: anchored.hash,
        logIndex: 0,
        size: 128,
        rootHash: await rootAt(128),
        consistencyProof: hexHashes(await proveConsistency(128, SIZE, SIZE, read)),
      },
      ...over,
    };
  }
  /** Without an anchor, of another log than the one that is served. */
  async function bundleOf(others: typeof entries, index: number): Promise<ProofBundle> {
    const { files, note } = await filesOf(others, signer);
    const entry = others[index];
    if (entry === undefined) throw new Error("no entry");
    return {
      format: "itrans-proof@v1",
      ledgerId: "main",
      index,
      entry: toBase64(utf8(entry.body)),
      entryHash: entry.hashHex,
      inclusionProof: hexHashes(await proveInclusion(index, others.length, others.length, readerOf(files))),
      checkpoint: note,
      anchor: null,
    };
  }
  const pins = (): Pins => ({
    keys: [signer.key],
    chainId: ANVIL_CHAIN_ID,
    contract: contractAddress,
    rpcUrl: anvil.url,
    withoutChain: false,
  });
  const options = { entry: undefined, stateFile: undefined };
  const check = async (value: ProofBundle, over: Partial<Pins> = {}, stateFile?: string) =>
    verifyBundle("a bundle", JSON.stringify(value), { ...pins(), ...over }, { entry: undefined, stateFile });

  it("is valid up to the block, with the key, the contract and a node", async () => {
    const report = await check(await bundle());
    expect(report).toMatchObject({ status: "valid", findings: [] });
    expect(report.checks.map(({ name, status }) => `${name} ${status}`)).toEqual([
      "checkpoint ok",
      "entry ok",
      "inclusion ok",
      "anchor ok",
    ]);
  });

  it("says offline that the chain was not asked, and is unverified without a key", async () => {
    const offline = await check(await bundle(), { rpcUrl: undefined });
    expect(offline.status).toBe("valid");
    expect(offline.checks.at(-1)).toMatchObject({ name: "anchor", status: "not-checked" });
    expect((await check(await bundle(), { keys: [] })).status).toBe("unverified");
  });

  it("is unverified with the key alone, whatever contract its anchor names, unless the chain is not wanted", async () => {
    const good = await bundle();
    if (good.anchor === null) throw new Error("no anchor");
    const elsewhere = { ...good, anchor: { ...good.anchor, chainId: 1, contractAddress: `0x${"12".repeat(20)}` } };
    const none = { chainId: undefined, contract: undefined, rpcUrl: undefined };
    const report = await check(elsewhere, none);
    expect(report.status).toBe("unverified");
    expect(report.checks[0]).toMatchObject({ name: "pins", detail: expect.stringContaining("--chain-id") });
    expect((await check(good, { ...none, chainId: ANVIL_CHAIN_ID })).status).toBe("unverified");
    const asked = await check(good, { ...none, withoutChain: true });
    expect(asked).toMatchObject({ status: "valid", checks: [{ name: "pins" }, {}, {}, {}, { status: "not-checked" }] });
  });

  it("is compared with the checkpoint seen before, and says when it can not be", async () => {
    const stateFile = freshState();
    const view = async (value: ProofBundle) => {
      const report = await check(value, {}, stateFile);
      return { status: report.status, view: report.checks.find(({ name }) => name === "earlier view") };
    };
    expect(await view(await bundle())).toEqual({
      status: "valid",
      view: expect.objectContaining({
        status: "not-checked",
        detail: expect.stringContaining("300 entries is remembered"),
      }),
    });
    expect(await view(await bundle())).toEqual({ status: "valid", view: expect.objectContaining({ status: "ok" }) });
    const kept = readFileSync(stateFile, "utf8");

    expect(await view(await bundleOf(linkedEntries(400), 100))).toEqual({
      status: "valid",
      view: {
        name: "earlier view",
        status: "not-checked",
        detail: expect.stringMatching(
          /of 300 entries was seen before, the bundle has one of 400: .*no proof between them/,
        ),
      },
    });
    expect(await view(await bundleOf(linkedEntries(SIZE, "rewritten"), 100))).toEqual({
      status: "invalid",
      view: expect.objectContaining({ status: "failed" }),
    });
    expect(readFileSync(stateFile, "utf8")).toBe(kept);
    writeFileSync(stateFile, kept.replace(ORIGIN, "other.example/log"));
    await expect(view(await bundle())).rejects.toThrow("the state file is of other.example/log, this bundle is");
  });

  it("is not remembered when it is not verified", async () => {
    const stateFile = freshState();
    await check(await bundle(), { keys: [] }, stateFile);
    await check({ ...(await bundle()), index: 99 }, {}, stateFile);
    expect(existsSync(stateFile)).toBe(false);
  });

  it("names what was changed in it", async () => {
    const good = await bundle();
    const { anchor: anchored } = good;
    if (anchored === null) throw new Error("no anchor");
    const other = await bundle(101);
    const cases: readonly (readonly [ProofBundle, string])[] = [
      [{ ...good, entry: other.entry }, "entry-hash-mismatch"],
      [{ ...good, entry: other.entry, entryHash: other.entryHash }, "inclusion-mismatch"],
      [{ ...good, index: 101 }, "inclusion-mismatch"],
      [{ ...good, inclusionProof: other.inclusionProof }, "inclusion-mismatch"],
      [{ ...good, checkpoint: good.checkpoint.replace("300", "301") }, "checkpoint-refused"],
      [{ ...good, anchor: { ...anchored, rootHash: "ab".repeat(32) } }, "anchor-mismatch"],
      [{ ...good, anchor: { ...anchored, chainId: 1 } }, "anchor-mismatch"],
      [{ ...good, anchor: { ...anchored, contractAddress: `0x${"12".repeat(20)}` } }, "anchor-mismatch"],
      [{ ...good, anchor: { ...anchored, txHash: `0x${"12".repeat(32)}` } }, "anchor-mismatch"],
      [{ ...good, anchor: { ...anchored, blockNumber: 1 } }, "anchor-mismatch"],
      [{ ...good, anchor: { ...anchored, consistencyProof: [] } }, "anchor-mismatch"],
      [{ ...(await bundle(200)), anchor: anchored }, "anchor-mismatch"],
    ];
    for (const [value, finding] of cases) {
      const report = await check(value);
      expect(report.status).toBe("invalid");
      expect(report.findings.map(({ type }) => type)).toContain(finding);
    }
    expect((await verifyBundle("x", "{}", pins(), options)).findings).toEqual([
      expect.objectContaining({ type: "bundle-malformed" }),
    ]);
  });

  it("in text form is checked with the entry's bytes beside it", async () => {
    const good = await bundle();
    const hashes = await proveInclusion(100, SIZE, SIZE, readerOf(log.files));
    const text = formatTextProof({ index: 100, hashes, checkpoint: good.checkpoint });
    const entry = utf8(entries[100]?.body ?? "");
    expect((await verifyBundle("x", text, pins(), { ...options, entry })).status).toBe("valid");
    expect((await verifyBundle("x", text, pins(), options)).status).toBe("unverified");
    const wrong = utf8(entries[101]?.body ?? "");
    expect((await verifyBundle("x", text, pins(), { ...options, entry: wrong })).status).toBe("invalid");
  });

  it("is checked by the command, whose exit code tells valid, invalid, unverified and wrong use apart", async () => {
    const directory = mkdtempSync(join(tmpdir(), "verify-"));
    const path = join(directory, "bundle.json");
    writeFileSync(path, JSON.stringify(await bundle()));
    const key = formatVerifierKey(signer.key);
    const run = (args: readonly string[]) =>
      new Promise<{ readonly code: number; readonly out: string }>((resolve) => {
        execFile(process.execPath, ["scripts/verify.ts", ...args], (error, stdout) =>
          resolve({ code: typeof error?.code === "number" ? error.code : 0, out: stdout }),
        );
      });
    const spoilt = join(directory, "spoilt.json");
    writeFileSync(spoilt, JSON.stringify(await bundle(100, { index: 99 })));
    const pinned = ["--key", key, "--chain-id", String(ANVIL_CHAIN_ID), "--contract", contractAddress];
    const [valid, invalid, unpinned, alone, asked, unasked, nowhere, contradictory] = await Promise.all([
      run([path, ...pinned, "--json"]),
      run([spoilt, ...pinned]),
      run([path]),
      run([log.url, "--key", key]),
      run([log.url, "--key", key, "--no-chain"]),
      run([log.url, ...pinned]),
      run(["/nowhere", "--key", key]),
      run([log.url, ...pinned, "--no-chain"]),
    ]);
    expect(valid.code).toBe(0);
    expect(JSON.parse(valid.out)).toMatchObject({ status: "valid", size: SIZE });
    expect(invalid.code).toBe(1);
    expect(unpinned.code).toBe(2);
    expect(alone).toEqual({
      code: 2,
      out: expect.stringContaining("no chain id (--chain-id) and no contract (--contract)"),
    });
    expect(asked).toEqual({ code: 0, out: expect.stringContaining("not checked: the chain was not looked at") });
    expect(unasked).toEqual({
      code: 0,
      out: expect.stringContaining("the chain was not asked: no node was named (--rpc)"),
    });
    expect(nowhere.code).toBe(3);
    expect(contradictory.code).toBe(3);
  });
});
