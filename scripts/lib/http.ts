/** Small HTTP calls with JSON, for scripts. */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "./fail.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed when it is JSON, else the text. */
  readonly body: unknown;
}

export interface CallOptions {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

const RESENDS = 3;
const RESEND_DELAY_MS = 500;

/** As `call`, for what may be sent again without harm: a connection that broke is tried again, three times at most. */
export async function callAgain(url: string, options: CallOptions = {}): Promise<Answer> {
  for (let resends = 0; ; resends++) {
    try {
      return await call(url, options);
    } catch (error) {
      if (resends === RESENDS) throw error;
      await sleep(RESEND_DELAY_MS);
    }
  }
}

/** @throws Error naming method and URL when there is no answer at all. */
export async function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body, timeoutMs = 20_000 } = options;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      // A connection of its own: one that is kept may be closed by the other side just as it is used again.
      headers: {
        connection: "close",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "manual",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
    throw new Error(`${method} ${url}: ${messageOf(error)}${cause}`);
  }
  return { status: response.status, headers: response.headers, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What an answer says of itself, short enough for one line. */
export function summaryOf(answer: Answer): string {
  const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
  return `${answer.status} ${text.replace(/\s+/g, " ").slice(0, 300)}`;
}
