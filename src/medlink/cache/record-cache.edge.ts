/**
 * What changes seldom and is shown often, kept for each isolate: clinics, providers, insurers. A change made elsewhere shows
 * after at most `TTL_MS`; what decides (where a claim is sent, whether it may be filed) is read from the database instead.
 */
import type { Hub } from "../hub.edge.ts";
import type { Clinic, Insurer, Provider } from "../records/record.ts";
import { findClinic, findInsurers, findProviders } from "../records/records.store.ts";
import { BoundedCache, type CacheStats } from "./bounded-cache.ts";

const TTL_MS = 60_000;

const clinics = new BoundedCache<Clinic>({ capacity: 500, ttlMs: TTL_MS });
const providers = new BoundedCache<Provider>({ capacity: 5_000, ttlMs: TTL_MS });
const insurers = new BoundedCache<Insurer>({ capacity: 5_000, ttlMs: TTL_MS });

const keyOf = (clinicId: string, id: string): string => `${clinicId}/${id}`;

async function through<Value>(
  cache: BoundedCache<Value>,
  hub: Hub,
  clinicId: string,
  ids: readonly string[],
  read: (missing: readonly string[]) => Promise<readonly Value[]>,
  idOf: (value: Value) => string,
): Promise<ReadonlyMap<string, Value>> {
  const found = new Map<string, Value>();
  const missing: string[] = [];
  for (const id of new Set(ids)) {
    const value = cache.get(keyOf(clinicId, id), hub.now());
    if (value === undefined) missing.push(id);
    else found.set(id, value);
  }
  if (missing.length > 0) {
    for (const value of await read(missing)) {
      cache.set(keyOf(clinicId, idOf(value)), value, hub.now());
      found.set(idOf(value), value);
    }
  }
  return found;
}

/** By id; ids that name none of this clinic are left out. */
export const cachedProviders = (
  hub: Hub,
  clinicId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Provider>> =>
  through(
    providers,
    hub,
    clinicId,
    ids,
    (missing) => findProviders(hub.db, clinicId, missing),
    (one) => one.providerId,
  );

/** By id; ids that name none of this clinic are left out. */
export const cachedInsurers = (
  hub: Hub,
  clinicId: string,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Insurer>> =>
  through(
    insurers,
    hub,
    clinicId,
    ids,
    (missing) => findInsurers(hub.db, clinicId, missing),
    (one) => one.insurerId,
  );

export async function cachedClinic(hub: Hub, clinicId: string): Promise<Clinic | undefined> {
  const known = clinics.get(clinicId, hub.now());
  if (known !== undefined) return known;
  const clinic = await findClinic(hub.db, clinicId);
  if (clinic !== undefined) clinics.set(clinicId, clinic, hub.now());
  return clinic;
}

/** After a change here: the next reader sees it. */
export const forgetClinic = (clinicId: string): void => clinics.delete(clinicId);
export const forgetProvider = (clinicId: string, providerId: string): void =>
  providers.delete(keyOf(clinicId, providerId));
export const forgetInsurer = (clinicId: string, insurerId: string): void => insurers.delete(keyOf(clinicId, insurerId));

export const forgetAll = (): void => {
  for (const cache of [clinics, providers, insurers]) cache.clear();
};

/** Of the isolate that answers, since it began. */
export const cacheStats = (): Readonly<Record<"clinics" | "providers" | "insurers", CacheStats>> => ({
  clinics: clinics.stats(),
  providers: providers.stats(),
  insurers: insurers.stats(),
});
