import { createHash, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../src/ledger/canonical.ts";
import { linkEntry } from "../../../src/ledger/chain.ts";
import { commitmentOf, SALT_BYTES, subjectOf } from "../../../src/ledger/commitment.ts";
import { decodeEntry, ENTRY_TYPES, type Entry, encodeEntry, MAX_ENTRY_BYTES } from "../../../src/ledger/entry.ts";
import { NO_ENTRY_HASH } from "../../../src/ledger/hash.ts";
import { EMPTY_HEAD, type Head, rootHexOf } from "../../../src/ledger/head.ts";
import { utf8 } from "../../../src/platform/encoding.ts";
import * as reference from "../../support/rfc6962.ts";

const SUBJECT = `0x${"ab".repeat(32)}`;
const entry: Entry = {
  v: 1,
  seq: 0,
  prev: NO_ENTRY_HASH,
  at: "2026-11-22T10:00:00.000Z",
  type: "REQUEST_SUBMITTED",
  subject: SUBJECT,
  commitment: `0x${"cd".repeat(32)}`,
  data: {
    tenant: "default",
    insurer: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    round: 0,
    urgent: false,
    note: null,
  },
};

describe("an entry", () => {
  it("is its canonical JSON, hashed as an RFC 6962 leaf", () => {
    const encoded = encodeEntry(entry);
    expect(encoded.body).toBe(
      `{"at":"2026-11-22T10:00:00.000Z","commitment":"${entry.commitment}","data":{"insurer":` +
        `"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","note":null,"round":0,"tenant":"default","urgent":false},` +
        `"prev":"${NO_ENTRY_HASH}","seq":0,"subject":"${SUBJECT}","type":"REQUEST_SUBMITTED","v":1}`,
    );
    const expected = createHash("sha256").update(Buffer.of(0)).update(encoded.body).digest("hex");
    expect(encoded.hashHex).toBe(expected);
    expect(Buffer.from(encoded.hash).toString("hex")).toBe(expected);
  });

  it.each(ENTRY_TYPES)("reads back as it was written: %s", (type) => {
    const { commitment, ...without } = { ...entry, type };
    expect(decodeEntry(utf8(encodeEntry({ ...without, commitment }).body))).toEqual({ ...entry, type });
    expect(decodeEntry(utf8(encodeEntry(without).body))).toEqual(without);
  });

  const { body } = encodeEntry(entry);
  it.each<[string, Uint8Array]>([
    ["a space more", utf8(body.replace(",", ", "))],
    ["a line feed at the end", utf8(`${body}\n`)],
    ["a byte order mark", utf8(`\ufeff${body}`)],
    ["keys in another order", utf8(JSON.stringify(entry))],
    ["an escape where none is needed", utf8(body.replace("default", "\\u0064efault"))],
    ["a number written otherwise", utf8(body.replace(`"seq":0`, `"seq":-0`))],
    ["a key twice", utf8(body.replace(`"v":1`, `"v":1,"v":1`))],
    ["a field nobody knows", utf8(canonicalJson({ ...entry, extra: 1 }))],
    ["a type nobody knows", utf8(canonicalJson({ ...entry, type: "REQUEST_FORGOTTEN" }))],
    ["another version", utf8(canonicalJson({ ...entry, v: 2 }))],
    ["a negative seq", utf8(canonicalJson({ ...entry, seq: -1 }))],
    ["a seq that is no integer", utf8(canonicalJson({ ...entry, seq: 0.5 }))],
    ["a prev in upper case", utf8(canonicalJson({ ...entry, prev: "A".repeat(64) }))],
    ["a subject without 0x", utf8(canonicalJson({ ...entry, subject: "ab".repeat(32) }))],
    ["a time without milliseconds", utf8(canonicalJson({ ...entry, at: "2026-11-22T10:00:00Z" }))],
    ["a time of another zone", utf8(canonicalJson({ ...entry, at: "2026-11-22T10:00:00.000+01:00" }))],
    ["an object in its data", utf8(canonicalJson({ ...entry, data: { patient: { name: "x" } } }))],
    ["bytes that are no UTF-8", new Uint8Array([0x22, 0xff, 0x22])],
    ["half of it", utf8(body.slice(0, 80))],
    ["nothing", new Uint8Array(0)],
  ])("with %s does not read as one", (_what, bytes) => {
    expect(decodeEntry(bytes)).toBeUndefined();
  });

  it("has at most 65,535 bytes, counted in UTF-8", () => {
    const room = MAX_ENTRY_BYTES - utf8(encodeEntry({ ...entry, data: { x: "" } }).body).length;
    expect(utf8(encodeEntry({ ...entry, data: { x: "a".repeat(room) } }).body)).toHaveLength(65_535);
    expect(() => encodeEntry({ ...entry, data: { x: "a".repeat(room + 1) } })).toThrow(RangeError);
    expect(() => encodeEntry({ ...entry, data: { x: "€".repeat(Math.ceil(room / 3) + 1) } })).toThrow(RangeError);
  });
});

describe("linking", () => {
  const draft = { type: "REQUEST_ACKNOWLEDGED", subject: SUBJECT, data: { actor: "key" } } as const;
  const chain = (times: readonly string[]) => {
    let head: Head = EMPTY_HEAD;
    return times.map((time) => {
      const linked = linkEntry(head, draft, time);
      head = linked.head;
      return linked;
    });
  };

  it("gives each entry the next seq and its predecessor's hash, and the head the tree over all of them", () => {
    const linked = chain(["2026-11-22T10:00:00.000Z", "2026-11-22T10:00:01.000Z", "2026-11-22T10:00:02.000Z"]);
    expect(linked.map(({ encoded }) => encoded.entry.seq)).toEqual([0, 1, 2]);
    expect(linked.map(({ encoded }) => encoded.entry.prev)).toEqual([
      NO_ENTRY_HASH,
      linked[0]?.encoded.hashHex,
      linked[1]?.encoded.hashHex,
    ]);
    const last = linked.at(-1)?.head ?? EMPTY_HEAD;
    expect(last.headHash).toBe(linked[2]?.encoded.hashHex);
    expect(rootHexOf(last)).toBe(reference.hexOf(reference.rootOf(linked.map(({ encoded }) => encoded.hash))));
    expect(last.version).toBe(EMPTY_HEAD.version);
  });

  it("uses the last entry's time again when the clock stepped back, until the clock is past it", () => {
    const linked = chain([
      "2026-11-22T10:00:05.000Z",
      "2026-11-22T10:00:04.999Z",
      "2025-01-01T00:00:00.000Z",
      "2026-11-22T10:00:05.001Z",
    ]);
    expect(linked.map(({ encoded }) => encoded.entry.at)).toEqual([
      "2026-11-22T10:00:05.000Z",
      "2026-11-22T10:00:05.000Z",
      "2026-11-22T10:00:05.000Z",
      "2026-11-22T10:00:05.001Z",
    ]);
  });

  it("leaves the commitment out where there is none", () => {
    expect(linkEntry(EMPTY_HEAD, draft, entry.at).encoded.body).not.toContain("commitment");
  });
});

describe("commitments", () => {
  const salt = new Uint8Array(SALT_BYTES).fill(7);
  const other = new Uint8Array(SALT_BYTES).fill(8);
  const hmac = (text: string) => `0x${createHmac("sha256", salt).update(text).digest("hex")}`;

  it("are HMAC-SHA-256 under the salt: of the id, and of the canonical JSON of a value", () => {
    expect(subjectOf(salt, "CLM-1")).toBe(hmac("CLM-1"));
    expect(commitmentOf(salt, { b: 1, a: "é" })).toBe(hmac(`{"a":"é","b":1}`));
  });

  it("do not depend on the order of keys, and do on every value and on the salt", () => {
    expect(commitmentOf(salt, { a: 1, b: 2 })).toBe(commitmentOf(salt, { b: 2, a: 1 }));
    expect(commitmentOf(salt, { a: 1, b: 2 })).not.toBe(commitmentOf(salt, { a: 1, b: 3 }));
    expect(commitmentOf(salt, { a: 1 })).not.toBe(commitmentOf(other, { a: 1 }));
    expect(subjectOf(salt, "CLM-1")).not.toBe(subjectOf(other, "CLM-1"));
  });

  it("exist only for what has a canonical form", () => {
    expect(() => commitmentOf(salt, { a: "\ud800" })).toThrow(TypeError);
  });
});
