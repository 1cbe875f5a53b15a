import { describe, expect, it } from "vitest";
import { cleanName, dispositionOf } from "../../../src/medlink/attachments/attachment.ts";
import { BoundedCache, hitRatioOf } from "../../../src/medlink/cache/bounded-cache.ts";
import { indexFor, namedBy } from "../../../src/medlink/claims/claim-filter.ts";
import { mergeTimeline } from "../../../src/medlink/claims/timeline.ts";
import { searchTerms } from "../../../src/medlink/fields.ts";
import { cutoffOf } from "../../../src/medlink/retention/retention.ts";

describe("what a claim is named by", () => {
  it.each([
    ["clm_abcdef", { by: "claimId", from: "clm_abcdef", to: "clm_abcdef~" }],
    [" CLM_ABCDEF2 ", { by: "claimId", from: "clm_abcdef2", to: "clm_abcdef2~" }],
    ["0xABCDEF", { by: "requestIdHash", from: "0xabcdef", to: "0xabcdef~" }],
    ["abcdef12", { by: "requestIdHash", from: "0xabcdef12", to: "0xabcdef12~" }],
    ["clm_abcde", undefined],
    ["0xabcde", undefined],
    ["avery tremblay", undefined],
    [`0x${"a".repeat(65)}`, undefined],
  ])("reads %j", (q, expected) => {
    expect(namedBy(q)).toEqual(expected);
  });

  it("goes before every filter, a patient before the rest", () => {
    expect(indexFor({ named: namedBy("clm_abcdef"), patientId: "p" })).toBe("primary key");
    expect(indexFor({ named: namedBy("0xabcdef") })).toBe("claims_request_hash");
    expect(indexFor({ patientId: "p", status: "paid" })).toBe("claims_patient");
    expect(indexFor({ status: "paid", providerId: "d" })).toBe("claims_status");
    expect(indexFor({ from: 1 })).toBe("claims_clinic");
  });
});

describe("the words a patient is found by", () => {
  it.each([
    ["Zoë Saint-Martin 1990-01-02", ["1990-01-02", "zoe", "saint", "martin"]],
    ["O'Neil,  ANNE anne", ["o", "neil", "anne"]],
    ["", []],
  ])("of %j are each taken once", (text, terms) => {
    expect(searchTerms(text)).toEqual(terms);
  });

  it("are at most 16", () => {
    expect(searchTerms(Array.from({ length: 50 }, (_, i) => `word${i}`).join(" "))).toHaveLength(16);
  });
});

describe("a bounded cache", () => {
  it("drops what was used least recently, and what is too old, and counts both sides", () => {
    const cache = new BoundedCache<number>({ capacity: 2, ttlMs: 100 });
    cache.set("a", 1, 0);
    cache.set("b", 2, 0);
    expect(cache.get("a", 1)).toBe(1);
    cache.set("c", 3, 1);
    expect([cache.get("b", 2), cache.get("a", 2), cache.get("c", 2)]).toEqual([undefined, 1, 3]);
    expect([cache.get("a", 99), cache.get("a", 100)]).toEqual([1, undefined]);
    expect(cache.stats()).toEqual({ entries: 1, capacity: 2, hits: 4, misses: 2, evictions: 1 });
    expect(hitRatioOf(cache.stats())).toBeCloseTo(4 / 6);
    expect(hitRatioOf({ hits: 0, misses: 0 })).toBe(0);
  });
});

describe("a timeline", () => {
  const own = {
    kind: "created",
    status: "draft",
    actor: "usr",
    detail: null,
    ledgerSeq: null,
    entryHash: null,
  } as const;

  it("keeps the ledger's order between its entries, whatever the clocks said", () => {
    const events = mergeTimeline(
      [{ ...own, at: 10 }],
      [
        { type: "REQUEST_SUBMITTED", at: 30, seq: 1, entryHash: "a", decision: undefined },
        { type: "REQUEST_ADJUDICATED", at: 20, seq: 2, entryHash: "b", decision: "APPROVED" },
        { type: "REQUEST_CORRECTED", at: 40, seq: 3, entryHash: "c", decision: undefined },
      ],
      [],
    );
    expect(events.map(({ kind, status }) => [kind, status])).toEqual([
      ["created", "draft"],
      ["REQUEST_SUBMITTED", "submitted"],
      ["REQUEST_ADJUDICATED", "paid"],
      ["REQUEST_CORRECTED", "paid"],
    ]);
  });

  it("names the first anchor that holds an entry", () => {
    const ledger = [1, 2, 3].map((seq) => ({
      type: "REQUEST_SUBMITTED",
      at: seq,
      seq,
      entryHash: "a",
      decision: undefined,
    }));
    const anchors = [
      { size: 3, txHash: "0xlate" },
      { size: 2, txHash: "0xearly" },
    ];
    expect(mergeTimeline([], ledger, anchors).map((event) => event.ledger?.txHash)).toEqual([
      "0xearly",
      "0xlate",
      null,
    ]);
    expect(mergeTimeline([], ledger, anchors).map((event) => event.ledger?.anchored)).toEqual([true, true, false]);
  });
});

describe("a file's name", () => {
  it.each([
    ["../../etc/passwd", "passwd"],
    ["C:\\scans\\tooth 12.pdf", "tooth 12.pdf"],
    ["a\u0000b\r\nc\u202egpj.pdf", "abcgpj.pdf"],
    ["  e\u0301te\u0301.pdf ", "été.pdf"],
    ["..", undefined],
    ["scans/", undefined],
    ["x".repeat(300), "x".repeat(200)],
  ])("%j is kept as %j", (given, kept) => {
    expect(cleanName(given)).toBe(kept);
  });

  it("travels so that no browser reads more out of it", () => {
    expect(dispositionOf(`"; filename=x.html (été)`)).toBe(
      "attachment; filename*=UTF-8''%22%3B%20filename%3Dx.html%20%28%C3%A9t%C3%A9%29",
    );
  });
});

describe("retention", () => {
  it("counts calendar years", () => {
    expect(cutoffOf(Date.UTC(2026, 10, 22), 7)).toBe(Date.UTC(2019, 10, 22));
    expect(cutoffOf(Date.UTC(2028, 1, 29), 1)).toBe(Date.UTC(2027, 2, 1));
  });
});
