/**
 * AlertEvaluator: watches the running system and tells people. One object, named like the ledger.
 *
 * Invariant: an alert that opened is told of once on each channel, and its end once, whatever crashes: its state and its
 * notifications are one transaction of own storage. It needs D1 for nothing but what it looks at, so that it can tell that D1 is away.
 *
 * Order of writes: 1. the alarm of the next evaluation; 2. the new state with its notifications; 3. after each post, its outcome. A
 * crash between post and outcome sends it again: PagerDuty knows it by its dedup key, e-mail APIs by its idempotency key.
 *
 * One evaluation at a time: awaiting opens the input gate, so overlapping calls are joined explicitly.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { type AlertRule, compress } from "../src/operations/alerts/alert-rule.ts";
import { alertLimitsOf, alertRules } from "../src/operations/alerts/alert-rules.ts";
import { AlertStateStore } from "../src/operations/alerts/alert-state.store.ts";
import { acknowledge, QUIET } from "../src/operations/alerts/alert-state.ts";
import { ESCALATION, readContacts } from "../src/operations/alerts/escalation.ts";
import { type AlertReport, type EvaluatorState, evaluate, type Silence } from "../src/operations/alerts/evaluate.ts";
import {
  type Audience,
  CHANNELS,
  type Channel,
  type NotificationKind,
  type NotificationRecord,
  notificationsOf,
} from "../src/operations/alerts/notification.ts";
import { look } from "../src/operations/alerts/observe.edge.ts";
import {
  type CalledNow,
  calledNow,
  type KeptRoster,
  type Roster,
  type StoredRoster,
} from "../src/operations/alerts/roster.ts";
import { channelsOf, sendNotification } from "../src/operations/alerts/send.client.ts";
import { makeLog, newUuid, systemNow } from "../src/platform/clock.edge.ts";
import { reasonOf } from "../src/platform/log.ts";
import { type CoreSettings, coreSettingsSchema } from "../src/platform/settings.ts";

const MAX_SILENCES = 50;
const MAX_SENDS = 50;
const NOTIFICATIONS_SHOWN = 50;

export class AlertEvaluator extends DurableObject<CoreEnv> {
  readonly #settings: CoreSettings;
  readonly #store: AlertStateStore;
  readonly #rules: readonly AlertRule[];
  #state: EvaluatorState;
  #roster: KeptRoster;
  #cronSeenAt: number;
  #running: Promise<void> | undefined;
  readonly #sending = new Map<Channel, Promise<void>>();

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#settings = coreSettingsSchema.parse(env);
    this.#store = new AlertStateStore(ctx.storage);
    this.#state = this.#store.load();
    this.#roster = this.#store.roster();
    this.#cronSeenAt = this.#store.cronSeenAt(systemNow());
    const scale = this.#settings.ALERT_TIME_SCALE;
    this.#rules = alertRules(alertLimitsOf(this.#settings)).map((rule) => compress(rule, scale));
  }

  /** The cron's call: it starts the alarms, and is itself watched. */
  async wake(): Promise<void> {
    this.#cronSeenAt = systemNow();
    this.#store.sawCron(this.#cronSeenAt);
    if (this.#settings.ALERT_INTERVAL_MS === 0) return;
    const alarmAt = await this.ctx.storage.getAlarm();
    if (alarmAt === null) await this.ctx.storage.setAlarm(systemNow());
  }

  override async alarm(): Promise<void> {
    const { ALERT_INTERVAL_MS } = this.#settings;
    if (ALERT_INTERVAL_MS === 0) return;
    await this.ctx.storage.setAlarm(systemNow() + ALERT_INTERVAL_MS);
    await this.#run();
    this.ctx.waitUntil(this.#send());
  }

  /** Epoch ms; null before the first. */
  lastEvaluatedAt(): number | null {
    return this.#state.history.at(-1)?.at ?? null;
  }

  report(): AlertReport {
    const now = systemNow();
    const { alerts, silences, incidents, history } = this.#state;
    return {
      evaluatedAt: history.at(-1)?.at ?? null,
      fault: this.contacts().fault,
      alerts: this.#rules.map(({ name, title, grade, severity, says }) => {
        const state = alerts[name] ?? QUIET;
        const open = state.phase === "open" ? state : undefined;
        const silence = silences.find(({ alert, until }) => until > now && (alert === undefined || alert === name));
        return {
          ...{ name, title, grade, severity, says },
          phase: state.phase,
          openedAt: open?.openedAt ?? null,
          value: open?.value ?? null,
          acknowledgedAt: open?.acknowledged?.at ?? null,
          acknowledgedBy: open?.acknowledged?.by ?? null,
          silencedUntil: silence?.until ?? null,
        };
      }),
      silences: silences.filter(({ until }) => until > now),
      incidents: incidents.toReversed(),
      notifications: this.#store.notifications(NOTIFICATIONS_SHOWN),
    };
  }

  /** @returns what was wrong, or nothing. */
  async acknowledge(name: string, by: string): Promise<"acknowledged" | "unknown" | "not-open"> {
    const rule = this.#rules.find((each) => each.name === name);
    if (rule === undefined) return "unknown";
    const state = this.#state.alerts[name];
    if (state?.phase !== "open") return "not-open";
    if (state.acknowledged !== undefined) return "acknowledged";
    const now = systemNow();
    const after = { ...this.#state, alerts: { ...this.#state.alerts, [name]: acknowledge(state, { at: now, by }) } };
    this.#keep(after, this.#told(rule, "acknowledged", state.incident, now));
    await this.#send();
    return "acknowledged";
  }

  silence(alert: string | undefined, until: number, reason: string, by: string): Silence | "unknown" | "too-many" {
    if (alert !== undefined && !this.#rules.some(({ name }) => name === alert)) return "unknown";
    const now = systemNow();
    const live = this.#state.silences.filter((each) => each.until > now);
    if (live.length >= MAX_SILENCES) return "too-many";
    const made: Silence = { silenceId: newUuid(), alert, until, reason, by };
    this.#keep({ ...this.#state, silences: [...live, made] }, []);
    return made;
  }

  endSilence(silenceId: string): boolean {
    const silences = this.#state.silences.filter((each) => each.silenceId !== silenceId);
    const found = silences.length < this.#state.silences.length;
    if (found) this.#keep({ ...this.#state, silences }, []);
    return found;
  }

  /** Sends a test to every channel, and waits for what became of it. */
  async sendTest(): Promise<readonly NotificationRecord[]> {
    const now = systemNow();
    const incident = this.#state.nextIncident;
    const rule: AlertRule = {
      name: "test",
      title: "Test of the alert channels",
      grade: "critical",
      severity: "S4",
      condition: { type: "any", of: [] },
      forMs: 0,
      clearMs: 0,
      says: "Somebody asked for this test; there is nothing to do.",
    };
    const told = [...this.#told(rule, "test", incident, now), ...this.#told(rule, "resolved", incident, now)];
    this.#keep({ ...this.#state, nextIncident: incident + 1 }, told);
    await this.#send();
    const ids = new Set(told.map(({ id }) => id));
    return this.#store.notifications(NOTIFICATIONS_SHOWN).filter(({ id }) => ids.has(id));
  }

  /** Who is called now. */
  contacts(): CalledNow {
    return calledNow(this.#roster, readContacts(this.#settings.ALERT_CONTACTS), systemNow());
  }

  putContacts(roster: Roster): CalledNow {
    const stored: StoredRoster = { roster, putAt: systemNow() };
    this.#store.putRoster(stored);
    this.#roster = stored;
    return this.contacts();
  }

  #audience(): Audience {
    return {
      contacts: this.contacts().contacts,
      pagedFrom: this.#settings.PAGERDUTY_FROM_GRADE,
    };
  }

  #told(rule: AlertRule, kind: NotificationKind, incident: number, at: number) {
    const roles = ESCALATION[rule.severity][0]?.roles ?? [];
    return notificationsOf(rule, { kind, incident, at, value: undefined }, roles, this.#audience());
  }

  #keep(after: EvaluatorState, told: Parameters<AlertStateStore["save"]>[2]): void {
    this.#store.save(this.#state, after, told);
    this.#state = after;
  }

  #run(): Promise<void> {
    this.#running ??= this.#evaluate().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #evaluate(): Promise<void> {
    const log = makeLog("itrans-core", this.env);
    const { ALERT_TIME_SCALE, ALERT_HEARTBEAT_URL } = this.#settings;
    try {
      const seen = await look(this.env, this.#settings, systemNow(), this.#cronSeenAt, ALERT_TIME_SCALE);
      const { fault } = this.contacts();
      if (fault !== null) log("error", "alerts.contacts", { reason: fault });
      const { state, notifications } = evaluate(this.#state, this.#rules, seen, this.#audience(), ALERT_TIME_SCALE);
      this.#keep(state, notifications);
      for (const { alert, kind, channel } of notifications) {
        if (channel === "slack") log(kind === "resolved" ? "info" : "warn", `alert.${kind}`, { code: alert });
      }
      log("debug", "alerts.evaluated", { count: notifications.length });
      if (ALERT_HEARTBEAT_URL !== undefined) await beat(ALERT_HEARTBEAT_URL);
    } catch (error) {
      // The heartbeat is left out: what watches it raises the alarm.
      log("error", "alerts.failed", { reason: reasonOf(error) });
    }
  }

  /** Each channel on its own: one that hangs holds up neither the others nor the next evaluation. */
  async #send(): Promise<void> {
    await Promise.all(CHANNELS.map((channel) => this.#sendOn(channel)));
  }

  /** One sender a channel, which goes on to what was added meanwhile. */
  #sendOn(channel: Channel): Promise<void> {
    const busy = this.#sending.get(channel);
    if (busy !== undefined) return busy;
    const sending = this.#drain(channel).finally(() => this.#sending.delete(channel));
    this.#sending.set(channel, sending);
    return sending;
  }

  async #drain(channel: Channel): Promise<void> {
    const channels = channelsOf(this.#settings, this.env);
    const place = { environment: this.#settings.ENVIRONMENT, runbookUrl: this.#settings.ALERT_RUNBOOK_URL ?? "" };
    const scale = this.#settings.ALERT_TIME_SCALE;
    for (let sent = 0; sent < MAX_SENDS; sent++) {
      const waiting = this.#store.due(channel, systemNow());
      if (waiting === undefined) return;
      const result = await sendNotification(waiting.notification, place, channels);
      const now = systemNow();
      switch (result.type) {
        case "sent":
          this.#store.sent(waiting, now);
          break;
        case "not-configured":
          this.#store.failed(waiting, "not configured", false, now, scale);
          break;
        case "failed":
          this.#store.failed(waiting, result.error, result.retryable, now, scale);
          break;
      }
    }
  }
}

async function beat(url: string): Promise<void> {
  try {
    const answer = await fetch(url, { method: "POST", redirect: "manual", signal: AbortSignal.timeout(5_000) });
    await answer.body?.cancel();
  } catch {
    // The monitor counts what arrives; there is nobody else to tell.
  }
}
