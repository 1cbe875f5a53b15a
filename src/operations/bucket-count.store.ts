/** Where the count of each bucket stands; the same table in both databases. */
import type { BucketCount } from "./bucket-count.ts";

/** By the bucket's name; one that was never counted is absent. */
export async function readBucketCounts(db: D1Database): Promise<ReadonlyMap<string, BucketCount>> {
  const { results } = await db
    .prepare(
      `SELECT bucket, counting_since AS countingSince, after_key AS afterKey, bytes_so_far AS bytesSoFar,
         objects_so_far AS objectsSoFar, counted_at AS countedAt, size_bytes AS sizeBytes, objects
       FROM bucket_counts LIMIT 20`,
    )
    .all<BucketCount & { readonly bucket: string }>();
  return new Map(results.map(({ bucket, ...count }) => [bucket, count]));
}

/**
 * Writes a count over the one that was read.
 * @returns false when another cron was faster: its count stands.
 */
export async function keepBucketCount(
  db: D1Database,
  bucket: string,
  before: BucketCount | undefined,
  after: BucketCount,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO bucket_counts
         (bucket, counting_since, after_key, bytes_so_far, objects_so_far, counted_at, size_bytes, objects)
       SELECT ?1, value ->> 'countingSince', value ->> 'afterKey', value ->> 'bytesSoFar', value ->> 'objectsSoFar',
         value ->> 'countedAt', value ->> 'sizeBytes', value ->> 'objects'
       FROM (SELECT ?2 AS value) WHERE ?3 IS NOT NULL OR NOT EXISTS (SELECT 1 FROM bucket_counts WHERE bucket = ?1)
       ON CONFLICT (bucket) DO UPDATE SET
         counting_since = excluded.counting_since, after_key = excluded.after_key, bytes_so_far = excluded.bytes_so_far,
         objects_so_far = excluded.objects_so_far, counted_at = excluded.counted_at, size_bytes = excluded.size_bytes,
         objects = excluded.objects
       WHERE bucket_counts.after_key = ?3 AND bucket_counts.counted_at IS CAST(?4 AS INTEGER)`,
    )
    .bind(bucket, JSON.stringify(after), before?.afterKey ?? null, before?.countedAt ?? null)
    .run();
  return meta.changes > 0;
}
