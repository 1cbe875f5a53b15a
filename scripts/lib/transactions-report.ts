/** What `npm run report:transactions` says of settlements. Pure: the clock is given. */
import { formatMoney } from "../../src/platform/money.ts";
import {
  burstsOf,
  busiestMinute,
  type Distribution,
  distributionOf,
  rateOf,
  type Share,
  type Slot,
  sharesOf,
} from "./report.ts";

export interface Transaction {
  readonly refId: string;
  readonly tenantId: string;
  readonly type: string;
  readonly status: string;
  readonly amountCents: number;
  readonly currency: string;
  readonly reason: string | null;
  readonly replays: number;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Of one that has ended, when it did. */
  readonly updatedAt: number;
}

export interface Window {
  /** Epoch ms. */
  readonly since: number;
  /** Not included. */
  readonly until: number;
}

const STUCK_AFTER_MS = 5 * 60_000;
const MOST_NAMED = 20;
const MOST_BURSTS = 5;
const MOST_TENANTS = 10;

export interface TransactionsReport extends Window {
  readonly count: number;
  readonly byStatus: readonly (Share & { readonly amounts: readonly string[] })[];
  readonly byType: readonly Share[];
  /** Of those that were confirmed: who moved the most, the first ten. */
  readonly byTenant: readonly (Share & { readonly amounts: readonly string[] })[];
  /** Of those that ended, those that failed for technical reasons; undefined when none ended. */
  readonly errorRate: number | undefined;
  /** From being asked for to the operator's confirmation, in milliseconds. */
  readonly duration: Distribution | undefined;
  readonly rate: { readonly slotMs: number; readonly slots: readonly Slot[] };
  readonly busiestMinute: Slot | undefined;
  readonly bursts: readonly Slot[];
  readonly replayed: number;
  readonly reasons: readonly Share[];
  /** Under way for over five minutes, oldest first. */
  readonly stuck: readonly { readonly refId: string; readonly status: string; readonly ageMs: number }[];
  readonly stuckCount: number;
}

const isUnderWay = ({ status }: Transaction): boolean => status === "PENDING" || status === "PROCESSING";

/** Sums by currency, as amounts: money of two currencies is never added up. */
function amountsOf(some: readonly Transaction[]): readonly string[] {
  const sums = new Map<string, bigint>();
  for (const { currency, amountCents } of some) sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(amountCents));
  return [...sums]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([currency, minor]) => `${formatMoney({ minor: Number(minor), currency })} ${currency}`);
}

export function transactionsReport(all: readonly Transaction[], window: Window, now: number): TransactionsReport {
  const times = all.map(({ createdAt }) => createdAt);
  const ended = all.filter((one) => !isUnderWay(one));
  const failed = ended.filter(({ status }) => status === "FAILED");
  const completed = all.filter(({ status }) => status === "COMPLETED");
  const stuck = all
    .filter((one) => isUnderWay(one) && now - one.createdAt > STUCK_AFTER_MS)
    .toSorted((a, b) => a.createdAt - b.createdAt);
  return {
    ...window,
    count: all.length,
    byStatus: sharesOf(all.map(({ status }) => status)).map((share) => ({
      ...share,
      amounts: amountsOf(all.filter(({ status }) => status === share.name)),
    })),
    byType: sharesOf(all.map(({ type }) => type)),
    byTenant: sharesOf(completed.map(({ tenantId }) => tenantId))
      .slice(0, MOST_TENANTS)
      .map((share) => ({ ...share, amounts: amountsOf(completed.filter(({ tenantId }) => tenantId === share.name)) })),
    errorRate: ended.length === 0 ? undefined : failed.length / ended.length,
    duration: distributionOf(completed.map(({ createdAt, updatedAt }) => updatedAt - createdAt)),
    rate: rateOf(times, window.since, window.until),
    busiestMinute: busiestMinute(times),
    bursts: burstsOf(times, MOST_BURSTS),
    replayed: all.filter(({ replays }) => replays > 0).length,
    reasons: sharesOf(all.flatMap(({ reason, status }) => (reason === null || status === "COMPLETED" ? [] : [reason]))),
    stuck: stuck
      .slice(0, MOST_NAMED)
      .map(({ refId, status, createdAt }) => ({ refId, status, ageMs: now - createdAt })),
    stuckCount: stuck.length,
  };
}
