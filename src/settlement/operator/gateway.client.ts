/** The payer's operator over HTTP: docs/operator-api.md. Signed, bounded in time and size, redirects not followed. */
import type { OperatorLimiter } from "../../../durable-objects/operator-limiter.ts";
import { measureOf } from "../../operations/meter.edge.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import type { Log } from "../../platform/log.ts";
import type { CoreSettings } from "../../platform/settings.ts";
import { VERSION } from "../../platform/version.ts";
import { operatorUrlFault } from "./address.ts";
import { type OperatorCall, operatorOver } from "./calls.ts";
import type { Exchange } from "./classify.ts";
import { OPERATOR_LIMITER_NAME } from "./permits.ts";
import type { PayersOperator } from "./records.ts";
import { signOperatorCall } from "./signing.ts";

/** A page of 200 transactions has some 80 kB. */
const MAX_ANSWER_BYTES = 1_000_000;

/** While it is not configured nothing is sent; whoever configures it finds everything as it was. */
const NOT_CONFIGURED_RETRY_MS = 300_000;

export interface OperatorEnv {
  readonly OPERATOR_LIMITER: DurableObjectNamespace<OperatorLimiter>;
  readonly OPERATOR_HMAC_SECRET?: string;
  readonly METRICS?: string;
  readonly METRICS_FLUSH_MS?: string;
}

export type OperatorSettings = Pick<
  CoreSettings,
  "ENVIRONMENT" | "OPERATOR_API_URL" | "OPERATOR_TIMEOUT_MS" | "OPERATOR_PERMIT_WAIT_MS"
>;

/** Why nothing can be sent to the operator as it is configured; undefined when it can. */
export function operatorFault(
  env: OperatorEnv,
  { OPERATOR_API_URL, ENVIRONMENT }: OperatorSettings,
): string | undefined {
  if (OPERATOR_API_URL === undefined) return "OPERATOR_API_URL is not set.";
  const fault = operatorUrlFault(OPERATOR_API_URL, ENVIRONMENT);
  if (fault !== undefined) return `OPERATOR_API_URL ${fault}.`;
  return (env.OPERATOR_HMAC_SECRET ?? "") === "" ? "OPERATOR_HMAC_SECRET is not set." : undefined;
}

/** The gateway for one isolate; cheap to make. Without an operator every call is `not_sent`. */
export function makeOperatorGateway(env: OperatorEnv, settings: OperatorSettings, log: Log): PayersOperator {
  const fault = operatorFault(env, settings);
  const base = (settings.OPERATOR_API_URL ?? "").replace(/\/+$/, "");
  const secret = env.OPERATOR_HMAC_SECRET ?? "";
  const limiter = () => env.OPERATOR_LIMITER.getByName(OPERATOR_LIMITER_NAME);
  return operatorOver({
    async acquire(request) {
      if (fault !== undefined) return { type: "refused", reason: "fault", retryAfterMs: NOT_CONFIGURED_RETRY_MS };
      try {
        return await limiter().acquire({ ...request, maxWaitMs: settings.OPERATOR_PERMIT_WAIT_MS });
      } catch {
        // The object was moved or restarted: its callers wait anew.
        return { type: "refused", reason: "limiter", retryAfterMs: 1_000 };
      }
    },
    async report(report) {
      try {
        await limiter().report(report);
      } catch {
        // The call was made and has its answer; that the circuit did not hear of it is no reason to lose that.
      }
    },
    exchange: (call) => exchange(`${base}${call.path}`, call, secret, settings.OPERATOR_TIMEOUT_MS),
    now: systemNow,
    noted({ operation, outcome, result, status, correlationId, durationMs }) {
      measureOf("itrans-core", env).add("itrans_core_operator_calls_total", { operation, result });
      const level = outcome === "unknown" ? "warn" : "info";
      const fields = { correlationId, method: operation, code: outcome, durationMs };
      log(level, "operator.call", {
        ...fields,
        ...(status === undefined ? {} : { status }),
        ...(fault === undefined ? {} : { reason: fault }),
      });
    },
  });
}

/** Never throws: whatever happens is a result. The timeout covers the connection, the answer and its body. */
async function exchange(url: string, call: OperatorCall, secret: string, timeoutMs: number): Promise<Exchange> {
  const timestamp = Math.floor(systemNow() / 1000);
  try {
    const answer = await fetch(url, {
      method: call.method,
      headers: {
        accept: "application/json",
        "user-agent": `itrans-core/${VERSION.version}`,
        "x-timestamp": String(timestamp),
        "x-signature": signOperatorCall(timestamp, call.body, secret),
        "x-correlation-id": call.correlationId,
        ...(call.method === "POST" ? { "content-type": "application/json" } : {}),
      },
      ...(call.method === "POST" ? { body: call.body } : {}),
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const { status, headers } = answer;
    const retryAfter = headers.get("retry-after");
    return { type: "answered", status, retryAfter, body: await readBounded(answer) };
  } catch {
    return { type: "no-answer" };
  }
}

/** @returns undefined when there is more of it than we read, or it was cut off: its status still says something. */
async function readBounded(answer: Response): Promise<string | undefined> {
  if (answer.body === null) return "";
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      length += value.length;
      if (length > MAX_ANSWER_BYTES) {
        await reader.cancel();
        return undefined;
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    return undefined;
  }
}
