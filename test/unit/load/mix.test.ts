import { expect, it } from "vitest";
import { chooseOperation, type Known, MIX } from "../../../scripts/lib/load/mix.ts";

const everything: Known = { requests: 10, toAcknowledge: 10, toAdjudicate: 10, claims: 10 };
const nothing: Known = { requests: 0, toAcknowledge: 0, toAdjudicate: 0, claims: 0 };
const draws = Array.from({ length: 1_000 }, (_, n) => n / 1_000);

it.each(["core", "hub"] as const)("%s is asked for each of its operations as often as its weight says", (site) => {
  const drawn = Map.groupBy(draws, (draw) => chooseOperation(site, everything, draw));
  const own = MIX.filter((operation) => operation.site === site);
  expect(own.reduce((sum, { weight }) => sum + weight, 0)).toBe(100);
  expect([...drawn].map(([name, times]) => [name, times.length])).toEqual(
    own.map(({ name, weight }) => [name, expect.closeTo(10 * weight, -1)]),
  );
});

it("what is read and decided is made first", () => {
  const names = (site: "core" | "hub") => new Set(draws.map((draw) => chooseOperation(site, nothing, draw)));
  expect(names("core")).toEqual(new Set(["submit", "verify", "relay status"]));
  expect(names("hub")).toEqual(new Set(["file claim", "list claims", "dashboard"]));
});

it("the mix submits, reads, acknowledges, adjudicates, verifies and looks at dashboards", () => {
  const names = MIX.map(({ name }) => name);
  for (const name of ["submit", "read", "acknowledge", "adjudicate", "verify", "dashboard"] as const)
    expect(names).toContain(name);
});
