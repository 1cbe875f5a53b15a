import { describe, expect, it } from "vitest";
import { formatMoney, isCurrency, minorDigitsOf, parseMoney } from "../../../src/platform/money.ts";

describe("an amount from outside", () => {
  it.each<[string | number, string, number]>([
    [120, "CAD", 12_000],
    [0, "CAD", 0],
    [-0, "CAD", 0],
    ["120.00", "CAD", 12_000],
    ["120.5", "CAD", 12_050],
    ["120.5000", "CAD", 12_050],
    ["0.01", "CAD", 1],
    ["007", "CAD", 700],
    [1.15, "CAD", 115],
    [4.35, "CAD", 435],
    [1.005 * 1000, "CAD", 100_500],
    [0.1 + 0.2, "CAD", 30],
    [30.000000000000004, "CAD", 3_000],
    [29.999999999999996, "CAD", 3_000],
    [120, "JPY", 120],
    ["120", "JPY", 120],
    ["120.0", "JPY", 120],
    [1.234, "KWD", 1_234],
    ["1.2", "KWD", 1_200],
    [0.1 + 0.2, "KWD", 300],
    ["90071992547409.91", "CAD", Number.MAX_SAFE_INTEGER],
    [90071992547409.9, "CAD", Number.MAX_SAFE_INTEGER - 1],
    ["9007199254740991", "JPY", Number.MAX_SAFE_INTEGER],
  ])("%s %s is %i minor units", (amount, currency, minor) => {
    const money = parseMoney(amount, currency);
    expect(money).toEqual({ minor, currency });
    expect(Object.is(money?.minor, -0)).toBe(false);
  });

  it.each<[string, string | number, string]>([
    ["negative", -1, "CAD"],
    ["negative text", "-0.01", "CAD"],
    ["a hair below nothing", -1e-12, "CAD"],
    ["finer than a cent", 1.005, "CAD"],
    ["finer than a cent by a millionth", "120.000001", "CAD"],
    ["text a hair beside a cent, which must be exact", "30.000000000000004", "CAD"],
    ["half a yen", 0.5, "JPY"],
    ["finer than a fils", "1.2345", "KWD"],
    ["one cent past safe integers", "90071992547409.92", "CAD"],
    ["one cent past safe integers as a number", 90071992547409.92, "CAD"],
    ["one yen past safe integers", "9007199254740992", "JPY"],
    ["a huge number", 1e21, "CAD"],
    ["the largest number", Number.MAX_VALUE, "CAD"],
    ["infinite", Number.POSITIVE_INFINITY, "CAD"],
    ["not a number", Number.NaN, "CAD"],
    ["in exponent form", "1e3", "CAD"],
    ["with a plus", "+1", "CAD"],
    ["with a separator", "1,000", "CAD"],
    ["with a blank", " 1", "CAD"],
    ["without whole part", ".5", "CAD"],
    ["without fraction after the point", "1.", "CAD"],
    ["hexadecimal", "0x10", "CAD"],
    ["empty", "", "CAD"],
    ["of too many digits", "12345678901234567", "JPY"],
  ])("is refused when it is %s", (_what, amount, currency) => {
    expect(parseMoney(amount, currency)).toBeUndefined();
  });
});

describe("an amount as shown", () => {
  it.each([
    [12_000, "CAD", "120.00"],
    [5, "CAD", "0.05"],
    [0, "CAD", "0.00"],
    [-1, "CAD", "-0.01"],
    [-12_345, "USD", "-123.45"],
    [120, "JPY", "120"],
    [0, "JPY", "0"],
    [-7, "JPY", "-7"],
    [1_234, "KWD", "1.234"],
    [5, "KWD", "0.005"],
    [Number.MAX_SAFE_INTEGER, "CAD", "90071992547409.91"],
  ])("%i %s is %s", (minor, currency, text) => {
    expect(formatMoney({ minor, currency })).toBe(text);
    if (minor >= 0) expect(parseMoney(text, currency)).toEqual({ minor, currency });
  });
});

it("knows the minor digits of currencies, two when nobody says otherwise", () => {
  expect(["JPY", "CLP", "KWD", "TND", "CLF", "CAD", "EUR", "XXX"].map(minorDigitsOf)).toEqual([0, 0, 3, 3, 4, 2, 2, 2]);
  expect(["CAD", "cad", "CA", "CADX", "", undefined, null, 7].map(isCurrency)).toEqual([
    true,
    false,
    false,
    false,
    false,
    false,
    false,
    false,
  ]);
});
