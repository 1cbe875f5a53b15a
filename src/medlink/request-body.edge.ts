/** What a request carries: read within its limits, and held against a schema. */
import type { z } from "@hono/zod-openapi";
import { type Answer, refuse } from "./answer.ts";
import { issueOf } from "./field-rule.ts";

export const BODY_LIMIT_BYTES = 1_000_000;

/** In lower case, without parameters. */
export const mediaTypeOf = (contentType: string | undefined): string | undefined =>
  contentType?.split(";")[0]?.trim().toLowerCase();

export const isJsonType = (contentType: string | undefined): boolean =>
  /^application\/json\s*(;|$)/i.test(contentType?.trim() ?? "");

export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly answer: Answer };

export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  code: "invalid_query" | "invalid_body",
): Parsed<z.output<Schema>> {
  const parsed = schema.safeParse(value);
  // The message names the field and the rule; zod's own never repeats the value.
  if (!parsed.success) {
    const issues = parsed.error.issues.map(issueOf);
    const detail = `These fields are wrong: ${issues.map((issue) => issue.path || "(whole)").join(", ")}.`;
    return { ok: false, answer: refuse(code, detail, { issues }) };
  }
  return { ok: true, value: parsed.data };
}

/** @returns the text of a body of at most 1 MB, or the problem. */
export async function readText(request: Request): Promise<Parsed<string>> {
  const tooLarge = (): Parsed<string> => ({
    ok: false,
    answer: refuse("body_too_large", `A body has at most ${BODY_LIMIT_BYTES} bytes.`),
  });
  if (Number(request.headers.get("content-length") ?? 0) > BODY_LIMIT_BYTES) return tooLarge();
  if (request.body === null) return { ok: true, value: "" };
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > BODY_LIMIT_BYTES) return tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
    text += decoder.decode();
  } catch {
    return { ok: false, answer: refuse("invalid_json", "The body is not complete UTF-8 text.") };
  }
  return { ok: true, value: text };
}

export async function readJson(request: Request): Promise<Parsed<unknown>> {
  const text = await readText(request);
  if (!text.ok) return text;
  try {
    return { ok: true, value: JSON.parse(text.value) };
  } catch {
    return { ok: false, answer: refuse("invalid_json", "The body is not JSON.") };
  }
}
