/**
 * What core offers the relay over its service binding: lease due rows, record what became of them. The relay has no
 * database; core decides what is due, the relay signs, posts and reports.
 */

import type { MetricRow } from "../operations/metrics-buffer.ts";
import type { SecretSighting } from "../platform/secret-fingerprint.ts";
import type { EventType } from "./event-type.ts";

export type DestinationKind = "MEDLINK" | "INSURER";

/** What a queue message says: there is work. The rows are the truth; a message that is lost, doubled or late costs nothing. */
export interface RelayHint {
  readonly outboxIds: readonly number[];
  /** A ping that was asked for: it has no outbox row. */
  readonly ping?: { readonly destinationId: string; readonly pingId: string };
}

export interface SealedSecret {
  readonly keyId: string;
  readonly sealed: string;
}

export interface LeasedDestination {
  readonly destinationId: string;
  readonly kind: DestinationKind;
  readonly url: string;
  readonly timeoutMs: number;
  /** Undefined: the signing secret of the relay's own settings. Else sealed under DESTINATION_WRAPPING_KEY. */
  readonly sealedSecret: SealedSecret | undefined;
  /** The one before it, while a rotation goes on: both sign. */
  readonly sealedPreviousSecret?: SealedSecret | undefined;
  /** Which of the two makes the one signature of the iTrans header. */
  readonly itransSignature?: "current" | "previous";
  /** A JSON object of extra headers, sealed as a whole. */
  readonly sealedHeaders?: SealedSecret | undefined;
}

export interface LeasedDelivery {
  readonly outboxId: number;
  /** Fencing token: a record that carries an older one than the row is ignored. */
  readonly leaseToken: number;
  /** Start no post after this, epoch ms: the rest of the lease covers the timeout and the wait behind it. */
  readonly startBeforeMs: number;
  readonly eventId: string;
  readonly eventType: EventType;
  readonly body: string;
  readonly correlationId: string;
  /** Posts made so far that used up a retry. */
  readonly attempts: number;
  /** Its leases ran out before, perhaps because its post brings the relay down: `begin` is called before it is posted. */
  readonly suspected?: true;
  readonly destination: LeasedDestination;
}

export interface Lease {
  readonly deliveries: readonly LeasedDelivery[];
  /** True when a bound of this lease was reached: another may find more that is due now. */
  readonly more: boolean;
  /**
   * Epoch ms at which a destination that has due rows, but is held up by its rate or its breaker, takes the next one; undefined also
   * when a hint for then is on its way already.
   */
  readonly rateLimitedUntilMs: number | undefined;
}

/** What a receiver did with one post. */
export type PostResult =
  | {
      readonly type: "answered";
      readonly status: number;
      readonly retryAfter: string | undefined;
      readonly retryable: boolean;
      /** The start of the body, of an answer other than 2xx. */
      readonly answer?: string;
    }
  | { readonly type: "timeout" }
  /** Refused, or lost before or after the receiver had the request: that can not be told apart. */
  | { readonly type: "connection-failed"; readonly reason: string };

export type DeliveryOutcome = {
  readonly outboxId: number;
  readonly leaseToken: number;
} & (
  | { readonly type: "posted"; readonly result: PostResult; readonly startedAt: number; readonly durationMs: number }
  /** Leased, but not posted: time ran out. The row is due again at once. */
  | { readonly type: "released" }
);

export interface RelayPortApi {
  /**
   * Leases the heads of lanes that are due, at most `limit`, fairly among destinations.
   * @param exclude destinations that have enough in hand already.
   */
  lease(limit: number, exclude: readonly string[]): Promise<Lease>;
  /**
   * Says that the post of a suspected delivery begins now. Only these posts count towards giving it up when its lease runs out.
   * @returns false when the lease is no longer its own: it must not be posted.
   */
  begin(outboxId: number, leaseToken: number): Promise<boolean>;
  /**
   * Records outcomes under their fencing tokens and schedules what must be tried again.
   * @returns how many rows were changed, and how many of these lanes have another row due now.
   */
  record(outcomes: readonly DeliveryOutcome[]): Promise<{ readonly recorded: number; readonly due: number }>;
  /** Asks for a hint after a delay, because work is left. One at a time: a second wish before the first arrives is dropped. */
  wake(delayMs: number): Promise<void>;
}

/** What a ping posts, and to whom. */
export interface LeasedPing {
  readonly destination: LeasedDestination;
  /** True: it asked for signed PING events. False: it is asked with HEAD, which is no event at all. */
  readonly asEvent: boolean;
}

export interface PingPortApi {
  /** @returns undefined when the ping was answered already, or its destination is gone. */
  leasePing(destinationId: string, pingId: string): Promise<LeasedPing | undefined>;
  recordPing(destinationId: string, pingId: string, result: PostResult, durationMs: number): Promise<void>;
}

export interface SecretsPortApi {
  /** Notes which of the relay's secrets have another value than before, by fingerprints. */
  recordSecrets(sightings: readonly SecretSighting[]): Promise<void>;
}

export interface MetricsPortApi {
  /** Adds what the relay measured; a batch that is sent again under its id counts once. */
  measure(flushId: string, rows: readonly MetricRow[]): Promise<void>;
  /** The relay's metrics as Prometheus text. */
  metrics(): Promise<string>;
}
