/**
 * How much lies in a bucket. R2 does not tell a worker, so its objects are listed, some pages a minute, and added up: a count
 * goes on from the last key it has looked at, and what is written behind it meanwhile is in the next one.
 */

export interface BucketCount {
  /** Epoch ms; null: no count is under way. */
  readonly countingSince: number | null;
  /** The last key that the count under way has looked at. */
  readonly afterKey: string;
  readonly bytesSoFar: number;
  readonly objectsSoFar: number;
  /** When the newest whole count began, epoch ms; null: there was none. */
  readonly countedAt: number | null;
  readonly sizeBytes: number;
  readonly objects: number;
}

/** What one page of a listing shows. */
export interface CountedPage {
  readonly bytes: number;
  readonly objects: number;
  /** Where the next one begins; undefined: this was the last. */
  readonly lastKey: string | undefined;
}

export const NEVER_COUNTED: BucketCount = {
  countingSince: null,
  afterKey: "",
  bytesSoFar: 0,
  objectsSoFar: 0,
  countedAt: null,
  sizeBytes: 0,
  objects: 0,
};

/** @param everyMs from the beginning of one count to that of the next. */
export const countIsDue = (count: BucketCount, now: number, everyMs: number): boolean =>
  count.countingSince !== null || count.countedAt === null || now - count.countedAt >= everyMs;

/** A count that page brings on, or to its end. */
export function withPage(count: BucketCount, page: CountedPage, now: number): BucketCount {
  const since = count.countingSince ?? now;
  const bytes = count.bytesSoFar + page.bytes;
  const objects = count.objectsSoFar + page.objects;
  if (page.lastKey === undefined) return { ...NEVER_COUNTED, countedAt: since, sizeBytes: bytes, objects };
  return { ...count, countingSince: since, afterKey: page.lastKey, bytesSoFar: bytes, objectsSoFar: objects };
}
