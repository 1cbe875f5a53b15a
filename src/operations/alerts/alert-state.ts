/** The life of an alert: quiet, pending, open, quiet again. It opens once, stays open, resolves once. */
import type { AlertRule, Verdict } from "./alert-rule.ts";

interface Acknowledgement {
  /** Epoch ms. */
  readonly at: number;
  readonly by: string;
}

export type AlertState =
  | { readonly phase: "quiet" }
  /** The condition holds, not yet for long enough. */
  | { readonly phase: "pending"; readonly since: number }
  | {
      readonly phase: "open";
      /** Rises with every opening of any alert; with the alert's name it is the notification's dedup key. */
      readonly incident: number;
      readonly openedAt: number;
      readonly value: number | undefined;
      /** Since when the condition has not held; undefined while it does, or is not known. */
      readonly clearSince: number | undefined;
      readonly acknowledged: Acknowledgement | undefined;
      /** Steps of the escalation that were taken. */
      readonly escalated: number;
    };

export type AlertEvent =
  | { readonly type: "opened"; readonly incident: number; readonly at: number; readonly value: number | undefined }
  | { readonly type: "resolved"; readonly incident: number; readonly at: number; readonly openedAt: number };

export const QUIET: AlertState = { phase: "quiet" };

interface Step {
  readonly state: AlertState;
  readonly event: AlertEvent | undefined;
}

const unchanged = (state: AlertState): Step => ({ state, event: undefined });

/**
 * What an observation makes of an alert. What is unknown moves nothing: it opens no alert, and it does not resolve one.
 * @param now epoch ms. @param incident the number that an alert opened now is given.
 */
export function evolveAlert(
  state: AlertState,
  rule: Pick<AlertRule, "forMs" | "clearMs">,
  { holds, value }: Verdict,
  now: number,
  incident: number,
): Step {
  switch (state.phase) {
    case "quiet":
    case "pending": {
      if (holds === undefined) return unchanged(state);
      if (!holds) return unchanged(QUIET);
      const since = state.phase === "pending" ? state.since : now;
      if (now - since < rule.forMs) return unchanged({ phase: "pending", since });
      return {
        state: {
          phase: "open",
          incident,
          openedAt: now,
          value,
          clearSince: undefined,
          acknowledged: undefined,
          escalated: 0,
        },
        event: { type: "opened", incident, at: now, value },
      };
    }
    case "open": {
      if (holds === undefined) return unchanged({ ...state, clearSince: undefined });
      if (holds) return unchanged({ ...state, value, clearSince: undefined });
      const clearSince = state.clearSince ?? now;
      if (now - clearSince < rule.clearMs) return unchanged({ ...state, value, clearSince });
      return {
        state: QUIET,
        event: { type: "resolved", incident: state.incident, at: now, openedAt: state.openedAt },
      };
    }
  }
}

export const acknowledge = (state: AlertState, acknowledged: Acknowledgement): AlertState =>
  state.phase === "open" && state.acknowledged === undefined ? { ...state, acknowledged } : state;
