/** Since when each secret has had the value it has, and when the one before it was last used. */
import type { SecretSighting } from "../platform/secret-fingerprint.ts";
import type { WorkerName } from "../platform/secrets.ts";

/** Notes values that were not there before; one that is known keeps its time. */
export async function recordSightings(
  db: D1Database,
  worker: WorkerName,
  sightings: readonly SecretSighting[],
  now: number,
): Promise<void> {
  await db
    .prepare(
      `INSERT INTO secret_sightings (worker, name, fingerprint, since, seen_at)
       SELECT ?1, value ->> 0, value ->> 1, ?3, ?3 FROM json_each(?2) WHERE true
       ON CONFLICT (worker, name) DO UPDATE SET fingerprint = excluded.fingerprint, since = excluded.since,
         seen_at = excluded.seen_at, previous_used_at = NULL
       WHERE secret_sightings.fingerprint <> excluded.fingerprint`,
    )
    .bind(worker, JSON.stringify(sightings.map(({ name, fingerprint }) => [name, fingerprint])), now)
    .run();
}

export interface SecretAge {
  readonly worker: WorkerName;
  readonly name: string;
  readonly since: number;
  readonly previousUsedAt: number | null;
}

export async function readSecretAges(db: D1Database): Promise<readonly SecretAge[]> {
  const { results } = await db
    .prepare(
      "SELECT worker, name, since, previous_used_at AS previousUsedAt FROM secret_sightings ORDER BY worker, name",
    )
    .all<SecretAge>();
  return results;
}

export async function notePreviousUse(db: D1Database, worker: WorkerName, name: string, now: number): Promise<void> {
  await db
    .prepare("UPDATE secret_sightings SET previous_used_at = ?3 WHERE worker = ?1 AND name = ?2")
    .bind(worker, name, now)
    .run();
}
