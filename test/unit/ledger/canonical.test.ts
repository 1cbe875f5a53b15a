import { describe, expect, it } from "vitest";
import { canonicalJson, hasCanonicalForm } from "../../../src/ledger/canonical.ts";

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
};

const double = (hex: string): number => new DataView(new Uint8Array(Buffer.from(hex, "hex")).buffer).getFloat64(0);

describe("canonical JSON", () => {
  it("gives the example of RFC 8785 section 3.2.2", () => {
    const input = `{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false]}`;
    expect(canonicalJson(JSON.parse(input))).toBe(
      `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
        `"string":"€$\\u000f\\nA'B\\"\\\\\\\\\\"/"}`,
    );
  });

  it("sorts keys by UTF-16 code units, as the example of RFC 8785 section 3.2.3", () => {
    const input = {
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\u{1f600}": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis",
    };
    expect(canonicalJson(input)).toBe(
      `{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",` +
        `"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}`,
    );
  });

  // RFC 8785 appendix B.
  it.each([
    ["0000000000000000", "0"],
    ["8000000000000000", "0"],
    ["0000000000000001", "5e-324"],
    ["8000000000000001", "-5e-324"],
    ["7fefffffffffffff", "1.7976931348623157e+308"],
    ["4340000000000000", "9007199254740992"],
    ["c340000000000000", "-9007199254740992"],
    ["4430000000000000", "295147905179352830000"],
    ["44b52d02c7e14af5", "9.999999999999997e+22"],
    ["44b52d02c7e14af6", "1e+23"],
    ["44b52d02c7e14af7", "1.0000000000000001e+23"],
    ["444b1ae4d6e2ef4e", "999999999999999700000"],
    ["444b1ae4d6e2ef50", "1e+21"],
    ["3eb0c6f7a0b5ed8c", "9.999999999999997e-7"],
    ["3eb0c6f7a0b5ed8d", "0.000001"],
    ["41b3de4355555553", "333333333.3333332"],
    ["41b3de4355555555", "333333333.3333333"],
    ["becbf647612f3696", "-0.0000033333333333333333"],
    ["43143ff3c1cb0959", "1424953923781206.2"],
  ])("writes the double %s as %s", (hex, text) => {
    expect(canonicalJson(double(hex))).toBe(text);
  });

  it("sorts at every depth and keeps the order of arrays", () => {
    expect(canonicalJson({ b: [{ z: 1, a: 2 }, 3], a: { d: 1, c: 2 } })).toBe(
      `{"a":{"c":2,"d":1},"b":[{"a":2,"z":1},3]}`,
    );
  });

  it("keeps a key that a prototype has as well", () => {
    expect(canonicalJson(JSON.parse(`{"__proto__": {"x": 1}, "constructor": 2}`))).toBe(
      `{"__proto__":{"x":1},"constructor":2}`,
    );
  });

  it.each<[string, unknown]>([
    ["a lone high surrogate", { note: "\ud800" }],
    ["a lone low surrogate", ["\udc00 x"]],
    ["a lone surrogate in a key", { "\ud83d": 1 }],
    ["infinity", { amount: Number.POSITIVE_INFINITY }],
    ["a number that overflowed", JSON.parse("[1e400]")],
    ["no number", [Number.NaN]],
    ["65 levels", nested(65)],
    ["a hundred thousand levels", nested(100_000)],
    ["nothing", undefined],
  ])("has no form for %s", (_what, value) => {
    expect(() => canonicalJson(value)).toThrow(TypeError);
    expect(hasCanonicalForm(value)).toBe(false);
  });

  it("has one for surrogates in pairs and for 64 levels", () => {
    expect(canonicalJson("\u{1f600}")).toBe(`"😀"`);
    expect(canonicalJson(nested(64))).toBe(`${"[".repeat(64)}1${"]".repeat(64)}`);
    expect(hasCanonicalForm(nested(64))).toBe(true);
    expect(hasCanonicalForm(null)).toBe(true);
  });
});
