/** What an operation answers, before it is written as a response. */
import type { Problem, ProblemCode } from "../platform/problem.ts";

export type Answer =
  | { readonly type: "ok"; readonly status: number; readonly body: unknown; readonly headers?: HeadersInit }
  | { readonly type: "problem"; readonly problem: Problem }
  | { readonly type: "raw"; readonly response: Response };

export const ok = (status: number, body: unknown, headers: HeadersInit = {}): Answer => ({
  type: "ok",
  status,
  body,
  headers,
});

export const refuse = (code: ProblemCode, detail: string, more: Partial<Problem> = {}): Answer => ({
  type: "problem",
  problem: { ...more, code, detail },
});

export const notFound = (what: string): Answer => refuse("not_found", `There is no such ${what}.`);
