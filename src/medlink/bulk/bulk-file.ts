/**
 * A file of claims, one a row, as a person keeps it in a spreadsheet: comma or semicolon separated, the first row naming the
 * columns. Every row is read by itself, so that one wrong row does not hold the others back.
 */
import { CsvError, parse } from "csv-parse/sync";
import * as z from "zod";
import { DEFAULT_CURRENCY } from "../../platform/money.ts";
import { claimFields, readAmount } from "../claims/show-claim.ts";
import { type FieldIssue, issueOf, noAmount } from "../field-rule.ts";

export const MAX_ROWS = 1_000;
const MAX_CELL = 10_000;

/** `codes` are separated by spaces or bars; of `patientId` and `healthNumber` a row has one. */
export const COLUMNS = [
  "reference",
  "patientId",
  "healthNumber",
  "providerId",
  "insurerId",
  "type",
  "amount",
  "currency",
  "codes",
  "notes",
] as const;
type Column = (typeof COLUMNS)[number];

const REQUIRED: readonly Column[] = ["providerId", "insurerId", "amount"];

export interface RowFault extends Omit<FieldIssue, "path"> {
  readonly column: string;
}

const rowSchema = claimFields.omit({ patientId: true, codes: true }).extend({
  reference: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/, "1 to 64 letters, digits and . _ / -")
    .optional(),
  patientId: claimFields.shape.patientId.optional(),
  healthNumber: z.string().trim().min(1).max(40).optional(),
  codes: z.array(z.string().min(1).max(40)).max(200),
});

export type BulkFields = z.output<typeof rowSchema>;

export type ReadRow =
  | { readonly row: number; readonly ok: true; readonly fields: BulkFields }
  | { readonly row: number; readonly ok: false; readonly faults: readonly RowFault[] };

export type ReadFile =
  | { readonly ok: true; readonly rows: readonly ReadRow[] }
  | { readonly ok: false; readonly detail: string };

const isColumn = (name: string): name is Column => COLUMNS.some((column) => column === name);

/** Spreadsheets of some countries separate with semicolons, since the comma is in their numbers. */
function delimiterOf(text: string): string {
  const header = text.slice(0, text.search(/\r|\n|$/));
  return header.split(";").length > header.split(",").length ? ";" : ",";
}

/** @returns rows numbered as a spreadsheet numbers them: the header is row 1. */
export function readBulkFile(text: string): ReadFile {
  let cells: string[][];
  try {
    cells = parse(text, {
      bom: true,
      delimiter: delimiterOf(text),
      relax_column_count: true,
      trim: true,
      to: MAX_ROWS + 2,
      max_record_size: 20 * MAX_CELL,
    });
  } catch (thrown) {
    if (!(thrown instanceof CsvError)) throw thrown;
    const at = typeof thrown.lines === "number" ? ` near line ${thrown.lines}` : "";
    return { ok: false, detail: `The file is no CSV${at}: ${thrown.code.toLowerCase().replaceAll("_", " ")}.` };
  }
  const [header, ...body] = cells;
  if (header === undefined) return { ok: false, detail: "The file is empty: its first row names the columns." };
  const columns = header.map((name) => COLUMNS.find((column) => column.toLowerCase() === name.toLowerCase()) ?? name);
  const unknown = columns.findIndex((name) => !isColumn(name));
  if (unknown !== -1) {
    return { ok: false, detail: `Column ${unknown + 1} is not known. Known are ${COLUMNS.join(", ")}.` };
  }
  if (new Set(columns).size < columns.length) return { ok: false, detail: "A column is named twice." };
  const missing = REQUIRED.filter((name) => !columns.includes(name));
  if (!columns.includes("patientId") && !columns.includes("healthNumber")) missing.push("patientId");
  if (missing.length > 0) return { ok: false, detail: `These columns are missing: ${missing.join(", ")}.` };
  if (body.length === 0) return { ok: false, detail: "The file has no rows below its header." };
  if (body.length > MAX_ROWS) return { ok: false, detail: `A file has at most ${MAX_ROWS} rows. Send it in parts.` };
  const rows = body.flatMap((row, index): ReadRow[] => {
    if (row.every((cell) => cell === "")) return [];
    return [readRow(index + 2, columns, row)];
  });
  return { ok: true, rows };
}

const faultOf = ({ path, ...fault }: FieldIssue): RowFault => ({ column: path.split(".")[0] ?? "", ...fault });

function readRow(row: number, columns: readonly string[], cells: readonly string[]): ReadRow {
  if (cells.length > columns.length) {
    return {
      row,
      ok: false,
      faults: [{ column: "", rule: "cells", message: "has more cells than there are columns" }],
    };
  }
  const values: Partial<Record<string, string>> = Object.fromEntries(
    columns.flatMap((column, at) => {
      const cell = cells[at] ?? "";
      return cell === "" ? [] : [[column, cell]];
    }),
  );
  const parsed = rowSchema.safeParse({
    ...values,
    type: values.type?.toLowerCase() ?? "claim",
    currency: values.currency?.toUpperCase() ?? DEFAULT_CURRENCY,
    codes: (values.codes ?? "").split(/[\s|]+/).filter((code) => code !== ""),
  });
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => faultOf(issueOf(issue)));
    return { row, ok: false, faults };
  }
  const fields = parsed.data;
  if ((fields.patientId === undefined) === (fields.healthNumber === undefined)) {
    return {
      row,
      ok: false,
      faults: [{ column: "patientId", rule: "either", message: "give either patientId or healthNumber" }],
    };
  }
  if (!readAmount(fields.amount, fields.currency, []).ok) {
    return { row, ok: false, faults: [faultOf(noAmount("amount"))] };
  }
  return { row, ok: true, fields };
}
