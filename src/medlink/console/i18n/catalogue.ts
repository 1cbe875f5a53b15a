/** All that the console says, in both languages. An area is a file under messages/. */
import { accountsEn, accountsFr } from "./messages/accounts.ts";
import { browserEn, browserFr } from "./messages/browser.ts";
import { shellEn, shellFr } from "./messages/shell.ts";
import type { Values } from "./messages.ts";

const english = { ...shellEn, ...accountsEn, ...browserEn };

export type Catalogue = typeof english;
export type MessageKey = keyof Catalogue;

/** Messages without placeholders, for where a key is data. */
export type PlainKey = { [Key in MessageKey]: Values<Catalogue[Key]> extends [] ? Key : never }[MessageKey];

export const CATALOGUES: {
  readonly en: Readonly<Record<MessageKey, string>>;
  readonly fr: Readonly<Record<MessageKey, string>>;
} = {
  en: english,
  fr: { ...shellFr, ...accountsFr, ...browserFr },
};
