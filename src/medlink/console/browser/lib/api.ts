/** Calls to the hub's API, and what its refusals mean to a person. */
import { say, sayProblem, sayRule } from "./say.ts";

export interface Issue {
  readonly path: string;
  /** In the page's language; undefined where there are no words for the rule. */
  readonly text: string | undefined;
}

export type ApiAnswer =
  | { readonly type: "ok"; readonly status: number; readonly body: unknown }
  | {
      readonly type: "refused";
      readonly status: number;
      readonly code: string;
      readonly issues: readonly Issue[];
      readonly retryAfterSeconds: number | undefined;
    }
  | { readonly type: "offline" };

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What an object says of a rule, in the page's language. */
export const ruleText = ({ rule, limit }: Readonly<Record<string, unknown>>): string | undefined =>
  sayRule(typeof rule === "string" ? rule : undefined, typeof limit === "number" ? limit : undefined);

const issuesOf = (value: unknown): readonly Issue[] =>
  (Array.isArray(value) ? value.filter(isObject) : []).flatMap((issue) =>
    typeof issue.path === "string" ? [{ path: issue.path, text: ruleText(issue) }] : [],
  );

/** @param body sent as JSON; undefined: none. */
export function callApi(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
  return body === undefined
    ? send(path, { method })
    : send(path, { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } });
}

/** Sends a file as it is; its name travels in a header, since addresses are kept in many places. */
export const callFile = (path: string, file: File, contentType = file.type): Promise<ApiAnswer> =>
  send(path, {
    method: "POST",
    body: file,
    headers: { "content-type": contentType, "x-file-name": encodeURIComponent(file.name) },
  });

async function send(
  path: string,
  init: RequestInit & { readonly headers?: Record<string, string> },
): Promise<ApiAnswer> {
  let response: Response;
  let received: unknown;
  try {
    response = await fetch(path, {
      ...init,
      headers: { accept: "application/json", ...init.headers },
      credentials: "same-origin",
    });
    const text = await response.text();
    received = text === "" ? undefined : JSON.parse(text);
  } catch {
    return { type: "offline" };
  }
  if (response.ok) return { type: "ok", status: response.status, body: received };
  const problem = isObject(received) ? received : {};
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  return {
    type: "refused",
    status: response.status,
    code: typeof problem.code === "string" ? problem.code : "",
    issues: issuesOf(problem.issues),
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
  };
}

/** One sentence that says what to do next. @param problems said instead, by code. */
export function sentenceOf(
  answer: Exclude<ApiAnswer, { type: "ok" }>,
  problems: Readonly<Record<string, string>> = {},
): string {
  if (answer.type === "offline") return say("form.offline");
  const { code } = answer;
  const own = problems[code];
  if (own !== undefined) return own;
  if (code === "locked_out") {
    return say("problem.locked_out", { minutes: Math.max(1, Math.ceil((answer.retryAfterSeconds ?? 60) / 60)) });
  }
  return sayProblem(code) ?? say("form.failed");
}
