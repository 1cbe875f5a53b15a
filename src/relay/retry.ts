/** What an answer means for a delivery, and when the next attempt is due. The answer table of the webhook contract. */
import { isEndpointFailure } from "./breaker.ts";
import type { PostResult } from "./port.ts";

export interface RetryPolicy {
  /** Attempts after the first; those answered "not yet known" do not count. */
  readonly maxRetries: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  /** How long, at least, a receiver may answer that it does not know the claim yet. */
  readonly notYetKnownWindowMs: number;
  /** The receiver may still be applying a post that it did not answer; its lane waits this long. */
  readonly afterTimeoutWaitMs: number;
}

/** A receiver that asks for more than this is asked again after this. */
export const MAX_RETRY_AFTER_MS = 3_600_000;

/** A destination as a whole is not held longer than this for one 429. */
export const MAX_DESTINATION_HOLD_MS = 300_000;

/** The outbox row before the post. */
export interface DeliveryState {
  /** Failed attempts that count. */
  readonly attempts: number;
  /** Epoch ms of the first "not yet known" answer, moved by the time in which nobody asked. */
  readonly notYetKnownSince: number | undefined;
  /** Epoch ms at which the post before this one ended. */
  readonly lastAskedAt?: number | undefined;
  /** The destination's breaker is not closed: an outage is not a failure of the event. */
  readonly outage?: boolean;
}

export type FailureReason = `http-${number}` | "not-yet-known" | "timeout" | "connection-failed";

export interface Retry {
  readonly type: "retry";
  readonly reason: FailureReason;
  /** What the receiver asked for, capped. */
  readonly retryAfterMs: number | undefined;
  readonly notYetKnownSince: number | undefined;
  /** False: it does not use up a retry. */
  readonly counted: boolean;
  /** Nobody knows whether the receiver got the post, and is still at it. */
  readonly mayStillApply: boolean;
}

export type Classification =
  | { readonly type: "delivered" }
  | Retry
  | { readonly type: "dead"; readonly reason: FailureReason };

/**
 * Statuses that a proxy in front of the receiver gives when the receiver had the request, or may have had it, and did not answer: 504,
 * and of Cloudflare's own 520 and 524. A refused connection is 521, a name that is not found 530: those posts reached nobody.
 */
export const UNANSWERED_BEHIND_PROXY: ReadonlySet<number> = new Set([504, 520, 524]);

/**
 * A connection that is lost after the request was sent looks to the caller of `fetch` like one that was refused, so a failed
 * connection may have brought the post too.
 */
const mayStillApply = (result: PostResult): boolean =>
  result.type !== "answered" || UNANSWERED_BEHIND_PROXY.has(result.status);

export function classifyResponse(
  result: PostResult,
  state: DeliveryState,
  policy: RetryPolicy,
  now: number,
): Classification {
  const counted = state.outage !== true || !isEndpointFailure(result);
  switch (result.type) {
    case "timeout":
    case "connection-failed":
      return retryOrDead(result.type, result, undefined, counted, state, policy);
    case "answered": {
      const { status } = result;
      if (status >= 200 && status < 300) return { type: "delivered" };
      if (status === 404 && result.retryable) return notYetKnown(state, policy, now);
      const reason: FailureReason = `http-${status}`;
      if (status !== 408 && status !== 429 && (status < 500 || status > 599)) return { type: "dead", reason };
      const mayAskForTime = status === 429 || status === 503;
      const asked = mayAskForTime ? retryAfterMs(result.retryAfter, now) : undefined;
      return retryOrDead(reason, result, asked, counted, state, policy);
    }
  }
}

/** Whether this outcome uses up one of the retries. */
export const countsAsAttempt = (classification: Classification): boolean =>
  classification.type !== "retry" || classification.counted;

/**
 * A receiver counts all that we send it, so its 429 is about every lane of the destination.
 * @returns ms for which the destination as a whole is left alone; undefined when it did not ask.
 */
export function destinationHoldMs(result: PostResult, now: number): number | undefined {
  if (result.type !== "answered" || result.status !== 429) return undefined;
  const asked = retryAfterMs(result.retryAfter, now);
  return asked === undefined ? undefined : Math.min(asked, MAX_DESTINATION_HOLD_MS);
}

function retryOrDead(
  reason: FailureReason,
  result: PostResult,
  askedMs: number | undefined,
  counted: boolean,
  state: DeliveryState,
  policy: RetryPolicy,
): Classification {
  if (counted && state.attempts >= policy.maxRetries) return { type: "dead", reason };
  return {
    type: "retry",
    reason,
    retryAfterMs: askedMs,
    notYetKnownSince: state.notYetKnownSince,
    counted,
    mayStillApply: mayStillApply(result),
  };
}

/**
 * The window is time in which the receiver was asked: while its destination was paused, down or limited, or the relay away,
 * nobody did, and what goes beyond the longest gap between two questions is added to its start.
 */
function notYetKnown(state: DeliveryState, policy: RetryPolicy, now: number): Classification {
  const unaskedMs = Math.max(0, now - (state.lastAskedAt ?? now) - 2 * policy.maxBackoffMs);
  const since = state.notYetKnownSince === undefined ? now : state.notYetKnownSince + unaskedMs;
  if (now - since > policy.notYetKnownWindowMs) return { type: "dead", reason: "not-yet-known" };
  return {
    type: "retry",
    reason: "not-yet-known",
    retryAfterMs: undefined,
    notYetKnownSince: since,
    counted: false,
    mayStillApply: false,
  };
}

/**
 * Retry-After as seconds or as an HTTP date (RFC 9110 section 10.2.3).
 * @returns ms from now, at most MAX_RETRY_AFTER_MS; undefined when absent, unreadable or past.
 */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  const text = value?.trim() ?? "";
  const asked = /^\d{1,10}$/.test(text)
    ? Number(text) * 1000
    : /^[A-Z][a-z]{2}/.test(text)
      ? Date.parse(text) - now
      : 0;
  return asked > 0 ? Math.min(asked, MAX_RETRY_AFTER_MS) : undefined;
}

/**
 * Exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015).
 * @param attempt failed attempts so far, 1 after the first.
 * @param random uniform in [0, 1).
 */
export function backoffMs(attempt: number, policy: RetryPolicy, random: () => number): number {
  const ceiling = Math.min(policy.maxBackoffMs, policy.initialBackoffMs * 2 ** (attempt - 1));
  return Math.floor(random() * ceiling);
}

/**
 * "Not yet known" answers are not counted, so their pace follows the time they have gone on: each gap is a half to the whole of
 * the time since the first, between the initial and the greatest backoff.
 */
function notYetKnownGapMs(since: number, now: number, policy: RetryPolicy, random: () => number): number {
  const grown = (now - since) * (0.5 + random() / 2);
  return Math.floor(Math.min(policy.maxBackoffMs, Math.max(policy.initialBackoffMs, grown)));
}

/** @returns epoch ms before which the lane posts nothing. */
export function nextDueAt(
  retry: Retry,
  state: DeliveryState,
  policy: RetryPolicy,
  now: number,
  random: () => number,
): number {
  const backoff =
    retry.reason === "not-yet-known"
      ? notYetKnownGapMs(retry.notYetKnownSince ?? now, now, policy, random)
      : backoffMs(state.attempts + 1, policy, random);
  const waitMs = retry.mayStillApply ? policy.afterTimeoutWaitMs : 0;
  return now + Math.max(backoff, waitMs, retry.retryAfterMs ?? 0);
}
