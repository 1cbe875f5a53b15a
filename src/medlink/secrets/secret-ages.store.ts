/** Since when each of the hub's secrets has had its present value, among the hub's settings under `secret.<name>`. */
const PREFIX = "secret.";

export interface SecretSighting {
  readonly name: string;
  /** Tells one value from another, and nothing of either. */
  readonly fingerprint: string;
}

/** Notes values that were not there before; one that is known keeps its time. */
export async function recordSightings(
  db: D1Database,
  sightings: readonly SecretSighting[],
  now: number,
): Promise<void> {
  await db
    .prepare(
      `INSERT INTO hub_settings (key, value, updated_by, updated_at)
       SELECT ?1 || (value ->> 0), value ->> 1, 'hub', ?3 FROM json_each(?2) WHERE true
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_by = 'hub', updated_at = excluded.updated_at
       WHERE hub_settings.value <> excluded.value`,
    )
    .bind(PREFIX, JSON.stringify(sightings.map(({ name, fingerprint }) => [name, fingerprint])), now)
    .run();
}

/** Epoch milliseconds at which each secret was first seen with the value it has, by name. */
export async function readSecretAges(db: D1Database): Promise<ReadonlyMap<string, number>> {
  const { results } = await db
    .prepare(
      "SELECT substr(key, ?2) AS name, updated_at AS since FROM hub_settings WHERE key >= ?1 AND key < ?1 || '~'",
    )
    .bind(PREFIX, PREFIX.length + 1)
    .all<{ name: string; since: number }>();
  return new Map(results.map(({ name, since }) => [name, since]));
}
