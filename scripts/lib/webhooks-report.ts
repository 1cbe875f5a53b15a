/** What `npm run report:webhooks` says of deliveries. Pure. */
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
import type { Window } from "./transactions-report.ts";

export interface WebhookDelivery {
  readonly outboxId: number;
  readonly eventType: string;
  readonly destinationId: string;
  readonly state: string;
  /** That used up a retry, and the one that was taken. */
  readonly attempts: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly deliveredAt: number | null;
}

const MOST_NAMED = 20;
const MOST_BURSTS = 5;

export interface WebhooksReport extends Window {
  readonly count: number;
  readonly byState: readonly Share[];
  readonly byDestination: readonly (Share & {
    readonly retried: number;
    readonly dead: number;
    readonly p95: number | undefined;
  })[];
  readonly byEvent: readonly Share[];
  /** From the event to its delivery, the wait for an anchor included where a destination asks for it; milliseconds. */
  readonly duration: Distribution | undefined;
  /** Of deliveries, by when they were made. */
  readonly rate: { readonly slotMs: number; readonly slots: readonly Slot[] };
  readonly busiestMinute: Slot | undefined;
  readonly bursts: readonly Slot[];
  /** Of those that were posted, those that needed more than one attempt; undefined when none was. */
  readonly retryRate: number | undefined;
  readonly meanAttempts: number | undefined;
  readonly mostAttempts: number;
  readonly byAttempts: readonly Share[];
  readonly errors: readonly Share[];
  /** Dead letters, newest first. */
  readonly attention: readonly {
    readonly outboxId: number;
    readonly destinationId: string;
    readonly eventType: string;
    readonly attempts: number;
    readonly error: string;
  }[];
}

const errorOf = ({ lastError, lastStatus }: WebhookDelivery): string =>
  lastError ?? (lastStatus === null ? "none" : String(lastStatus));

const attemptsName = (attempts: number): string => (attempts >= 5 ? "5 and more" : String(attempts));

export function webhooksReport(all: readonly WebhookDelivery[], window: Window): WebhooksReport {
  const delivered = all.flatMap((one) => (one.deliveredAt === null ? [] : [{ ...one, deliveredAt: one.deliveredAt }]));
  const times = delivered.map(({ deliveredAt }) => deliveredAt);
  const posted = all.filter(({ attempts }) => attempts > 0);
  const retried = posted.filter(({ attempts }) => attempts > 1);
  const dead = all.filter(({ state }) => state === "dead").toSorted((a, b) => b.outboxId - a.outboxId);
  const took = (some: typeof delivered) => distributionOf(some.map((one) => one.deliveredAt - one.createdAt));
  return {
    ...window,
    count: all.length,
    byState: sharesOf(all.map(({ state }) => state)),
    byDestination: sharesOf(all.map(({ destinationId }) => destinationId)).map((share) => ({
      ...share,
      retried: retried.filter(({ destinationId }) => destinationId === share.name).length,
      dead: dead.filter(({ destinationId }) => destinationId === share.name).length,
      p95: took(delivered.filter(({ destinationId }) => destinationId === share.name))?.p95,
    })),
    byEvent: sharesOf(all.map(({ eventType }) => eventType)),
    duration: took(delivered),
    rate: rateOf(times, window.since, window.until),
    busiestMinute: busiestMinute(times),
    bursts: burstsOf(times, MOST_BURSTS),
    retryRate: posted.length === 0 ? undefined : retried.length / posted.length,
    meanAttempts:
      posted.length === 0 ? undefined : posted.reduce((sum, { attempts }) => sum + attempts, 0) / posted.length,
    mostAttempts: posted.reduce((most, { attempts }) => Math.max(most, attempts), 0),
    byAttempts: sharesOf(posted.map(({ attempts }) => attemptsName(attempts))),
    errors: sharesOf([...retried, ...dead.filter(({ attempts }) => attempts <= 1)].map(errorOf)),
    attention: dead.slice(0, MOST_NAMED).map((one) => ({
      outboxId: one.outboxId,
      destinationId: one.destinationId,
      eventType: one.eventType,
      attempts: one.attempts,
      error: errorOf(one),
    })),
  };
}
