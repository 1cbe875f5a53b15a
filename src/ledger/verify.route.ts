/** GET /ledger/verify: open to all and cached for two seconds; a range or everything for auditors. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context, Next } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { reasonOf } from "../platform/log.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { mayAudit } from "./audit-access.edge.ts";
import { FINDING_TYPES, type Finding, findingKey } from "./finding.ts";
import { wholeNumber } from "./proof-schema.ts";
import { scrubberOf } from "./scrub.cron.ts";
import { scrubPortOf } from "./scrub.edge.ts";
import type { ScrubReport } from "./scrub-state.ts";
import { type Verification, verifyNewest, verifyRange } from "./verify.ts";
import { verifyFull } from "./verify-full.ts";

/** Entries re-read and re-hashed in one answer; a ledger up to this size is gone through as a whole. */
export const SEGMENT_LENGTH = 2_048;

/** Entries of a range that is answered at once; more of them are for `full=true`. */
const MAX_RANGE = 65_536;

const findingSchema = z.object({
  type: z.enum(FINDING_TYPES),
  seq: z.number().int().optional(),
  size: z.number().int().optional(),
  subject: z.string().optional(),
  place: z.string().optional(),
  detail: z.string(),
  firstSeenAt: z.string().optional(),
  lastSeenAt: z.string().optional(),
});

const scrubSchema = z.object({
  round: z.number().int().openapi({ description: "Under way, or the next one while waiting." }),
  phase: z.string(),
  position: z.number().int().openapi({ description: "Entries of the phase that are behind it." }),
  startedAt: z.string().nullable(),
  lastCompletedAt: z.string().nullable(),
  erasedSubjects: z.number().int(),
  chainChecked: z.boolean().openapi({ description: "Whether a node could be asked for the anchors." }),
  signaturesChecked: z.boolean(),
  omittedFindings: z.number().int(),
  omittedByType: z
    .partialRecord(z.enum(FINDING_TYPES), z.number().int())
    .openapi({ description: "Findings there was no room for; full=true tells of each." }),
});

const reportSchema = z
  .object({
    status: z.enum(["valid", "invalid", "unverified"]),
    valid: z
      .boolean()
      .optional()
      .openapi({ description: "Left out when unverified: what could not be read is not wrong." }),
    method: z
      .enum(["full", "newest-segment", "range"])
      .optional()
      .openapi({ description: "What was read again for this answer; the scrub's rounds cover the rest." }),
    tree: z.enum(["first-entry", "tiles", "none"]).optional().openapi({ description: "What the tree was begun from." }),
    size: z.number().int().optional(),
    headHash: z.string().optional(),
    rootHash: z.string().optional(),
    verifiedFrom: z.number().int().optional(),
    verifiedThrough: z.number().int().optional().openapi({ description: "Entries below this seq were looked at." }),
    verifiedAt: z.string().optional(),
    checkpoint: z
      .number()
      .int()
      .nullable()
      .optional()
      .openapi({ description: "Size of the one held against the entries." }),
    anchor: z
      .number()
      .int()
      .nullable()
      .optional()
      .openapi({ description: "Size of the one held against the entries." }),
    scrubbedAt: z.string().nullable().optional().openapi({ description: "End of the last whole round." }),
    scrubbedThrough: z.number().int().optional().openapi({ description: "Entries of that round." }),
    scrub: scrubSchema.optional(),
    findings: z.array(findingSchema),
    message: z.string().optional(),
    error: z.string().optional(),
  })
  .openapi("LedgerVerification");

type Report = z.output<typeof reportSchema>;

const content = { "application/json": { schema: reportSchema } };

const querySchema = z
  .object({
    from: wholeNumber().optional(),
    to: wholeNumber().optional(),
    full: z.enum(["true", "false"]).optional(),
  })
  .refine(({ from = 0, to = from + MAX_RANGE }) => to > from && to - from <= MAX_RANGE, {
    path: ["to"],
    message: `a range has at least one entry and at most ${MAX_RANGE}; full=true goes through everything`,
  });

const route = createRoute({
  method: "get",
  path: "/ledger/verify",
  tags: ["ledger"],
  summary: "Whether the stored ledger holds together; from and to, or full=true (NDJSON), with audit scope",
  middleware: [
    mayAudit((c) => ["from", "to", "full"].some((name) => c.req.query(name) !== undefined)),
    (c: Context<CoreAppEnv>, next: Next) => (c.req.query("full") === "true" ? streamFull(c) : next()),
  ],
  request: { query: querySchema },
  responses: {
    200: {
      description:
        "Nothing wrong was found. With full=true: lines of progress and a line for each finding, then the report.",
      content: { ...content, "application/x-ndjson": { schema: z.string() } },
    },
    ...problemResponses(400, 401, 403, 429),
    503: { description: "Findings (`valid: false`), or the database is out of reach (`status: unverified`).", content },
  },
});

/** Values, not promises: a promise belongs to the request that made it, and who waits for another's may be taken for hung. */
let cached: { readonly db: D1Database; readonly until: number; readonly report: Report } | undefined;
let underWay: { readonly db: D1Database } | undefined;

/** Who asks while another is at it looks again so often, and goes by itself when that takes this long. */
const LOOK_EVERY_MS = 20;
const WAIT_FOR_ANOTHER_MS = 2_000;

export function registerVerifyLedger(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { settings } = c.var;
    const { from = 0, to = from + MAX_RANGE } = c.req.valid("query");
    const isRange = c.req.query("from") !== undefined || c.req.query("to") !== undefined;
    try {
      const report = await (isRange ? verifyPart(c.env, settings, from, to) : currentReport(c));
      return c.json(report, report.status === "valid" ? 200 : 503);
    } catch (error) {
      cached = undefined;
      return c.json(unverified(c, error), 503);
    }
  });
}

function unverified(c: Context<CoreAppEnv>, error: unknown): Report {
  c.var.log("warn", "ledger.unverified", { correlationId: c.var.correlationId, reason: reasonOf(error) });
  const message = "What the ledger is stored in can not be read now, so nothing is said about it.";
  return { status: "unverified", findings: [], error: "unverified", message };
}

async function currentReport(c: Context<CoreAppEnv>): Promise<Report> {
  const { env, executionCtx } = c;
  const giveUpAt = systemNow() + WAIT_FOR_ANOTHER_MS;
  for (;;) {
    const now = systemNow();
    if (cached !== undefined && cached.db === env.DB && now < cached.until) return cached.report;
    if (underWay?.db !== env.DB || now >= giveUpAt) break;
    await scheduler.wait(LOOK_EVERY_MS);
  }
  const making = makeReport(env, c.var.settings);
  // Others may wait for this report too: it must not die with the request that happened to ask for it.
  executionCtx.waitUntil(making.catch(() => undefined));
  return making;
}

async function makeReport(env: CoreEnv, settings: CoreSettings): Promise<Report> {
  const own = { db: env.DB };
  if (settings.LEDGER_VERIFY_CACHE_MS > 0) underWay = own;
  try {
    const report = await verifyStored(env, settings);
    cached = { db: env.DB, until: systemNow() + settings.LEDGER_VERIFY_CACHE_MS, report };
    return report;
  } finally {
    if (underWay === own) underWay = undefined;
  }
}

/** The answer of `/ledger/verify`, made now. @throws when what is stored can not be read. */
export async function verifyStored(env: CoreEnv, settings: CoreSettings): Promise<Report> {
  const { port, close } = await scrubPortOf(env, settings);
  try {
    const [verification, scrub] = await Promise.all([
      verifyNewest(port, SEGMENT_LENGTH),
      scrubberOf(env, settings).status(),
    ]);
    return reportOf(verification, scrub);
  } finally {
    close();
  }
}

async function verifyPart(env: CoreEnv, settings: CoreSettings, from: number, to: number): Promise<Report> {
  const { port, close } = await scrubPortOf(env, settings);
  try {
    return reportOf(await verifyRange(port, from, to), undefined);
  } finally {
    close();
  }
}

const isoOrNull = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** What was seen now, and what rounds of the scrub have seen that is not gone. */
function allFindings(now: readonly Finding[], scrub: ScrubReport | undefined): Report["findings"] {
  const known = new Set(now.map(findingKey));
  const seen = (scrub?.findings ?? []).map(({ firstSeenAt, lastSeenAt, ...finding }) => ({
    finding,
    firstSeenAt: new Date(firstSeenAt).toISOString(),
    lastSeenAt: new Date(lastSeenAt).toISOString(),
  }));
  return [
    ...now,
    ...seen.flatMap(({ finding, ...times }) => (known.has(findingKey(finding)) ? [] : [{ ...finding, ...times }])),
  ];
}

function reportOf(verification: Verification, scrub: ScrubReport | undefined): Report {
  const findings = allFindings(verification.findings, scrub);
  const valid = findings.length === 0;
  return {
    status: valid ? "valid" : "invalid",
    valid,
    method: verification.method,
    tree: verification.tree,
    size: verification.size,
    headHash: verification.headHash,
    rootHash: verification.rootHash,
    verifiedFrom: verification.from,
    verifiedThrough: verification.through,
    verifiedAt: new Date(systemNow()).toISOString(),
    checkpoint: verification.checkpoint,
    anchor: verification.anchor,
    ...(scrub === undefined ? {} : scrubFields(scrub)),
    findings,
    ...(valid ? {} : { error: "ledger_invalid", message: `${findings.length} findings: what is stored was changed.` }),
  };
}

const scrubFields = (scrub: ScrubReport) => ({
  scrubbedAt: isoOrNull(scrub.lastCompletedAt),
  scrubbedThrough: scrub.lastSize,
  scrub: {
    round: scrub.round,
    phase: scrub.phase,
    position: scrub.position,
    startedAt: isoOrNull(scrub.startedAt),
    lastCompletedAt: isoOrNull(scrub.lastCompletedAt),
    erasedSubjects: scrub.erasedSubjects,
    chainChecked: scrub.chainChecked,
    signaturesChecked: scrub.signaturesChecked,
    omittedFindings: scrub.omittedFindings,
    omittedByType: scrub.omittedByType,
  },
});

/** A line for each finding and after each slice, the report last. */
function streamFull(c: Context<CoreAppEnv>): Response {
  const lines = new TransformStream<Uint8Array, Uint8Array>();
  const writer = lines.writable.getWriter();
  const encoder = new TextEncoder();
  const say = (line: object) => writer.write(encoder.encode(`${JSON.stringify(line)}\n`));
  const run = async (): Promise<void> => {
    const { port, close } = await scrubPortOf(c.env, c.var.settings);
    try {
      const { report, found } = await verifyFull(port, say);
      const valid = found === 0;
      await say({
        type: "report",
        status: valid ? "valid" : "invalid",
        valid,
        method: "full",
        size: report.lastSize,
        verifiedFrom: 0,
        verifiedThrough: report.lastSize,
        verifiedAt: isoOrNull(report.lastCompletedAt),
        erasedSubjects: report.erasedSubjects,
        chainChecked: report.chainChecked,
        signaturesChecked: report.signaturesChecked,
        found,
        omittedFindings: report.omittedFindings,
        omittedByType: report.omittedByType,
        findings: report.findings.map(({ firstSeenAt: _first, lastSeenAt: _last, ...finding }) => finding),
      });
    } catch (error) {
      await say({ type: "report", ...unverified(c, error) });
    } finally {
      close();
    }
  };
  c.executionCtx.waitUntil(
    run()
      .then(() => writer.close())
      .catch(() => writer.abort().catch(() => undefined)), // the reader went away
  );
  return new Response(lines.readable, {
    headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
  });
}
