/**
 * The dead man's switch: core's evaluator tells of everything but its own silence. The hub, another worker with a database of its
 * own, asks core when its alerts were last evaluated, and tells people itself when that lies too far back.
 */
import * as z from "zod";
import type { AlertRule } from "../../operations/alerts/alert-rule.ts";
import { type AlertState, evolveAlert, QUIET } from "../../operations/alerts/alert-state.ts";
import { dueSteps, ESCALATION } from "../../operations/alerts/escalation.ts";
import {
  type Audience,
  MAX_ATTEMPTS,
  type Notification,
  notificationsOf,
  retryAfterMs,
} from "../../operations/alerts/notification.ts";

export const EVALUATOR_SILENT: AlertRule = {
  name: "evaluator-silent",
  title: "Nobody watches",
  grade: "critical",
  severity: "S1",
  condition: { type: "any", of: [] },
  forMs: 0,
  clearMs: 0,
  says: "Core's alerts have not been evaluated for too long, or core can not be asked: no other alert can open.",
};

export interface WaitingNotification {
  readonly notification: Notification;
  readonly attempts: number;
  /** Epoch ms. */
  readonly dueAt: number;
}

export interface WatchState {
  /** Epoch ms of the newest evaluation heard of, or of the first look. */
  readonly heardAt: number;
  readonly alert: AlertState;
  readonly nextIncident: number;
  /** In the order in which they happened. */
  readonly waiting: readonly WaitingNotification[];
}

/** Older ones say nothing that these do not. */
const MAX_WAITING = 60;

/** Nothing is told before an evaluator that was never heard of had its time. */
export const firstWatch = (now: number): WatchState => ({ heardAt: now, alert: QUIET, nextIncident: 1, waiting: [] });

const healthSchema = z.looseObject({ alerts: z.looseObject({ evaluatedAt: z.iso.datetime() }) });

/** @param text of core's `/health`, whatever its status. @returns epoch ms; undefined when it does not say. */
export function evaluatedAtOf(text: string): number | undefined {
  try {
    const read = healthSchema.safeParse(JSON.parse(text));
    return read.success ? Date.parse(read.data.alerts.evaluatedAt) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param evaluatedAt what core says now; undefined: it does not.
 * @param silentAfterMs compressed already. @param scale how many times shorter than real the escalation's waits are.
 */
export function stepWatch(
  before: WatchState,
  evaluatedAt: number | undefined,
  now: number,
  silentAfterMs: number,
  audience: Audience,
  scale: number,
): WatchState {
  const heardAt = Math.max(before.heardAt, evaluatedAt ?? 0);
  const silentMs = now - heardAt;
  const verdict = { holds: silentMs > silentAfterMs, value: silentMs / 1_000 };
  const { state, event } = evolveAlert(before.alert, EVALUATOR_SILENT, verdict, now, before.nextIncident);
  const told: Notification[] = [];
  let alert = state;
  if (event?.type === "resolved" && before.alert.phase === "open") {
    const roles = ESCALATION.S1.slice(0, before.alert.escalated).flatMap((step) => step.roles);
    const what = { kind: "resolved", incident: event.incident, at: now, value: undefined } as const;
    told.push(...notificationsOf(EVALUATOR_SILENT, what, roles, audience));
  }
  if (alert.phase === "open") {
    const { incident, openedAt, escalated, value } = alert;
    const due = dueSteps("S1", now - openedAt, escalated, scale);
    for (const [index, { roles }] of due.entries()) {
      const step = escalated + index;
      const kind = step === 0 ? "opened" : "escalated";
      told.push(...notificationsOf(EVALUATOR_SILENT, { kind, incident, at: now, value, step }, roles, audience));
    }
    alert = { ...alert, escalated: escalated + due.length };
  }
  return {
    heardAt,
    alert,
    nextIncident: before.nextIncident + (event?.type === "opened" ? 1 : 0),
    waiting: [...before.waiting, ...told.map((notification) => ({ notification, attempts: 0, dueAt: now }))].slice(
      -MAX_WAITING,
    ),
  };
}

/** The first that waits on each channel, when its time has come: a channel hears of things in their order. */
export function dueOf({ waiting }: WatchState, now: number): readonly WaitingNotification[] {
  const first = new Map<string, WaitingNotification>();
  for (const one of waiting) if (!first.has(one.notification.channel)) first.set(one.notification.channel, one);
  return [...first.values()].filter(({ dueAt }) => dueAt <= now);
}

/** @param result `done`: sent, or nobody is to be told there. */
export function afterSend(
  state: WatchState,
  id: string,
  result: "done" | "again" | "refused",
  now: number,
): WatchState {
  const waiting = state.waiting.flatMap((one) => {
    if (one.notification.id !== id) return [one];
    const attempts = one.attempts + 1;
    if (result !== "again" || attempts >= MAX_ATTEMPTS) return [];
    return [{ ...one, attempts, dueAt: now + retryAfterMs(attempts) }];
  });
  return { ...state, waiting };
}
