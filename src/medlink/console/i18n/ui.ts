/** What a view says things with: text in the viewer's language, dates in the viewer's zone, money and numbers as they are written there. */
import { formatMoney, type Money } from "../../../platform/money.ts";
import { CATALOGUES, type Catalogue, type MessageKey } from "./catalogue.ts";
import { LANGUAGE_TAG, type Locale } from "./locale.ts";
import { fill, type Values } from "./messages.ts";

/** A key that has a form for one and a form for others. */
export type CountKey = CountBase<MessageKey>;
type CountBase<Key> = Key extends `${infer Base}.one` ? (`${Base}.other` extends MessageKey ? Base : never) : never;

export interface Ui {
  readonly locale: Locale;
  /** `en-CA`, `fr-CA`. */
  readonly language: string;
  readonly timeZone: string;
  /** Epoch milliseconds at which the page was made. */
  readonly now: number;
  t<Key extends MessageKey>(key: Key, ...values: Values<Catalogue[Key]>): string;
  /** The message `group.code`; the code itself where there is none: codes come from databases and other services. */
  label(group: string, code: string): string;
  /** The form of `key` for this many, in which `{count}` is the number. */
  count(key: CountKey, count: number): string;
  number(value: number): string;
  /** @param share of 1. */
  percent(share: number): string;
  money(amount: Money): string;
  bytes(count: number): string;
  /** Day and time to the minute. @param at epoch milliseconds. */
  dateTime(at: number): string;
  /** With seconds and the zone's name, for a tooltip or a proof. */
  exactTime(at: number): string;
  date(at: number): string;
  /** A calendar day that belongs to no zone, such as a birthday. @param day `YYYY-MM-DD`. */
  day(day: string): string;
  /** `3 minutes ago`. */
  ago(at: number): string;
  /** `230 ms`, `4.2 s`, `3 min`. */
  duration(ms: number): string;
}

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 365 * 86_400_000],
  ["month", 30 * 86_400_000],
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

export function makeUi(locale: Locale, timeZone: string, now: number): Ui {
  const language = LANGUAGE_TAG[locale];
  const text: Readonly<Record<string, string>> = CATALOGUES[locale];
  const plural = new Intl.PluralRules(language);
  const whole = new Intl.NumberFormat(language);
  const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const short = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone });
  const exact = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "long", timeZone });
  const dayOnly = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
  const unit = (name: string, digits = 0) =>
    new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: digits });
  return {
    locale,
    language,
    timeZone,
    now,
    t: (key, ...values) => fill(text[key] ?? key, values[0]),
    label: (group, code) => text[`${group}.${code}`] ?? code,
    count: (key, count) => {
      const form = plural.select(count) === "one" ? "one" : "other";
      return fill(text[`${key}.${form}`] ?? key, { count: whole.format(count) });
    },
    number: (value) => whole.format(value),
    percent: (share) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share),
    money: (amount) =>
      new Intl.NumberFormat(language, { style: "currency", currency: amount.currency }).format(
        Number(formatMoney(amount)),
      ),
    bytes: (count) =>
      count < 1_000
        ? unit("byte").format(count)
        : count < 1_000_000
          ? unit("kilobyte", 1).format(count / 1_000)
          : unit("megabyte", 1).format(count / 1_000_000),
    dateTime: (at) => short.format(at),
    exactTime: (at) => exact.format(at),
    date: (at) => dayOnly.format(at),
    day: (day) =>
      /^\d{4}-\d{2}-\d{2}$/.test(day)
        ? new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone: "UTC" }).format(Date.parse(day))
        : day,
    ago: (at) => {
      const distance = at - now;
      for (const [name, ms] of STEPS) {
        if (Math.abs(distance) >= ms) return relative.format(Math.round(distance / ms), name);
      }
      return relative.format(0, "second");
    },
    // The symbols are those of both languages; Intl writes `millisecs`.
    duration: (ms) =>
      ms < 1_000
        ? `${whole.format(Math.round(ms))}\u00a0ms`
        : ms < 60_000
          ? `${tenths.format(ms / 1_000)}\u00a0s`
          : ms < 3_600_000
            ? `${tenths.format(ms / 60_000)}\u00a0min`
            : `${tenths.format(ms / 3_600_000)}\u00a0h`,
  };
}
