/** Reading JSON bodies: content type, size and syntax are checked before any schema sees them. */
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type Problem, problemResponse } from "./problem.ts";

export const MAX_BODY_BYTES = 1_000_000;

interface BodyEnv {
  Variables: { correlationId: string; received: unknown };
}

const refuse = (c: Context<BodyEnv>, problem: Problem): Response => problemResponse(problem, c.get("correlationId"));

const limit = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: (c) =>
    refuse(c, { code: "body_too_large", detail: `The body is over ${MAX_BODY_BYTES} bytes. Send a smaller one.` }),
});

const isJson = (contentType: string | undefined): boolean =>
  contentType !== undefined && /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(contentType);

/**
 * Sets `received` to the body as parsed from the wire. An empty body passes as `{}` where `optional`, with whatever
 * content type came along.
 */
export function jsonBody(options: { readonly optional: boolean }): MiddlewareHandler<BodyEnv> {
  return (c, next) =>
    limit(c, async () => {
      // Nothing is unpacked: a small body can not become a large one here.
      const encoding = c.req.header("content-encoding");
      if (encoding !== undefined && encoding.trim().toLowerCase() !== "identity") {
        c.res = refuse(c, { code: "unsupported_media_type", detail: "Send the body without a Content-Encoding." });
        return;
      }
      const text = await c.req.text();
      if (text.trim() === "") {
        if (!options.optional) {
          c.res = refuse(c, { code: "invalid_json", detail: "The body is empty. Send a JSON object." });
          return;
        }
        c.set("received", {});
        presentAsJson(c, "{}");
        await next();
        return;
      }
      if (!isJson(c.req.header("content-type"))) {
        c.res = refuse(c, { code: "unsupported_media_type", detail: "Send the body as application/json." });
        return;
      }
      try {
        c.set("received", JSON.parse(text));
      } catch {
        c.res = refuse(c, { code: "invalid_json", detail: "The body is not complete, well-formed JSON." });
        return;
      }
      if (c.req.header("content-type") !== "application/json") presentAsJson(c, text);
      await next();
    });
}

/** The routes' own validators take fewer spellings of the content type, and would see no body, or none they accept. */
function presentAsJson(c: Context<BodyEnv>, body: string): void {
  const headers = new Headers(c.req.raw.headers);
  headers.delete("content-length");
  headers.set("content-type", "application/json");
  c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers, body });
  c.req.bodyCache = {};
}
