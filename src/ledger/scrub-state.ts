/** Where the scrub is and what it has found: JSON that is kept between slices. */
import { LOG_START, type LogPosition } from "./check-log.ts";
import { type Finding, type FindingType, findingKey } from "./finding.ts";
import { type Memory, NOTHING_REMEMBERED, type Remembered } from "./scrub-memory.ts";
import type { PromisedCheckpoint, ScrubPort } from "./scrub-port.ts";

export const PHASES = ["log", "subjects", "owners", "anchors", "anchor-events", "files"] as const;
export type Phase = (typeof PHASES)[number];

export interface SeenFinding {
  readonly finding: Finding;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly round: number;
}

export type Omitted = { readonly [Type in FindingType]?: number };

/** JSON; kept between slices. Times epoch ms. */
export interface ScrubState {
  /** The round under way, or to come when `startedAt` is null. */
  readonly round: number;
  readonly startedAt: number | null;
  readonly phase: Phase;
  readonly log: LogPosition;
  /** Entries of the log phase of this round. */
  readonly size: number;
  /** Size of the published tree whose files this round checks. */
  readonly publishedSize: number;
  readonly rootHash: string;
  /** Where the phase is: a seq, a subject, a size, a listing's cursor. */
  readonly at: number;
  readonly cursor: string;
  readonly table: number;
  readonly chain: { readonly size: number; readonly rootHash: string } | null;
  readonly promised: PromisedCheckpoint | null;
  readonly lastSignedAt: number;
  readonly checkpoints: Remembered;
  readonly anchorEvents: Remembered;
  readonly anchors: Readonly<Record<string, readonly [number, string]>>;
  readonly memory: Memory | null;
  readonly erased: number;
  readonly chainChecked: boolean;
  readonly signaturesChecked: boolean;
  readonly findings: Readonly<Record<string, SeenFinding>>;
  /** Findings of this round that there was no room for, by type. */
  readonly omitted: Omitted;
  readonly lastCompletedAt: number | null;
  readonly lastSize: number;
  readonly lastErased: number;
}

export const NEVER_SCRUBBED: ScrubState = {
  round: 1,
  startedAt: null,
  phase: "log",
  log: LOG_START,
  size: 0,
  publishedSize: 0,
  rootHash: "",
  at: 0,
  cursor: "",
  table: 0,
  chain: null,
  promised: null,
  lastSignedAt: 0,
  checkpoints: NOTHING_REMEMBERED,
  anchorEvents: NOTHING_REMEMBERED,
  anchors: {},
  memory: null,
  erased: 0,
  chainChecked: false,
  signaturesChecked: false,
  findings: {},
  omitted: {},
  lastCompletedAt: null,
  lastSize: 0,
  lastErased: 0,
};

/** Of all types together. When there is no more room, the type with the most of them gives way to one that has fewer. */
export const MAX_FINDINGS = 1_000;

export interface Slice {
  readonly state: ScrubState;
  /** About how many entries' worth of work it was. */
  readonly cost: number;
  /** The round is over. */
  readonly completed: boolean;
}

/** What was found takes its place in the state. A flood of one type leaves room for every other. */
export function withFindings(
  state: ScrubState,
  found: readonly Finding[],
  port: Pick<ScrubPort, "now" | "found">,
): ScrubState {
  if (found.length === 0) return state;
  port.found?.(found);
  const now = port.now();
  const findings = new Map(Object.entries(state.findings));
  const omitted: { [Type in FindingType]?: number } = { ...state.omitted };
  const keys = keysByType(findings.values());
  for (const finding of found) {
    const key = findingKey(finding);
    const seen = findings.get(key);
    const own = keys.get(finding.type) ?? [];
    if (seen === undefined) {
      if (findings.size >= MAX_FINDINGS) {
        const most = [...keys.values()].reduce((a, b) => (b.length > a.length ? b : a), own);
        const last = most.length > own.length + 1 ? most.pop() : undefined;
        const yielded = last === undefined ? undefined : findings.get(last);
        const left = yielded?.finding.type ?? finding.type;
        omitted[left] = (omitted[left] ?? 0) + 1;
        if (last === undefined) continue;
        findings.delete(last);
      }
      own.push(key);
      keys.set(finding.type, own);
    }
    findings.set(key, { finding, firstSeenAt: seen?.firstSeenAt ?? now, lastSeenAt: now, round: state.round });
  }
  return { ...state, findings: Object.fromEntries(findings), omitted };
}

function keysByType(seen: Iterable<SeenFinding>): Map<FindingType, string[]> {
  const keys = new Map<FindingType, string[]>();
  for (const { finding } of seen) {
    const own = keys.get(finding.type);
    if (own === undefined) keys.set(finding.type, [findingKey(finding)]);
    else own.push(findingKey(finding));
  }
  return keys;
}

/** The beginning of a phase. */
export const next = (state: ScrubState, phase: Phase): ScrubState => ({ ...state, phase, at: 0, cursor: "", table: 0 });

export function complete(state: ScrubState, now: number): ScrubState {
  const kept = Object.entries(state.findings).filter(([, { round }]) => round === state.round);
  const { memory } = state;
  // A memory is replaced only by a round that found it whole: what was changed must not become what is remembered.
  const whole = kept.length === 0;
  return {
    ...state,
    findings: Object.fromEntries(kept),
    memory: whole
      ? {
          size: state.size,
          rootHash: state.rootHash,
          checkpoints: state.checkpoints,
          anchorEvents: state.anchorEvents,
          anchors: state.anchors,
        }
      : memory,
    round: state.round + 1,
    startedAt: null,
    phase: "log",
    lastCompletedAt: now,
    lastSize: state.size,
    lastErased: state.erased,
  };
}

export interface ScrubReport {
  /** Of the round under way, or the one to come. */
  readonly round: number;
  readonly phase: Phase | "waiting";
  /** Entries of the phase that are behind it. */
  readonly position: number;
  readonly startedAt: number | null;
  readonly lastCompletedAt: number | null;
  /** Entries of the last round that ended. */
  readonly lastSize: number;
  readonly erasedSubjects: number;
  readonly chainChecked: boolean;
  readonly signaturesChecked: boolean;
  readonly omittedFindings: number;
  readonly omittedByType: Omitted;
  readonly findings: readonly (Finding & { readonly firstSeenAt: number; readonly lastSeenAt: number })[];
}

export function scrubReport(state: ScrubState): ScrubReport {
  const waiting = state.startedAt === null;
  return {
    round: state.round,
    phase: waiting ? "waiting" : state.phase,
    position: waiting
      ? 0
      : state.phase === "log"
        ? state.log.tree.size
        : state.phase === "subjects"
          ? state.at
          : state.size,
    startedAt: state.startedAt,
    lastCompletedAt: state.lastCompletedAt,
    lastSize: state.lastSize,
    erasedSubjects: state.lastErased,
    chainChecked: state.chainChecked,
    signaturesChecked: state.signaturesChecked,
    omittedFindings: Object.values(state.omitted).reduce((total, count) => total + count, 0),
    omittedByType: state.omitted,
    findings: Object.values(state.findings).map(({ finding, firstSeenAt, lastSeenAt }) => ({
      ...finding,
      firstSeenAt,
      lastSeenAt,
    })),
  };
}
