/**
 * Amounts of money as integer minor units, which the compiler tells from every other number: an operator of numbers gives a
 * `number`, which is no `Cents`, so that sums and differences go through here, where they are checked. A currency with 0 or 3 decimals
 * has minor units like any other (`minorDigitsOf` in money.ts).
 */

declare const CENTS: unique symbol;

/** A safe integer of minor units; may be negative. */
export type Cents = number & { readonly [CENTS]: true };

export const isCents = (value: unknown): value is Cents => typeof value === "number" && Number.isSafeInteger(value);

/** @throws RangeError for a fraction and for what is past safe integers. */
export function cents(value: number): Cents {
  // The sum of zero and minus zero is zero: a minus zero is stored and committed to as another number.
  const whole = value + 0;
  if (!isCents(whole)) throw new RangeError("an amount is a whole number of minor units");
  return whole;
}

export const ZERO: Cents = cents(0);

/** @throws RangeError past safe integers. */
export const addCents = (a: Cents, b: Cents): Cents => cents(a + b);

/** @throws RangeError past safe integers. */
export const subtractCents = (a: Cents, b: Cents): Cents => cents(a - b);

export const negateCents = (amount: Cents): Cents => cents(0 - amount);

/** @throws RangeError past safe integers. */
export const sumCents = (amounts: readonly Cents[]): Cents => amounts.reduce(addCents, ZERO);
