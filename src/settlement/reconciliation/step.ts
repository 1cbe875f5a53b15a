/**
 * One step of a run: a page of either side, compared as far as both reach. What is missing in the operator's list is asked about by
 * its id, and what is missing in our rows of the day is looked for among all of ours: a transaction near midnight is on different
 * days on the two sides, and one that waited for an outage to end may be days apart.
 */
import type { OperatorTransaction, PageAnswer, PageQuery } from "../operator/gateway.ts";
import type { TransactionLookup } from "../operator/records.ts";
import {
  type Comparison,
  compareBoth,
  compareOurs,
  compareTheirs,
  isExpectedThere,
  type OurSettlement,
} from "./compare.ts";
import { dayAfter, dayOf, type Span, spanOf } from "./days.ts";
import { type Finding, ourSide, theirSide } from "./items.ts";
import { mergePages, type Page, type Pair } from "./merge.ts";

/** Where a run is. */
export interface Position {
  readonly day: string;
  readonly toDay: string;
  readonly frontier: string;
  readonly cursor: string | null;
  readonly listEnded: boolean;
}

export interface Counts {
  readonly ours: number;
  readonly theirs: number;
  readonly agreed: number;
  readonly inFlight: number;
  readonly asked: number;
  readonly mismatches: number;
}

export interface StepPorts {
  /** Ours of a day after a refId, in rising order of it. */
  readonly ours: (span: Span, after: string, limit: number) => Promise<readonly OurSettlement[]>;
  /** Those of these refIds that we have, of whatever day. */
  readonly known: (refIds: readonly string[]) => Promise<ReadonlySet<string>>;
  readonly page: (query: PageQuery) => Promise<PageAnswer>;
  readonly lookUp: (ours: OurSettlement) => Promise<TransactionLookup>;
  /** Whether there is time for another question. */
  readonly mayAsk: () => boolean;
  readonly now: () => number;
}

export type StepResult =
  | {
      readonly type: "stepped";
      readonly position: Position;
      readonly counts: Counts;
      readonly findings: readonly Finding[];
      /** Of the day before: whatever of it was not seen again is gone. */
      readonly dayEnded: boolean;
      readonly ended: boolean;
      /** The operator did not answer a question: go on after this, ms. */
      readonly waitMs: number;
    }
  | { readonly type: "waiting"; readonly waitMs: number; readonly reason: string };

/** Rows of ours in memory at once; the operator's page has fewer. */
const OUR_PAGE = 500;
/** Each may wait a second for its permit: the page is asked for again before more of them. */
const MAX_QUESTIONS = 20;
const UNANSWERED_WAIT_MS = 10_000;

export async function reconcileStep(from: Position, toleranceMs: number, ports: StepPorts): Promise<StepResult> {
  const { day, frontier, cursor } = from;
  const span = spanOf(day);
  const listed = from.listEnded ? undefined : await ports.page(pageQuery(span, cursor));
  if (listed !== undefined && !listed.ok) {
    const waitMs = listed.kind === "not_sent" ? listed.retryAfterMs : UNANSWERED_WAIT_MS;
    return { type: "waiting", waitMs, reason: listed.kind === "not_sent" ? "not-sent" : "no-answer" };
  }
  const rows = await ports.ours(span, frontier, OUR_PAGE);
  const ours: Page<OurSettlement> = { rows, ended: rows.length < OUR_PAGE };
  const theirs: Page<OperatorTransaction> =
    listed === undefined ? { rows: [], ended: true } : { rows: listed.transactions, ended: listed.nextCursor === null };
  const pairs = mergePages(ours, theirs, frontier);
  const onlyTheirs = pairs.filter((pair) => pair.ours === undefined).map(({ refId }) => refId);
  const known: ReadonlySet<string> = onlyTheirs.length === 0 ? new Set() : await ports.known(onlyTheirs);

  const tally = { ours: 0, theirs: 0, agreed: 0, inFlight: 0, asked: 0, mismatches: 0 };
  const findings: Finding[] = [];
  let reached = frontier;
  let waitMs = 0;
  let whole = true;
  for (const pair of pairs) {
    const isQuestion = pair.ours !== undefined && pair.theirs === undefined;
    const asks = isQuestion && isExpectedThere(pair.ours, toleranceMs, ports.now());
    if (asks && (tally.asked === MAX_QUESTIONS || !ports.mayAsk())) {
      whole = false;
      break;
    }
    const lookup = asks ? await ports.lookUp(pair.ours) : undefined;
    if (lookup?.kind === "not_sent" || lookup?.kind === "unknown") {
      whole = false;
      waitMs = lookup.kind === "not_sent" ? lookup.retryAfterMs : UNANSWERED_WAIT_MS;
      break;
    }
    if (asks) tally.asked += 1;
    if (pair.ours !== undefined) tally.ours += 1;
    if (pair.theirs !== undefined) tally.theirs += 1;
    reached = pair.refId;
    // Ours of another day is compared on its own.
    if (pair.ours === undefined && known.has(pair.refId)) continue;
    const there = lookup?.kind === "found" ? lookup.transaction : pair.theirs;
    const { outcome, kinds } = compare(pair, there, lookup?.kind === "unknown_transaction", toleranceMs, ports.now());
    if (outcome === "agreed") tally.agreed += 1;
    if (outcome === "in_flight") tally.inFlight += 1;
    tally.mismatches += kinds.length;
    for (const kind of kinds) findings.push(findingOf(kind, pair, there));
  }

  const position = nextPosition(from, reached, { whole, ours, theirs, nextCursor: listed?.nextCursor ?? null });
  const dayEnded = position === "day-ended";
  const ended = dayEnded && day === from.toDay;
  return {
    type: "stepped",
    position: dayEnded ? (ended ? from : firstOf(dayAfter(day), from.toDay)) : position,
    counts: tally,
    findings,
    dayEnded,
    ended,
    waitMs,
  };
}

export const firstOf = (day: string, toDay: string): Position => ({
  day,
  toDay,
  frontier: "",
  cursor: null,
  listEnded: false,
});

const pageQuery = ({ from, to }: Span, cursor: string | null): PageQuery => ({
  from: new Date(from).toISOString(),
  to: new Date(to).toISOString(),
  cursor,
});

function compare(
  { ours, theirs }: Pair,
  there: OperatorTransaction | undefined,
  absentThere: boolean,
  toleranceMs: number,
  now: number,
): Comparison {
  if (ours !== undefined && there !== undefined) return compareBoth(ours, there, toleranceMs, now);
  if (ours !== undefined) return compareOurs(ours, absentThere, toleranceMs, now);
  if (theirs !== undefined) return compareTheirs(theirs, toleranceMs, now);
  throw new RangeError("a pair of nothing");
}

function findingOf(kind: Finding["kind"], { refId, ours }: Pair, there: OperatorTransaction | undefined): Finding {
  const at = ours?.createdAt ?? (there === undefined ? 0 : Date.parse(there.createdAt));
  return {
    refId,
    kind,
    day: dayOf(at),
    tenantId: ours?.tenantId ?? null,
    ours: ours === undefined ? null : ourSide(ours),
    theirs: there === undefined ? null : theirSide(there),
  };
}

interface Reach {
  readonly whole: boolean;
  readonly ours: Page<OurSettlement>;
  readonly theirs: Page<OperatorTransaction>;
  readonly nextCursor: string | null;
}

function nextPosition(
  from: Position,
  reached: string,
  { whole, ours, theirs, nextCursor }: Reach,
): Position | "day-ended" {
  const rest = theirs.rows.at(-1);
  const pageDone = rest === undefined || rest.transactionId <= reached;
  if (whole && ours.ended && theirs.ended) return "day-ended";
  // Past its last row a page is not asked for again.
  const listEnded = from.listEnded || (pageDone && theirs.ended);
  const cursor = pageDone && !theirs.ended ? nextCursor : from.cursor;
  return { ...from, frontier: reached, cursor: listEnded ? null : cursor, listEnded };
}
