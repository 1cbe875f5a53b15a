import { describe, expect, it } from "vitest";
import { decideKey, isFinal, keyFromHeader, type StoredKey } from "../../../src/platform/idempotency/idempotency.ts";

const NOW = 1_000_000;
const stored = (over: Partial<StoredKey> = {}): StoredKey => ({
  keyId: "k",
  scope: "settlements",
  tenantId: "default",
  fingerprint: "f",
  state: "PROCESSING",
  effectId: "stl_1",
  token: 4,
  busyUntil: NOW + 5_000,
  answer: undefined,
  expiresAt: NOW + 9_000,
  ...over,
});
const answer = { status: 201, keyId: "a", sealed: "s" };

describe("an Idempotency-Key", () => {
  it.each<[string, StoredKey | undefined, string, ReturnType<typeof decideKey>]>([
    ["new: begins", undefined, "f", { type: "begin" }],
    [
      "running: is in progress",
      stored(),
      "f",
      { type: "in-progress", effectId: "stl_1", token: 4, retryAfterMs: 5_000 },
    ],
    ["running, of another request: does not match", stored(), "g", { type: "mismatch" }],
    [
      "left by one who is gone: goes on under the same name",
      stored({ busyUntil: NOW }),
      "f",
      { type: "resume", effectId: "stl_1", token: 4 },
    ],
    ["left, of another request: does not match", stored({ busyUntil: NOW }), "g", { type: "mismatch" }],
    [
      "left and past its expiry: is not forgotten, since its effect may have happened",
      stored({ busyUntil: NOW, expiresAt: NOW }),
      "f",
      { type: "resume", effectId: "stl_1", token: 4 },
    ],
    ["answered: answers", stored({ state: "COMPLETED", answer }), "f", { type: "answer", answer, effectId: "stl_1" }],
    ["answered, of another request: does not match", stored({ state: "COMPLETED", answer }), "g", { type: "mismatch" }],
    [
      "answered without an answer that is kept: is made anew",
      stored({ state: "COMPLETED" }),
      "f",
      { type: "answer", answer: undefined, effectId: "stl_1" },
    ],
    ["answered and expired: begins", stored({ state: "COMPLETED", answer, expiresAt: NOW }), "g", { type: "begin" }],
  ])("%s", (_name, key, fingerprint, decision) => {
    expect(decideKey(key, { fingerprint }, NOW)).toEqual(decision);
  });

  it.each([
    ['"8e03978e-40d5-43e8"', "8e03978e-40d5-43e8"],
    ["8e03978e-40d5-43e8", "8e03978e-40d5-43e8"],
    ['"a \\"b\\" \\\\c"', 'a "b" \\c'],
    ["a b", "a b"],
  ])("reads %s", (header, key) => {
    expect(keyFromHeader(header)).toBe(key);
  });

  it.each([undefined, "", '""', '"unclosed', " ", "ä", "x".repeat(256), '"a\tb"'])("does not read %s", (header) => {
    expect(keyFromHeader(header)).toBeUndefined();
  });

  it.each([
    [201, true],
    [409, true],
    [422, true],
    [404, true],
    [429, false],
    [500, false],
    [503, false],
  ])("takes an answer of %d for final: %s", (status, final) => {
    expect(isFinal(status)).toBe(final);
  });
});
