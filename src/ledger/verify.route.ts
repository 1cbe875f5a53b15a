/** GET /ledger/verify: open to all, cached for two seconds. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { reasonOf } from "../platform/log.ts";
import { readNewestSegment } from "./verify.store.ts";
import { FINDING_TYPES, verifyNewest } from "./verify.ts";

/** Entries re-read and re-hashed in one answer; a ledger up to this size is verified in full. */
export const SEGMENT_LENGTH = 5_000;

const reportSchema = z
  .object({
    status: z.enum(["valid", "invalid", "unverified"]),
    valid: z
      .boolean()
      .optional()
      .openapi({ description: "Left out when unverified: what could not be read is not wrong." }),
    method: z.enum(["full", "newest-segment"]).optional(),
    size: z.number().int().optional(),
    headHash: z.string().optional(),
    rootHash: z.string().optional(),
    verifiedFrom: z.number().int().optional(),
    verifiedThrough: z.number().int().optional().openapi({ description: "Entries below this seq were looked at." }),
    verifiedAt: z.string().optional(),
    findings: z.array(z.object({ type: z.enum(FINDING_TYPES), seq: z.number().int().optional(), detail: z.string() })),
    message: z.string().optional(),
    error: z.string().optional(),
  })
  .openapi("LedgerVerification");

type Report = z.output<typeof reportSchema>;

const content = { "application/json": { schema: reportSchema } };

const route = createRoute({
  method: "get",
  path: "/ledger/verify",
  tags: ["ledger"],
  summary: "Whether the stored ledger holds together",
  responses: {
    200: { description: "Nothing wrong was found.", content },
    503: { description: "Findings (`valid: false`), or the database is out of reach (`status: unverified`).", content },
  },
});

let cached: { readonly db: D1Database; readonly until: number; readonly report: Promise<Report> } | undefined;

export function registerVerifyLedger(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings } = c.var;
    if (cached === undefined || cached.db !== c.env.DB || cached.until <= systemNow()) {
      const report = verify(c.env.DB, settings.LEDGER_ID);
      // Others may wait for this report too: it must not die with the request that happened to ask for it.
      c.executionCtx.waitUntil(report.catch(() => undefined));
      cached = { db: c.env.DB, until: systemNow() + settings.LEDGER_VERIFY_CACHE_MS, report };
    }
    try {
      const report = await cached.report;
      return c.json(report, report.status === "valid" ? 200 : 503);
    } catch (error) {
      cached = undefined;
      c.var.log("warn", "ledger.unverified", { correlationId: c.var.correlationId, reason: reasonOf(error) });
      const message = "The ledger's database can not be read now, so nothing is said about it.";
      return c.json({ status: "unverified" as const, findings: [], error: "unverified", message }, 503);
    }
  });
}

async function verify(db: D1Database, ledgerId: string): Promise<Report> {
  const { head, entries, before } = await readNewestSegment(db, ledgerId, SEGMENT_LENGTH);
  const { findings, method, from } = verifyNewest(head, entries, before);
  const valid = findings.length === 0;
  return {
    status: valid ? "valid" : "invalid",
    valid,
    method,
    size: head.size,
    headHash: head.headHash,
    rootHash: head.rootHash,
    verifiedFrom: from,
    verifiedThrough: from + entries.length,
    verifiedAt: new Date(systemNow()).toISOString(),
    findings: [...findings],
    ...(valid
      ? {}
      : { error: "ledger_invalid", message: `${findings.length} findings: the stored ledger was changed.` }),
  };
}
