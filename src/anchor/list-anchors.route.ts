/** GET /ledger/anchors. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { anchorOf } from "./anchor.cron.ts";
import { listAnchors, signerEvents } from "./anchor-history.store.ts";
import {
  anchorEventSchema,
  anchorRecordSchema,
  eventView,
  recordView,
  type SignerView,
  signerView,
  signerViewSchema,
} from "./anchor-record-view.ts";

const querySchema = z.object({
  before: z.coerce
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .openapi({ param: { name: "before", in: "query" }, description: "Sizes below this: `nextBefore` of a page." }),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(20)
    .openapi({ param: { name: "limit", in: "query" } }),
});

const answerSchema = z
  .object({
    signer: signerViewSchema,
    anchors: z.array(anchorRecordSchema).openapi({ description: "Largest, so newest, first." }),
    nextBefore: z.number().int().nullable().openapi({ description: "Null on the last page." }),
    signerEvents: z
      .array(anchorEventSchema)
      .openapi({ description: "What happened with nothing in flight, newest first; the last 20, on the first page." }),
  })
  .openapi("Anchors");

const route = createRoute({
  method: "get",
  path: "/ledger/anchors",
  tags: ["ledger"],
  summary: "Every anchor with its history, and the state of the signer",
  security: [{ apiKey: [] }],
  middleware: [authenticate(["claims", "workflow"], ["read", "audit"])] as const,
  request: { query: querySchema },
  responses: {
    200: { description: "A page of anchors.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 403, 429),
  },
});

export function registerListAnchors(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { before, limit } = c.req.valid("query");
    const { settings } = c.var;
    const [signer, records, events] = await Promise.all([
      signerOf(c.env, settings),
      listAnchors(c.env.DB, settings.LEDGER_ID, before, limit + 1),
      before === undefined ? signerEvents(c.env.DB, settings.LEDGER_ID) : [],
    ]);
    const anchors = records.slice(0, limit).map(recordView);
    const nextBefore = records.length > limit ? (anchors.at(-1)?.size ?? null) : null;
    return c.json({ signer, anchors, nextBefore, signerEvents: events.map(eventView) }, 200);
  });
}

/** The history can be read without the signer's owner. */
async function signerOf(env: CoreEnv, settings: CoreSettings): Promise<SignerView> {
  try {
    return signerView(await anchorOf(env, settings).status());
  } catch {
    return { state: "unknown", reason: "The signer's owner did not answer." };
  }
}
