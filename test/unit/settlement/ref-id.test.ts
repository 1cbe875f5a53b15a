import { expect, it } from "vitest";
import { newRefId, REF_ID } from "../../../src/settlement/ref-id.ts";

it("names a settlement by 128 bits in Crockford's base 32", () => {
  expect(newRefId((length) => new Uint8Array(length))).toBe(`stl_${"0".repeat(26)}`);
  expect(newRefId((length) => new Uint8Array(length).fill(255))).toBe(`stl_7${"Z".repeat(25)}`);
  expect(newRefId((length) => Uint8Array.from({ length }, (_, i) => i * 17))).toMatch(REF_ID);
});
