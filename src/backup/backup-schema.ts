/** Shapes that the routes of backups share. */
import { z } from "@hono/zod-openapi";

const count = z.number().int().nonnegative();

export const runSchema = z
  .object({
    name: z.string(),
    kind: z.enum(["nightly", "command"]),
    state: z.enum(["running", "good", "failed", "expired"]),
    size: count.openapi({ description: "Entries of the ledger when it began." }),
    startedAt: z.string(),
    finishedAt: z.string().nullable(),
    files: count,
    bytes: count,
    newFiles: count.openapi({ description: "Written by this run; the others were there already." }),
    newBytes: count,
    manifestSha256: z.string().nullable(),
    reason: z.string().nullable(),
    phase: z.string().nullable(),
  })
  .openapi("BackupRun");

export const drillSchema = z
  .object({
    source: z.enum(["cron", "command"]),
    snapshot: z.string(),
    state: z.enum(["running", "good", "failed"]),
    startedAt: z.string(),
    finishedAt: z.string().nullable(),
    entries: count,
    reason: z.string().nullable(),
    report: z.record(z.string(), z.unknown()),
  })
  .openapi("RestoreDrill");

export const nameParams = z.object({
  name: z
    .string()
    .regex(/^[0-9A-Za-z-]{1,80}$/)
    .openapi({ param: { name: "name", in: "path" }, example: "2026-11-22T02-00-00Z" }),
});
