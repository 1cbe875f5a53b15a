import { describe, expect, it } from "vitest";
import { linkEntry } from "../../../src/ledger/chain.ts";
import type { StoredEntry } from "../../../src/ledger/check-entry.ts";
import type { StoredHead } from "../../../src/ledger/check-log.ts";
import { PURE_HASHER } from "../../../src/ledger/check-tree.ts";
import { encodeEntry } from "../../../src/ledger/entry.ts";
import { serializeFrontier } from "../../../src/ledger/frontier.ts";
import { EMPTY_HEAD, type Head, rootHexOf } from "../../../src/ledger/head.ts";
import { type VerifyPort, verifyNewest } from "../../../src/ledger/verify.ts";

interface Ledger {
  readonly head: StoredHead;
  readonly entries: readonly StoredEntry[];
}

function ledgerOf(size: number): Ledger {
  const entries: StoredEntry[] = [];
  let head: Head = EMPTY_HEAD;
  for (let i = 0; i < size; i++) {
    const subject = `0x${String(i).padStart(64, "0")}`;
    const linked = linkEntry(head, { type: "CLAIM_CREATED", subject, data: { n: i } }, "2026-11-22T10:00:00.000Z");
    const { entry, hashHex, body } = linked.encoded;
    entries.push({ seq: entry.seq, entryHash: hashHex, prev: entry.prev, subject, body });
    head = linked.head;
  }
  return { head: storedHead(head), entries };
}

const storedHead = (head: Head): StoredHead => ({
  version: head.frontier.size,
  lastAt: head.lastAt,
  size: head.frontier.size,
  headHash: head.headHash,
  rootHash: rootHexOf(head),
  frontier: serializeFrontier(head.frontier),
});

const changed = (ledger: Ledger, seq: number, change: Partial<StoredEntry>): Ledger => ({
  ...ledger,
  entries: ledger.entries.map((entry) => (entry.seq === seq ? { ...entry, ...change } : entry)),
});

const headed = (ledger: Ledger, change: Partial<StoredHead>): Ledger => ({
  ...ledger,
  head: { ...ledger.head, ...change },
});

const without = (ledger: Ledger, ...seqs: readonly number[]): Ledger => ({
  ...ledger,
  entries: ledger.entries.filter(({ seq }) => !seqs.includes(seq)),
});

/** Over rows that are there, with nothing published. */
const portOf = ({ head, entries }: Ledger, from = 0, before?: string): VerifyPort => ({
  hasher: PURE_HASHER,
  readPromised: async () => undefined,
  readPublishedNote: async () => undefined,
  openNote: () => undefined,
  readNewest: async () => ({
    head,
    storedSize: (entries.at(-1)?.seq ?? -1) + 1,
    from,
    before,
    entries,
    newestCheckpoint: undefined,
    newestAnchor: undefined,
  }),
  readLog: () => Promise.reject(new Error("not read here")),
  readFile: async () => undefined,
});

const verified = (ledger: Ledger, from?: number, before?: string) => verifyNewest(portOf(ledger, from, before), 5_000);

const typesOf = async (ledger: Ledger) =>
  (await verified(ledger)).findings.map(({ type, seq }) => (seq === undefined ? type : `${type} ${seq}`));

const ledger = ledgerOf(9);
const OTHER = "f".repeat(64);

/** Entry 4 with other content, whose own hash is right again: only its neighbours and the tree can tell. */
function rewritten(): Ledger {
  const original = ledger.entries[4];
  if (original === undefined) throw new Error("no entry 4");
  const { hashHex, body } = encodeEntry({ ...JSON.parse(original.body), data: { n: 400 } });
  return changed(ledger, 4, { entryHash: hashHex, body });
}

const body4 = ledger.entries[4]?.body ?? "";

describe("verifying a whole ledger", () => {
  it.each([0, 1, 2, 9, 64])("finds nothing in an honest one of %i entries", async (size) => {
    expect(await verified(ledgerOf(size))).toMatchObject({ findings: [], method: "full", from: 0, through: size });
  });

  it.each<[string, Ledger, readonly string[]]>([
    [
      "a changed body",
      changed(ledger, 4, { body: body4.replace(`"n":4`, `"n":5`) }),
      ["entry-hash-mismatch 4", "head-mismatch", "root-mismatch"],
    ],
    [
      "a body that is no entry",
      changed(ledger, 4, { body: "{}" }),
      ["entry-hash-mismatch 4", "entry-unreadable 4", "head-mismatch", "root-mismatch"],
    ],
    [
      "a stored hash that is not the body's",
      changed(ledger, 4, { entryHash: OTHER }),
      ["entry-hash-mismatch 4", "prev-mismatch 5"],
    ],
    ["an entry rewritten with its hash", rewritten(), ["prev-mismatch 5", "head-mismatch", "root-mismatch"]],
    ["a changed prev column", changed(ledger, 4, { prev: OTHER }), ["column-mismatch 4"]],
    ["a changed subject column", changed(ledger, 4, { subject: `0x${OTHER}` }), ["column-mismatch 4"]],
    ["a missing entry", without(ledger, 4), ["seq-gap 4", "prev-mismatch 5", "head-mismatch", "root-mismatch"]],
    ["a missing beginning", without(ledger, 0, 1), ["seq-gap 0", "prev-mismatch 2", "head-mismatch", "root-mismatch"]],
    ["a missing end", without(ledger, 7, 8), ["head-mismatch", "root-mismatch", "truncated"]],
    ["no entries at all", { ...ledger, entries: [] }, ["head-mismatch", "root-mismatch", "truncated"]],
    ["entries beyond the head", headed(ledger, ledgerOf(7).head), ["entry-unexpected 7", "entry-unexpected 8"]],
    ["a head of another entry", headed(ledger, { headHash: OTHER }), ["head-mismatch"]],
    ["a head with another root", headed(ledger, { rootHash: OTHER }), ["root-mismatch"]],
    ["a head with another frontier", headed(ledger, { frontier: "[]" }), ["head-mismatch"]],
    ["a head whose frontier is not JSON", headed(ledger, { frontier: "[" }), ["head-mismatch"]],
  ])("finds %s", async (_what, damaged, expected) => {
    expect(await typesOf(damaged)).toEqual(expected);
  });

  it("lists every problem of several, not the first", async () => {
    const damaged = headed(changed(changed(without(ledger, 6), 2, { body: "{}" }), 4, { subject: "0x" }), {
      headHash: OTHER,
      frontier: "[]",
    });
    expect(await typesOf(damaged)).toEqual([
      "entry-hash-mismatch 2",
      "entry-unreadable 2",
      "column-mismatch 4",
      "seq-gap 6",
      "prev-mismatch 7",
      "head-mismatch",
      "head-mismatch",
      "root-mismatch",
    ]);
  });
});

describe("verifying the newest segment", () => {
  const segment = { ...ledger, entries: ledger.entries.slice(5) };
  const before = ledger.entries[4]?.entryHash ?? "";

  it("finds nothing in an honest one, and says where it began and that no tile bound it", async () => {
    expect(await verified(segment, 5, before)).toMatchObject({
      findings: [],
      method: "newest-segment",
      from: 5,
      through: 9,
      tree: "none",
    });
  });

  it("checks that its first entry names the hash stored before it", async () => {
    const { findings } = await verified(segment, 5, OTHER);
    expect(findings.map(({ type, seq }) => [type, seq])).toEqual([["prev-mismatch", 5]]);
  });

  it("checks the head against the last entry", async () => {
    const { findings } = await verified(headed(segment, { headHash: OTHER }), 5, before);
    expect(findings.map(({ type }) => type)).toEqual(["head-mismatch"]);
  });
});
