import { describe, expect, it } from "vitest";
import { isCrossSite } from "../../../src/medlink/accounts/cross-site.ts";
import { hashPassword, NOBODY_HASH, PASSWORD_COST, verifyPassword } from "../../../src/medlink/accounts/password.ts";
import {
  newSession,
  readSessionCookie,
  SESSION_IDLE_MS,
  SESSION_LIFETIME_MS,
  sessionAge,
} from "../../../src/medlink/accounts/session.ts";
import { readSubmission } from "../../../src/medlink/auto-submit/submission.ts";
import { offchainPayload } from "../../../src/medlink/claims/offchain-payload.ts";
import { makeFields, normalizeHealthNumber, normalizeName } from "../../../src/medlink/fields.ts";
import { isCoreId, newId } from "../../../src/medlink/ids.ts";
import { cutPage, decodeCursor, encodeCursor } from "../../../src/medlink/page.ts";
import { makeKeyring } from "../../../src/platform/keyring.ts";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

describe("passwords", () => {
  it("verify against their own hash alone, whatever form their characters were typed in", async () => {
    const hash = await hashPassword("pässword one", random);
    expect(hash).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$/);
    expect(await verifyPassword("pässword one".normalize("NFD"), hash)).toEqual({ ok: true, stale: false });
    expect(await verifyPassword("pässword two", hash)).toEqual({ ok: false, stale: false });
    expect(await hashPassword("pässword one", random)).not.toBe(hash);
  });

  it("say that a hash of another cost wants renewing", async () => {
    const hash = await hashPassword("secret", random, { ...PASSWORD_COST, ln: 10 });
    expect(await verifyPassword("secret", hash)).toEqual({ ok: true, stale: true });
  });

  it("never verify against nobody's hash, a broken one, or one of absurd cost", async () => {
    for (const stored of [NOBODY_HASH, "", "plain", NOBODY_HASH.replace("ln=14", "ln=31")]) {
      expect((await verifyPassword("secret", stored)).ok).toBe(false);
    }
  });
});

describe("sessions", () => {
  it("are read from a cookie signed with an accepted secret only", () => {
    const session = newSession(random, "a");
    expect(readSessionCookie(session.cookie, ["b", "a"])).toBe(session.hash);
    expect(readSessionCookie(session.cookie, ["b"])).toBeUndefined();
    expect(readSessionCookie("nonsense", ["a"])).toBeUndefined();
    expect(session.cookie).not.toContain(session.hash);
  });

  it("end after 30 idle minutes and after their lifetime", () => {
    expect(sessionAge({ createdAt: 0, lastSeenAt: 0 }, 59_999)).toBe("live");
    expect(sessionAge({ createdAt: 0, lastSeenAt: 0 }, 60_000)).toBe("touch");
    expect(sessionAge({ createdAt: 0, lastSeenAt: 0 }, SESSION_IDLE_MS + 1)).toBe("expired");
    const late = SESSION_LIFETIME_MS + 1;
    expect(sessionAge({ createdAt: 0, lastSeenAt: late }, late)).toBe("expired");
  });
});

it("tells a request of another site's page from a client's own", () => {
  const request = { method: "POST", url: "https://hub.test/api/x", secFetchSite: undefined, origin: undefined };
  expect(isCrossSite(request)).toBe(false);
  expect(isCrossSite({ ...request, origin: "https://hub.test" })).toBe(false);
  expect(isCrossSite({ ...request, origin: "http://hub.test" })).toBe(true);
  expect(isCrossSite({ ...request, origin: "null" })).toBe(true);
  expect(isCrossSite({ ...request, secFetchSite: "cross-site", origin: "https://hub.test" })).toBe(true);
  expect(isCrossSite({ ...request, method: "GET", origin: "https://evil.test" })).toBe(false);
});

describe("sealed fields", () => {
  it("open in their own place alone, under current and previous keys", async () => {
    const old = makeFields(await makeKeyring(["old key"], "field"), ["hash"], random);
    const sealed = await old.seal({ lastName: "Planted" }, "patients/1");
    expect(sealed).not.toContain("Planted");
    const rotated = makeFields(await makeKeyring(["new key", "old key"], "field"), ["hash"], random);
    expect(await rotated.open(sealed, "patients/1")).toEqual({ lastName: "Planted" });
    await expect(rotated.open(sealed, "patients/2")).rejects.toThrow();
    expect(rotated.hash("name", "cln_1", "a")).toBe(old.hash("name", "cln_1", "a"));
    expect(rotated.hash("name", "cln_2", "a")).not.toBe(old.hash("name", "cln_1", "a"));
  });

  it("compare names and health numbers as people write them", () => {
    expect(normalizeName(" Zoë ", "LE  Blanc")).toBe(normalizeName("zoe", "Le Blanc"));
    expect(normalizeHealthNumber("ab 12-34")).toBe("AB1234");
  });
});

describe("what core is sent and answers", () => {
  const claim = {
    patientId: "pat_1",
    providerId: "prv_1",
    insurerId: "ins_1",
    type: "claim",
    amount: { minor: 10_001, currency: "CAD" },
    details: { codes: ["A", { code: "B", description: "b", quantity: 2, unitPrice: "20.00" }, "C"], notes: "n" },
  } as const;

  it("is the same bytes for the same claim, with amounts in major units", () => {
    expect(offchainPayload(claim)).toEqual({
      patientId: "pat_1",
      providerId: "prv_1",
      services: [
        { code: "A", description: "A", quantity: 1, unitPrice: 30.01 },
        { code: "B", description: "b", quantity: 2, unitPrice: 20 },
        { code: "C", description: "C", quantity: 1, unitPrice: 30 },
      ],
      totalAmount: 100.01,
      currency: "CAD",
      insurerId: "ins_1",
      notes: "n",
      type: "claim",
    });
    expect(JSON.stringify(offchainPayload(claim))).toBe(JSON.stringify(offchainPayload({ ...claim })));
    expect(offchainPayload({ ...claim, details: { codes: [], notes: "" } }).services).toEqual([]);
  });

  const hash = `0x${"ab".repeat(32)}`;
  it.each([
    [
      201,
      JSON.stringify({ requestId: "r", requestIdHash: hash }),
      { type: "accepted", requestId: "r", requestIdHash: hash, status: 201 },
    ],
    [
      200,
      JSON.stringify({ requestId: "r", requestIdHash: "0xAB" }),
      { type: "refused", error: "upstream_answer_without_ids", status: 200 },
    ],
    [200, "not json", { type: "refused", error: "upstream_answer_without_ids", status: 200 }],
    [
      409,
      JSON.stringify({ code: "conflict", detail: "x" }),
      { type: "refused", error: "upstream_409:conflict", status: 409 },
    ],
    [400, JSON.stringify({ code: "Jane Doe born 1901" }), { type: "refused", error: "upstream_400", status: 400 }],
    [502, "<html>", { type: "unreached", error: "upstream_502", status: 502 }],
    [302, "", { type: "refused", error: "upstream_302", status: 302 }],
  ])("reads a %i answer without keeping upstream text", (status, text, outcome) => {
    expect(readSubmission({ status, text })).toEqual(outcome);
  });
});

describe("ids and pages", () => {
  it("makes opaque ids that core accepts", () => {
    const ids = new Set(Array.from({ length: 100 }, () => newId("clm", random)));
    expect(ids.size).toBe(100);
    for (const id of ids) {
      expect(id).toMatch(/^clm_[a-z2-7]{24}$/);
      expect(isCoreId(id)).toBe(true);
    }
    expect(newId("clm", () => new Uint8Array([255, ...new Array(13).fill(0), 1]))).toBe("clm_74aaaaaaaaaaaaaaaaaaaaab");
    for (const id of ["", ".", "..", "a/b", "a b", "x".repeat(129)]) expect(isCoreId(id)).toBe(false);
  });

  it("reads back its own cursors and no others", () => {
    const key = { createdAt: 1_800_000_000_123, id: "clm_abc" };
    expect(decodeCursor(encodeCursor(key))).toEqual(key);
    for (const text of ["", "x", ".", "1.", "zzzzzzzzzzzz.a", "1.a'b"]) expect(decodeCursor(text)).toBeUndefined();
    const rows = [3, 2, 1].map((n) => ({ createdAt: n, id: `r${n}` }));
    expect(cutPage(rows, 2, (row) => row)).toEqual({
      items: rows.slice(0, 2),
      nextCursor: encodeCursor({ createdAt: 2, id: "r2" }),
    });
    expect(cutPage(rows, 3, (row) => row).nextCursor).toBeUndefined();
  });
});
