import { runInDurableObject, SELF } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { LedgerPublisher } from "../../../../durable-objects/ledger-publisher.ts";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { hashesFromHex, parseBundle, parseTextProof } from "../../../../src/ledger/bundle.ts";
import { openCheckpoint } from "../../../../src/ledger/checkpoint.ts";
import { leafHash } from "../../../../src/ledger/hash.ts";
import { parseVerifierKey, type VerifierKey } from "../../../../src/ledger/note.ts";
import { verifyConsistency, verifyInclusion } from "../../../../src/ledger/proof.ts";
import { decodeBundle } from "../../../../src/ledger/tiles.ts";
import { fromBase64, fromHex, toHex } from "../../../../src/platform/encoding.ts";
import { call, KEYS, migrate, payloadOf, signed, submit, testEnv } from "../support.ts";

const publisher = () => testEnv.PUBLISHER.getByName("main");

async function submitMany(count: number, prefix: string): Promise<void> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, i) => submit(signed(payloadOf(), { externalRequestId: `${prefix}-${i}` }))),
  );
  for (const { status } of answers) expect(status).toBe(201);
}

async function logKeys(): Promise<readonly VerifierKey[]> {
  const { text } = await call("/ledger/log/key", { key: "" });
  return text.split("\n").flatMap((line) => {
    const key = parseVerifierKey(line);
    return key === undefined ? [] : [key];
  });
}

async function newest() {
  const { text } = await call("/ledger/log/checkpoint", { key: "" });
  const opened = await openCheckpoint(text, await logKeys());
  if (opened.type !== "verified") throw new Error(opened.reason);
  return opened.checkpoint;
}

async function publishedSize(): Promise<number> {
  const { status } = await call("/ledger/log/checkpoint", { key: "" });
  return status === 404 ? 0 : (await newest()).size;
}

const fetchBytes = async (path: string): Promise<Uint8Array> => {
  const response = await SELF.fetch(`http://core${path}`);
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
};

beforeAll(migrate);

describe("before anything was published", () => {
  it("checkpoint, tiles and proofs answer 404 and say when to come back", async () => {
    for (const path of [
      "/ledger/log/checkpoint",
      "/ledger/log/tile/0/x999/000",
      "/ledger/log/tile/entries/x999/000",
      "/ledger/proof/inclusion?seq=0",
      "/ledger/proof/consistency?from=1",
    ]) {
      const answer = await call(path, { key: "" });
      expect(answer.status).toBe(404);
      expect(answer.headers.get("retry-after")).toBe("2");
      expect(answer.json).toMatchObject({ error: "not_found", message: expect.stringContaining("published") });
    }
    expect((await call("/ledger/log/tile/0/000", { key: "" })).status).toBe(404);
  });

  it("the log has a verifier key named like its origin", async () => {
    const [key] = await logKeys();
    expect(key).toMatchObject({ name: "localhost/ledger/log", type: "ed25519" });
  });
});

describe("after commits", () => {
  it("a checkpoint of every entry is out within two seconds of a commit, by itself, time after time", async () => {
    for (const [size, prefix] of [
      [7, "A"],
      [10, "B"],
    ] as const) {
      const before = size === 7 ? 0 : 7;
      await submitMany(size - before, prefix);
      const committed = Date.now();
      while ((await publishedSize()) < size) {
        expect(Date.now() - committed).toBeLessThan(2_000);
        await scheduler.wait(100);
      }
    }
  });

  it("tiles and bundles hold the entries, and the root is theirs", async () => {
    await submitMany(260, "C");
    await publisher().publish();
    const checkpoint = await newest();
    expect(checkpoint.size).toBe(270);
    const bundles = [
      decodeBundle(await fetchBytes("/ledger/log/tile/entries/000")),
      decodeBundle(await fetchBytes("/ledger/log/tile/entries/001.p/14")),
    ];
    const leaves = bundles.flatMap((bundle) => (bundle ?? []).map(leafHash));
    expect(leaves).toHaveLength(270);
    const tiles = [await fetchBytes("/ledger/log/tile/0/000"), await fetchBytes("/ledger/log/tile/0/001.p/14")];
    expect(tiles.map(toHex).join("")).toBe(leaves.map(toHex).join(""));
    expect(await fetchBytes("/ledger/log/tile/1/000.p/1")).toHaveLength(32);
    const head = await testEnv.DB.prepare("SELECT root_hash FROM ledger_heads").first<{ root_hash: string }>();
    expect(toHex(checkpoint.root)).toBe(head?.root_hash);
    const recorded = await testEnv.DB.prepare("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1").first();
    expect(recorded).toMatchObject({ size: 270, note: expect.stringContaining("localhost/ledger/log\n270\n") });
  });

  it("a partial tile that an older checkpoint named is still served, with the bytes it had", async () => {
    const tile = await fetchBytes("/ledger/log/tile/0/000.p/7");
    expect(toHex(tile)).toBe(toHex((await fetchBytes("/ledger/log/tile/0/000")).slice(0, 7 * 32)));
    const bundle = decodeBundle(await fetchBytes("/ledger/log/tile/entries/000.p/7"));
    expect(bundle).toHaveLength(7);
    const stored = await testEnv.LEDGER.list({ prefix: "log/main/tile/0/000.p/" });
    expect(stored.objects).toHaveLength(0);
  });

  it("a tile that no checkpoint covers is not published yet, though its file may be there", async () => {
    await testEnv.LEDGER.put("log/main/tile/0/001", new Uint8Array(8_192));
    await testEnv.LEDGER.put("log/main/tile/entries/001.p/15", new Uint8Array(10));
    try {
      for (const [path, there] of [
        ["tile/0/001", "tile/0/001.p/14"],
        ["tile/entries/001.p/15", "tile/entries/001.p/14"],
        ["tile/0/002", "nothing of this tile"],
        ["tile/3/000", "nothing of this tile"],
      ] as const) {
        const answer = await call(`/ledger/log/${path}`, { key: "" });
        expect(answer.status).toBe(404);
        expect(answer.headers.get("retry-after")).toBe("2");
        expect(answer.json.message).toContain("not published yet");
        expect(answer.json.message).toContain("covers 270 entries");
        expect(answer.json.message).toContain(there);
      }
    } finally {
      await testEnv.LEDGER.delete(["log/main/tile/0/001", "log/main/tile/entries/001.p/15"]);
    }
  });

  it("a width that no checkpoint had is no tile, and the answer says which there is", async () => {
    for (const folder of ["0", "entries"]) {
      const answer = await call(`/ledger/log/tile/${folder}/001.p/13`, { key: "" });
      expect(answer.status).toBe(404);
      expect(answer.headers.get("retry-after")).toBeNull();
      expect(answer.json.message).toContain("no such tile");
      expect(answer.json.message).toContain(`tile/${folder}/001.p/14`);
    }
  });

  it("answers carry type, caching and an ETag that a reader can send back", async () => {
    const full = await call("/ledger/log/tile/0/000", { key: "" });
    expect(full.headers.get("content-type")).toBe("application/octet-stream");
    expect(full.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const partial = await call("/ledger/log/tile/0/001.p/14", { key: "" });
    expect(partial.headers.get("cache-control")).toBe("public, max-age=60");
    const checkpoint = await call("/ledger/log/checkpoint", { key: "" });
    expect(checkpoint.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(checkpoint.headers.get("cache-control")).toBe("public, max-age=1");
    for (const [path, etag] of [
      ["/ledger/log/tile/0/000", full.headers.get("etag")],
      ["/ledger/log/checkpoint", checkpoint.headers.get("etag")],
    ] as const) {
      const again = await call(path, { key: "", headers: { "if-none-match": `"x", W/${etag}` } });
      expect(again.status).toBe(304);
      expect(again.text).toBe("");
      expect(again.headers.get("etag")).toBe(etag);
      expect((await call(path, { key: "", headers: { "if-none-match": '"x"' } })).status).toBe(200);
    }
  });

  it("the same files are under the ledger's id, and nothing is under another", async () => {
    const short = await call("/ledger/log/checkpoint", { key: "" });
    const long = await call("/ledger/main/log/checkpoint", { key: "" });
    expect(long.text).toBe(short.text);
    expect((await call("/ledger/main/log/tile/0/000", { key: "" })).status).toBe(200);
    expect((await call("/ledger/main/log/key", { key: "" })).status).toBe(200);
    for (const path of ["/ledger/other/log/checkpoint", "/ledger/other/log/tile/0/000"]) {
      expect((await call(path, { key: "" })).status).toBe(404);
    }
  });

  it("paths that are no tile's are 404 with a reason", async () => {
    for (const path of [
      "tile/0/0",
      "tile/0/x000/000",
      "tile/0/000.p/256",
      "tile/entries/",
      "tile/0/009",
      "tile/9/000",
    ]) {
      const answer = await call(`/ledger/log/${path}`, { key: "" });
      expect(answer.status).toBe(404);
      expect(answer.json.message).toEqual(expect.any(String));
    }
  });
});

describe("proofs", () => {
  it("of inclusion verify against the checkpoint and against an earlier size", async () => {
    const { root, size } = await newest();
    for (const [seq, at] of [
      [0, undefined],
      [269, undefined],
      [3, 7],
      [255, 256],
    ] as const) {
      const query = at === undefined ? "" : `&size=${at}`;
      const { status, json } = await call(`/ledger/proof/inclusion?seq=${seq}${query}`, { key: "" });
      expect(status).toBe(200);
      expect(json.size).toBe(at ?? size);
      if (at === undefined) expect(json.rootHash).toBe(toHex(root));
      const holds = verifyInclusion(
        seq,
        json.size,
        fromHex(json.entryHash),
        hashesFromHex(json.hashes),
        fromHex(json.rootHash),
      );
      expect(holds).toBe(true);
    }
  });

  it("of consistency verify between any published sizes", async () => {
    for (const [from, to] of [
      [1, 270],
      [7, 10],
      [256, 270],
      [270, 270],
    ] as const) {
      const { json } = await call(`/ledger/proof/consistency?from=${from}&to=${to}`, { key: "" });
      const roots = [fromHex(json.fromRootHash), fromHex(json.toRootHash)] as const;
      expect(verifyConsistency(from, to, roots[0], roots[1], hashesFromHex(json.hashes))).toBe(true);
    }
  });

  it("beyond what is published are 404 with Retry-After, nonsense is 400", async () => {
    for (const path of ["inclusion?seq=270", "inclusion?seq=1&size=271", "consistency?from=1&to=271"]) {
      const answer = await call(`/ledger/proof/${path}`, { key: "" });
      expect(answer.status).toBe(404);
      expect(answer.headers.get("retry-after")).toBe("2");
    }
    for (const path of [
      "inclusion",
      "inclusion?seq=-1",
      "inclusion?seq=x",
      "inclusion?seq=5&size=5",
      "inclusion?seq=1e300",
      "consistency?from=0&to=5",
      "consistency?from=6&to=5",
    ]) {
      expect((await call(`/ledger/proof/${path}`, { key: "" })).status).toBe(400);
    }
  });

  it("an entry is served with the bytes that hash to its hash", async () => {
    const { json } = await call("/ledger/entries/5", { key: "" });
    expect(toHex(leafHash(fromBase64(json.bytes)))).toBe(json.entryHash);
    expect(json.entry).toMatchObject({ v: 1, seq: 5, type: "REQUEST_SUBMITTED" });
    const absent = await call("/ledger/entries/270", { key: "" });
    expect([absent.status, absent.headers.get("retry-after")]).toEqual([404, "2"]);
    expect(absent.json.detail).toBe("The ledger has 270 entries, numbered from 0; entry 270 is not one of them yet.");
    expect((await call("/ledger/entries/x", { key: "" })).status).toBe(400);
  });
});

describe("the offline bundle", () => {
  it("of a request is JSON, or text for those who ask for it, and both verify with the log's key alone", async () => {
    const path = "/workflow/requests/A-3/proof";
    const { status, json } = await call(path);
    expect(status).toBe(200);
    const bundle = parseBundle(json);
    if (bundle === undefined) throw new Error("no bundle");
    const opened = await openCheckpoint(bundle.checkpoint, await logKeys());
    if (opened.type !== "verified") throw new Error(opened.reason);
    const { size, root } = opened.checkpoint;
    const leaf = leafHash(fromBase64(bundle.entry));
    expect(verifyInclusion(bundle.index, size, leaf, hashesFromHex(bundle.inclusionProof), root)).toBe(true);
    expect(bundle.anchor).toBeNull();
    expect(json.anchored).toEqual({
      status: "none",
      reason: "No chain is configured for this ledger.",
      retryAfterSeconds: null,
    });

    const text = await call(path, { headers: { accept: "text/plain" } });
    expect(text.headers.get("content-type")).toMatch(/^text\/plain/);
    const parsed = parseTextProof(text.text);
    expect(parsed?.index).toBe(bundle.index);
    expect(verifyInclusion(bundle.index, size, leaf, parsed?.hashes ?? [], root)).toBe(true);
  });

  it("proves the subject's newest entry, or the one asked for, and no other subject's", async () => {
    const before = await call("/workflow/requests/A-4/proof");
    const body = { decision: "APPROVED" };
    expect((await call("/workflow/requests/A-4/adjudicate", { method: "POST", body })).status).toBe(200);
    const early = await call("/workflow/requests/A-4/proof");
    if (early.status === 404) expect(early.headers.get("retry-after")).toBe("2");
    await publisher().publish();
    const after = await call("/workflow/requests/A-4/proof");
    expect(after.json.index).toBe(270);
    const first = await call(`/workflow/requests/A-4/proof?seq=${before.json.index}`);
    expect(first.json.index).toBe(before.json.index);
    expect((await call("/workflow/requests/A-4/proof?seq=0")).status).toBe(before.json.index === 0 ? 200 : 404);
    expect((await call("/workflow/requests/none/proof")).status).toBe(404);
  });

  it("of a claim needs the claims key", async () => {
    const offchainPayload = payloadOf();
    const { providerSignature } = signed(offchainPayload);
    const made = await call("/claims", {
      method: "POST",
      key: KEYS.CLAIMS_API_KEY,
      body: { offchainPayload, providerSignature },
    });
    expect(made.status).toBe(201);
    await publisher().publish();
    const path = `/claims/${made.json.claimId}/proof`;
    expect(parseBundle((await call(path, { key: KEYS.CLAIMS_API_KEY })).json)).toBeDefined();
    expect((await call(path)).status).toBe(403);
    expect((await call("/claims/none/proof", { key: KEYS.CLAIMS_API_KEY })).status).toBe(404);
  });

  it("holds the chain's anchor and the proof from its tree once it is final", async () => {
    const { json: at7 } = await call("/ledger/proof/inclusion?seq=3&size=7", { key: "" });
    await testEnv.DB.prepare(
      `INSERT INTO anchors (ledger_id, size, root_hash, previous_size, state, chain_id, contract_address, nonce, tx_hash,
         block_number, block_hash, log_index, submitted_at, confirmed_at)
       VALUES ('main', 7, ?1, 0, 'confirmed', 31337, ?2, 0, ?3, 12, ?3, 0, 1, 2)`,
    )
      .bind(at7.rootHash, `0x${"ab".repeat(20)}`, `0x${"cd".repeat(32)}`)
      .run();
    const { json } = await call("/workflow/requests/A-3/proof");
    const { anchor, checkpoint } = parseBundle(json) ?? {};
    expect(anchor).toMatchObject({ size: 7, rootHash: at7.rootHash, blockNumber: 12 });
    const opened = await openCheckpoint(checkpoint ?? "", await logKeys());
    if (opened.type !== "verified" || anchor == null) throw new Error("no anchor");
    const proof = hashesFromHex(anchor.consistencyProof);
    const { size, root } = opened.checkpoint;
    expect(verifyConsistency(7, size, fromHex(anchor.rootHash), root, proof)).toBe(true);
    expect(json.anchored).toEqual({ status: "confirmed", reason: null, retryAfterSeconds: null });
  });
});

describe("a log that is not public", () => {
  const closed = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    import("../../../../src/core/worker.ts").then(({ default: worker }) =>
      worker.fetch(
        new Request(`http://core${path}`, { headers }),
        { ...testEnv, LEDGER_LOG_PUBLIC: "false" } as CoreEnv,
        { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as unknown as ExecutionContext,
      ),
    );

  it("is read with the auditor's token and with no other key", async () => {
    for (const path of ["/ledger/log/checkpoint", "/ledger/log/tile/0/000", "/ledger/log/key", "/ledger/entries/1"]) {
      expect((await closed(path)).status).toBe(401);
      expect((await closed(path, { "x-api-key": KEYS.WORKFLOW_API_KEY })).status).toBe(401);
      const answer = await closed(path, { authorization: `Bearer ${KEYS.AUDITOR_TOKEN}` });
      expect(answer.status).toBe(200);
      if (path.includes("/log/")) expect(answer.headers.get("cache-control")).toMatch(/^private, /);
    }
  });
});

describe("key rotation", () => {
  it("signs with both keys during the overlap, without a new entry, and each opens it alone", async () => {
    const next = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE";
    const env = { ...testEnv, LEDGER_SIGNING_KEY: next, LEDGER_SIGNING_KEY_PREVIOUS: testEnv.LEDGER_SIGNING_KEY };
    const before = await newest();
    const status = await runInDurableObject(publisher(), (_, state) =>
      new LedgerPublisher(state, env as CoreEnv).publish(),
    );
    expect(status).toMatchObject({ state: "current", size: before.size });
    const { text } = await call("/ledger/log/checkpoint", { key: "" });
    expect(text.match(/^— /gmu)).toHaveLength(2);
    const [previous] = await logKeys();
    if (previous === undefined) throw new Error("no key");
    const opened = await openCheckpoint(text, [previous]);
    expect(opened).toMatchObject({ type: "verified", checkpoint: { size: before.size } });
    const recorded = await testEnv.DB.prepare("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").first();
    expect(recorded).toEqual({ note: text });
  });
});
