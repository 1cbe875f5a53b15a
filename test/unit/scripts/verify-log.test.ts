import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { verifyLog } from "../../../scripts/lib/verify-log.ts";
import type { Pins } from "../../../scripts/lib/verify-pins.ts";
import { MAX_LISTED_OF_A_KIND } from "../../../scripts/lib/verify-report.ts";
import { signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import type { NoteSigner } from "../../../src/ledger/note.ts";
import { decodeBundle, encodeBundle, rootOfEdge } from "../../../src/ledger/tiles.ts";
import { utf8 } from "../../../src/platform/encoding.ts";
import { filesOf, linkedEntries, logSigner, ORIGIN, type ServedLog, serveLog } from "../../support/served-log.ts";
import { logFiles } from "../../support/tree.ts";

const SIZE = 700;
const entries = linkedEntries(SIZE);
let signer: NoteSigner;
let log: ServedLog;

beforeAll(async () => {
  signer = await logSigner();
  log = await serveLog(new Map());
});
beforeEach(async () => {
  log.files = new Map((await filesOf(entries, signer)).files);
  log.asked.clear();
  log.status = 200;
});
afterAll(() => log.close());

const freshState = (): string => join(mkdtempSync(join(tmpdir(), "verify-")), "state.json");
const offline = { chainId: 31_337, contract: `0x${"ab".repeat(20)}`, rpcUrl: undefined, withoutChain: false };
interface Options {
  readonly stateFile?: string;
  readonly keys?: NoteSigner["key"][];
  readonly pins?: Partial<Pins>;
}
const verify = (options: Options = {}) =>
  verifyLog(
    log.url,
    { keys: options.keys ?? [signer.key], ...offline, ...options.pins },
    { token: undefined, stateFile: options.stateFile, fetchesAtOnce: 8 },
  );
const types = async (options?: Parameters<typeof verify>[0]) =>
  (await verify(options)).findings.map(({ type }) => type);
const change = (path: string, edit: (bytes: Uint8Array) => Uint8Array): void => {
  const bytes = log.files.get(path);
  if (bytes === undefined) throw new Error(`no ${path}`);
  log.files.set(path, edit(Uint8Array.from(bytes)));
};
const flip = (at: number) => (bytes: Uint8Array) => {
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
};
const editEntries = (path: string, edit: (all: Uint8Array[]) => Uint8Array[]): void =>
  change(path, (bytes) => encodeBundle(edit([...(decodeBundle(bytes) ?? [])])));

describe("a whole log", () => {
  it("that is as it should be is valid under all pins, and says that the chain was not asked", async () => {
    const report = await verify();
    expect(report).toMatchObject({ status: "valid", origin: ORIGIN, size: SIZE, findings: [] });
    expect(report.checks).toContainEqual(
      expect.objectContaining({ name: "anchors", status: "not-checked", detail: expect.stringContaining("--rpc") }),
    );
  });

  it("is found below the service's own address as well", async () => {
    log.files = new Map([...log.files].map(([path, bytes]) => [`ledger/log/${path}`, bytes]));
    expect(await verify()).toMatchObject({ status: "valid", subject: `${log.url}/ledger/log` });
  });

  it("is unverified without a pinned key, however well it looks", async () => {
    expect(await verify({ keys: [] })).toMatchObject({ status: "unverified", findings: [] });
  });

  it("is unverified with the key alone, and says which pins of the chain are missing", async () => {
    const of = async (pins: Partial<Pins>) => {
      const { status, checks } = await verify({ pins });
      return { status, said: checks.find(({ name }) => name === "pins")?.detail };
    };
    expect(await of({ chainId: undefined, contract: undefined })).toEqual({
      status: "unverified",
      said: expect.stringContaining("no chain id (--chain-id) and no contract (--contract) is pinned"),
    });
    expect(await of({ chainId: undefined })).toEqual({
      status: "unverified",
      said: expect.stringMatching(/^no chain id \(--chain-id\) is pinned/),
    });
    expect(await of({ contract: undefined })).toEqual({
      status: "unverified",
      said: expect.stringMatching(/^no contract \(--contract\) is pinned/),
    });
  });

  it("is valid without the chain only when whoever verifies asks for that, and the report says so", async () => {
    const pins = { chainId: undefined, contract: undefined, withoutChain: true };
    const report = await verify({ pins });
    expect(report.status).toBe("valid");
    expect(report.checks).toContainEqual({
      name: "pins",
      status: "not-checked",
      detail: expect.stringContaining("the chain was not looked at, as --no-chain asks"),
    });
    await expect(verify({ pins: { withoutChain: true } })).rejects.toThrow("--no-chain");
    await expect(verify({ pins: { rpcUrl: "http://127.0.0.1:1", contract: undefined } })).rejects.toThrow(
      "--rpc needs",
    );
  });

  it("is unverified, not invalid, when it can not be reached", async () => {
    log.status = 503;
    expect(await verify()).toMatchObject({ status: "unverified", findings: [] });
  });

  it("is refused when another key signed it", async () => {
    const stranger = await logSigner(9);
    expect(await types({ keys: [stranger.key] })).toEqual(["checkpoint-refused"]);
  });

  it("of no entries is valid", async () => {
    log.files = new Map((await filesOf([], signer)).files);
    expect(await verify()).toMatchObject({ status: "valid", size: 0 });
  });
});

describe("what was changed is named", () => {
  it("a byte of an entry", async () => {
    change("tile/entries/001", flip(40));
    const report = await verify();
    expect(report.status).toBe("invalid");
    expect(report.findings.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["entry-hash-mismatch", "tile-mismatch", "root-mismatch"]),
    );
    expect(report.findings.map(({ detail }) => detail).join("\n")).toContain("entry 256 does not hash");
  });

  it("an entry left out of a bundle, and a bundle that is gone", async () => {
    editEntries("tile/entries/000", (all) => all.toSpliced(5, 1));
    expect(await types()).toContain("truncated");
    log.files = new Map((await filesOf(entries, signer)).files);
    log.files.delete("tile/entries/002.p/188");
    expect(await types()).toEqual(["truncated"]);
  });

  it("each of several faults, also those behind a bundle that is gone", async () => {
    const long = linkedEntries(1_300);
    const good = (await filesOf(long, signer)).files;
    const faults: readonly (readonly [() => void, string])[] = [
      [() => log.files.delete("tile/entries/000"), "truncated: the checkpoint promises entries 0 to 255"],
      [
        () => editEntries("tile/entries/002", (all) => all.toSpliced(5, 1)),
        "truncated: the checkpoint promises entry 517",
      ],
      [() => change("tile/entries/003", flip(40)), "entry-hash-mismatch: entry 768 "],
      [() => log.files.delete("tile/entries/004"), "truncated: the checkpoint promises entries 1024 to 1279"],
      [() => change("tile/0/005.p/20", flip(33)), "entry-hash-mismatch: entry 1281 "],
      [() => change("tile/1/000.p/5", flip(33)), "tile-mismatch: tile/1/000.p/5"],
    ];
    log.files = new Map(good);
    for (const [spoil] of faults) spoil();
    const report = await verify();
    const told = report.findings.map(({ type, detail }) => `${type}: ${detail}`);
    for (const [, line] of faults) expect(told.filter((one) => one.startsWith(line))).toHaveLength(1);
    expect(report.checks).toContainEqual(
      expect.objectContaining({
        name: "entries and tiles",
        status: "failed",
        detail: expect.stringContaining("all 1300"),
      }),
    );
    // The next entry's word is taken for a predecessor that is not served.
    log.files = new Map(good);
    log.files.delete("tile/entries/001");
    expect(await types()).toEqual(["truncated"]);
  });

  it("a bundle that is gone with its tile, whose root nobody can compute then", async () => {
    log.files = new Map((await filesOf(linkedEntries(1_300), signer)).files);
    log.files.delete("tile/entries/001");
    log.files.delete("tile/0/001");
    change("tile/0/003", flip(0));
    const report = await verify();
    expect(report.findings.map(({ type, detail }) => `${type}: ${detail}`)).toEqual([
      expect.stringMatching(/^truncated: .* entries 256 to 511;/),
      expect.stringMatching(/^tile-mismatch: tile\/0\/001 is not served/),
      expect.stringMatching(/^tile-mismatch: tile\/0\/003 /),
      expect.stringMatching(/^entry-hash-mismatch: entry 768 /),
    ]);
    expect(report.checks).toContainEqual(
      expect.objectContaining({ status: "failed", detail: expect.stringContaining("the root could not be computed") }),
    );
  });

  it("a size that no log has, without asking for all of it", async () => {
    const note = await signCheckpoint({ origin: ORIGIN, size: 2 ** 50, root: new Uint8Array(32) }, [signer]);
    log.files.set("checkpoint", utf8(note));
    const report = await verify();
    expect(report.findings.at(-1)).toEqual({
      type: "truncated",
      detail: expect.stringContaining("were not asked for"),
    });
    expect(log.asked.size).toBeLessThan(600);
  });

  it("every kind, however often another kind was found, and how many were not listed", async () => {
    const bodies = Array.from({ length: 2_600 }, (_, i) => utf8(`not an entry ${i}`));
    const { files, edge } = logFiles(bodies);
    log.files = new Map(files);
    const root = rootOfEdge(edge);
    log.files.set("checkpoint", utf8(await signCheckpoint({ origin: ORIGIN, size: bodies.length, root }, [signer])));
    log.files.delete("tile/0/009");
    const { findings, omitted } = await verify();
    expect(findings.filter(({ type }) => type === "entry-unreadable")).toHaveLength(MAX_LISTED_OF_A_KIND);
    expect(findings).toContainEqual({ type: "tile-mismatch", detail: "tile/0/009 is not served" });
    expect(omitted).toEqual({ "entry-unreadable": 1_600 });
  });

  it("two entries swapped", async () => {
    editEntries("tile/entries/000", (all) =>
      [all[1] ?? all[0], all[0], ...all.slice(2)].filter((e) => e !== undefined),
    );
    expect(await types()).toEqual(expect.arrayContaining(["seq-gap", "prev-mismatch", "entry-hash-mismatch"]));
  });

  for (const path of ["tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2"]) {
    it(`a hash in ${path}`, async () => {
      change(path, flip(33));
      expect(await types()).toContain("tile-mismatch");
    });
    it(`${path} cut short`, async () => {
      change(path, (bytes) => bytes.slice(0, -32));
      expect(await types()).toContain("tile-mismatch");
    });
  }

  it("the signed root", async () => {
    const note = await signCheckpoint({ origin: ORIGIN, size: SIZE, root: new Uint8Array(32) }, [signer]);
    log.files.set("checkpoint", utf8(note));
    expect(await types()).toContain("root-mismatch");
  });

  it("one letter of the checkpoint", async () => {
    change("checkpoint", flip(ORIGIN.length + 2));
    expect(await types()).toEqual(["checkpoint-refused"]);
  });
});

describe("a second look", () => {
  it("goes on from the first and reads only what is new", async () => {
    const stateFile = freshState();
    expect((await verify({ stateFile })).status).toBe("valid");
    log.files = new Map((await filesOf(linkedEntries(1_300), signer)).files);
    log.asked.clear();
    const report = await verify({ stateFile });
    expect(report).toMatchObject({ status: "valid", size: 1_300 });
    expect(log.asked.has("tile/entries/000")).toBe(false);
    expect(log.asked.has("tile/entries/002")).toBe(true);
    expect(report.checks).toContainEqual(
      expect.objectContaining({ name: "growth", detail: "it extends the checkpoint of 700 entries seen before" }),
    );
  });

  it("goes on after it was broken off in the middle", async () => {
    const stateFile = freshState();
    const long = linkedEntries(256 * 70 + 7);
    const whole = await filesOf(long, signer);
    log.files = new Map(whole.files);
    log.files.delete("tile/entries/068");
    expect(await types({ stateFile })).toEqual(["truncated"]);
    log.files = new Map(whole.files);
    log.asked.clear();
    expect((await verify({ stateFile })).status).toBe("valid");
    expect(log.asked.has("tile/entries/063")).toBe(false);
    expect(log.asked.has("tile/entries/064")).toBe(true);
  });

  it("catches a history that was rewritten and signed again with the real key", async () => {
    for (const size of [SIZE, 1_300]) {
      const stateFile = freshState();
      await verify({ stateFile });
      const kept = readFileSync(stateFile, "utf8");
      log.files = new Map((await filesOf(linkedEntries(size, "rewritten"), signer)).files);
      const found = await types({ stateFile });
      expect(found).toContain("checkpoint-not-extending");
      expect(readFileSync(stateFile, "utf8")).toBe(kept);
      expect((await verify()).status).toBe("valid"); // without memory nobody could tell
      log.files = new Map((await filesOf(entries, signer)).files);
    }
  });

  it("catches a log that shrank", async () => {
    const stateFile = freshState();
    await verify({ stateFile });
    log.files = new Map((await filesOf(linkedEntries(300), signer)).files);
    expect(await types({ stateFile })).toContain("truncated");
  });

  it("counts a tile that is gone or cut short against the log when growth has to be proved", async () => {
    const stateFile = freshState();
    await verify({ stateFile });
    for (const broken of [undefined, new Uint8Array(5)]) {
      log.files = new Map((await filesOf(linkedEntries(1_300), signer)).files);
      if (broken === undefined) log.files.delete("tile/1/000.p/5");
      else log.files.set("tile/1/000.p/5", broken);
      expect(await types({ stateFile })).toEqual(expect.arrayContaining(["tile-mismatch", "checkpoint-not-extending"]));
    }
  });

  it("does not take a damaged memory for none", async () => {
    const stateFile = freshState();
    writeFileSync(stateFile, "{}");
    await expect(verify({ stateFile })).rejects.toThrow("is not the state of a verification");
  });
});
