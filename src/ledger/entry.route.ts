/** GET /ledger/entries/:seq: one entry, as it was hashed. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { toBase64, utf8 } from "../platform/encoding.ts";
import { problemResponses } from "../platform/openapi.ts";
import { decodeEntry } from "./entry.ts";
import { mayReadLog } from "./log-access.edge.ts";
import { hashHex, wholeNumber } from "./proof-schema.ts";
import { readCommittedEntry } from "./publish.store.ts";
import { ledgerSize } from "./scrub.store.ts";

const answerSchema = z
  .object({
    ledgerId: z.string(),
    seq: z.number().int(),
    entryHash: hashHex.openapi({ description: "SHA-256 over a zero byte and the entry's bytes." }),
    bytes: z.string().openapi({ description: "Base64 of the canonical JSON that was hashed." }),
    entry: z.record(z.string(), z.unknown()).openapi({ description: "The same, parsed." }),
  })
  .openapi("LedgerEntry");

const route = createRoute({
  method: "get",
  path: "/ledger/entries/{seq}",
  tags: ["ledger"],
  summary: "One entry of the ledger",
  middleware: [mayReadLog()] as const,
  request: { params: z.object({ seq: wholeNumber() }) },
  responses: {
    200: { description: "The entry.", content: { "application/json": { schema: answerSchema } } },
    ...problemResponses(400, 401, 404),
  },
});

export function registerLedgerEntry(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const { seq } = c.req.valid("param");
    const ledgerId = c.var.settings.LEDGER_ID;
    const stored = await readCommittedEntry(c.env.DB, ledgerId, seq);
    if (stored === undefined) {
      const size = await ledgerSize(c.env.DB, ledgerId);
      const detail = `The ledger has ${size} entries, numbered from 0; entry ${seq} is not one of them yet.`;
      return answerProblem(c, { code: "not_found", detail, retryAfterSeconds: 2 });
    }
    const bytes = utf8(stored.body);
    if (decodeEntry(bytes) === undefined) throw new Error(`entry ${seq} does not read as an entry`);
    const { entryHash, body } = stored;
    return c.json({ ledgerId, seq, entryHash, bytes: toBase64(bytes), entry: JSON.parse(body) }, 200);
  });
}
