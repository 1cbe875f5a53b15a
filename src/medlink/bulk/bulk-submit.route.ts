import { z } from "@hono/zod-openapi";
import { FIELD_RULES } from "../field-rule.ts";
import { flagIsOn } from "../flags/flags.edge.ts";
import { none, ok, operation, readText, refuse } from "../operation.edge.ts";
import { COLUMNS, MAX_ROWS, readBulkFile } from "./bulk-file.ts";
import { fileRows, ROW_RESULTS } from "./file-rows.edge.ts";

const count = z.number().int();

export const bulkSubmit = operation(
  {
    method: "post",
    path: "/api/claims/bulk",
    summary: `File and submit the claims of a CSV file of at most ${MAX_ROWS} rows; the columns are ${COLUMNS.join(", ")}`,
    roles: ["billing", "admin"],
    params: z.object({
      dryRun: z
        .stringbool()
        .default(true)
        .openapi({ type: "boolean", description: "true: says what would be done, and does nothing" }),
    }),
    body: none,
    takes: ["text/csv"],
    answers: {
      200: {
        description: "What became, or would become, of each row. Sending a file again files nothing twice.",
        schema: z.object({
          dryRun: z.boolean(),
          counts: z.record(z.enum(ROW_RESULTS), count),
          queued: count,
          rows: z.array(
            z.object({
              row: count.openapi({ description: "As a spreadsheet numbers it: the header is row 1" }),
              result: z.enum(ROW_RESULTS),
              claimId: z.string().nullable(),
              jobId: z.string().nullable(),
              sameAsRow: count.nullable(),
              faults: z.array(
                z.object({
                  column: z.string(),
                  message: z.string(),
                  rule: z.enum(FIELD_RULES),
                  limit: z.number().optional(),
                }),
              ),
            }),
          ),
        }),
      },
    },
  },
  async (input) => {
    const { hub, user, params, request } = input;
    if (!(await flagIsOn(hub, user, "FEATURE_FLAG_BULK_OPERATIONS"))) {
      return refuse("forbidden", "This is not switched on for you.");
    }
    const text = await readText(request);
    if (!text.ok) return text.answer;
    const file = readBulkFile(text.value);
    if (!file.ok) return refuse("invalid_body", file.detail);
    const rows = await fileRows(input, file.rows, params.dryRun);
    const of = (result: (typeof ROW_RESULTS)[number]): number => rows.filter((row) => row.result === result).length;
    return ok(200, {
      dryRun: params.dryRun,
      counts: Object.fromEntries(ROW_RESULTS.map((result) => [result, of(result)])),
      queued: rows.filter(({ jobId }) => jobId !== null).length,
      rows,
    });
  },
);
