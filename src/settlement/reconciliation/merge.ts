/** Two streams in rising order of refId, walked together: at no time is more of either in memory than one page. */
import type { OperatorTransaction } from "../operator/gateway.ts";
import type { OurSettlement } from "./compare.ts";

export interface Page<One> {
  readonly rows: readonly One[];
  /** No rows follow. */
  readonly ended: boolean;
}

export interface Pair {
  readonly refId: string;
  readonly ours: OurSettlement | undefined;
  readonly theirs: OperatorTransaction | undefined;
}

/**
 * Pairs as far as both pages reach: what comes after the last row of a page that has a successor may be on that one.
 * @param frontier refId up to which everything is compared; rows up to it are passed over.
 */
export function mergePages(
  ours: Page<OurSettlement>,
  theirs: Page<OperatorTransaction>,
  frontier: string,
): readonly Pair[] {
  const mine = ours.rows.filter(({ refId }) => refId > frontier);
  const listed = theirs.rows.filter(({ transactionId }) => transactionId > frontier);
  const reach = (page: Page<unknown>, last: string | undefined): string | undefined =>
    page.ended ? undefined : (last ?? frontier);
  const bounds = [reach(ours, mine.at(-1)?.refId), reach(theirs, listed.at(-1)?.transactionId)];
  const within = (refId: string): boolean => bounds.every((bound) => bound === undefined || refId <= bound);
  const pairs: Pair[] = [];
  let i = 0;
  let j = 0;
  while (i < mine.length || j < listed.length) {
    const left = mine[i];
    const right = listed[j];
    const refId = smaller(left?.refId, right?.transactionId);
    if (refId === undefined || !within(refId)) break;
    const one = left?.refId === refId ? left : undefined;
    const other = right?.transactionId === refId ? right : undefined;
    pairs.push({ refId, ours: one, theirs: other });
    if (one !== undefined) i += 1;
    if (other !== undefined) j += 1;
  }
  return pairs;
}

const smaller = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined ? b : b === undefined || a < b ? a : b;
