/** Calls into core, over the service binding or its URL; the wire contract is the same. */
import { statusClass } from "../operations/metrics.ts";
import type { Measure } from "../operations/metrics-buffer.ts";
import { signProviderPayload } from "../platform/signature.ts";

/** `operator`: with core's operator key, which not every hub has. */
export type Surface = "claims" | "workflow" | "open" | "operator";

export interface CoreCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Begins with a slash; ids in it are already encoded. */
  readonly path: string;
  readonly surface: Surface;
  /** Sent as JSON; a POST without one has an empty body. */
  readonly body?: unknown;
  /** The form of the answer; JSON when left out. */
  readonly accept?: string;
  readonly correlationId: string;
  readonly timeoutMs?: number;
}

export type CoreAnswer =
  | {
      readonly type: "answered";
      readonly status: number;
      readonly text: string;
      readonly contentType: string;
      readonly retryAfter: string | undefined;
    }
  | { readonly type: "timeout" }
  | { readonly type: "unreachable"; readonly reason: string };

export interface CoreClient {
  call(call: CoreCall): Promise<CoreAnswer>;
  /** Whether the hub has core's operator key. */
  readonly operates: boolean;
  /** `{offchainPayload, providerSignature}` around a payload, signed as it will be sent. */
  sign(payload: unknown): { readonly offchainPayload: unknown; readonly providerSignature: string };
}

export interface CoreClientOptions {
  readonly fetcher: { fetch(request: Request): Promise<Response> };
  readonly baseUrl: string;
  readonly workflowKey: string;
  readonly claimsKey: string;
  readonly operatorKey: string | undefined;
  readonly providerSecret: string;
  readonly timeoutMs: number;
  readonly measure: Measure;
  readonly now: () => number;
}

export function makeCoreClient(options: CoreClientOptions): CoreClient {
  const { claimsKey, workflowKey, operatorKey, measure, now } = options;
  const keyOf = { claims: claimsKey, workflow: workflowKey, operator: operatorKey, open: undefined };
  const measured = async (surface: Surface, call: () => Promise<CoreAnswer>): Promise<CoreAnswer> => {
    const startedAt = now();
    const answer = await call();
    const outcome = answer.type === "answered" ? statusClass(answer.status) : answer.type;
    measure.add("medlink_core_requests_total", { surface, outcome });
    measure.observe("medlink_core_request_duration_seconds", { surface }, (now() - startedAt) / 1000);
    return answer;
  };
  return {
    operates: operatorKey !== undefined,
    sign(payload) {
      return { offchainPayload: payload, providerSignature: signProviderPayload(payload, options.providerSecret) };
    },
    call({ method, path, surface, body, accept = "application/json", correlationId, timeoutMs = options.timeoutMs }) {
      const headers = new Headers({ accept, "x-correlation-id": correlationId });
      const key = keyOf[surface];
      if (key !== undefined) headers.set("x-api-key", key);
      if (method !== "GET") headers.set("content-type", "application/json");
      return measured(surface, async () => {
        const signal = AbortSignal.timeout(timeoutMs);
        try {
          const response = await options.fetcher.fetch(
            new Request(new URL(path, options.baseUrl), {
              method,
              headers,
              redirect: "manual",
              signal,
              ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            }),
          );
          return {
            type: "answered",
            status: response.status,
            text: await response.text(),
            contentType: response.headers.get("content-type") ?? "application/json",
            retryAfter: response.headers.get("retry-after") ?? undefined,
          };
        } catch (thrown) {
          if (signal.aborted) return { type: "timeout" };
          return { type: "unreachable", reason: thrown instanceof Error ? thrown.name : "unknown" };
        }
      });
    },
  };
}
