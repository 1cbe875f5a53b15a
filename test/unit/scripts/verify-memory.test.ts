/** What a verifier remembers of the chain, against a node that shows it less or something else the next time. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { verifyLog } from "../../../scripts/lib/verify-log.ts";
import { MAX_LISTED_OF_A_KIND } from "../../../scripts/lib/verify-report.ts";
import { readVerifierState } from "../../../scripts/lib/verify-state.ts";
import { signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { tilePath } from "../../../src/ledger/layout.ts";
import type { NoteSigner } from "../../../src/ledger/note.ts";
import { decodeBundle, encodeBundle, rootOfEdge } from "../../../src/ledger/tiles.ts";
import { toHex, utf8 } from "../../../src/platform/encoding.ts";
import { type AnchorNode, NODE_CHAIN_ID, NODE_CONTRACT, serveAnchors } from "../../support/anchor-node.ts";
import { filesOf, linkedEntries, logSigner, ORIGIN, type ServedLog, serveLog } from "../../support/served-log.ts";
import { logFiles } from "../../support/tree.ts";

const SIZE = 300;
const entries = linkedEntries(SIZE);
let signer: NoteSigner;
let log: ServedLog;
let node: AnchorNode;
let stateFile: string;

beforeAll(async () => {
  signer = await logSigner();
  log = await serveLog(new Map());
  node = await serveAnchors();
});
afterAll(async () => {
  await log.close();
  await node.close();
});
beforeEach(async () => {
  log.files = (await filesOf(entries, signer)).files;
  stateFile = join(mkdtempSync(join(tmpdir(), "verify-")), "state.json");
});

const verify = () =>
  verifyLog(
    log.url,
    { keys: [signer.key], chainId: NODE_CHAIN_ID, contract: NODE_CONTRACT, rpcUrl: node.url, withoutChain: false },
    { token: undefined, stateFile, fetchesAtOnce: 4 },
  );
const anchorOf = async (size: number) => ({
  size,
  rootHash: toHex((await filesOf(entries.slice(0, size), signer)).root),
});
const anchorsOf = async (...sizes: readonly number[]) => Promise.all(sizes.map(anchorOf));
const remembered = () => readVerifierState(stateFile)?.anchor;
const saidOf = ({ checks }: Awaited<ReturnType<typeof verify>>) =>
  checks.filter(({ name }) => name === "anchors").map(({ status, detail }) => `${status}: ${detail}`);

describe("an anchor that was seen before", () => {
  beforeEach(async () => {
    node.anchors = await anchorsOf(5, 200);
    expect((await verify()).status).toBe("valid");
    expect(remembered()?.size).toBe(200);
  });

  it("is missed when the node shows an earlier one, and when it shows none, again and again", async () => {
    const kept = readFileSync(stateFile, "utf8");
    for (const sizes of [[5], [], [5]]) {
      node.anchors = await anchorsOf(...sizes);
      const report = await verify();
      expect(report).toMatchObject({ status: "unverified", findings: [] });
      expect(saidOf(report)).toEqual([
        expect.stringContaining("not-checked: the anchor of 200 entries seen before is no longer on the chain"),
      ]);
      expect(readFileSync(stateFile, "utf8")).toBe(kept);
    }
    node.anchors = await anchorsOf(5, 200);
    expect((await verify()).status).toBe("valid");
  });

  it("whose size now has another root is a finding, and stays remembered", async () => {
    node.anchors = [...(await anchorsOf(5)), { size: 200, rootHash: "cd".repeat(32) }];
    const report = await verify();
    expect(report.status).toBe("invalid");
    expect(report.findings).toContainEqual({
      type: "anchor-mismatch",
      detail: "the chain's anchor of 200 entries has another root than was seen before",
    });
    expect(remembered()).toEqual(await anchorOf(200));
  });

  it("and was reorganized away for a larger one is missed once, and the larger one known from then on", async () => {
    node.anchors = await anchorsOf(5, 210);
    const report = await verify();
    expect(report).toMatchObject({ status: "unverified", findings: [] });
    expect(saidOf(report)[0]).toContain("its newest is of 210");
    expect(remembered()).toEqual(await anchorOf(210));
    expect((await verify()).status).toBe("valid");
  });

  it("holds a larger one and the log to it, also when the chain no longer has it", async () => {
    const rewritten = linkedEntries(SIZE, "rewritten");
    const { root } = await filesOf(rewritten.slice(0, 210), signer);
    node.anchors = [...(await anchorsOf(5)), { size: 210, rootHash: toHex(root) }];
    const report = await verify();
    expect(report.findings).toContainEqual({
      type: "anchor-mismatch",
      detail: "the anchor of 210 entries does not extend that of 200",
    });
    expect(remembered()?.size).toBe(200);
  });
});

describe("a wrong anchor", () => {
  it("is named and not remembered, however many findings of another kind there are", async () => {
    const bodies = Array.from({ length: MAX_LISTED_OF_A_KIND + 100 }, (_, i) => utf8(`not an entry ${i}`));
    const { files, edge } = logFiles(bodies);
    log.files = new Map(files);
    const root = rootOfEdge(edge);
    log.files.set("checkpoint", utf8(await signCheckpoint({ origin: ORIGIN, size: bodies.length, root }, [signer])));
    node.anchors = [{ size: 200, rootHash: "cd".repeat(32) }];
    const report = await verify();
    expect(report.findings.map(({ type }) => type)).toContain("anchor-mismatch");
    expect(report.omitted).toEqual({ "entry-unreadable": 100 });
    expect(saidOf(report)).toEqual([expect.stringMatching(/^failed/)]);
    expect(remembered()).toBeUndefined();
  });

  it("is no agreement even when it is one finding more of a kind that is no longer listed", async () => {
    const long = linkedEntries(9 * 256);
    log.files = (await filesOf(long, signer)).files;
    for (let index = 0; index < 9; index++) {
      const path = tilePath({ kind: "entries", index, width: 256 });
      const all = decodeBundle(log.files.get(path) ?? new Uint8Array()) ?? [];
      log.files.set(path, encodeBundle(all.filter((_, i) => i % 2 === 0)));
    }
    node.anchors = [{ size: long.length + 1, rootHash: "cd".repeat(32) }];
    const report = await verify();
    expect(report.omitted).toEqual({ truncated: 9 * 128 - MAX_LISTED_OF_A_KIND + 1 });
    expect(saidOf(report)).toEqual([expect.stringMatching(/^failed/)]);
    expect(remembered()).toBeUndefined();
  });

  it("of which the contract's word and its event differ is not remembered either", async () => {
    node.anchors = await anchorsOf(5, 200);
    node.held = { size: 200, rootHash: "cd".repeat(32) };
    const report = await verify();
    node.held = undefined;
    expect(report.status).toBe("invalid");
    expect(saidOf(report)).toEqual([expect.stringMatching(/^failed/)]);
    expect(remembered()).toBeUndefined();
  });
});
