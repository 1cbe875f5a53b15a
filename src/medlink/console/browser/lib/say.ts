/** What the scripts say, in the page's language. */
import { browserEn, browserFr } from "../../i18n/messages/browser.ts";
import { fill, type Values } from "../../i18n/messages.ts";

export type SayKey = keyof typeof browserEn;

export const language: string = document.documentElement.lang;
const text: Readonly<Record<SayKey, string>> = language.startsWith("fr") ? browserFr : browserEn;

export const say = <Key extends SayKey>(key: Key, ...values: Values<(typeof browserEn)[Key]>): string =>
  fill(text[key], values[0]);

/** What a problem of this code means to a person; undefined where there are no words for it. */
export const sayProblem = (code: string): string | undefined =>
  Object.entries(text).find(([key]) => key === `problem.${code}`)?.[1];

/** Why the API refused a field; undefined where there are no words for the rule. @param limit that the rule speaks of. */
export function sayRule(rule: string | undefined, limit: number | undefined): string | undefined {
  const message = Object.entries(text).find(([key]) => key === `rule.${rule}`)?.[1];
  return message === undefined ? undefined : fill(message, limit === undefined ? {} : { limit });
}
