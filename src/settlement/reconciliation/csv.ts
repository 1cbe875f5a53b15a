/** The report as a table for people: RFC 4180, and safe to open in a spreadsheet. */
import { formatMoney } from "../../platform/money.ts";
import type { Item } from "./items.ts";

const COLUMNS = [
  "ref_id",
  "kind",
  "day",
  "tenant_id",
  "our_type",
  "our_amount",
  "our_currency",
  "our_status",
  "operator_transaction_id",
  "operator_type",
  "operator_amount",
  "operator_currency",
  "operator_status",
  "state",
  "owner",
  "resolution",
  "reason",
  "found_at",
] as const;

const NUMBER = /^-?\d+(?:\.\d+)?$/;
const FORMULA = /^[=+\-@\t\r]/;

/** A text that a spreadsheet would run is made one that it shows; what came from outside may have been written to be run. */
export function csvField(value: string): string {
  const shown = FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

const line = (values: readonly string[]): string => `${values.map(csvField).join(",")}\r\n`;

export const csvHeader = (): string => line(COLUMNS);

export function csvLine(item: Item): string {
  const { ours, theirs } = item;
  const amount = (side: { readonly amountCents: number; readonly currency: string } | null): string =>
    side === null ? "" : formatMoney({ minor: side.amountCents, currency: side.currency });
  return line([
    item.refId,
    item.kind,
    item.day,
    item.tenantId ?? "",
    ours?.type ?? "",
    amount(ours),
    ours?.currency ?? "",
    ours?.status ?? "",
    theirs?.operatorTransactionId ?? "",
    theirs?.type ?? "",
    amount(theirs),
    theirs?.currency ?? "",
    theirs?.status ?? "",
    item.state,
    item.owner ?? "",
    item.resolution ?? "",
    item.reason ?? "",
    new Date(item.foundAt).toISOString(),
  ]);
}
