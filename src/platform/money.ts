/** Money is integer minor units of an ISO 4217 currency. Amounts from outside become minor units here and nowhere else. */

const MINOR_DIGITS: Readonly<Record<string, number>> = {
  BHD: 3,
  BIF: 0,
  CLF: 4,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  IQD: 3,
  ISK: 0,
  JOD: 3,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  PYG: 0,
  RWF: 0,
  TND: 3,
  UGX: 0,
  UYI: 0,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
}; // every other currency has 2

export interface Money {
  readonly minor: number;
  readonly currency: string;
}

export const DEFAULT_CURRENCY = "CAD";

export const isCurrency = (value: unknown): value is string => typeof value === "string" && /^[A-Z]{3}$/.test(value);

export const minorDigitsOf = (currency: string): number => MINOR_DIGITS[currency] ?? 2;

/**
 * Reads the shortest decimal form, never multiplies: 1.15 is 115 cents, not 114.99999999999999. A JSON number that a
 * sender's floating point left a hair beside a minor unit (30.000000000000004) is that unit; a string must be exact.
 * @param amount a decimal string or a JSON number of major units (dollars).
 * @returns undefined when negative, not a plain decimal, finer than the currency's minor unit, or past safe integers.
 */
export function parseMoney(amount: string | number, currency: string): Money | undefined {
  if (typeof amount === "string") return parseDecimal(amount, currency);
  return parseDecimal(String(amount), currency) ?? parseDecimal(amount.toFixed(minorDigitsOf(currency) + 6), currency);
}

function parseDecimal(text: string, currency: string): Money | undefined {
  const match = /^(\d{1,16})(?:\.(\d{1,30}))?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction = ""] = match;
  const digits = minorDigitsOf(currency);
  const significant = fraction.replace(/0+$/, "");
  if (significant.length > digits) return undefined;
  const minor = Number(whole + significant.padEnd(digits, "0"));
  return Number.isSafeInteger(minor) ? { minor, currency } : undefined;
}

/** "120.00" for 12000 CAD; "120" for 120 JPY. */
export function formatMoney(money: Money): string {
  const digits = minorDigitsOf(money.currency);
  const sign = money.minor < 0 ? "-" : "";
  const padded = String(Math.abs(money.minor)).padStart(digits + 1, "0");
  if (digits === 0) return sign + padded;
  return `${sign}${padded.slice(0, -digits)}.${padded.slice(-digits)}`;
}
