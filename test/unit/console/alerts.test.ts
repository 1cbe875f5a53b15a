import { describe, expect, it } from "vitest";
import { ALERTS_IN_FRENCH } from "../../../src/medlink/console/i18n/alert-words.ts";
import {
  type Alert,
  acknowledgeLeftMs,
  openAlerts,
  placeOfAlert,
  runbookOf,
} from "../../../src/medlink/console/pages/operations/alert-shapes.ts";
import { alertRules } from "../../../src/operations/alerts/alert-rules.ts";

const MINUTE = 60_000;

const alert = (over: Partial<Alert>): Alert => ({
  name: "dead-letters",
  title: "",
  says: "",
  severity: "S3",
  phase: "open",
  openedAt: 0,
  value: null,
  acknowledgedAt: null,
  acknowledgedBy: null,
  silencedUntil: null,
  ...over,
});

describe("an alert in the console", () => {
  it("has French words for every rule that core evaluates", () => {
    const names = alertRules({
      anchorEveryMs: 5 * MINUTE,
      anchorPendingMs: 60 * MINUTE,
      databaseBytes: 10_000_000_000,
      bucketDailyBytes: 5_000_000_000,
    }).map(({ name }) => name);
    expect(names.filter((name) => ALERTS_IN_FRENCH[name] === undefined)).toEqual([]);
  });

  it("is listed while it is open, the worst first and the oldest of a severity before the others", () => {
    const listed = openAlerts([
      alert({ name: "late", severity: "S2", openedAt: 2 }),
      alert({ name: "quiet", severity: "S1", phase: "quiet" }),
      alert({ name: "minor", severity: "S4", openedAt: 0 }),
      alert({ name: "early", severity: "S2", openedAt: 1 }),
      alert({ name: "worst", severity: "S1", openedAt: 3 }),
    ]);
    expect(listed.map(({ name }) => name)).toEqual(["worst", "early", "late", "minor"]);
  });

  it("says how long somebody has to acknowledge it, how late it is, and nothing once somebody did", () => {
    expect(acknowledgeLeftMs(alert({ severity: "S1" }), 2 * MINUTE)).toBe(3 * MINUTE);
    expect(acknowledgeLeftMs(alert({ severity: "S2" }), 20 * MINUTE)).toBe(-5 * MINUTE);
    expect(acknowledgeLeftMs(alert({ severity: "S1", acknowledgedAt: 1 }), 20 * MINUTE)).toBeUndefined();
  });

  it("leads to its section of the runbook where the address is one of the web", () => {
    expect(runbookOf("https://docs.example.ca/runbook", "latency")).toBe("https://docs.example.ca/runbook#latency");
    expect(runbookOf("javascript:alert(1)", "latency")).toBeUndefined();
    expect(runbookOf(null, "latency")).toBeUndefined();
  });

  it("leads to the page that shows what it is about", () => {
    expect(placeOfAlert("settlements-stuck")).toBe("/operations/settlements");
    expect(placeOfAlert("dead-letters-accumulating")).toBe("/operations/deliveries#dead-letters");
    expect(placeOfAlert("backup-never")).toBeUndefined();
  });
});
