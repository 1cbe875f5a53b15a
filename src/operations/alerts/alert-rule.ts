/** What an alert is made of. Durations are in ms of real time; `compress` shortens all of them for a rehearsal. */

import {
  type History,
  increaseOf,
  latest,
  quantileWithin,
  spanOf,
  spanSince,
  valueNow,
  valueThen,
} from "./observation.ts";
import { boundsOf, type MeasuredSignal, type Signal, type TimedSignal } from "./signals.ts";

export type Condition =
  /** A signal as it stands. */
  | { readonly type: "above"; readonly signal: Signal; readonly threshold: number }
  | { readonly type: "below"; readonly signal: Signal; readonly threshold: number }
  /** How much a counter rose. */
  | { readonly type: "increase"; readonly signal: MeasuredSignal; readonly windowMs: number; readonly atLeast: number }
  /** One counter's rise as a share of another's, once that one rose by `minimum`. */
  | {
      readonly type: "share";
      readonly part: readonly MeasuredSignal[];
      readonly whole: readonly MeasuredSignal[];
      readonly windowMs: number;
      readonly minimum: number;
      readonly above?: number;
      readonly below?: number;
    }
  /** A quantile of what was observed, once there were `minimum` observations; in seconds. */
  | {
      readonly type: "quantile";
      readonly signal: TimedSignal;
      readonly q: number;
      readonly windowMs: number;
      readonly minimum: number;
      readonly above: number;
    }
  /**
   * A counter's rise against what it usually rises by in the same time, once that is at least `minimum`. Usual is what was seen
   * within `usualMs`, and for `leastMs` at least.
   */
  | {
      readonly type: "slower-than-usual";
      readonly signal: MeasuredSignal;
      readonly windowMs: number;
      readonly usualMs: number;
      readonly leastMs: number;
      readonly minimum: number;
      readonly below: number;
    }
  /**
   * A level's rise against what it usually rises by in the same time: more than `times` that, and by `atLeast`. Usual is what was
   * seen in the `usualMs` before the window, and for `leastMs` of them at least.
   */
  | {
      readonly type: "faster-than-usual";
      readonly signal: MeasuredSignal;
      readonly windowMs: number;
      readonly usualMs: number;
      readonly leastMs: number;
      readonly atLeast: number;
      readonly times: number;
    }
  /** One counter rose and the other did not, over the whole window. */
  | {
      readonly type: "without";
      readonly cause: MeasuredSignal;
      readonly effect: MeasuredSignal;
      readonly windowMs: number;
      readonly minimum: number;
    }
  /** A time in Unix seconds that lies further back than this. */
  | { readonly type: "older"; readonly signal: MeasuredSignal; readonly thanMs: number }
  /** An age in seconds. */
  | { readonly type: "longer"; readonly signal: MeasuredSignal; readonly thanMs: number }
  /** The first has not yet come to where the second was the whole window ago; how far the second is now says nothing. */
  | { readonly type: "behind"; readonly signal: MeasuredSignal; readonly of: MeasuredSignal; readonly windowMs: number }
  /** A reading that was never taken, while what stands beside it can be read. */
  | { readonly type: "never"; readonly signal: MeasuredSignal; readonly beside: MeasuredSignal }
  | { readonly type: "all"; readonly of: readonly Condition[] }
  | { readonly type: "any"; readonly of: readonly Condition[] };

export type Grade = "critical" | "warning" | "info";
export type Severity = "S1" | "S2" | "S3" | "S4";

export interface AlertRule {
  readonly name: string;
  readonly title: string;
  readonly grade: Grade;
  readonly severity: Severity;
  readonly condition: Condition;
  /** It must hold this long before the alert opens; 0: at once. */
  readonly forMs: number;
  /** It must not hold this long before the alert resolves. */
  readonly clearMs: number;
  /** One sentence for the person who is woken. */
  readonly says: string;
}

export interface Verdict {
  /** undefined: what it rests on could not be read. */
  readonly holds: boolean | undefined;
  /** What was compared, for the message. */
  readonly value: number | undefined;
}

const UNKNOWN: Verdict = { holds: undefined, value: undefined };
const verdict = (holds: boolean, value: number): Verdict => ({ holds, value });

function sumOfIncreases(history: History, signals: readonly MeasuredSignal[], windowMs: number): number | undefined {
  const rises = signals.map((signal) => increaseOf(history, signal, windowMs)).filter((rise) => rise !== undefined);
  return rises.length === 0 ? undefined : rises.reduce((sum, rise) => sum + rise, 0);
}

/** @param history oldest first; its last observation is what stands now. */
export function judge(condition: Condition, history: History): Verdict {
  switch (condition.type) {
    case "above": {
      const value = valueNow(history, condition.signal);
      return value === undefined ? UNKNOWN : verdict(value > condition.threshold, value);
    }
    case "below": {
      const value = valueNow(history, condition.signal);
      return value === undefined ? UNKNOWN : verdict(value < condition.threshold, value);
    }
    case "increase": {
      const value = increaseOf(history, condition.signal, condition.windowMs);
      return value === undefined ? UNKNOWN : verdict(value >= condition.atLeast, value);
    }
    case "share": {
      const whole = sumOfIncreases(history, condition.whole, condition.windowMs);
      const part = sumOfIncreases(history, condition.part, condition.windowMs);
      if (whole === undefined || part === undefined) return UNKNOWN;
      if (whole < condition.minimum || whole === 0) return verdict(false, 0);
      const share = part / whole;
      const { above = Number.POSITIVE_INFINITY, below = Number.NEGATIVE_INFINITY } = condition;
      return verdict(share > above || share < below, share);
    }
    case "quantile": {
      const bounds = boundsOf(condition.signal);
      const seen = quantileWithin(history, condition.signal, bounds, condition.q, condition.windowMs);
      if (seen === undefined) return UNKNOWN;
      const value = seen.value ?? 0;
      return verdict(seen.count >= condition.minimum && value > condition.above, value);
    }
    case "slower-than-usual": {
      const { signal, windowMs, usualMs, leastMs, minimum, below } = condition;
      const overMs = Math.min(usualMs, spanOf(history));
      if (overMs < leastMs) return UNKNOWN;
      const now = increaseOf(history, signal, windowMs, true);
      const usual = increaseOf(history, signal, overMs, true);
      if (now === undefined || usual === undefined) return UNKNOWN;
      const expected = ((usual - now) / (overMs - windowMs)) * windowMs;
      return verdict(expected >= minimum && now < expected * below, expected === 0 ? 1 : now / expected);
    }
    case "faster-than-usual": {
      const { signal, windowMs, usualMs, leastMs, atLeast, times } = condition;
      const beforeMs = Math.min(usualMs, spanSince(history, signal) - windowMs);
      if (beforeMs < leastMs) return UNKNOWN;
      const now = valueNow(history, signal);
      const then = valueThen(history, signal, windowMs);
      const first = valueThen(history, signal, windowMs + beforeMs);
      if (now === undefined || then === undefined || first === undefined) return UNKNOWN;
      const rise = now - then;
      return verdict(rise >= atLeast && rise > times * ((then - first) / beforeMs) * windowMs, rise);
    }
    case "without": {
      const cause = increaseOf(history, condition.cause, condition.windowMs, true);
      const effect = increaseOf(history, condition.effect, condition.windowMs, true);
      if (cause === undefined || effect === undefined) return UNKNOWN;
      return verdict(cause >= condition.minimum && effect === 0, cause);
    }
    case "older": {
      const then = valueNow(history, condition.signal);
      const now = latest(history)?.at;
      if (then === undefined || now === undefined) return UNKNOWN;
      const age = now / 1000 - then;
      return verdict(age * 1000 > condition.thanMs, age);
    }
    case "longer": {
      const age = valueNow(history, condition.signal);
      return age === undefined ? UNKNOWN : verdict(age * 1000 > condition.thanMs, age);
    }
    case "behind": {
      const value = valueNow(history, condition.signal);
      const of = valueThen(history, condition.of, condition.windowMs);
      return value === undefined || of === undefined ? UNKNOWN : verdict(value < of, Math.max(0, of - value));
    }
    case "never": {
      if (valueNow(history, condition.beside) === undefined) return UNKNOWN;
      const value = valueNow(history, condition.signal);
      return verdict(value === undefined, 0);
    }
    case "all":
    case "any":
      return joined(
        condition.type,
        condition.of.map((each) => judge(each, history)),
      );
  }
}

/** Three-valued: what is unknown decides only where the others do not. */
function joined(type: "all" | "any", verdicts: readonly Verdict[]): Verdict {
  const decides = type === "any";
  const decisive = verdicts.find(({ holds }) => holds === decides);
  if (decisive !== undefined) return decisive;
  return verdicts.find(({ holds }) => holds === undefined) ?? verdicts[0] ?? UNKNOWN;
}

/** How far back a condition looks. */
export function reachOf(condition: Condition): number {
  switch (condition.type) {
    case "increase":
    case "share":
    case "quantile":
    case "without":
    case "behind":
      return condition.windowMs;
    case "slower-than-usual":
      return condition.usualMs;
    case "faster-than-usual":
      return condition.windowMs + condition.usualMs;
    case "all":
    case "any":
      return Math.max(0, ...condition.of.map(reachOf));
    default:
      return 0;
  }
}

/** Every duration of a rule divided by `scale`, so that a rehearsal takes seconds where the real thing takes minutes. */
export function compress(rule: AlertRule, scale: number): AlertRule {
  return {
    ...rule,
    forMs: rule.forMs / scale,
    clearMs: rule.clearMs / scale,
    condition: compressCondition(rule.condition, scale),
  };
}

function compressCondition(condition: Condition, scale: number): Condition {
  switch (condition.type) {
    case "increase":
    case "share":
    case "quantile":
    case "without":
    case "behind":
      return { ...condition, windowMs: condition.windowMs / scale };
    case "slower-than-usual":
    case "faster-than-usual":
      return {
        ...condition,
        windowMs: condition.windowMs / scale,
        usualMs: condition.usualMs / scale,
        leastMs: condition.leastMs / scale,
      };
    case "older":
    case "longer":
      return { ...condition, thanMs: condition.thanMs / scale };
    case "all":
    case "any":
      return { ...condition, of: condition.of.map((each) => compressCondition(each, scale)) };
    default:
      return condition;
  }
}
