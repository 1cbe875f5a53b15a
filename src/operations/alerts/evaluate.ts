/** One evaluation: observation in; states, incidents and notifications out. Pure: the clock is the observation's. */
import { type AlertRule, judge, reachOf } from "./alert-rule.ts";
import { type AlertState, evolveAlert, QUIET } from "./alert-state.ts";
import { dueSteps, ESCALATION } from "./escalation.ts";
import { type Audience, type Notification, type NotificationRecord, notificationsOf } from "./notification.ts";
import { type History, type Observation, remember } from "./observation.ts";

/** Of one alert, or of all; what happens while it lasts is not told, and told when it ends if it is still so. */
export interface Silence {
  readonly silenceId: string;
  /** Undefined: every alert. */
  readonly alert: string | undefined;
  /** Epoch ms. */
  readonly until: number;
  /** A code such as a ticket's. */
  readonly reason: string;
  readonly by: string;
}

export interface Incident {
  readonly incident: number;
  readonly alert: string;
  readonly severity: AlertRule["severity"];
  readonly openedAt: number;
  readonly resolvedAt: number | undefined;
}

export interface EvaluatorState {
  readonly history: History;
  readonly alerts: Readonly<Record<string, AlertState>>;
  /** Given to the next alert that opens. */
  readonly nextIncident: number;
  readonly silences: readonly Silence[];
  /** Newest last. */
  readonly incidents: readonly Incident[];
}

/** How things stand, for people. */
export interface AlertReport {
  /** Epoch ms; null before the first evaluation. */
  readonly evaluatedAt: number | null;
  /** A fault in what people configured, such as contacts that do not parse. */
  readonly fault: string | null;
  readonly alerts: readonly (Pick<AlertRule, "name" | "title" | "grade" | "severity" | "says"> & {
    readonly phase: "quiet" | "pending" | "open";
    readonly openedAt: number | null;
    readonly value: number | null;
    readonly acknowledgedAt: number | null;
    readonly acknowledgedBy: string | null;
    readonly silencedUntil: number | null;
  })[];
  readonly silences: readonly Silence[];
  /** Newest first. */
  readonly incidents: readonly Incident[];
  readonly notifications: readonly NotificationRecord[];
}

export const FRESH: EvaluatorState = { history: [], alerts: {}, nextIncident: 1, silences: [], incidents: [] };

/** Incidents remembered here, the newest ones. The register has none of them but those that a person opened there. */
export const MAX_INCIDENTS = 200;

export interface Evaluation {
  readonly state: EvaluatorState;
  readonly notifications: readonly Notification[];
}

const isSilenced = (silences: readonly Silence[], alert: string, now: number): boolean =>
  silences.some((silence) => silence.until > now && (silence.alert === undefined || silence.alert === alert));

/**
 * @param scale how many times shorter than real every wait of the escalation is; the rules are compressed already.
 */
export function evaluate(
  state: EvaluatorState,
  rules: readonly AlertRule[],
  seen: Observation,
  audience: Audience,
  scale: number,
): Evaluation {
  const longest = Math.max(60_000, ...rules.map(({ condition }) => reachOf(condition)));
  const history = remember(state.history, seen, {
    fineMs: Math.min(longest, FINE_MS / scale) + 60_000 / scale,
    thinned: [
      { everyMs: COARSE_MS / scale, untilMs: Math.min(longest, DAY_MS / scale) + (2 * COARSE_MS) / scale },
      { everyMs: SPARSE_MS / scale, untilMs: longest + (2 * SPARSE_MS) / scale },
    ],
  });
  const now = seen.at;
  const silences = state.silences.filter(({ until }) => until > now);
  const alerts: Record<string, AlertState> = {};
  const notifications: Notification[] = [];
  let incidents = state.incidents;
  let { nextIncident } = state;
  for (const rule of rules) {
    const before = state.alerts[rule.name] ?? QUIET;
    const { state: after, event } = evolveAlert(before, rule, judge(rule.condition, history), now, nextIncident);
    const silenced = isSilenced(silences, rule.name, now);
    if (event?.type === "opened") {
      nextIncident += 1;
      const { name: alert, severity } = rule;
      incidents = [...incidents, { incident: event.incident, alert, severity, openedAt: now, resolvedAt: undefined }];
    }
    if (event?.type === "resolved") {
      incidents = incidents.map((one) => (one.incident === event.incident ? { ...one, resolvedAt: now } : one));
      // Nobody was told of it, so nobody is told of its end.
      const told = before.phase === "open" && before.escalated > 0;
      if (told) {
        const everyone = ESCALATION[rule.severity].slice(0, before.escalated).flatMap(({ roles }) => roles);
        const what = { kind: "resolved", incident: event.incident, at: now, value: undefined } as const;
        notifications.push(...notificationsOf(rule, what, everyone, audience));
      }
    }
    if (after.phase !== "open" || silenced) {
      alerts[rule.name] = after;
      continue;
    }
    const { escalated, acknowledged, openedAt, incident, value } = after;
    const due = acknowledged === undefined ? dueSteps(rule.severity, now - openedAt, escalated, scale) : [];
    for (const [index, { roles }] of due.entries()) {
      const step = escalated + index;
      const kind = step === 0 ? ("opened" as const) : ("escalated" as const);
      notifications.push(...notificationsOf(rule, { kind, incident, at: now, value, step }, roles, audience));
    }
    alerts[rule.name] = { ...after, escalated: escalated + due.length };
  }
  return {
    state: { history, alerts, nextIncident, silences, incidents: incidents.slice(-MAX_INCIDENTS) },
    notifications,
  };
}

/** Observations of the last hour are kept one by one, those of the day one for each ten minutes, older ones one an hour. */
const FINE_MS = 60 * 60_000;
const COARSE_MS = 10 * 60_000;
const SPARSE_MS = 60 * 60_000;
const DAY_MS = 24 * 60 * 60_000;
