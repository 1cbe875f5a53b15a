import { describe, expect, it } from "vitest";
import { type AlertRule, compress, judge } from "../../../../src/operations/alerts/alert-rule.ts";
import { alertRules } from "../../../../src/operations/alerts/alert-rules.ts";
import { type AlertState, acknowledge, evolveAlert, QUIET } from "../../../../src/operations/alerts/alert-state.ts";
import { type EvaluatorState, evaluate, FRESH } from "../../../../src/operations/alerts/evaluate.ts";
import type { Audience, Notification } from "../../../../src/operations/alerts/notification.ts";
import { increaseOf, type Observation, remember } from "../../../../src/operations/alerts/observation.ts";

const MINUTE = 60_000;
const RULES = alertRules({
  anchorEveryMs: 5 * MINUTE,
  anchorPendingMs: 6 * MINUTE,
  databaseBytes: 10_000_000_000,
  bucketDailyBytes: 5_000_000_000,
});
const rule = (name: string): AlertRule => {
  const found = RULES.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no rule ${name}`);
  return found;
};

const seen = (at: number, values: Record<string, number>, buckets: Record<string, number[]> = {}): Observation => ({
  at,
  values,
  buckets,
});

/** Evaluates one observation after another, every 30 s. */
function play(
  rules: readonly AlertRule[],
  steps: readonly Record<string, number>[],
  from: EvaluatorState = FRESH,
  startAt = 0,
): { readonly state: EvaluatorState; readonly told: readonly (Notification & { readonly step: number })[] } {
  let state = from;
  const told: (Notification & { readonly step: number })[] = [];
  for (const [step, values] of steps.entries()) {
    const outcome = evaluate(state, rules, seen(startAt + step * 30_000, values), AUDIENCE, 1);
    state = outcome.state;
    told.push(...outcome.notifications.map((one) => ({ ...one, step })));
  }
  return { state, told };
}

const CONTACTS = [
  { role: "on-call-primary" as const, name: "A", email: "a@clinic.test", slack: "U1" },
  { role: "on-call-secondary" as const, name: "B", email: "b@clinic.test" },
];

const AUDIENCE: Audience = { contacts: CONTACTS, pagedFrom: "critical" };

const times = <Value>(count: number, value: Value): Value[] => Array.from({ length: count }, () => value);

describe("an alert", () => {
  it("opens only after its condition held for as long as it asks, once, and resolves once", () => {
    const { told } = play(
      [rule("hub-unhealthy")],
      [...times(5, { "hub.health": 0 }), ...times(8, { "hub.health": 1 })],
    );
    const slack = told.filter(({ channel }) => channel === "slack");
    expect(slack.map(({ kind, step }) => [kind, step])).toEqual([
      ["opened", 2],
      ["resolved", 7],
    ]);
    expect(new Set(told.map(({ channel }) => channel))).toEqual(new Set(["pagerduty", "slack", "email"]));
  });

  it("goes to PagerDuty from the grade on that was set", () => {
    const heard = (pagedFrom: Audience["pagedFrom"]) => {
      const { notifications } = evaluate(
        FRESH,
        [rule("dead-letters")],
        seen(0, { "relay.dead-letters": 1 }),
        { ...AUDIENCE, pagedFrom },
        1,
      );
      return notifications.map(({ channel }) => channel);
    };
    expect(heard("critical")).toEqual(["slack", "email"]);
    expect(heard("info")).toEqual(["pagerduty", "slack", "email"]);
  });

  it("that comes and goes faster than it may open says nothing", () => {
    const flapping = Array.from({ length: 40 }, (_, step) => ({ "hub.health": step % 2 }));
    expect(play([rule("hub-unhealthy")], flapping).told).toEqual([]);
  });

  it("that is open stays open through short recoveries", () => {
    const steps = [...times(4, 0), 1, 0, 1, 0, 1, 1, 1, 1].map((health) => ({ "hub.health": health }));
    const kinds = play([rule("hub-unhealthy")], steps).told.filter(({ channel }) => channel === "slack");
    expect(kinds.map(({ kind, step }) => [kind, step])).toEqual([
      ["opened", 2],
      ["resolved", 10],
    ]);
  });

  it("neither opens nor resolves on what could not be read", () => {
    const blind = play([rule("hub-unhealthy")], times(20, {}));
    expect(blind.told).toEqual([]);
    const open = play([rule("hub-unhealthy")], times(4, { "hub.health": 0 }));
    const still = play([rule("hub-unhealthy")], times(20, {}), open.state, 4 * 30_000);
    expect(still.told.filter(({ kind }) => kind === "resolved")).toEqual([]);
    expect(still.state.alerts["hub-unhealthy"]?.phase).toBe("open");
  });

  it("that nobody acknowledges is escalated to the next person, and one that is acknowledged is not", () => {
    const s1 = rule("hub-unhealthy");
    const { told, state } = play([s1], times(15, { "hub.health": 0 }));
    const escalated = told.filter(({ kind }) => kind === "escalated");
    expect(escalated.map(({ channel, step }) => [channel, step])).toEqual([
      ["slack", 12],
      ["email", 12],
    ]);
    expect(escalated[0]?.contacts.map(({ name }) => name)).toEqual(["B"]);

    const early = play([s1], times(4, { "hub.health": 0 })).state;
    const open = early.alerts["hub-unhealthy"] ?? QUIET;
    const acknowledged = { ...early, alerts: { "hub-unhealthy": acknowledge(open, { at: 0, by: "key" }) } };
    expect(play([s1], times(20, { "hub.health": 0 }), acknowledged, 4 * 30_000).told).toEqual([]);
    expect(state.incidents).toHaveLength(1);
  });

  it("that is silenced is told when the silence ends and it is still open, and not at all when it ended before", () => {
    const silence = { silenceId: "s", alert: undefined, until: 10 * 30_000, reason: "CHG-1", by: "key" };
    const silent: EvaluatorState = { ...FRESH, silences: [silence] };
    const lasting = play([rule("hub-unhealthy")], times(12, { "hub.health": 0 }), silent);
    expect(lasting.told.filter(({ kind, channel }) => kind === "opened" && channel === "slack")).toMatchObject([
      { step: 10 },
    ]);
    const brief = [...times(4, { "hub.health": 0 }), ...times(10, { "hub.health": 1 })];
    expect(play([rule("hub-unhealthy")], brief, silent).told).toEqual([]);
  });

  it("has a number that no other opening has", () => {
    const cycle = [...times(4, { "hub.health": 0 }), ...times(4, { "hub.health": 1 })];
    const { state } = play([rule("hub-unhealthy")], [...cycle, ...cycle]);
    expect(state.incidents.map(({ incident }) => incident)).toEqual([1, 2]);
  });
});

describe("a window", () => {
  it("begins anew with a total that fell", () => {
    const history = [seen(0, { x: 100 }), seen(60_000, { x: 7 })];
    expect(increaseOf(history, "x", 60_000)).toBe(7);
  });

  it("is unknown when it must be whole and the history is shorter", () => {
    expect(increaseOf([seen(0, { x: 1 }), seen(30_000, { x: 2 })], "x", 60_000, true)).toBeUndefined();
  });

  it("keeps what is recent one by one and what is old thinned out, within a bound", () => {
    let history: readonly Observation[] = [];
    for (let at = 0; at <= 48 * 60 * MINUTE; at += 30_000) {
      history = remember(history, seen(at, {}), {
        fineMs: 60 * MINUTE,
        thinned: [
          { everyMs: 10 * MINUTE, untilMs: 6 * 60 * MINUTE },
          { everyMs: 60 * MINUTE, untilMs: 24 * 60 * MINUTE },
        ],
      });
    }
    expect(history.length).toBeLessThan(121 + 31 + 19 + 2);
    const hours = (from: number, to: number) =>
      history.filter(({ at }) => at > (48 - to) * 60 * MINUTE && at <= (48 - from) * 60 * MINUTE).length;
    expect([hours(0, 1), hours(2, 3), hours(8, 9)]).toEqual([120, 6, 1]);
    expect(history[0]?.at).toBeGreaterThanOrEqual(24 * 60 * MINUTE);
  });
});

/** For each rule: what makes it hold, and what does not. Counters are given as [before, now] over the rule's window. */
const ROWS: readonly (readonly [string, Record<string, number[]>, Record<string, number[]>])[] = [
  ["hub-unhealthy", { "hub.health": [0] }, { "hub.health": [1] }],
  ["ledger-integrity", { "ledger.intact": [0] }, { "ledger.intact": [1] }],
  ["relay-down", { "relay.status": [0] }, { "relay.status": [1] }],
  ["dead-letters", { "relay.dead-letters": [1] }, { "relay.dead-letters": [0] }],
  ["dead-letters-accumulating", { "relay.given-up": [10, 16] }, { "relay.given-up": [10, 15] }],
  [
    "server-errors",
    { "core.requests": [0, 500], "hub.requests": [0, 500], "core.server-errors": [0, 5], "hub.server-errors": [0, 6] },
    { "core.requests": [0, 500], "hub.requests": [0, 500], "core.server-errors": [0, 5], "hub.server-errors": [0, 5] },
  ],
  [
    "server-errors-critical",
    { "core.requests": [0, 100], "core.server-errors": [0, 6], "hub.requests": [0, 0], "hub.server-errors": [0, 0] },
    { "core.requests": [0, 10], "core.server-errors": [0, 10], "hub.requests": [0, 0], "hub.server-errors": [0, 0] },
  ],
  ["auto-submit-backlog", { "auto-submit.depth": [101] }, { "auto-submit.depth": [100] }],
  ["auto-submit-failed", { "auto-submit.failed": [0, 3] }, { "auto-submit.failed": [0, 2] }],
  ["auto-submit-failed-critical", { "auto-submit.failed": [0, 10] }, { "auto-submit.failed": [0, 9] }],
  [
    "callbacks",
    { "relay.attempts": [0, 1000], "relay.delivered": [0, 989] },
    { "relay.attempts": [0, 1000], "relay.delivered": [0, 990] },
  ],
  [
    "callbacks-critical",
    { "relay.attempts": [0, 1000], "relay.delivered": [0, 949] },
    { "relay.attempts": [0, 1000], "relay.delivered": [0, 950] },
  ],
  [
    "ledger-stalled",
    { "core.submits": [0, 5], "ledger.appends": [9, 9] },
    { "core.submits": [0, 5], "ledger.appends": [9, 10] },
  ],
  ["webhook-intake", { "hub.intake-refused": [0, 10] }, { "hub.intake-refused": [0, 9] }],
  ["database-unreachable", { "core.database": [0] }, { "core.database": [1] }],
  ["anchor-late", { "anchor.size": [9], "ledger.size": [10] }, { "anchor.size": [10], "ledger.size": [10] }],
  ["anchor-stuck", { "anchor.pending-age": [361] }, { "anchor.pending-age": [360] }],
  ["settlements-stuck", { "settlements.stuck": [11] }, { "settlements.stuck": [10] }],
  [
    "settlement-errors",
    { "settlements.failed": [0, 6], "settlements.ended": [0, 100] },
    { "settlements.failed": [0, 5], "settlements.ended": [0, 100] },
  ],
  [
    "operator-errors",
    { "operator.server-errors": [0, 11], "operator.calls": [0, 100] },
    { "operator.server-errors": [0, 10], "operator.calls": [0, 100] },
  ],
  ["operator-rate-limited", { "operator.rate-limited": [0, 51] }, { "operator.rate-limited": [0, 50] }],
  [
    "webhook-retries",
    { "relay.retried": [0, 21], "relay.attempts": [0, 100] },
    { "relay.retried": [0, 20], "relay.attempts": [0, 100] },
  ],
  ["reconciliation-failed", { "reconciliation.failed": [1] }, { "reconciliation.failed": [0] }],
  ["idempotency-collision", { "idempotency.collisions": [4, 5] }, { "idempotency.collisions": [4, 4] }],
  ["backup-missing", { "backup.good-at": [-7_201] }, { "backup.good-at": [-7_200] }],
  ["backup-never", { "ledger.size": [3] }, { "ledger.size": [3], "backup.good-at": [1] }],
  ["backup-damaged", { "backup.damaged": [0, 1] }, { "backup.damaged": [1, 1] }],
  ["hub-backup-missing", { "hub.backup-good-at": [-7_201] }, { "hub.backup-good-at": [-7_200] }],
  ["hub-backup-never", { "hub.database-bytes": [3] }, { "hub.database-bytes": [3], "hub.backup-good-at": [1] }],
  ["hub-backup-damaged", { "hub.backup-damaged": [0, 1] }, { "hub.backup-damaged": [1, 1] }],
  ["restore-drill-never", { "ledger.size": [3] }, { "ledger.size": [3], "backup.drill-at": [1] }],
  ["restore-drill-old", { "backup.drill-at": [-89 * 86_400 - 1] }, { "backup.drill-at": [-89 * 86_400] }],
  ["secret-old", { "secrets.oldest-age": [90 * 86_400 + 1] }, { "secrets.oldest-age": [90 * 86_400] }],
  ["hub-secret-old", { "hub.secrets-oldest-age": [90 * 86_400 + 1] }, { "hub.secrets-oldest-age": [90 * 86_400] }],
  ["core-database-size", { "core.database-bytes": [8.6e9] }, { "core.database-bytes": [8.4e9] }],
  ["hub-database-size", { "hub.database-bytes": [8.6e9] }, { "hub.database-bytes": [8.4e9] }],
  ["hub-metrics-missing", { "hub.metrics": [0] }, { "hub.metrics": [1] }],
  ["hub-cron-silent", { "hub.cron-on-time": [0] }, { "hub.cron-on-time": [1] }],
  ["cron-silent", { "cron.on-time": [0] }, { "cron.on-time": [1] }],
];

const spread = (values: Record<string, number[]>): readonly Observation[] => {
  const at = (index: number) =>
    Object.fromEntries(Object.entries(values).map(([name, all]) => [name, all[index] ?? all[0] ?? 0]));
  return [seen(0, at(0)), seen(24 * 60 * MINUTE, at(1))];
};

describe("a rule's condition", () => {
  it.each(ROWS)("%s holds just past its threshold and not at it", (name, past, at) => {
    expect(judge(rule(name).condition, spread(past)).holds).toBe(true);
    expect(judge(rule(name).condition, spread(at)).holds).toBe(false);
  });

  it.each(ROWS)("%s is unknown while nothing could be read", (name) => {
    expect(judge(rule(name).condition, [seen(0, {}), seen(MINUTE, {})]).holds).toBeUndefined();
  });

  it("of latency looks at p95 within the window, of requests or of claims", () => {
    const fast = [100, ...times(13, 0)];
    const slow = [100, ...times(10, 0), 20, 0, 0];
    const history = (now: number[]) => [
      seen(0, {}, { "core.duration": fast, "hub.duration": times(14, 0), "claims.lifecycle": times(14, 0) }),
      seen(5 * MINUTE, {}, { "core.duration": now, "hub.duration": times(14, 0), "claims.lifecycle": times(14, 0) }),
    ];
    expect(judge(rule("latency").condition, history(slow)).holds).toBe(true);
    expect(judge(rule("latency").condition, history([120, ...times(13, 0)])).holds).toBe(false);
  });

  it("of anchors holds when old entries are not anchored, and not for those that traffic adds all the time", () => {
    const each = (anchored: (minute: number) => number) =>
      Array.from({ length: 40 }, (_, minute) =>
        seen(minute * MINUTE, { "ledger.size": 100 + minute, "anchor.size": anchored(minute) }),
      );
    const { condition } = rule("anchor-late");
    expect(
      judge(
        condition,
        each((minute) => 90 + 5 * Math.floor(minute / 5) + 5),
      ).holds,
    ).toBe(false);
    expect(
      judge(
        condition,
        each((minute) => 100 + Math.min(minute, 20)),
      ).holds,
    ).toBe(true);
    expect(judge(condition, each(() => 0).slice(-10)).holds).toBeUndefined();
  });

  it("of throughput compares with what the day had, once an hour was seen", () => {
    const day = Array.from({ length: 24 * 6 + 1 }, (_, step) =>
      seen(step * 10 * MINUTE, { "ledger.appends": step * 100 }),
    );
    expect(judge(rule("ledger-slow").condition, day).holds).toBe(false);
    const last = day.at(-1)?.at ?? 0;
    const slower = [...day, seen(last + 10 * MINUTE, { "ledger.appends": 24 * 6 * 100 + 49 })];
    expect(judge(rule("ledger-slow").condition, slower).holds).toBe(true);
    expect(judge(rule("ledger-slow").condition, day.slice(-6)).holds).toBeUndefined();
  });

  it("of growth compares a day with the days before, once there was one, and asks for much", () => {
    const HOUR = 60 * MINUTE;
    const days = (count: number, daily: number, bucket = "attachments-bucket.bytes"): readonly Observation[] =>
      Array.from({ length: count * 24 + 1 }, (_, hour) => seen(hour * HOUR, { [bucket]: (hour / 24) * daily }));
    const then = (before: readonly Observation[], grown: number): readonly Observation[] => {
      const last = before.at(-1);
      if (last === undefined) return [];
      const values = Object.fromEntries(Object.entries(last.values).map(([name, value]) => [name, value + grown]));
      return [...before, seen(last.at + 24 * HOUR, values)];
    };
    const { condition } = rule("bucket-growth");
    expect(judge(condition, then(days(6, 2e9), 6.1e9)).holds).toBe(true);
    expect(judge(condition, then(days(6, 2e9, "ledger-bucket.bytes"), 6.1e9)).holds).toBe(true);
    // Three times the usual, and much for a bucket that had nearly nothing: neither is enough by itself.
    expect(judge(condition, then(days(6, 2e9), 5.9e9)).holds).not.toBe(true);
    expect(judge(condition, then(days(6, 1e6), 4.9e9)).holds).not.toBe(true);
    expect(judge(condition, days(7, 2e9)).holds).not.toBe(true);
    expect(judge(condition, then(days(6, 2e9), -11e9)).holds).not.toBe(true);
    expect(judge(condition, days(1, 9e9)).holds).toBeUndefined();
  });
});

describe("the rules", () => {
  it("have names of their own, and every one but latency, throughput and growth a row of the table above", () => {
    const names = RULES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const elsewhere = ["latency", "latency-critical", "ledger-slow", "bucket-growth"];
    expect(names.filter((name) => !elsewhere.includes(name)).sort()).toEqual(ROWS.map(([name]) => name).sort());
  });

  it("are shortened in every duration by a scale", () => {
    const short = compress(rule("dead-letters-accumulating"), 60);
    expect(short.condition).toMatchObject({ windowMs: 15_000 });
    expect(short.clearMs).toBe(2_000);
  });
});

describe("evolveAlert", () => {
  it("keeps pending through an unknown and opens when its time is over", () => {
    const { forMs, clearMs } = rule("relay-down");
    const step = (state: AlertState, holds: boolean | undefined, now: number) =>
      evolveAlert(state, { forMs, clearMs }, { holds, value: 1 }, now, 7);
    const pending = step(QUIET, true, 0).state;
    expect(step(pending, undefined, MINUTE).state).toEqual(pending);
    expect(step(pending, true, 2 * MINUTE).event).toMatchObject({ type: "opened", incident: 7 });
  });
});
