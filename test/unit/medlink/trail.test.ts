import { describe, expect, it } from "vitest";
import { HUB_ACTIONS, HUB_TARGET, MAX_TARGET_LENGTH } from "../../../src/audit/operator-action.ts";
import { onceWithin, targetOf, toldId, verdictOf } from "../../../src/medlink/audit/trail.ts";
import { newId } from "../../../src/medlink/ids.ts";
import { DEMO, DEMO_OPERATOR } from "../../../src/medlink/seed/demo.ts";

describe("what is told of an action on the hub", () => {
  it("is what it was done to and by whom, and by whom alone where that says all", () => {
    expect(targetOf({ action: "HUB_FLAG_UPDATE", to: ["FEATURE_FLAG_NEW_UI", "on_50"] }, "operator")).toBe(
      "FEATURE_FLAG_NEW_UI on_50 by operator",
    );
    expect(targetOf({ action: "HUB_USER_UPDATE", to: ["usr_demo_admin", undefined, "off"] }, "operator")).toBe(
      "usr_demo_admin off by operator",
    );
    expect(targetOf({ action: "HUB_SEED" }, DEMO_OPERATOR.userId)).toBe("by usr_demo_operator");
  });

  it("is what core takes, whatever stands in it", () => {
    const odd = ["", " ", "a b", "x".repeat(500), "someone@clinic.test", "Zoë", "\n", "a'b", "--", "../.."];
    for (const one of odd) {
      const target = targetOf({ action: "HUB_USER_UPDATE", to: [one, one, one, one, one] }, one);
      expect(target).toMatch(HUB_TARGET);
      expect(target.length).toBeLessThanOrEqual(MAX_TARGET_LENGTH);
      if (one.length > 2) expect(target).not.toContain(one);
    }
    const longest = targetOf({ action: "HUB_USER_UPDATE", to: Array(9).fill("x".repeat(40)) }, "y".repeat(40));
    expect(longest.length).toBeLessThanOrEqual(MAX_TARGET_LENGTH);
  });

  it("has ids as the hub gives them, and no word that a caller put in an id's place", () => {
    const made = newId("usr", (length) => new Uint8Array(length).fill(0xa7));
    for (const id of [made, DEMO.clinicId, DEMO.adminId, DEMO_OPERATOR.userId, "pat_demo_1"])
      expect(toldId(id)).toBe(id);
    for (const id of ["anna", "usr_anna_smith", "anna@clinic.test", "Anna Smith", "", `${made}x`, "5551234567"])
      expect(toldId(id)).toBe("other");
  });

  it("is once an hour for what an operator fetches of backups, and each time for all else", () => {
    expect(HUB_ACTIONS.filter((action) => onceWithin(action) > 0)).toEqual(["HUB_BACKUP_EXPORT"]);
    expect(onceWithin("HUB_BACKUP_EXPORT")).toBe(3_600_000);
  });
});

it.each([
  [204, "taken"],
  [400, "refused"],
  [401, "refused"],
  [403, "refused"],
  [404, "refused"],
  [409, "refused"],
  [408, "away"],
  [429, "away"],
  [500, "away"],
  [503, "away"],
  [302, "away"],
  // An answer of something that is not core.
  [200, "away"],
  [undefined, "away"],
] as const)("core's answer %s means %s", (status, verdict) => {
  expect(verdictOf(status)).toBe(verdict);
});
