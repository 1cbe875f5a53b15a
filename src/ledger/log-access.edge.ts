/** Who may read the log: everyone where it is public, else those who hold the auditor's token. And how it is answered. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context, Handler, MiddlewareHandler } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { toHex } from "../platform/encoding.ts";
import { problemContent } from "../platform/openapi.ts";
import { type Problem, problemResponse } from "../platform/problem.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { timingSafeEqual } from "../platform/timing-safe.ts";

export function mayReadLog(): MiddlewareHandler<CoreAppEnv> {
  return async (c, next) => {
    if (c.get("settings").LEDGER_LOG_PUBLIC) return next();
    const token = c.req.header("x-api-key") ?? /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const accepted = acceptedValues({ ...c.env }, "AUDITOR_TOKEN");
    if (token !== undefined && accepted.some((value) => timingSafeEqual(value, token))) return next();
    const detail = "This log is not public. Send the auditor's token as Authorization: Bearer.";
    return problemResponse({ code: "unauthenticated", detail }, c.get("correlationId"));
  };
}

/** How the API document shows a file of the log, by its path under the log. */
export interface LogDocument {
  readonly path: string;
  readonly summary: string;
  readonly params?: z.ZodObject;
  readonly responses: ReturnType<typeof fileResponses>;
}

/**
 * Registers a GET under `/ledger/log` and under `/ledger/<id>/log`. Another ledger's id is not found.
 * @param path below the log, in the router's own syntax.
 */
export function onLog(
  app: OpenAPIHono<CoreAppEnv>,
  path: string,
  documents: readonly LogDocument[],
  handler: (c: Context<CoreAppEnv>) => Promise<Response>,
) {
  for (const document of documents) {
    const { params = z.object({}) } = document;
    const { summary, responses } = document;
    const common = { method: "get" as const, tags: ["log"], summary, responses };
    app.openAPIRegistry.registerPath({
      ...common,
      path: `/ledger/log${document.path}`,
      ...(document.params === undefined ? {} : { request: { params } }),
    });
    app.openAPIRegistry.registerPath({
      ...common,
      path: `/ledger/{ledgerId}/log${document.path}`,
      request: { params: params.extend({ ledgerId: z.string() }) },
    });
  }
  const checked: Handler<CoreAppEnv> = (c) => {
    const ledgerId = c.req.param("ledgerId");
    if (ledgerId === undefined || ledgerId === c.get("settings").LEDGER_ID) return handler(c);
    return refuse(c, { code: "not_found", detail: "There is no ledger of this id here." });
  };
  app.get(`/ledger/log${path}`, mayReadLog(), checked);
  app.get(`/ledger/:ledgerId/log${path}`, mayReadLog(), checked);
}

export const refuse = (c: Context<CoreAppEnv>, problem: Problem): Response =>
  problemResponse(problem, c.get("correlationId"));

/** A year: what is full never changes. */
const IMMUTABLE = "max-age=31536000, immutable";

export type Freshness = "immutable" | "partial" | "newest";

const MAX_AGE: Readonly<Record<Freshness, string>> = {
  immutable: IMMUTABLE,
  // Its bytes never change, but it goes out of use as the log grows.
  partial: "max-age=60",
  newest: "max-age=1",
};

/** A file of the log, or 304 when the reader has it. */
export async function answerFile(
  c: Context<CoreAppEnv>,
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  freshness: Freshness,
): Promise<Response> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const etag = `"${toHex(digest.slice(0, 16))}"`;
  const headers = {
    etag,
    "cache-control": `${c.get("settings").LEDGER_LOG_PUBLIC ? "public" : "private"}, ${MAX_AGE[freshness]}`,
    "access-control-allow-origin": "*",
  };
  if (isNamed(c.req.header("if-none-match"), etag)) return new Response(null, { status: 304, headers });
  return new Response(bytes, {
    headers: { ...headers, "content-type": contentType, "content-length": String(bytes.length) },
  });
}

/** If-None-Match compares weakly (RFC 9110 section 13.1.2). */
const isNamed = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? "").split(",").some((value) => value.trim() === "*" || value.trim().replace(/^W\//, "") === etag);

/** What a document says of a log file. */
export const fileResponses = (contentType: string, description: string) => ({
  200: { description, content: { [contentType]: { schema: { type: "string" as const, format: "binary" } } } },
  304: { description: "The reader's copy is current." },
  401: { description: "The log is not public, and the auditor's token is missing or wrong.", content: problemContent },
  404: { description: "There is no such file, or not yet; the problem says which.", content: problemContent },
});
