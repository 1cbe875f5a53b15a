/** The console's two languages, as people of Canada write them. */
import { LOCALES, type Locale } from "../../accounts/user.ts";

export { LOCALES, type Locale };

/** What Intl and the document's `lang` are given. */
export const LANGUAGE_TAG: Readonly<Record<Locale, string>> = { en: "en-CA", fr: "fr-CA" };

export const isLocale = (value: unknown): value is Locale => value === "en" || value === "fr";

/** The language that a browser prefers among ours (RFC 9110 section 12.5.4); English when it names neither. */
export function preferredLocale(acceptLanguage: string | undefined): Locale {
  let best: { readonly locale: Locale; readonly quality: number } | undefined;
  for (const part of (acceptLanguage ?? "").split(",").slice(0, 20)) {
    const [tag = "", ...parameters] = part.trim().toLowerCase().split(";");
    const locale = tag.split("-")[0];
    if (!isLocale(locale)) continue;
    const weight = parameters.map((parameter) => /^\s*q=([01](?:\.\d{1,3})?)$/.exec(parameter)?.[1]).find(Boolean);
    const quality = weight === undefined ? 1 : Number(weight);
    if (quality > (best?.quality ?? 0)) best = { locale, quality };
  }
  return best?.locale ?? "en";
}

/** Where a zone is not known: the middle of our clinics' country. */
export const DEFAULT_TIME_ZONE = "America/Toronto";
