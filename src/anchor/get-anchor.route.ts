/** GET /ledger/anchors/:size. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { wholeNumber } from "../ledger/proof-schema.ts";
import { ledgerSize } from "../ledger/scrub.store.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { problemResponses } from "../platform/openapi.ts";
import type { Problem } from "../platform/problem.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { anchorFor } from "./anchor.store.ts";
import { findAnchor } from "./anchor-history.store.ts";
import { anchorRecordSchema, recordView } from "./anchor-record-view.ts";
import { anchoringEnabled } from "./anchor-status.edge.ts";
import { comeBackSeconds, type EntryAnchor } from "./anchor-view.ts";

const paramsSchema = z.object({
  size: wholeNumber(1).openapi({ param: { name: "size", in: "path" }, description: "The anchored tree size." }),
});

const route = createRoute({
  method: "get",
  path: "/ledger/anchors/{size}",
  tags: ["ledger"],
  summary: "The anchor of one tree size, with its history",
  description: "404 says why there is none and which anchor covers that size; Retry-After says when one may come.",
  security: [{ apiKey: [] }],
  middleware: [authenticate(["claims", "workflow"], ["read", "audit"])] as const,
  request: { params: paramsSchema },
  responses: {
    200: { description: "The anchor.", content: { "application/json": { schema: anchorRecordSchema } } },
    ...problemResponses(400, 401, 403, 404, 429),
  },
});

export function registerGetAnchor(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { size } = c.req.valid("param");
    const { settings } = c.var;
    const found = await findAnchor(c.env.DB, settings.LEDGER_ID, size);
    if (found !== undefined) return c.json(recordView(found), 200);
    const [entries, covering] = await Promise.all([
      ledgerSize(c.env.DB, settings.LEDGER_ID),
      anchorFor(c.env.DB, settings.LEDGER_ID, size - 1),
    ]);
    const retryAfterSeconds = comeBackSeconds({
      enabled: anchoringEnabled(settings),
      pollMs: settings.ANCHOR_POLL_MS,
    });
    return answerProblem(c, whyNone(size, entries, covering, anchoringEnabled(settings), retryAfterSeconds));
  });
}

function whyNone(
  size: number,
  entries: number,
  covering: EntryAnchor,
  enabled: boolean,
  retryAfterSeconds: number,
): Problem {
  if (covering.state === "confirmed") {
    const detail = `No anchor has the size ${size}; the one of ${covering.size} covers it.`;
    return { code: "not_found", detail };
  }
  if (covering.state === "submitted") {
    const detail = `No anchor has the size ${size}; the one of ${covering.size} will cover it and is not final yet.`;
    return { code: "not_found", detail, retryAfterSeconds };
  }
  if (!enabled) {
    const detail = "No chain is configured for this ledger, so nothing is anchored.";
    return { code: "not_found", detail, retryAfterSeconds };
  }
  const detail =
    size > entries
      ? `The ledger has ${entries} entries, fewer than ${size}; an anchor can only follow the entries.`
      : `The ledger's first ${size} entries are not anchored yet; the next anchor will cover them.`;
  return { code: "not_found", detail, retryAfterSeconds };
}
