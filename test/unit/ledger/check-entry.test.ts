import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/ledger/canonical.ts";
import { readEntry } from "../../../src/ledger/check-entry.ts";
import { decodeEntry, type Entry } from "../../../src/ledger/entry.ts";
import { utf8 } from "../../../src/platform/encoding.ts";

const ENTRY: Entry = {
  v: 1,
  seq: 12,
  prev: "0d".repeat(32),
  at: "2026-11-23T02:49:55.561Z",
  type: "REQUEST_SUBMITTED",
  subject: `0x${"e2".repeat(32)}`,
  commitment: `0x${"f1".repeat(32)}`,
  data: { insurer: "0x00b1", note: 'a"},"prev":"b', round: 3, settled: true, tenant: "default" },
};
const { commitment: _, ...uncommitted } = ENTRY;
const BODIES = [ENTRY, uncommitted, { ...ENTRY, seq: 0, data: {} }, { ...ENTRY, data: { tenant: "default" } }].map(
  canonicalJson,
);

const PIECES = ["", '"', "{", "}", ",", ":", "0", "9", "a", "G", "-", " ", "é", "\u0000", '","', '},"prev":"'];

/** Every piece in every place, put in between or in place of a character. */
function* changesOf(body: string): Generator<string> {
  for (let at = 0; at <= body.length; at++) {
    for (const piece of PIECES) {
      yield body.slice(0, at) + piece + body.slice(at);
      yield body.slice(0, at) + piece + body.slice(at + 1);
    }
  }
}

const canonical = (text: string): boolean => {
  try {
    return canonicalJson(JSON.parse(text)) === text;
  } catch {
    return false;
  }
};

describe("reading a stored entry", () => {
  it("takes what the codec writes", () => {
    for (const body of BODIES) {
      const { v, ...said } = JSON.parse(body);
      expect(v).toBe(1);
      expect(readEntry(body)).toEqual({ commitment: undefined, ...said });
    }
  });

  it("takes no text that is not canonical, and every one that the codec takes", () => {
    const wrong: string[] = [];
    for (const text of BODIES.flatMap((body) => [...changesOf(body)])) {
      const read = readEntry(text) !== undefined;
      if (read ? !canonical(text) : decodeEntry(utf8(text)) !== undefined) wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });

  it("takes no seq that is not the one way to write a safe integer", () => {
    for (const seq of ["012", "-1", "1.0", "1e3", "9007199254740992", "99999999999999999", ""]) {
      expect(readEntry(canonicalJson(ENTRY).replace('"seq":12', `"seq":${seq}`)), seq).toBeUndefined();
    }
    expect(readEntry(canonicalJson(ENTRY).replace('"seq":12', '"seq":9007199254740991'))?.seq).toBe(2 ** 53 - 1);
  });
});
