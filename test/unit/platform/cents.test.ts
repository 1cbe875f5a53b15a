import { describe, expect, it } from "vitest";
import {
  addCents,
  type Cents,
  cents,
  isCents,
  negateCents,
  subtractCents,
  sumCents,
  ZERO,
} from "../../../src/platform/cents.ts";
import { formatMoney, parseMoney } from "../../../src/platform/money.ts";

describe("cents", () => {
  it.each([0.5, 1.15 * 100, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])("are not %d", (value) => {
    expect(isCents(value)).toBe(false);
    expect(() => cents(value)).toThrow(RangeError);
  });

  it("are what the compiler lets through: a sum, a product or a quotient of numbers is none", () => {
    const amount = cents(115);
    // @ts-expect-error an operator gives a number, which may be a fraction
    const sum: Cents = amount + amount;
    // @ts-expect-error
    const third: Cents = amount / 3;
    // @ts-expect-error
    const literal: Cents = 115;
    expect([sum, third, literal]).toHaveLength(3);
  });

  it("add and subtract exactly, or say that they can not", () => {
    expect(addCents(cents(10), cents(20))).toBe(30);
    expect(subtractCents(cents(10), cents(20))).toBe(-10);
    expect(sumCents([])).toBe(0);
    expect(() => addCents(cents(Number.MAX_SAFE_INTEGER), cents(1))).toThrow(RangeError);
    expect(() => subtractCents(cents(-Number.MAX_SAFE_INTEGER), cents(1))).toThrow(RangeError);
  });

  it("know one zero", () => {
    expect(Object.is(cents(-0), 0)).toBe(true);
    expect(Object.is(negateCents(ZERO), 0)).toBe(true);
  });

  it.each([
    ["JPY", "120", 120, "120"],
    ["CAD", "1.15", 115, "1.15"],
    ["KWD", "1.234", 1_234, "1.234"],
  ])("are the minor units of %s: %s is %d", (currency, text, minor, shown) => {
    const money = parseMoney(text, currency);
    expect(money?.minor).toBe(minor);
    expect(formatMoney({ minor: cents(minor), currency })).toBe(shown);
  });
});
