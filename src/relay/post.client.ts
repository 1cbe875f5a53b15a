/** One signed POST to a destination. Redirects are not followed: the signature was made for this receiver and no other. */
import { signRelayBody, signStandardWebhook } from "../platform/signature.ts";
import { VERSION } from "../platform/version.ts";
import type { LeasedDelivery, LeasedDestination, LeasedPing, PostResult } from "./port.ts";
import type { Signing } from "./signing-secrets.ts";

/** More of an answer than this is not read. */
const MAX_ANSWER_BYTES = 4_096;

/** What is kept of an answer that was not 2xx. */
const MAX_KEPT_CHARS = 1_024;

/** What is posted: a delivery, or a ping. */
export interface WebhookMessage {
  readonly eventId: string;
  readonly eventType: string;
  readonly body: string;
  readonly correlationId: string;
}

const USER_AGENT = `itrans-relay/${VERSION.version}`;

/**
 * The headers of one attempt. A destination's own come first: none of ours can be taken by them.
 * @param timestampMs epoch ms of this attempt: receivers refuse an old one.
 */
export function webhookHeaders(
  message: WebhookMessage,
  { secrets, itransSecret, extraHeaders }: Signing,
  timestampMs: number,
): Readonly<Record<string, string>> {
  const { eventId, eventType, body, correlationId } = message;
  const timestampSeconds = Math.floor(timestampMs / 1000);
  return {
    ...extraHeaders,
    "content-type": "application/json",
    "user-agent": USER_AGENT,
    "idempotency-key": eventId,
    "x-itrans-relay-event-id": eventId,
    "x-itrans-relay-event-type": eventType,
    "x-itrans-relay-timestamp": String(timestampMs),
    "x-itrans-relay-signature": signRelayBody(timestampMs, body, itransSecret),
    "webhook-id": eventId,
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": secrets
      .map((secret) => signStandardWebhook(eventId, timestampSeconds, body, secret))
      .join(" "),
    "x-correlation-id": correlationId,
  };
}

/** Never throws: whatever happens is a result. The timeout covers the connection, the answer and what is read of its body. */
export function postWebhook(delivery: LeasedDelivery, signing: Signing, timestampMs: number): Promise<PostResult> {
  const headers = webhookHeaders(delivery, signing, timestampMs);
  return send(delivery.destination, { method: "POST", headers, body: delivery.body });
}

/**
 * Asks whether a destination answers at all. Without having asked for PING events it gets a HEAD, which is no event: receivers in
 * the field answer 400 to a type they do not know, and count it. Never throws.
 */
export function pingDestination(
  { destination, asEvent }: LeasedPing,
  pingId: string,
  signing: Signing,
  timestampMs: number,
): Promise<PostResult> {
  if (!asEvent) {
    const headers = { ...signing.extraHeaders, "user-agent": USER_AGENT, "x-correlation-id": pingId };
    return send(destination, { method: "HEAD", headers });
  }
  const eventId = `ping:${pingId}`;
  const body = JSON.stringify({ eventId, eventType: "PING", occurredAt: Math.floor(timestampMs / 1000) });
  const headers = webhookHeaders({ eventId, eventType: "PING", body, correlationId: pingId }, signing, timestampMs);
  return send(destination, { method: "POST", headers, body });
}

async function send(
  { url, timeoutMs }: LeasedDestination,
  request: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: string },
): Promise<PostResult> {
  const signal = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  try {
    answer = await fetch(url, { ...request, redirect: "manual", signal });
  } catch (thrown) {
    return failureOf(thrown);
  }
  const { status } = answer;
  const retryAfter = answer.headers.get("retry-after") ?? undefined;
  const refused = status < 200 || status > 299;
  try {
    // Read to its end, a short answer leaves the connection for the next post.
    const text = await readStart(answer);
    const retryable = status === 404 && saysRetryable(text);
    return { type: "answered", status, retryAfter, retryable, ...(refused ? { answer: kept(text) } : {}) };
  } catch (thrown) {
    // Only of a 404 does the body matter: cut off, it must not pass for a final refusal.
    return status === 404 ? failureOf(thrown) : { type: "answered", status, retryAfter, retryable: false };
  }
}

/** Control characters go: the text is shown on terminals. */
const kept = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, " ").slice(0, MAX_KEPT_CHARS);

function failureOf(thrown: unknown): PostResult {
  if (thrown instanceof Error && (thrown.name === "TimeoutError" || thrown.name === "AbortError")) {
    return { type: "timeout" };
  }
  return { type: "connection-failed", reason: thrown instanceof Error ? thrown.message.slice(0, 100) : "unknown" };
}

/** The first MAX_ANSWER_BYTES of the body, in whole chunks. */
async function readStart(answer: Response): Promise<string> {
  if (answer.body === null) return "";
  const { headers } = answer;
  const length = Number(headers.get("content-length") ?? Number.NaN);
  // Most answers: one call instead of a reader's three. A compressed one may be long all the same.
  if (length <= MAX_ANSWER_BYTES && !headers.has("content-encoding")) return answer.text();
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let read = 0;
  while (read < MAX_ANSWER_BYTES) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    read += value.length;
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
