/** One signed POST to a destination. Redirects are not followed: the signature was made for this receiver and no other. */
import { signRelayBody, signStandardWebhook } from "../platform/signature.ts";
import { VERSION } from "../platform/version.ts";
import type { LeasedDelivery, PostResult } from "./port.ts";

/** More of an answer than this is not read. */
const MAX_ANSWER_BYTES = 4_096;

/**
 * The headers of one attempt.
 * @param timestampMs epoch ms of this attempt: receivers refuse an old one.
 */
export function webhookHeaders(
  delivery: LeasedDelivery,
  secret: string,
  timestampMs: number,
): Readonly<Record<string, string>> {
  const { eventId, eventType, body, correlationId } = delivery;
  const timestampSeconds = Math.floor(timestampMs / 1000);
  return {
    "content-type": "application/json",
    "user-agent": `itrans-relay/${VERSION.version}`,
    "idempotency-key": eventId,
    "x-itrans-relay-event-id": eventId,
    "x-itrans-relay-event-type": eventType,
    "x-itrans-relay-timestamp": String(timestampMs),
    "x-itrans-relay-signature": signRelayBody(timestampMs, body, secret),
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": signStandardWebhook(eventId, timestampSeconds, body, secret),
    "x-correlation-id": correlationId,
  };
}

/** Never throws: whatever happens is a result. The timeout covers the connection, the answer and what is read of its body. */
export async function postWebhook(delivery: LeasedDelivery, secret: string, timestampMs: number): Promise<PostResult> {
  const signal = AbortSignal.timeout(delivery.destination.timeoutMs);
  let answer: Response;
  try {
    answer = await fetch(delivery.destination.url, {
      method: "POST",
      headers: webhookHeaders(delivery, secret, timestampMs),
      body: delivery.body,
      redirect: "manual",
      signal,
    });
  } catch (thrown) {
    return failureOf(thrown);
  }
  const { status } = answer;
  const retryAfter = answer.headers.get("retry-after") ?? undefined;
  try {
    // Read to its end, a short answer leaves the connection for the next post.
    const text = await readStart(answer);
    return { type: "answered", status, retryAfter, retryable: status === 404 && saysRetryable(text) };
  } catch (thrown) {
    // Only of a 404 does the body matter: cut off, it must not pass for a final refusal.
    return status === 404 ? failureOf(thrown) : { type: "answered", status, retryAfter, retryable: false };
  }
}

function failureOf(thrown: unknown): PostResult {
  if (thrown instanceof Error && (thrown.name === "TimeoutError" || thrown.name === "AbortError")) {
    return { type: "timeout" };
  }
  return { type: "connection-failed", reason: thrown instanceof Error ? thrown.message.slice(0, 100) : "unknown" };
}

/** The first MAX_ANSWER_BYTES of the body, in whole chunks. */
async function readStart(answer: Response): Promise<string> {
  if (answer.body === null) return "";
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  while (length < MAX_ANSWER_BYTES) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    length += value.length;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}

function saysRetryable(text: string): boolean {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null && "retryable" in answer && answer.retryable === true;
  } catch {
    return false;
  }
}
