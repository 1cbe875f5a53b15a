/** All that the console says, in both languages. An area is a file under messages/. */
import { accountsEn, accountsFr } from "./messages/accounts.ts";
import { alertsEn, alertsFr } from "./messages/alerts.ts";
import { autoSubmitEn, autoSubmitFr } from "./messages/auto-submit.ts";
import { browserEn, browserFr } from "./messages/browser.ts";
import { bulkEn, bulkFr } from "./messages/bulk.ts";
import { chartsEn, chartsFr } from "./messages/charts.ts";
import { claimsEn, claimsFr } from "./messages/claims.ts";
import { ledgerEn, ledgerFr } from "./messages/ledger.ts";
import { operationsEn, operationsFr } from "./messages/operations.ts";
import { recordsEn, recordsFr } from "./messages/records.ts";
import { relayEn, relayFr } from "./messages/relay.ts";
import { settingsEn, settingsFr } from "./messages/settings.ts";
import { settlementsEn, settlementsFr } from "./messages/settlements.ts";
import { shellEn, shellFr } from "./messages/shell.ts";
import { verifyEn, verifyFr } from "./messages/verify.ts";
import type { Values } from "./messages.ts";

const english = {
  ...shellEn,
  ...accountsEn,
  ...browserEn,
  ...bulkEn,
  ...claimsEn,
  ...operationsEn,
  ...autoSubmitEn,
  ...chartsEn,
  ...ledgerEn,
  ...relayEn,
  ...recordsEn,
  ...settingsEn,
  ...settlementsEn,
  ...alertsEn,
  ...verifyEn,
};

export type Catalogue = typeof english;
export type MessageKey = keyof Catalogue;

/** Messages without placeholders, for where a key is data. */
export type PlainKey = { [Key in MessageKey]: Values<Catalogue[Key]> extends [] ? Key : never }[MessageKey];

export const CATALOGUES: {
  readonly en: Readonly<Record<MessageKey, string>>;
  readonly fr: Readonly<Record<MessageKey, string>>;
} = {
  en: english,
  fr: {
    ...shellFr,
    ...accountsFr,
    ...browserFr,
    ...bulkFr,
    ...claimsFr,
    ...operationsFr,
    ...autoSubmitFr,
    ...chartsFr,
    ...ledgerFr,
    ...relayFr,
    ...recordsFr,
    ...settingsFr,
    ...settlementsFr,
    ...alertsFr,
    ...verifyFr,
  },
};
