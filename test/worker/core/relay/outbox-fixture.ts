/** A migrated database with destinations and outbox rows as the ledger's commit writes them. */
import { webhookBody } from "../../../../src/relay/events.ts";
import { WAITS_FROM } from "../../../../src/relay/lanes.store.ts";
import { type LeaseOptions, leaseDue } from "../../../../src/relay/leases.store.ts";
import type { DeliveryOutcome, Lease, LeasedDelivery, PostResult } from "../../../../src/relay/port.ts";
import type { RetryPolicy } from "../../../../src/relay/retry.ts";
import { testEnv } from "../support.ts";

export const db: D1Database = testEnv.DB;

export const T0 = 1_790_000_000_000;
export const TIMEOUT_MS = 8_000;
export const AFTER_TIMEOUT_WAIT_MS = 30_000;

export const POLICY: RetryPolicy = {
  maxRetries: 8,
  initialBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  notYetKnownWindowMs: 600_000,
  afterTimeoutWaitMs: AFTER_TIMEOUT_WAIT_MS,
};

/** No jitter: the whole backoff. */
export const noJitter = (): number => 0.999_999;

export async function emptyRelay(): Promise<void> {
  await db.batch([
    db.prepare("DELETE FROM outbox"),
    db.prepare("DELETE FROM delivery_attempts"),
    db.prepare("DELETE FROM relay_counters"),
    db.prepare("DELETE FROM relay_rates"),
    db.prepare("DELETE FROM destinations"),
    db.prepare("DELETE FROM relay_pings"),
    db.prepare("UPDATE relay_leases SET wake_at = 0, paused_at = NULL, pruned_to = 0, leased_at = 0, handed = '[]'"),
  ]);
}

export interface DestinationOptions {
  readonly requestsPerMinute?: number;
  readonly state?: "active" | "paused";
}

/** An insurer's destination; each name has its own address. */
export async function addDestination(id: string, options: DestinationOptions = {}): Promise<void> {
  await db
    .prepare(
      `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, secret_wrapped, wrapping_key_id,
         deliver_after, event_types, requests_per_minute, timeout_ms, state, created_at, updated_at)
       VALUES (?1, 'default', 'INSURER', ?2, 'https://insurer.ca/hook', 'sealed', 'key', 'commit', '[]', ?3, ?4, ?5, 0, 0)`,
    )
    .bind(id, `0x${id}`, options.requestsPerMinute ?? 1_000_000, TIMEOUT_MS, options.state ?? "active")
    .run();
}

export interface RowOptions {
  readonly outboxId: number;
  readonly destinationId?: string;
  readonly subject?: string;
  readonly state?: "due" | "waiting" | "dead" | "delivered" | "discarded";
  readonly dueAt?: number;
}

export const bodyOf = (outboxId: number): string =>
  webhookBody(
    {
      eventId: `31337:0x${outboxId}:0:INSURER`,
      eventType: "REQUEST_ACKNOWLEDGED",
      requestIdHash: `0x${outboxId}`,
      occurredAt: 1_790_000_000,
      data: { insurer: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" },
      ledger: { id: "main", seq: outboxId, entryHash: "ab" },
    },
    undefined,
  );

/** Rows with rising ids; without a subject each is a lane of its own. */
export async function addRows(...rows: readonly RowOptions[]): Promise<void> {
  await db.batch(
    rows.map(({ outboxId, destinationId = "a", subject = `subject-${outboxId}`, state = "due", dueAt }) =>
      db
        .prepare(
          `INSERT INTO outbox (outbox_id, event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state,
             due_at, body, correlation_id, created_at, settled_at)
           VALUES (?1, ?2, 'REQUEST_ACKNOWLEDGED', 'main', ?1, ?3, 'default', ?4, ?5, ?6, ?7, 'correlation', ?8, NULL)`,
        )
        .bind(
          outboxId,
          `31337:0x${outboxId}:0:INSURER`,
          subject,
          destinationId,
          state,
          dueAt ?? (state === "waiting" ? WAITS_FROM + outboxId : T0),
          bodyOf(outboxId),
          T0,
        ),
    ),
  );
}

export const lease = (now: number, options: Partial<LeaseOptions> = {}, on: D1Database = db): Promise<Lease> =>
  leaseDue(on, {
    now,
    limit: 100,
    perDestination: 100,
    exclude: [],
    afterTimeoutWaitMs: AFTER_TIMEOUT_WAIT_MS,
    ...options,
  });

export const idsOf = ({ deliveries }: Lease): number[] => deliveries.map(({ outboxId }) => outboxId);

export const answered = (status: number, extra: { retryAfter?: string; retryable?: boolean } = {}): PostResult => ({
  type: "answered",
  status,
  retryAfter: extra.retryAfter,
  retryable: extra.retryable ?? false,
});

export const posted = (
  { outboxId, leaseToken }: Pick<LeasedDelivery, "outboxId" | "leaseToken">,
  result: PostResult,
  startedAt = T0,
): DeliveryOutcome => ({ outboxId, leaseToken, type: "posted", result, startedAt, durationMs: 5 });

export interface Row {
  readonly state: string;
  readonly due_at: number;
  readonly open: 0 | 1;
  readonly attempts: number;
  readonly lease_token: number;
  readonly last_status: number | null;
  readonly last_error: string | null;
  readonly not_yet_known_since: number | null;
  readonly settled_at: number | null;
  readonly body: string;
}

export async function rowOf(outboxId: number): Promise<Row> {
  const row = await db.prepare("SELECT * FROM outbox WHERE outbox_id = ?").bind(outboxId).first<Row>();
  if (row === null) throw new Error(`no outbox row ${outboxId}`);
  return row;
}
