import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CONTACT_ROLES } from "../../../../src/operations/alerts/escalation.ts";
import { emailMessage, type Notification, slackMessage } from "../../../../src/operations/alerts/notification.ts";
import { calledNow, onDuty, rosterFrom, rosterSchema } from "../../../../src/operations/alerts/roster.ts";

const example: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../config/contacts.example.json"), "utf8"),
);
const roster = rosterSchema.parse(example);
const T0 = Date.parse("2026-12-01T06:00:00Z");
const HOUR = 3_600_000;

const onCall = (at: number, from = roster): readonly (string | undefined)[] =>
  (["on-call-primary", "on-call-secondary"] as const).map(
    (role) => onDuty(from, at).find((contact) => contact.role === role)?.name,
  );

const withOver = (over: object) => rosterSchema.safeParse({ ...roster, ...over });
const faultsOf = (over: object) => (withOver(over).error?.issues ?? []).map(({ message }) => message).join("; ");

describe("shifts", () => {
  test("change to the millisecond, and who has the role is called before the first and after the last", () => {
    expect(onCall(T0 - 1)).toEqual(["On-call one", "On-call two"]);
    expect(onCall(T0)).toEqual(["On-call one", "On-call two"]);
    expect(onCall(T0 + 4 * HOUR - 1)).toEqual(["On-call one", "On-call two"]);
    expect(onCall(T0 + 4 * HOUR)).toEqual(["On-call two", "On-call three"]);
    expect(onCall(T0 + 24 * HOUR - 1)).toEqual(["On-call three", "On-call one"]);
    expect(onCall(T0 + 72 * HOUR - 1)).toEqual(["On-call two", "On-call three"]);
    expect(onCall(T0 + 72 * HOUR)).toEqual(["On-call one", "On-call two"]);
  });

  test("that repeat begin again, and between two rounds the roles count", () => {
    const weekly = rosterSchema.parse({ ...roster, repeatEveryHours: 168 });
    expect(onCall(T0 + 172 * HOUR - 1, weekly)).toEqual(["On-call one", "On-call two"]);
    expect(onCall(T0 + 172 * HOUR, weekly)).toEqual(["On-call two", "On-call three"]);
    expect(onCall(T0 + 168 * HOUR - 1, weekly)).toEqual(["On-call one", "On-call two"]);
    expect(calledNow({ roster: weekly, putAt: 1 }, { contacts: [], fault: null }, T0 + 169 * HOUR)).toMatchObject({
      source: "file",
      shiftEndsAt: T0 + 172 * HOUR,
    });
  });

  test("leave the other roles as they are: every role of the manual has somebody", () => {
    for (const at of [T0 - HOUR, T0 + HOUR, T0 + 30 * HOUR])
      expect(onDuty(roster, at).map(({ role }) => role)).toEqual([...CONTACT_ROLES]);
  });
});

test("a roster that could leave somebody uncalled is refused with the reason", () => {
  const [first, second] = roster.shifts;
  expect(faultsOf({ shifts: [{ ...first, primary: "Nobody" }] })).toContain("Nobody is not among people");
  expect(faultsOf({ shifts: [first, { ...second, fromHour: 3 }] })).toContain("shift 2 begins before");
  expect(faultsOf({ shifts: [{ ...first, toHour: 0 }] })).toContain("ends before it begins");
  expect(faultsOf({ shiftsFrom: undefined })).toContain("no shiftsFrom");
  expect(faultsOf({ repeatEveryHours: 48 })).toContain("shorter than the shifts");
  expect(faultsOf({ people: roster.people.map((person) => ({ ...person, roles: [] })) })).toContain("on-call-primary");
  const unreachable = { name: "Silent", roles: [] };
  expect(faultsOf({ people: [...roster.people, unreachable] })).toContain("Silent can not be reached");
  expect(faultsOf({ people: [...roster.people, roster.people[0]] })).toContain("two people have one name");
});

test("the setting counts until a roster was put", () => {
  const setting = { contacts: [{ role: "on-call-primary" as const, name: "Var" }], fault: null };
  expect(calledNow(undefined, setting, T0)).toMatchObject({ source: "setting", contacts: [{ name: "Var" }] });
  expect(calledNow(undefined, { contacts: [], fault: "bad" }, T0)).toMatchObject({ source: "none", fault: "bad" });
  // Put by a later version: people are called all the same, and the fault names nobody.
  const later = calledNow(rosterFrom({ ...roster, escalateAfterMinutes: 5 }, T0), setting, T0);
  expect(later).toMatchObject({ source: "setting", contacts: [{ name: "Var" }] });
  expect(later.fault).toContain("put them again");
  expect(calledNow({ roster, putAt: T0 }, setting, T0).contacts.map(({ name }) => name)).not.toContain("Var");
});

test("messages name who is called with their phone, and the end of an alert calls nobody", () => {
  const opened: Notification = {
    id: "latency/1/opened/slack",
    channel: "slack",
    kind: "opened",
    alert: "latency",
    incident: 1,
    at: T0,
    title: "Slow",
    says: "Slow.",
    grade: "warning",
    severity: "S2",
    value: undefined,
    contacts: onDuty(roster, T0).filter(({ role }) => role === "on-call-primary"),
  };
  const place = { environment: "test", runbookUrl: "" };
  const called = "Called: on call primary On-call one +1-555-0101";
  expect(JSON.stringify(slackMessage(opened, place))).toContain(called);
  expect(JSON.stringify(emailMessage(opened, place, "a@b.example"))).toContain(called);
  expect(JSON.stringify(slackMessage({ ...opened, kind: "resolved" }, place))).not.toContain("Called");
});
