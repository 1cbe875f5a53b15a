/** What is sent when an alert opens, is escalated or resolves: one message for each channel, and its wire form. */
import type { AlertRule, Grade } from "./alert-rule.ts";
import { ACKNOWLEDGE_WITHIN_MS, type Contact, type ContactRole, contactsFor } from "./escalation.ts";

export const CHANNELS = ["pagerduty", "slack", "email"] as const;
export type Channel = (typeof CHANNELS)[number];

export type NotificationKind = "opened" | "escalated" | "acknowledged" | "resolved" | "test";

export interface Notification {
  /** Names it for ever: sending it again is the same notification. */
  readonly id: string;
  readonly channel: Channel;
  readonly kind: NotificationKind;
  readonly alert: string;
  readonly incident: number;
  /** Epoch ms, when it happened. */
  readonly at: number;
  readonly title: string;
  readonly says: string;
  readonly grade: Grade;
  readonly severity: AlertRule["severity"];
  readonly value: number | undefined;
  readonly contacts: readonly Contact[];
}

/** What became of a notification. */
export interface NotificationRecord {
  readonly id: string;
  readonly state: "waiting" | "sent" | "given-up";
  readonly attempts: number;
  /** Epoch ms: when it was settled, or is tried next. */
  readonly at: number;
  readonly error: string | null;
}

const GRADES: readonly Grade[] = ["info", "warning", "critical"];

/** Who hears of alerts. */
export interface Audience {
  readonly contacts: readonly Contact[];
  /** From which grade on PagerDuty does; the other channels hear of all. */
  readonly pagedFrom: Grade;
}

const isPaged = (grade: Grade, { pagedFrom }: Audience): boolean => GRADES.indexOf(grade) >= GRADES.indexOf(pagedFrom);

/** @param step of the escalation, for its id. */
export function notificationsOf(
  rule: AlertRule,
  what: {
    readonly kind: NotificationKind;
    readonly incident: number;
    readonly at: number;
    readonly value: number | undefined;
    readonly step?: number;
  },
  roles: readonly ContactRole[],
  audience: Audience,
): readonly Notification[] {
  const contacts = contactsFor(audience.contacts, roles);
  // PagerDuty has its own escalation.
  const paged = isPaged(rule.grade, audience) && what.kind !== "escalated";
  return CHANNELS.filter((channel) => channel !== "pagerduty" || paged).map((channel) => ({
    id: `${rule.name}/${what.incident}/${what.kind}${what.step === undefined ? "" : what.step}/${channel}`,
    channel,
    kind: what.kind,
    alert: rule.name,
    incident: what.incident,
    at: what.at,
    title: rule.title,
    says: rule.says,
    grade: rule.grade,
    severity: rule.severity,
    value: what.value,
    contacts,
  }));
}

export interface Place {
  readonly environment: string;
  /** Base of links to the runbook; empty: its path in the repository. */
  readonly runbookUrl: string;
}

const runbookOf = ({ runbookUrl }: Place, alert: string): string =>
  `${runbookUrl === "" ? "docs/runbook.md" : runbookUrl}#${alert}`;

const dedupKey = ({ alert, incident }: Notification, { environment }: Place): string =>
  `itrans/${environment}/${alert}/${incident}`;

const iso = (at: number): string => new Date(at).toISOString();

const rounded = (value: number): string => String(Math.round(value * 1_000) / 1_000);

function headline({ kind, severity, title }: Notification, { environment }: Place): string {
  const said: Readonly<Record<NotificationKind, string>> = {
    opened: severity,
    escalated: `${severity}, nobody has acknowledged`,
    acknowledged: "Acknowledged",
    resolved: "Resolved",
    test: "Test",
  };
  return `[${environment}] ${said[kind]}: ${title}`;
}

const minutes = (ms: number): string => (ms < 3_600_000 ? `${ms / 60_000} min` : `${ms / 3_600_000} h`);

function facts(notification: Notification, place: Place): readonly string[] {
  const { kind, says, at, value, severity, alert, contacts } = notification;
  const ended = kind === "resolved" || kind === "acknowledged";
  const called = contacts.map(
    ({ role, name, phone }) => `${role.replaceAll("-", " ")} ${name}${phone === undefined ? "" : ` ${phone}`}`,
  );
  return [
    says,
    ...(value === undefined || ended ? [] : [`Seen: ${rounded(value)}`]),
    `At: ${iso(at)}`,
    ...(ended || called.length === 0 ? [] : [`Called: ${called.join(", ")}`]),
    ...(ended
      ? []
      : [`Acknowledge within ${minutes(ACKNOWLEDGE_WITHIN_MS[severity])}: npm run alerts:acknowledge -- ${alert}`]),
    `Runbook: ${runbookOf(place, alert)}`,
  ];
}

/** PagerDuty Events API v2: `trigger` and `resolve` under one dedup key. */
export function pagerDutyEvent(notification: Notification, place: Place, routingKey: string): object {
  const action = {
    opened: "trigger",
    escalated: "trigger",
    test: "trigger",
    acknowledged: "acknowledge",
    resolved: "resolve",
  };
  return {
    routing_key: routingKey,
    event_action: action[notification.kind],
    dedup_key: dedupKey(notification, place),
    client: "iTrans Edge",
    payload: {
      summary: headline(notification, place),
      source: `itrans-core/${place.environment}`,
      severity: notification.grade,
      timestamp: iso(notification.at),
      component: notification.alert,
      class: notification.severity,
      custom_details: { says: notification.says, value: notification.value ?? null },
    },
    links: [{ href: runbookOf(place, notification.alert), text: "Runbook" }].filter(({ href }) =>
      href.startsWith("https:"),
    ),
  };
}

/** A Slack incoming webhook's body; text is escaped as Slack asks. */
export function slackMessage(notification: Notification, place: Place): object {
  const mentions = notification.contacts.flatMap(({ slack }) => (slack === undefined ? [] : [`<@${slack}>`]));
  const lines = [`*${escapeSlack(headline(notification, place))}*`, ...facts(notification, place).map(escapeSlack)];
  if (mentions.length > 0 && notification.kind !== "resolved") lines.push(mentions.join(" "));
  return { text: lines.join("\n") };
}

const escapeSlack = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A message for an HTTP e-mail API that takes {from, to, subject, text}; undefined when nobody has an address. */
export function emailMessage(notification: Notification, place: Place, from: string): object | undefined {
  const to = notification.contacts.flatMap(({ email }) => (email === undefined ? [] : [email]));
  if (to.length === 0) return undefined;
  return { from, to, subject: headline(notification, place), text: facts(notification, place).join("\n") };
}

export const MAX_ATTEMPTS = 12;

/** Until the next attempt, in ms: 5 s, doubling, ten minutes at most. */
export const retryAfterMs = (attempts: number): number => Math.min(600_000, 5_000 * 2 ** Math.max(0, attempts - 1));
