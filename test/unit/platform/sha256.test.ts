import { sha256 } from "@noble/hashes/sha2.js";
import { describe, expect, it } from "vitest";
import { toHex } from "../../../src/platform/encoding.ts";
import { sha256Of } from "../../../src/platform/sha256.ts";
import { seededRandom } from "../../e2e/support/random.ts";

describe("SHA-256 for many short messages", () => {
  it("is that of another implementation for every length to 300, and some long ones", () => {
    const random = seededRandom(5);
    const lengths = [...Array.from({ length: 301 }, (_, i) => i), 1_000, 65_535, 65_536, 200_001];
    for (const length of lengths) {
      const bytes = Uint8Array.from({ length: length + 7 }, () => random.between(0, 256));
      expect(toHex(sha256Of(bytes, 7))).toBe(toHex(sha256(bytes.subarray(7))));
      expect(toHex(sha256Of(bytes, 3, length))).toBe(toHex(sha256(bytes.subarray(3, 3 + length))));
    }
  });

  it("is the published value for abc", () => {
    expect(toHex(sha256Of(new TextEncoder().encode("abc")))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });
});
