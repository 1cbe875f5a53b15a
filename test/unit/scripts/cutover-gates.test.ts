import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type GateWanted, gateFaults } from "../../../scripts/lib/cutover/gates.ts";
import { runPreflight, templateOf } from "../../../scripts/lib/cutover/preflight.ts";
import { tunablesSchema } from "../../../scripts/lib/load/settings.ts";

const COMMIT = "c0ffee".repeat(6);
const NOW = Date.parse("2026-11-22T10:00:00Z");
const STAGING = { core: "https://core.staging.example", hub: "https://hub.staging.example" };
const staging: GateWanted = { environment: "staging", commit: COMMIT, now: NOW, staging: STAGING };
const production: GateWanted = { ...staging, environment: "production" };

const tunables = tunablesSchema.parse({});
const shared = { pass: true, commit: COMMIT, tunables, target: STAGING };
const endedAt = "2026-11-21T12:40:00.000Z";
const load = {
  ...shared,
  gate: "load",
  startedAt: "2026-11-21T12:30:00.000Z",
  endedAt,
  durationMs: 300_000,
  virtualUsers: 100,
  notJudged: [],
};
const soak = { ...load, gate: "soak", startedAt: "2026-11-21T12:00:00.000Z", durationMs: 1_800_000, virtualUsers: 50 };
const summary = {
  ...shared,
  startedAt: "2026-11-21T12:00:00.000Z",
  endedAt,
  skipped: [],
  phases: ["functional", "failure-injection", "load", "soak"].map((phase) => ({ phase, pass: true })),
};
const OWN = { core: "http://127.0.0.1:20871", hub: "http://127.0.0.1:30517" };

it("a gate that ran in full against staging, of this commit, is good for staging and production", () => {
  for (const wanted of [staging, production]) {
    expect(gateFaults("load", load, wanted)).toEqual([]);
    expect(gateFaults("soak", soak, wanted)).toEqual([]);
    expect(gateFaults("staging", summary, wanted)).toEqual([]);
  }
});

it("a gate that says it was not interrupted is as good as one that says nothing of it", () => {
  expect(gateFaults("load", { ...load, interrupted: false }, production)).toEqual([]);
});

it("stricter limits and more load than the defaults are good too", () => {
  const stricter = { ...tunables, SLO_P95_MAX_MS: 300, LOAD_TARGET_VUS: 200, SLO_CACHE_HIT_RATE_MIN: 0.5 };
  expect(gateFaults("load", { ...load, tunables: stricter, virtualUsers: 200 }, production)).toEqual([]);
});

it("a file that only says pass is not a gate's", () => {
  for (const of of ["load", "soak", "staging"] as const)
    expect(gateFaults(of, { pass: true, endedAt }, staging)).toHaveLength(1);
});

it.each([
  ["it failed", { pass: false }, "it failed"],
  ["no commit", { commit: undefined }, "commit is not what the gate writes"],
  ["another commit", { commit: "d00d" }, "it is of commit d00d, not c0ffeec0ffee"],
  ["eight days ago", { startedAt: "2026-11-14T08:00:00Z", endedAt: "2026-11-14T09:00:00Z" }, "run it again"],
  ["not ended", { endedAt: null }, "it did not end"],
  ["half a minute", { durationMs: 30_000 }, "it ran 30 s, wanted 300 s"],
  ["broken off", { startedAt: "2026-11-21T12:39:00.000Z" }, "it ran 60 s, wanted 300 s"],
  ["interrupted", { interrupted: true }, "it was interrupted"],
  ["few users", { virtualUsers: 10 }, "it had 10 virtual users, wanted 100"],
  ["a wider p95", { tunables: { ...tunables, SLO_P95_MAX_MS: 4_000 } }, "SLO_P95_MAX_MS was 4000, more than 400"],
  ["any errors", { tunables: { ...tunables, SLO_ERROR_RATE_MAX: 1 } }, "SLO_ERROR_RATE_MAX was 1, more than 0.01"],
  ["no checks", { tunables: { ...tunables, SLO_CHECK_RATE_MIN: 0 } }, "SLO_CHECK_RATE_MIN was 0, less than 0.95"],
  ["no limits said", { tunables: {} }, "SLO_P99_MAX_MS is not in it"],
  ["growth not judged", { notJudged: ["growth: fewer than 8 looks at the system"] }, "not judged: growth"],
  [
    "memory not judged of a runtime here",
    { target: OWN, notJudged: ["memory: the runtime is elsewhere"] },
    "not judged",
  ],
  ["the other gate's", { gate: "soak" }, "it is the soak gate's"],
])("a load gate is refused for staging, saying why: %s", (_, over, why) => {
  const faults = gateFaults("load", { ...load, ...over }, staging);
  expect(faults.join("; ")).toContain(why);
});

it("memory need not be judged of a runtime that is elsewhere", () => {
  expect(gateFaults("soak", { ...soak, notJudged: ["memory: the runtime is elsewhere"] }, production)).toEqual([]);
});

it.each([
  ["a phase left out", { skipped: ["soak"] }, "soak was left out"],
  ["a phase that is not there", { phases: summary.phases.slice(1) }, "functional was left out"],
  [
    "a phase that failed",
    { phases: summary.phases.map((one) => ({ ...one, pass: false })) },
    "functional, failure-inj",
  ],
  ["a short soak", { tunables: { ...tunables, SOAK_DURATION: 60_000 } }, "SOAK_DURATION was 60000, less than 1800000"],
])("a staging validation is refused: %s", (_, over, why) => {
  expect(gateFaults("staging", { ...summary, ...over }, staging).join("; ")).toContain(why);
});

it("systems of its own are good enough for staging, not for production, which wants staging's addresses", () => {
  const own = { ...summary, target: "systems of its own" };
  expect(gateFaults("staging", own, staging)).toEqual([]);
  expect(gateFaults("staging", own, production)).toEqual([
    "it ran against systems of its own, not staging (https://core.staging.example and https://hub.staging.example)",
  ]);
  expect(gateFaults("load", { ...load, target: OWN }, production)).toHaveLength(1);
  expect(gateFaults("load", load, { ...production, staging: undefined }).join()).toContain(".env.staging does not say");
  expect(gateFaults("load", { ...load, target: { core: `${STAGING.core}/`, hub: STAGING.hub } }, production)).toEqual(
    [],
  );
});

it("the list before a cutover says of each gate's file which condition failed", async () => {
  const gates = mkdtempSync(join(tmpdir(), "gates-"));
  try {
    writeFileSync(join(gates, "summary.json"), JSON.stringify({ pass: true, endedAt }));
    writeFileSync(join(gates, "load-gate.json"), JSON.stringify({ ...load, virtualUsers: 3, target: OWN }));
    writeFileSync(join(gates, "soak-gate.json"), JSON.stringify(soak));
    const nowhere = "http://127.0.0.1:1";
    const results = await runPreflight({
      ...production,
      commandsOf: "production",
      site: {
        urls: { "itrans-core": nowhere, "itrans-relay": nowhere, "medlink-hub": nowhere },
        keys: { core: "", hub: "", workflow: "" },
        scrapeToken: "",
        values: {},
      },
      signOffs: templateOf(),
      gates,
      tlsDays: 90,
    });
    const of = (id: string) => results.find((one) => one.id === id);
    expect(of("staging-gate")).toMatchObject({
      ok: false,
      detail: expect.stringContaining("not what the gate writes"),
    });
    expect(of("load-gate")?.detail).toMatch(
      /^load-gate\.json: it ran against .*, not staging .*; it had 3 virtual users/,
    );
    expect(of("soak-gate")).toMatchObject({ ok: true });
  } finally {
    rmSync(gates, { recursive: true });
  }
});
