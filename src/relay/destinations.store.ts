/** Destinations: where a tenant's webhooks go. */

import { and, asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { destinations, relayCounters, relayPings, tenants } from "../core/schema.ts";
import type { SealedValue } from "../platform/keyring.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { DEFAULT_TENANT } from "../tenants/principal.ts";
import { type Destination, destinationUrlFault, MEDLINK_DESTINATION_ID } from "./destinations.ts";
import { EVENT_TYPES, type EventType, REQUEST_EVENT_TYPES } from "./event-type.ts";
import type { DestinationKind } from "./port.ts";

type DestinationRow = typeof destinations.$inferSelect;

type CounterRow = typeof relayCounters.$inferSelect;

type PingRow = typeof relayPings.$inferSelect;

const knownEventTypes = (json: string): readonly EventType[] => {
  const listed: unknown = JSON.parse(json);
  return Array.isArray(listed) ? EVENT_TYPES.filter((type) => listed.includes(type)) : [];
};

const strings = (json: string): readonly string[] => {
  const listed: unknown = JSON.parse(json);
  return Array.isArray(listed) ? listed.filter((item) => typeof item === "string") : [];
};

/** @param now epoch ms: a previous secret that has expired is no longer shown. */
function destinationOf(
  row: DestinationRow,
  counter: CounterRow | undefined,
  ping: PingRow | undefined,
  now: number,
): Destination {
  const lastPostedAt = counter?.lastPostedAt ?? null;
  const rotatedAt = row.secretRotatedAt;
  const expiresAt = row.previousExpiresAt;
  return {
    destinationId: row.destinationId,
    tenantId: row.tenantId,
    kind: row.kind,
    insurerAddress: row.insurerAddress ?? undefined,
    url: row.url,
    hasSecret: row.secretWrapped !== null,
    deliverAfter: row.deliverAfter,
    eventTypes: knownEventTypes(row.eventTypes),
    requestsPerMinute: row.requestsPerMinute,
    timeoutMs: row.timeoutMs,
    state: row.state === "active" && (counter?.breaker ?? "closed") !== "closed" ? "broken" : row.state,
    headerNames: strings(row.headerNames),
    pingEvents: row.pingEvents === 1,
    itransSignature: row.itransSignature,
    secret: {
      rotatedAt,
      // Every post is signed with the current secret, so the last post since it came is its last use.
      lastUsedAt: lastPostedAt !== null && lastPostedAt >= (rotatedAt ?? 0) ? lastPostedAt : null,
      previous: expiresAt !== null && expiresAt > now ? { expiresAt, lastUsedAt: lastPostedAt } : null,
    },
    lastPing:
      ping === undefined
        ? null
        : {
            requestedAt: ping.requestedAt,
            answeredAt: ping.answeredAt,
            reachable: ping.reachable === null ? null : ping.reachable === 1,
            status: ping.status,
            error: ping.error,
            durationMs: ping.durationMs,
          },
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

export type SettingsDestination =
  | { readonly type: "none" | "unchanged" | "written" }
  | { readonly type: "refused"; readonly fault: string };

/**
 * Brings the default tenant's MedLink destination in line with the settings; writes only when something differs. Whether it is
 * paused is not the settings' business.
 */
export async function syncSettingsDestination(
  db: D1Database,
  settings: CoreSettings,
  now: number,
): Promise<SettingsDestination> {
  const url = settings.RELAY_MEDLINK_WEBHOOK_URL;
  if (url === undefined) return { type: "none" };
  const fault = destinationUrlFault(url, settings.ENVIRONMENT);
  if (fault !== undefined) return { type: "refused", fault };
  const { meta } = await db
    .prepare(
      `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, secret_wrapped, wrapping_key_id,
         deliver_after, event_types, requests_per_minute, timeout_ms, state, created_at, updated_at)
       VALUES (?1, ?2, 'MEDLINK', NULL, ?3, NULL, NULL, 'commit', ?4, ?5, ?6, 'active', ?7, ?7)
       ON CONFLICT (destination_id) DO UPDATE SET url = excluded.url, secret_wrapped = NULL, wrapping_key_id = NULL,
         deliver_after = excluded.deliver_after, event_types = excluded.event_types,
         requests_per_minute = excluded.requests_per_minute, timeout_ms = excluded.timeout_ms, updated_at = excluded.updated_at
       WHERE (url, secret_wrapped, deliver_after, event_types, requests_per_minute, timeout_ms) IS NOT
         (excluded.url, NULL, excluded.deliver_after, excluded.event_types, excluded.requests_per_minute, excluded.timeout_ms)`,
    )
    .bind(
      MEDLINK_DESTINATION_ID,
      DEFAULT_TENANT,
      url,
      JSON.stringify(REQUEST_EVENT_TYPES),
      settings.RELAY_MEDLINK_REQUESTS_PER_MINUTE,
      settings.RELAY_WEBHOOK_TIMEOUT_MS,
      now,
    )
    .run();
  return { type: meta.changes > 0 ? "written" : "unchanged" };
}

export interface DestinationInput {
  readonly destinationId: string;
  readonly tenantId: string;
  readonly kind: DestinationKind;
  /** `0x` and 40 hex digits, in any case; of an insurer's destination. */
  readonly insurerAddress: string | undefined;
  /** Checked with destinationUrlFault. */
  readonly url: string;
  /** Undefined: keep the one it has. */
  readonly sealedSecret: SealedValue | undefined;
  readonly deliverAfter: "commit" | "anchor";
  readonly eventTypes: readonly EventType[];
  readonly requestsPerMinute: number;
  readonly timeoutMs: number;
  readonly pingEvents: boolean;
  readonly itransSignature: "current" | "previous";
  /** Checked with extraHeadersFault. Undefined: keep those it has. `sealed` undefined: none. */
  readonly headers: { readonly names: readonly string[]; readonly sealed: SealedValue | undefined } | undefined;
}

/** `no-secret`: a new destination needs one. `settings`: the default tenant's MedLink comes from the settings. */
export interface RefusedDestination {
  readonly type: "id-taken" | "address-taken" | "medlink-taken" | "no-secret" | "no-tenant" | "settings";
}

export type PutDestination =
  | { readonly type: "created" | "replaced"; readonly destination: Destination }
  | RefusedDestination;

/** Creates or replaces a destination. Rows on their way follow it: a row names its destination, not a URL. */
export async function putDestination(db: D1Database, input: DestinationInput, now: number): Promise<PutDestination> {
  if (input.destinationId === MEDLINK_DESTINATION_ID) return { type: "id-taken" };
  if (input.kind === "MEDLINK" && input.tenantId === DEFAULT_TENANT) return { type: "settings" };
  const orm = drizzle(db);
  const [tenant, byId, ofTenant] = await orm.batch([
    orm.select().from(tenants).where(eq(tenants.tenantId, input.tenantId)),
    orm.select().from(destinations).where(eq(destinations.destinationId, input.destinationId)),
    orm.select().from(destinations).where(eq(destinations.tenantId, input.tenantId)),
  ]);
  if (tenant.length === 0) return { type: "no-tenant" };
  const existing = byId[0];
  if (existing !== undefined && (existing.tenantId !== input.tenantId || existing.kind !== input.kind)) {
    return { type: "id-taken" };
  }
  const others = ofTenant.filter((row) => row.destinationId !== input.destinationId);
  const address = input.insurerAddress?.toLowerCase();
  if (address !== undefined && others.some((row) => row.insurerAddress?.toLowerCase() === address)) {
    return { type: "address-taken" };
  }
  if (input.kind === "MEDLINK" && others.some((row) => row.kind === "MEDLINK")) return { type: "medlink-taken" };
  const secret = input.sealedSecret ?? sealedSecretOf(existing);
  if (secret === undefined) return { type: "no-secret" };
  const { headers } = input;
  const changed = {
    insurerAddress: input.insurerAddress ?? null,
    url: input.url,
    secretWrapped: secret.sealed,
    wrappingKeyId: secret.keyId,
    deliverAfter: input.deliverAfter,
    eventTypes: JSON.stringify(input.eventTypes),
    requestsPerMinute: input.requestsPerMinute,
    timeoutMs: input.timeoutMs,
    pingEvents: input.pingEvents ? 1 : 0,
    itransSignature: input.itransSignature,
    ...(headers === undefined
      ? {}
      : {
          headerNames: JSON.stringify(headers.names),
          headersWrapped: headers.sealed?.sealed ?? null,
          headersWrappingKeyId: headers.sealed?.keyId ?? null,
        }),
    updatedAt: now,
  };
  const [row] = await orm
    .insert(destinations)
    .values({
      destinationId: input.destinationId,
      tenantId: input.tenantId,
      kind: input.kind,
      state: "active",
      createdAt: now,
      ...changed,
    })
    .onConflictDoUpdate({
      target: destinations.destinationId,
      set: changed,
      setWhere: eq(destinations.tenantId, input.tenantId),
    })
    .returning();
  if (row === undefined) return { type: "id-taken" };
  const destination = await findDestination(db, input.destinationId, undefined, now);
  return {
    type: existing === undefined ? "created" : "replaced",
    destination: destination ?? destinationOf(row, undefined, undefined, now),
  };
}

function sealedSecretOf(row: DestinationRow | undefined): SealedValue | undefined {
  if (row === undefined || row.secretWrapped === null || row.wrappingKeyId === null) return undefined;
  return { keyId: row.wrappingKeyId, sealed: row.secretWrapped };
}

/** @param tenantId undefined: of every tenant. */
export async function listDestinations(
  db: D1Database,
  tenantId: string | undefined,
  now: number,
): Promise<readonly Destination[]> {
  const rows = await drizzle(db)
    .select()
    .from(destinations)
    .leftJoin(relayCounters, eq(relayCounters.destinationId, destinations.destinationId))
    .leftJoin(relayPings, eq(relayPings.destinationId, destinations.destinationId))
    .where(tenantId === undefined ? undefined : eq(destinations.tenantId, tenantId))
    .orderBy(asc(destinations.destinationId))
    .limit(1_000);
  return rows.map((row) =>
    destinationOf(row.destinations, row.relay_counters ?? undefined, row.relay_pings ?? undefined, now),
  );
}

/** @param tenantId undefined: of whatever tenant. */
export async function findDestination(
  db: D1Database,
  destinationId: string,
  tenantId: string | undefined,
  now: number,
): Promise<Destination | undefined> {
  const [row] = await drizzle(db)
    .select()
    .from(destinations)
    .leftJoin(relayCounters, eq(relayCounters.destinationId, destinations.destinationId))
    .leftJoin(relayPings, eq(relayPings.destinationId, destinations.destinationId))
    .where(
      and(
        eq(destinations.destinationId, destinationId),
        tenantId === undefined ? undefined : eq(destinations.tenantId, tenantId),
      ),
    )
    .limit(1);
  if (row === undefined) return undefined;
  return destinationOf(row.destinations, row.relay_counters ?? undefined, row.relay_pings ?? undefined, now);
}

/** Deletes a destination that has no row on its way; `busy` when it has. */
export async function deleteDestination(db: D1Database, destinationId: string): Promise<"deleted" | "busy"> {
  const unsettled = `EXISTS (SELECT 1 FROM outbox WHERE destination_id = ?1 AND open = 1)`;
  const [deleted] = await db.batch([
    db.prepare(`DELETE FROM destinations WHERE destination_id = ?1 AND NOT ${unsettled}`).bind(destinationId),
    ...["relay_rates", "relay_counters", "relay_pings"].map((table) =>
      db
        .prepare(
          `DELETE FROM ${table} WHERE destination_id = ?1
             AND NOT EXISTS (SELECT 1 FROM destinations WHERE destination_id = ?1)`,
        )
        .bind(destinationId),
    ),
  ]);
  return (deleted?.meta.changes ?? 0) > 0 ? "deleted" : "busy";
}

/** What the sequencer needs to know to write outbox rows. */
export interface OutboxDestination {
  readonly destinationId: string;
  readonly tenantId: string;
  readonly kind: DestinationKind;
  readonly insurerAddress: string | undefined;
  readonly deliverAfter: "commit" | "anchor";
  readonly eventTypes: readonly EventType[];
}

interface OutboxDestinationRow {
  readonly destination_id: string;
  readonly tenant_id: string;
  readonly kind: DestinationKind;
  readonly insurer_address: string | null;
  readonly deliver_after: "commit" | "anchor";
  readonly event_types: string;
}

/**
 * Each tenant's MedLink destination and its insurer destinations of these addresses, in one query; paused ones too, their rows
 * wait. A pair (tenant, address) that was not asked for may be among them: match by both.
 */
export async function destinationsFor(
  db: D1Database,
  tenantIds: readonly string[],
  insurerAddresses: readonly string[],
): Promise<readonly OutboxDestination[]> {
  const { results } = await db
    .prepare(
      `SELECT destination_id, tenant_id, kind, insurer_address, deliver_after, event_types FROM destinations
       WHERE kind = 'MEDLINK' AND tenant_id IN (SELECT value FROM json_each(?1))
       UNION ALL
       SELECT destination_id, tenant_id, kind, insurer_address, deliver_after, event_types FROM destinations
       WHERE tenant_id IN (SELECT value FROM json_each(?1)) AND insurer_address IN (SELECT value FROM json_each(?2))`,
    )
    .bind(JSON.stringify(tenantIds), JSON.stringify(insurerAddresses))
    .all<OutboxDestinationRow>();
  return results.map((row) => ({
    destinationId: row.destination_id,
    tenantId: row.tenant_id,
    kind: row.kind,
    insurerAddress: row.insurer_address ?? undefined,
    deliverAfter: row.deliver_after,
    eventTypes: knownEventTypes(row.event_types),
  }));
}
