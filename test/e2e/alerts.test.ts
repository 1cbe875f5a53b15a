/**
 * Alerts as they are in the running system: their conditions are brought about from outside. All of them are
 * `npm run test:long -- alerts`; here are those that show the way of each kind of signal within a minute.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ACTS_OF_MINUTES, faultsOf, perform, type Transcript, until } from "./support/alert-proofs.ts";
import { CHANNEL_NAMES, type Heard } from "./support/alert-receivers.ts";
import { ALERT_NAMES, PLAYS } from "./support/alert-suite.ts";
import { startWorld, type World } from "./support/alert-world.ts";
import { type Front, startFront } from "./support/front.ts";

describe("the proofs of alerts", () => {
  it("are one for each rule", () => {
    const proved = PLAYS.flatMap(({ acts }) => acts.flatMap(({ proofs }) => proofs.flatMap(({ alerts }) => alerts)));
    expect([...proved].sort()).toEqual([...ALERT_NAMES].sort());
  });
});

describe("an alert", () => {
  const SHOWN = ["strangers and sizes", "the hub stopped", "the ledger", "the database"];
  const acts = ACTS_OF_MINUTES.filter(({ name }) => SHOWN.includes(name));
  const names = acts.flatMap(({ proofs }) => proofs.flatMap(({ alerts }) => alerts));
  const transcripts = new Map<string, Transcript>();
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ scale: 240 });
    world.traffic(4);
    for (const act of acts) {
      for (const transcript of await perform(world, act, console.log)) transcripts.set(transcript.alert, transcript);
    }
  }, 280_000);
  afterAll(() => world.dispose());

  it.each(names)("%s opens once and resolves once at every receiver, by what happens in the system", (name) => {
    const transcript = transcripts.get(name);
    expect(transcript).toBeDefined();
    if (transcript !== undefined) expect(faultsOf(transcript)).toEqual([]);
  });

  it("is told in the form that each receiver documents", () => {
    expect(world.receivers.faults).toEqual([]);
  });
});

/** A core whose hub is whatever the test says. */
describe("an alert that is open", () => {
  let hub: Front;
  let world: World;
  beforeAll(async () => {
    hub = await startFront(() => undefined);
    world = await startWorld({
      scale: 240,
      withHub: false,
      withChain: false,
      withOperator: false,
      settings: { MEDLINK_HUB_URL: hub.url, ALERT_HEARTBEAT_URL: `${hub.url}/heartbeat` },
    });
  });
  afterAll(async () => {
    await world.dispose();
    await hub.dispose();
  });

  const about = (from: number): readonly Heard[] =>
    world.receivers.heard.slice(from).filter(({ alert }) => alert === "hub-unhealthy");
  const on = (from: number, channel: Heard["channel"]) =>
    about(from)
      .filter((one) => one.channel === channel)
      .map(({ kind }) => kind);
  const heard = (from: number, kind: Heard["kind"], timeoutMs = 30_000) =>
    until(
      `${kind} is told everywhere`,
      () => CHANNEL_NAMES.every((channel) => on(from, channel).includes(kind)),
      timeoutMs,
    );
  const fail = () =>
    hub.behave(({ path }) => (path === "/api/health" ? { type: "answer", status: 503 } : { type: "pass" }));
  const post = (path: string, body: unknown = {}) => world.ask(path, { method: "POST", body });

  it("goes from the first on call to the next ones while nobody acknowledges it, and PagerDuty hears of it once", async () => {
    const from = world.receivers.heard.length;
    fail();
    await until("everyone was asked", () => on(from, "email").length >= 3, 30_000);
    hub.behave();
    await heard(from, "resolved");
    const mails = about(from).filter(({ channel }) => channel === "email");
    expect(mails.map(({ kind, to }) => [kind, to])).toEqual([
      ["opened", ["primary@clinic.test", "lead@clinic.test"]],
      ["escalated", ["secondary@clinic.test"]],
      ["escalated", ["vp@clinic.test"]],
      ["resolved", ["primary@clinic.test", "secondary@clinic.test", "lead@clinic.test", "vp@clinic.test"]],
    ]);
    expect(on(from, "pagerduty")).toEqual(["opened", "resolved"]);
    const [first] = about(from).filter(({ channel }) => channel === "slack");
    expect(first?.text).toContain("<@U0PRIMARY>");
  });

  it("is escalated no further once it is acknowledged, which every receiver hears", async () => {
    const from = world.receivers.heard.length;
    fail();
    await heard(from, "opened");
    expect((await post("/operations/alerts/hub-unhealthy/acknowledge")).status).toBeLessThan(300);
    await heard(from, "acknowledged");
    const escalated = on(from, "email").filter((kind) => kind === "escalated").length;
    // The next step is 30 minutes after the opening.
    await sleep((30 * 60_000) / 240 + 1_500);
    expect(on(from, "email").filter((kind) => kind === "escalated").length).toBe(escalated);
    hub.behave();
    await heard(from, "resolved");
    expect(on(from, "pagerduty")).toEqual(["opened", "acknowledged", "resolved"]);
    const keys = about(from).flatMap(({ dedupKey }) => (dedupKey === undefined ? [] : [dedupKey]));
    expect(new Set(keys).size).toBe(1);
  });

  it("is kept quiet by a silence, told when that ends, and not at all when it is over before", async () => {
    const silence = async () => {
      const made = await post("/operations/alerts/silences", { alert: "hub-unhealthy", minutes: 5, reason: "CHG-1" });
      expect(made.status).toBe(201);
      return String(Object(made.body).silenceId);
    };
    const phaseIs = (phase: string) => async () =>
      (await world.status()).alerts.some((alert) => alert.name === "hub-unhealthy" && alert.phase === phase);
    const end = (id: string) => world.ask(`/operations/alerts/silences/${id}`, { method: "DELETE" });
    const from = world.receivers.heard.length;
    const first = await silence();
    fail();
    await until("it is open", phaseIs("open"), 30_000);
    hub.behave();
    await until("it is quiet again", phaseIs("quiet"), 30_000);
    expect(about(from)).toEqual([]);

    fail();
    await until("it is open", phaseIs("open"), 30_000);
    expect(about(from)).toEqual([]);
    await end(first);
    await heard(from, "opened");
    hub.behave();
    await heard(from, "resolved");
    expect(on(from, "pagerduty")).toEqual(["opened", "resolved"]);
  });

  it("reaches a PagerDuty that refuses, fails and hangs, once and in order, and the others meanwhile", async () => {
    const from = world.receivers.heard.length;
    const refusedBefore = world.receivers.refused.length;
    world.receivers.refuse("pagerduty", [{ status: 429 }, { status: 500 }, { hang: true }]);
    fail();
    await until("Slack heard of it", () => on(from, "slack").includes("opened"), 30_000);
    expect(on(from, "pagerduty")).toEqual([]);
    hub.behave();
    await until("Slack heard of its end", () => on(from, "slack").includes("resolved"), 30_000);
    expect(on(from, "pagerduty"), "it hangs, and holds nobody else up").toEqual([]);
    await heard(from, "resolved");
    expect(on(from, "pagerduty")).toEqual(["opened", "resolved"]);
    expect(world.receivers.refused.slice(refusedBefore)).toEqual(["pagerduty", "pagerduty", "pagerduty"]);
  });

  it("leaves out what is for nobody: every receiver takes a test", async () => {
    const sent = await post("/operations/alerts/test");
    const states = Object(sent.body).notifications.map(({ state }: { state: string }) => state);
    expect(states).toEqual(Array.from({ length: 6 }, () => "sent"));
    expect(world.receivers.faults).toEqual([]);
  });
});

describe("the dead man's switch", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      scale: 240,
      withChain: false,
      withOperator: false,
      hubSettings: { ALERT_SILENT_AFTER_MS: "300000" },
    });
  });
  afterAll(() => world.dispose());

  const kinds = (channel: Heard["channel"], from: number) =>
    world.receivers.heard
      .slice(from)
      .filter((one) => one.alert === "evaluator-silent" && one.channel === channel && one.kind !== "escalated")
      .map(({ kind }) => kind);
  const told = (from: number, expected: readonly Heard["kind"][]) =>
    until(
      `the hub tells ${expected.join()}`,
      () => CHANNEL_NAMES.every((channel) => kinds(channel, from).join() === expected.join()),
      60_000,
    );

  it.each([
    ["its interval is set to none", { settings: { ALERT_INTERVAL_MS: "0" } }],
    ["core is gone", undefined],
  ] as const)("tells people by itself when the evaluator stops because %s, and when it is back", async (_, change) => {
    await until("it evaluates", async () => (await world.status()).evaluatedAt !== null, 30_000);
    const from = world.receivers.heard.length;
    await world.stopCore();
    if (change !== undefined) await world.startCore(change);
    await told(from, ["opened"]);
    await world.stopCore();
    await world.startCore();
    await told(from, ["opened", "resolved"]);
    expect(world.receivers.faults).toEqual([]);
  });
});
