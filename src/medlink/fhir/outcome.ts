/** OperationOutcome (FHIR R4): what went wrong, by code and by place, never with a value from the resource. */
import type * as z from "zod";
import { type Problem, type ProblemCode, statusOf } from "../../platform/problem.ts";

/** Those of http://hl7.org/fhir/issue-type that are used here. */
export type IssueCode =
  | "invalid"
  | "structure"
  | "required"
  | "value"
  | "code-invalid"
  | "extension"
  | "too-long"
  | "login"
  | "forbidden"
  | "security"
  | "not-found"
  | "deleted"
  | "duplicate"
  | "conflict"
  | "business-rule"
  | "not-supported"
  | "throttled"
  | "transient"
  | "exception"
  | "processing";

export interface Issue {
  readonly code: IssueCode;
  readonly text: string;
  /** FHIRPath of the element. */
  readonly expression?: string | undefined;
}

export const operationOutcome = (issues: readonly Issue[]) => ({
  resourceType: "OperationOutcome",
  issue: issues.map(({ code, text, expression }) => ({
    severity: "error",
    code,
    details: { text },
    ...(expression === undefined ? {} : { expression: [expression] }),
  })),
});

const CODES: Readonly<Partial<Record<ProblemCode, IssueCode>>> = {
  invalid_json: "structure",
  invalid_body: "invalid",
  invalid_query: "value",
  invalid_amount: "value",
  unauthenticated: "login",
  bad_signature: "security",
  forbidden: "forbidden",
  not_found: "not-found",
  method_not_allowed: "not-supported",
  conflict: "conflict",
  out_of_order: "conflict",
  already_decided: "conflict",
  superseded: "conflict",
  erased: "deleted",
  body_too_large: "too-long",
  unsupported_media_type: "not-supported",
  rate_limited: "throttled",
  internal: "exception",
  upstream_unavailable: "transient",
  overloaded: "throttled",
  unavailable: "transient",
};

export const outcomeOfProblem = ({ code, detail, issues }: Problem) => {
  const issueCode = CODES[code] ?? "processing";
  return operationOutcome([
    { code: issueCode, text: detail },
    ...(issues ?? []).map(({ path, message }) => ({ code: issueCode, text: message, expression: path || undefined })),
  ]);
};

export const FHIR_JSON = "application/fhir+json";

export const outcomeResponse = (
  status: number,
  issues: readonly Issue[],
  correlationId: string | undefined,
): Response =>
  Response.json(operationOutcome(issues), {
    status,
    headers: {
      "content-type": FHIR_JSON,
      ...(correlationId === undefined ? {} : { "x-correlation-id": correlationId }),
    },
  });

export const problemAsOutcome = (problem: Problem, correlationId: string): Response =>
  Response.json(outcomeOfProblem(problem), {
    status: statusOf(problem.code),
    headers: {
      "content-type": FHIR_JSON,
      "x-correlation-id": correlationId,
      ...(problem.retryAfterSeconds === undefined ? {} : { "retry-after": String(problem.retryAfterSeconds) }),
    },
  });

/** `item[0].net` of the path `["item", 0, "net"]`, behind the root's name. */
export const expressionOf = (root: string, path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : `${text}.${String(step)}`),
    root,
  );

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    at = Object.entries(at).find(([name]) => name === String(step))?.[1];
  }
  return at;
}

const MAX_ISSUES = 50;

/** @param root the FHIRPath of `value`, such as `Claim` or `Bundle.entry[2].resource`. */
export function issuesOfZod(error: z.ZodError, value: unknown, root: string): readonly Issue[] {
  return error.issues.slice(0, MAX_ISSUES).map((issue) => {
    const expression = expressionOf(root, issue.path);
    if (issue.code === "custom") return { code: customCode(issue.params), text: issue.message, expression };
    if (valueAt(value, issue.path) === undefined)
      return { code: "required", text: "The element is missing.", expression };
    if (issue.code === "invalid_value")
      return { code: "code-invalid", text: "The code is not one of its code system.", expression };
    if (issue.code === "invalid_type") return { code: "structure", text: "The element has another type.", expression };
    return { code: "value", text: "The element's value is not one of its type.", expression };
  });
}

const customCode = (params: Readonly<Record<string, unknown>> | undefined): IssueCode => {
  switch (params?.fhir) {
    case "structure":
    case "required":
    case "code-invalid":
    case "extension":
      return params.fhir;
    default:
      return "invalid";
  }
};
