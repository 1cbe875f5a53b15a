/**
 * Errors as callers see them: RFC 9457 problem documents that also carry `error` and `message`, which older clients read.
 * The set of codes is closed; each maps to one status here and nowhere else.
 */

const STATUS_BY_CODE = {
  invalid_json: 400,
  invalid_body: 400,
  invalid_query: 400,
  invalid_amount: 400,
  unauthenticated: 401,
  bad_signature: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  out_of_order: 409,
  already_decided: 409,
  /** The same Idempotency-Key is being answered right now. */
  in_progress: 409,
  superseded: 409,
  erased: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  /** A rule of money: `reason` says which. */
  settlement_refused: 422,
  /** An Idempotency-Key came again with another request. */
  key_reused: 422,
  rate_limited: 429,
  locked_out: 429,
  internal: 500,
  upstream_unavailable: 502,
  overloaded: 503,
  unavailable: 503,
} as const satisfies Record<string, number>;

export type ProblemCode = keyof typeof STATUS_BY_CODE;
export type ProblemStatus = (typeof STATUS_BY_CODE)[ProblemCode];

export interface Problem {
  readonly code: ProblemCode;
  /** One sentence for the person who reads it: what is wrong and what to do next. Never a value from the request body. */
  readonly detail: string;
  /** Seconds, sent as Retry-After. */
  readonly retryAfterSeconds?: number;
  /** Which fields are wrong, by JSON path; never their values. */
  readonly issues?: readonly {
    readonly path: string;
    readonly message: string;
    /** A closed code of the service, and the limit that it speaks of. */
    readonly rule?: string | undefined;
    readonly limit?: number | undefined;
  }[];
  /** requestIdHash of the successor, where a request was superseded. */
  readonly supersededBy?: string;
  /** Which of a code's closed list of reasons. */
  readonly reason?: string;
}

export const statusOf = (code: ProblemCode): ProblemStatus => STATUS_BY_CODE[code];

/** A stored answer's status; 500 for one that no problem has. */
export const problemStatusOf = (status: number): ProblemStatus =>
  Object.values(STATUS_BY_CODE).find((known) => known === status) ?? 500;

const TITLE_BY_STATUS: Record<ProblemStatus, string> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: ProblemStatus;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly error: ProblemCode;
  readonly message: string;
  readonly correlationId: string;
  readonly issues?: Problem["issues"];
  readonly supersededBy?: Problem["supersededBy"];
  readonly reason?: Problem["reason"];
}

export function problemDocument(problem: Problem, correlationId: string): ProblemDocument {
  const status = statusOf(problem.code);
  return {
    type: `urn:itrans:problem:${problem.code}`,
    title: TITLE_BY_STATUS[status],
    status,
    detail: problem.detail,
    code: problem.code,
    error: problem.code,
    message: problem.detail,
    correlationId,
    ...(problem.issues === undefined ? {} : { issues: problem.issues }),
    ...(problem.supersededBy === undefined ? {} : { supersededBy: problem.supersededBy }),
    ...(problem.reason === undefined ? {} : { reason: problem.reason }),
  };
}

/** The answer to send; `application/problem+json`. */
export function problemResponse(problem: Problem, correlationId: string): Response {
  return Response.json(problemDocument(problem, correlationId), {
    status: statusOf(problem.code),
    headers: {
      "content-type": "application/problem+json",
      "x-correlation-id": correlationId,
      ...(problem.retryAfterSeconds === undefined ? {} : { "retry-after": String(problem.retryAfterSeconds) }),
    },
  });
}
