import { expect, test } from "vitest";
import { countBuckets } from "../../../src/operations/bucket-count.cron.ts";
import { keepBucketCount, readBucketCounts } from "../../../src/operations/bucket-count.store.ts";
import { type BucketCount, countIsDue, NEVER_COUNTED, withPage } from "../../../src/operations/bucket-count.ts";
import { migratedCore } from "../../support/d1-sqlite.ts";

const HOUR = 3_600_000;

test("a count goes on where it was, adds up, and stands with the time at which it began", () => {
  const first = withPage(NEVER_COUNTED, { bytes: 10, objects: 2, lastKey: "b" }, 1_000);
  expect(first).toMatchObject({ countingSince: 1_000, afterKey: "b", countedAt: null, sizeBytes: 0 });
  const last = withPage(first, { bytes: 5, objects: 1, lastKey: undefined }, 61_000);
  expect(last).toEqual({ ...NEVER_COUNTED, countedAt: 1_000, sizeBytes: 15, objects: 3 });
  const again = withPage(last, { bytes: 1, objects: 1, lastKey: "a" }, HOUR);
  expect(again).toMatchObject({ sizeBytes: 15, objects: 3, countedAt: 1_000, bytesSoFar: 1 });
});

test("a count is due once an hour, and as long as one is under way", () => {
  expect(countIsDue(NEVER_COUNTED, 0, HOUR)).toBe(true);
  const counted: BucketCount = { ...NEVER_COUNTED, countedAt: 0 };
  expect(countIsDue(counted, HOUR - 1, HOUR)).toBe(false);
  expect(countIsDue(counted, HOUR, HOUR)).toBe(true);
  expect(countIsDue({ ...counted, countingSince: 0 }, 1, HOUR)).toBe(true);
});

/** Lists as R2 does: in the order of keys, a page at a time. */
function bucketOf(sizes: readonly number[]): { readonly bucket: R2Bucket; readonly calls: () => number } {
  const all = sizes.map((size, n) => ({ key: String(n).padStart(8, "0"), size }));
  let calls = 0;
  const list = ({ startAfter = "", limit = 1_000 }: { startAfter?: string; limit?: number } = {}) => {
    calls += 1;
    const rest = all.filter(({ key }) => key > startAfter);
    return Promise.resolve({ objects: rest.slice(0, limit), truncated: rest.length > limit, delimitedPrefixes: [] });
  };
  const bucket: Pick<R2Bucket, never> = { list };
  return { bucket: bucket as R2Bucket, calls: () => calls };
}

test("a bucket of any size is counted a bounded number of pages a minute, over as many minutes as it takes", async () => {
  const { db } = migratedCore();
  const { bucket, calls } = bucketOf(Array.from({ length: 12_345 }, () => 7));
  await countBuckets(db, [{ name: "ledger", bucket }], 1);
  expect(calls()).toBe(10);
  expect((await readBucketCounts(db)).get("ledger")).toMatchObject({ countedAt: null, objectsSoFar: 10_000 });
  await countBuckets(db, [{ name: "ledger", bucket }], 1);
  expect(calls()).toBe(13);
  const counted = (await readBucketCounts(db)).get("ledger");
  expect(counted).toMatchObject({ sizeBytes: 7 * 12_345, objects: 12_345, countingSince: null });
  await countBuckets(db, [{ name: "ledger", bucket }], 1);
  expect(calls(), "the next count is an hour later").toBe(13);
});

test("of two crons that bring a count on at once, one does", async () => {
  const { db } = migratedCore();
  const after = withPage(NEVER_COUNTED, { bytes: 1, objects: 1, lastKey: "a" }, 1);
  expect(await keepBucketCount(db, "ledger", undefined, after)).toBe(true);
  expect(await keepBucketCount(db, "ledger", undefined, after)).toBe(false);
  const done = withPage(after, { bytes: 1, objects: 1, lastKey: undefined }, 2);
  expect(await keepBucketCount(db, "ledger", after, done)).toBe(true);
  expect(await keepBucketCount(db, "ledger", after, done)).toBe(false);
  expect((await readBucketCounts(db)).get("ledger")).toEqual(done);
});
