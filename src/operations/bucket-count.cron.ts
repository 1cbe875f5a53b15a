/** The minute's part of counting buckets: some pages of each, once an hour from the beginning. */
import { systemNow } from "../platform/clock.edge.ts";
import { keepBucketCount, readBucketCounts } from "./bucket-count.store.ts";
import { type BucketCount, type CountedPage, countIsDue, NEVER_COUNTED, withPage } from "./bucket-count.ts";

export interface CountedBucket {
  readonly name: string;
  readonly bucket: R2Bucket;
}

const EVERY_MS = 3_600_000;
/** Objects of a page: as many as R2 lists at once. */
const PAGE = 1_000;
const PAGES_A_MINUTE = 10;

async function pageOf(bucket: R2Bucket, afterKey: string): Promise<CountedPage> {
  const { objects, truncated } = await bucket.list({
    limit: PAGE,
    ...(afterKey === "" ? {} : { startAfter: afterKey }),
  });
  return {
    bytes: objects.reduce((sum, { size }) => sum + size, 0),
    objects: objects.length,
    lastKey: truncated ? objects.at(-1)?.key : undefined,
  };
}

async function bringOn({ name, bucket }: CountedBucket, db: D1Database, before: BucketCount | undefined, now: number) {
  let count = before ?? NEVER_COUNTED;
  for (let pages = 0; pages < PAGES_A_MINUTE; pages++) {
    count = withPage(count, await pageOf(bucket, count.afterKey), now);
    if (count.countingSince === null) break;
  }
  await keepBucketCount(db, name, before, count);
}

/** @param scale how many times faster than real the alerts' clock runs. */
export async function countBuckets(db: D1Database, buckets: readonly CountedBucket[], scale: number): Promise<void> {
  const now = systemNow();
  const counts = await readBucketCounts(db);
  for (const one of buckets) {
    const before = counts.get(one.name);
    if (countIsDue(before ?? NEVER_COUNTED, now, EVERY_MS / scale)) await bringOn(one, db, before, now);
  }
}
