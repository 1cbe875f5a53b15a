/** Destinations: where a tenant's webhooks go. */
import { asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { destinations, tenants } from "../core/schema.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { DEFAULT_TENANT } from "../platform/principal.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { type Destination, destinationUrlFault, MEDLINK_DESTINATION_ID } from "./destinations.ts";
import { type DestinationKind, EVENT_TYPES, type EventType } from "./port.ts";

type DestinationRow = typeof destinations.$inferSelect;

const knownEventTypes = (json: string): readonly EventType[] => {
  const listed: unknown = JSON.parse(json);
  return Array.isArray(listed) ? EVENT_TYPES.filter((type) => listed.includes(type)) : [];
};

const destinationOf = (row: DestinationRow): Destination => ({
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
  state: row.state,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
});

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
      JSON.stringify(EVENT_TYPES),
      settings.RELAY_MEDLINK_REQUESTS_PER_MINUTE,
      settings.RELAY_WEBHOOK_TIMEOUT_MS,
      now,
    )
    .run();
  return { type: meta.changes > 0 ? "written" : "unchanged" };
}

export interface InsurerDestination {
  readonly destinationId: string;
  readonly tenantId: string;
  /** `0x` and 40 hex digits, in any case. */
  readonly insurerAddress: string;
  /** Checked with destinationUrlFault. */
  readonly url: string;
  /** Undefined: keep the one it has. */
  readonly sealedSecret: SealedValue | undefined;
  readonly deliverAfter: "commit" | "anchor";
  readonly eventTypes: readonly EventType[];
  readonly requestsPerMinute: number;
  readonly timeoutMs: number;
}

/** `no-secret`: a new destination needs one. */
export interface RefusedDestination {
  readonly type: "id-taken" | "address-taken" | "no-secret" | "no-tenant";
}

export type PutDestination =
  | { readonly type: "created" | "replaced"; readonly destination: Destination }
  | RefusedDestination;

/**
 * Creates or replaces an insurer's destination. Rows on their way follow it: a row names its destination, not a URL.
 */
export async function putInsurerDestination(
  db: D1Database,
  input: InsurerDestination,
  now: number,
): Promise<PutDestination> {
  const orm = drizzle(db);
  const [tenant, byId, sameAddress] = await orm.batch([
    orm.select().from(tenants).where(eq(tenants.tenantId, input.tenantId)),
    orm.select().from(destinations).where(eq(destinations.destinationId, input.destinationId)),
    orm.select().from(destinations).where(eq(destinations.insurerAddress, input.insurerAddress)),
  ]);
  if (tenant.length === 0) return { type: "no-tenant" };
  const existing = byId[0];
  if (existing !== undefined && (existing.tenantId !== input.tenantId || existing.kind !== "INSURER")) {
    return { type: "id-taken" };
  }
  if (sameAddress.some((row) => row.tenantId === input.tenantId && row.destinationId !== input.destinationId)) {
    return { type: "address-taken" };
  }
  const secret = input.sealedSecret ?? sealedSecretOf(existing);
  if (secret === undefined) return { type: "no-secret" };
  const changed = {
    insurerAddress: input.insurerAddress,
    url: input.url,
    secretWrapped: secret.sealed,
    wrappingKeyId: secret.keyId,
    deliverAfter: input.deliverAfter,
    eventTypes: JSON.stringify(input.eventTypes),
    requestsPerMinute: input.requestsPerMinute,
    timeoutMs: input.timeoutMs,
    updatedAt: now,
  };
  const [row] = await orm
    .insert(destinations)
    .values({
      destinationId: input.destinationId,
      tenantId: input.tenantId,
      kind: "INSURER",
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
  return { type: existing === undefined ? "created" : "replaced", destination: destinationOf(row) };
}

function sealedSecretOf(row: DestinationRow | undefined): SealedValue | undefined {
  if (row === undefined || row.secretWrapped === null || row.wrappingKeyId === null) return undefined;
  return { keyId: row.wrappingKeyId, sealed: row.secretWrapped };
}

/** @param tenantId undefined: of every tenant. */
export async function listDestinations(db: D1Database, tenantId: string | undefined): Promise<readonly Destination[]> {
  const rows = await drizzle(db)
    .select()
    .from(destinations)
    .where(tenantId === undefined ? undefined : eq(destinations.tenantId, tenantId))
    .orderBy(asc(destinations.destinationId))
    .limit(1_000);
  return rows.map(destinationOf);
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
