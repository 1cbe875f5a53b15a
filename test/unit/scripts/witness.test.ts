import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RunningWitness, startWitness } from "../../../scripts/lib/witness-server.ts";
import { importSigningKey } from "../../../src/ledger/ed25519.ts";
import { formatVerifierKey, makeCosigner, type NoteSigner, openNote } from "../../../src/ledger/note.ts";
import { proveConsistency } from "../../../src/ledger/proof.ts";
import { askWitness } from "../../../src/ledger/witness.client.ts";
import { formatAddCheckpoint } from "../../../src/ledger/witness.ts";
import { toHex } from "../../../src/platform/encoding.ts";
import { filesOf, linkedEntries, logSigner, ORIGIN } from "../../support/served-log.ts";
import { readerOf } from "../../support/tree.ts";

const entries = linkedEntries(300);
let signer: NoteSigner;
let cosigner: NoteSigner;
let witness: RunningWitness;
let stateFile: string;

const start = () => startWitness({ host: "127.0.0.1", port: 0, stateFile, logs: [signer.key], cosigner });

beforeAll(async () => {
  signer = await logSigner();
  cosigner = makeCosigner(
    "witness.example/w1",
    await importSigningKey(new Uint8Array(32).fill(7)),
    () => 1_800_000_000,
  );
});
beforeEach(async () => {
  stateFile = join(mkdtempSync(join(tmpdir(), "witness-")), "state.json");
  witness = await start();
});
afterEach(() => witness.close());

const post = async (body: string, to: { readonly url: string } = witness) => {
  const response = await fetch(`${to.url}/add-checkpoint`, { method: "POST", body });
  return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
};
/** The command itself, and what it says when it is ready. */
function spawned(data: string) {
  const args = ["scripts/witness.ts", "--name", "witness.example/w1", "--log", formatVerifierKey(signer.key)];
  const child = spawn(process.execPath, [...args, "--data", data, "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const serving = new Promise<{ readonly key: string; readonly url: string }>((resolve, reject) => {
    let said = "";
    child.stdout.setEncoding("utf8");
    child.stdout.on("data", (chunk: string) => {
      said += chunk;
      const [, key] = /^key +(\S+)$/m.exec(said) ?? [];
      const [, url] = /^serving +(\S+)\/add-checkpoint$/m.exec(said) ?? [];
      if (key !== undefined && url !== undefined) resolve({ key, url });
    });
    child.once("exit", () => reject(new Error(`the witness ended: ${said}`)));
  });
  return { child, serving };
}

const logAt = (size: number, marker?: string) =>
  filesOf(marker === undefined ? entries.slice(0, size) : linkedEntries(size, marker), signer);

async function request(oldSize: number, size: number): Promise<string> {
  const { files, note } = await logAt(size);
  const proof = oldSize === 0 ? [] : await proveConsistency(oldSize, size, size, readerOf(files));
  return formatAddCheckpoint({ oldSize, proof, checkpoint: note });
}

describe("a witness", () => {
  it("cosigns a first checkpoint and every one that extends the last, and the note verifies with both keys", async () => {
    for (const [from, to] of [
      [0, 5],
      [5, 5],
      [5, 256],
      [256, 300],
    ] as const) {
      const answer = await post(await request(from, to));
      expect(answer.status).toBe(200);
      const opened = await openNote(`${(await logAt(to)).note}${answer.body}`, [signer.key, cosigner.key]);
      expect(opened).toMatchObject({ type: "verified", keys: [signer.key, cosigner.key] });
    }
  });

  it("answers 409 with the size it knows for any other old size, and for another tree of its size", async () => {
    await post(await request(0, 100));
    for (const body of [await request(0, 200), await request(50, 200), await request(101, 200)]) {
      expect(await post(body)).toEqual({ status: 409, type: "text/x.tlog.size", body: "100\n" });
    }
    const { note } = await logAt(100, "rewritten");
    const body = formatAddCheckpoint({ oldSize: 100, proof: [], checkpoint: note });
    expect(await post(body)).toMatchObject({ status: 409, body: "100\n" });
  });

  it("answers 422 when the proof does not hold, and remembers nothing of it", async () => {
    await post(await request(0, 100));
    const before = readFileSync(stateFile, "utf8");
    const { files, note } = await logAt(200, "rewritten");
    const proof = await proveConsistency(100, 200, 200, readerOf(files));
    expect((await post(formatAddCheckpoint({ oldSize: 100, proof, checkpoint: note }))).status).toBe(422);
    expect((await post(formatAddCheckpoint({ oldSize: 100, proof: [], checkpoint: note }))).status).toBe(422);
    expect(readFileSync(stateFile, "utf8")).toBe(before);
    expect((await post(await request(100, 200))).status).toBe(200);
  });

  it("answers 403 for another key, 404 for another log, 400 for nonsense and for an old size beyond the new", async () => {
    const stranger = await logSigner(3);
    const forged = (await filesOf(entries.slice(0, 5), stranger)).note;
    expect((await post(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: forged }))).status).toBe(403);
    const elsewhere = (await logAt(5)).note.replaceAll(ORIGIN, "other.example/log");
    expect((await post(formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: elsewhere }))).status).toBe(404);
    const { note } = await logAt(5);
    for (const body of [
      "",
      "old 0\n",
      `old 00\n\n${note}`,
      `old x\n\n${note}`,
      `old 0\nAAAA\n\n${note}`,
      `old 6\n\n${note}`,
    ]) {
      expect((await post(body)).status).toBe(400);
    }
    const many = Array.from({ length: 64 }, () => new Uint8Array(32));
    expect((await post(formatAddCheckpoint({ oldSize: 0, proof: many, checkpoint: note }))).status).toBe(400);
    expect((await post("x".repeat(200_000))).status).toBe(413);
  });

  it("refuses a proof from nothing", async () => {
    const { note } = await logAt(5);
    const proof = [new Uint8Array(32)];
    expect((await post(formatAddCheckpoint({ oldSize: 0, proof, checkpoint: note }))).status).toBe(422);
  });

  it("remembers across a restart", async () => {
    await post(await request(0, 100));
    await witness.close();
    witness = await start();
    expect((await post(await request(0, 200))).status).toBe(409);
    expect((await post(await request(100, 200))).status).toBe(200);
  });

  it("never goes back when requests race: of many from one size exactly one wins", async () => {
    await post(await request(0, 10));
    const sizes = Array.from({ length: 20 }, (_, i) => 11 + i);
    const bodies = await Promise.all(sizes.map((size) => request(10, size)));
    const answers = await Promise.all(bodies.map((body) => post(body)));
    const won = sizes.filter((_, i) => answers[i]?.status === 200);
    expect(won).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(JSON.parse(readFileSync(stateFile, "utf8")).logs[ORIGIN].size).toBe(won[0]);
  });

  it("shares its state with another on the same file: what one cosigned, the other does not contradict", async () => {
    const other = await start();
    try {
      expect((await post(await request(0, 100))).status).toBe(200);
      const { note } = await logAt(100, "rewritten");
      const fork = formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: note });
      expect(await post(fork, other)).toMatchObject({ status: 409, body: "100\n" });
      expect((await post(await request(100, 200), other)).status).toBe(200);
      expect(await post(await request(100, 150))).toMatchObject({ status: 409, body: "200\n" });
      expect((await post(await request(200, 300))).status).toBe(200);
    } finally {
      await other.close();
    }
  });

  it("is one of several at most that cosigns what follows a size, when their requests race", async () => {
    const others = await Promise.all([start(), start(), start()]);
    try {
      let size = 10;
      await post(await request(0, size));
      for (let round = 0; round < 5; round++) {
        const from = size;
        const bodies = await Promise.all([11, 12, 13, 14].map((more) => request(from, from + more)));
        const answers = await Promise.all([witness, ...others].map((one, i) => post(bodies[i] ?? "", one)));
        expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 409, 409, 409]);
        size = from + 11 + answers.findIndex((answer) => answer.status === 200);
        expect(JSON.parse(readFileSync(stateFile, "utf8")).logs[ORIGIN].size).toBe(size);
      }
    } finally {
      await Promise.all(others.map((other) => other.close()));
    }
  });

  it("cosigns nothing more when its state went back or vanished under it", async () => {
    await post(await request(0, 100));
    const older = readFileSync(stateFile, "utf8");
    await post(await request(100, 200));
    const newest = readFileSync(stateFile, "utf8");
    writeFileSync(stateFile, older);
    expect((await post(await request(100, 300))).status).toBe(500);
    rmSync(stateFile);
    expect((await post(await request(0, 300))).status).toBe(500);
    writeFileSync(stateFile, newest);
    expect((await post(await request(200, 300))).status).toBe(200);
  });

  it("run as two processes on the same data has one key, and cosigns only one of two histories", async () => {
    const data = mkdtempSync(join(tmpdir(), "witness-"));
    const both = [spawned(data), spawned(data)] as const;
    try {
      const [one, two] = await Promise.all(both.map(({ serving }) => serving));
      if (one === undefined || two === undefined) throw new Error("no witness");
      expect(one.key).toBe(two.key);
      const bodies = [await request(0, 100), await request(0, 150)];
      const answers = await Promise.all([one, two].map((each, i) => post(bodies[i] ?? "", each)));
      expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 409]);
      const { size } = JSON.parse(readFileSync(join(data, "state.json"), "utf8")).logs[ORIGIN];
      const { note } = await logAt(size, "rewritten");
      const fork = formatAddCheckpoint({ oldSize: 0, proof: [], checkpoint: note });
      for (const each of [one, two]) expect((await post(fork, each)).status).toBe(409);
    } finally {
      for (const { child } of both) child.kill("SIGKILL");
    }
  });

  it("waits for a process that is writing, and answers by what that one wrote", async () => {
    const data = mkdtempSync(join(tmpdir(), "witness-"));
    const { child, serving } = spawned(data);
    const lock = new DatabaseSync(join(data, "state.json.lock"));
    try {
      const running = await serving;
      lock.exec("BEGIN IMMEDIATE");
      let answered = false;
      const answer = post(await request(0, 100), running).finally(() => {
        answered = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(answered).toBe(false);
      const logs = { [ORIGIN]: { size: 50, rootHash: toHex((await logAt(50, "rewritten")).root) } };
      writeFileSync(join(data, "state.json"), JSON.stringify({ version: 1, logs }));
      lock.exec("COMMIT");
      expect(await answer).toMatchObject({ status: 409, body: "50\n" });
    } finally {
      lock.close();
      child.kill("SIGKILL");
    }
  });

  it("does not take a damaged state for nothing seen", async () => {
    await witness.close();
    writeFileSync(stateFile, '{"version": 1}');
    await expect(start()).rejects.toThrow("is not the state of a witness");
    writeFileSync(stateFile, "");
    await expect(start()).rejects.toThrow("is not the state of a witness");
    stateFile = join(mkdtempSync(join(tmpdir(), "witness-")), "state.json");
    witness = await start();
  });
});

describe("the log's side", () => {
  async function ask(size: number, oldSize: number, timeoutMs = 5_000, url = witness.url) {
    const { files, note } = await logAt(size);
    const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
    return askWitness(
      { url, key: cosigner.key },
      { size, text, note, oldSize, timeoutMs, prove: (from) => proveConsistency(from, size, size, readerOf(files)) },
    );
  }

  it("gets a cosignature, also when it does not know where the witness is", async () => {
    expect(await ask(100, 0)).toMatchObject({ type: "cosigned", signature: { name: "witness.example/w1" } });
    expect(await ask(200, 0)).toMatchObject({ type: "cosigned" });
    expect(await ask(300, 50)).toMatchObject({ type: "cosigned" });
  });

  it("takes a witness that is ahead, or away, or slow, for what it is", async () => {
    await ask(300, 0);
    expect(await ask(100, 0)).toEqual({ type: "refused", status: 409 });
    const { createServer } = await import("node:http");
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const began = performance.now();
    expect(await ask(300, 300, 200, `http://127.0.0.1:${port}`)).toEqual({ type: "unreachable" });
    expect(performance.now() - began).toBeLessThan(2_000);
    silent.close();
    silent.closeAllConnections();
  });

  it("takes no cosignature that does not verify", async () => {
    const { createServer } = await import("node:http");
    const { note } = await logAt(5);
    const liar = createServer((_request, response) => response.end(note.slice(note.lastIndexOf("\n\n") + 2)));
    await new Promise<void>((resolve) => liar.listen(0, "127.0.0.1", resolve));
    const address = liar.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    expect(await ask(5, 0, 1_000, `http://127.0.0.1:${port}`)).toEqual({ type: "refused", status: 200 });
    liar.close();
    liar.closeAllConnections();
    expect(toHex(cosigner.key.publicKey)).toHaveLength(64);
  });
});
