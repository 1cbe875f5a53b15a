/** A cutover against the local system, with failures planted where they would happen, and the same once nothing is wrong. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFacts, bundleWorker, projectRoot } from "../../scripts/lib/bundle.ts";
import type { CutoverContext } from "../../scripts/lib/cutover/context.ts";
import { type Cutover, type CutoverAction, STEPS, type StepId } from "../../scripts/lib/cutover/plan.ts";
import { runPreflight } from "../../scripts/lib/cutover/preflight.ts";
import { contextOf, rehearsalSignOffs } from "../../scripts/lib/cutover/rehearsal.ts";
import { rollBack } from "../../scripts/lib/cutover/rollback.ts";
import { readCutover, runCutover } from "../../scripts/lib/cutover/run.ts";
import { commitAt } from "../../scripts/lib/deploy/look.ts";
import { FORMER_COMMIT, type Rehearsal, startRehearsal } from "../../scripts/lib/deploy/rehearsal.ts";
import { ORDER } from "../../scripts/lib/deploy/rollout.ts";
import type { Plant } from "../../scripts/lib/deploy/router.ts";
import { askOf } from "../../scripts/lib/deploy/site.ts";
import { Failure } from "../../scripts/lib/fail.ts";
import { gather } from "../../scripts/lib/hypercare/gather.ts";
import { reviewPage, statusPage } from "../../scripts/lib/hypercare/report.ts";
import { RHYTHMS, runTasks, TASKS } from "../../scripts/lib/maintenance/tasks.ts";
import type { StackOptions } from "../../scripts/lib/stack.ts";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { temporaryDirectory } from "./support/stack.ts";

const BROKEN = `export default { fetch: () => new Response("broken", { status: 500 }) };`;

/** Bundled once; each version differs in what it says of itself. */
function versionsOf(broken: ReadonlySet<WorkerName>): NonNullable<StackOptions["script"]> {
  const bundles = new Map<WorkerName, Promise<string>>();
  return async (worker, entry, facts) => {
    const bundle =
      bundles.get(worker) ?? bundleWorker(entry, { version: "0.0.0", commit: "@commit@", builtAt: "@built@" });
    bundles.set(worker, bundle);
    if (broken.has(worker) && facts.commit !== FORMER_COMMIT) return BROKEN;
    return (await bundle)
      .replaceAll('"@commit@"', JSON.stringify(facts.commit))
      .replaceAll('"@built@"', JSON.stringify(facts.builtAt));
  };
}

describe("a cutover, rehearsed", () => {
  const directory = temporaryDirectory();
  const broken = new Set<WorkerName>();
  const { commit } = buildFacts();
  let refused: { readonly command: string; readonly worker: WorkerName } | undefined;
  let rehearsal: Rehearsal;
  const said: string[] = [];
  /** Of a cutover that went through: what a later one may stand on. */
  let passedOnce: Cutover | undefined;

  beforeAll(async () => {
    const helpDirectory = join(directory.path, "help");
    mkdirSync(helpDirectory);
    const kept = JSON.parse(readFileSync(join(projectRoot, "test/support/wrangler-help.json"), "utf8"));
    writeFileSync(join(helpDirectory, `${kept.version}.json`), JSON.stringify(kept.help));
    rehearsal = await startRehearsal({
      directory: directory.path,
      helpDirectory,
      script: versionsOf(broken),
      onCall(command, worker) {
        if (refused?.command === command && refused.worker === worker)
          throw new Failure("planted: the platform is out");
      },
    });
  });
  afterAll(async () => {
    await rehearsal.dispose();
    directory.remove();
  });

  const contextIn = (name: string, over: Partial<CutoverContext> = {}): CutoverContext => {
    const context = contextOf(rehearsal, join(directory.path, name), (line) => said.push(line));
    // One look at each share is enough here.
    return { ...context, rollout: { ...context.rollout, pace: { ...context.rollout.pace, watchMs: 0 } }, ...over };
  };
  const newCutover = (): Cutover => ({
    environment: "staging",
    commit,
    startedAt: new Date().toISOString(),
    records: [],
  });
  const serving = () => Promise.all(ORDER.map((worker) => commitAt(rehearsal.site, worker)));
  const passed = (cutover: Cutover) =>
    cutover.records.filter(({ status }) => status === "passed").map(({ step }) => step);
  const recorded = (context: CutoverContext): Cutover => readCutover(context.directory) ?? newCutover();

  it("stops at a failed step, says what to do, and goes on from there; a failed synthetic claim takes everything back", async () => {
    const context = contextIn("first");
    broken.add("itrans-core");
    const first = await runCutover(context, newCutover());
    expect(first.ended).toMatchObject({ type: "stopped", step: { id: "deploy-core" } });
    expect(passed(first.cutover)).toEqual(["backup"]);
    expect(await serving()).toEqual([FORMER_COMMIT, FORMER_COMMIT, FORMER_COMMIT]);

    broken.delete("itrans-core");
    refused = { command: "versions upload", worker: "itrans-relay" };
    const second = await runCutover(context, recorded(context));
    expect(second.ended).toMatchObject({
      type: "stopped",
      step: { id: "deploy-relay" },
      because: expect.stringContaining("planted"),
    });
    expect(await serving()).toEqual([commit, FORMER_COMMIT, FORMER_COMMIT]);

    refused = undefined;
    await askOf(rehearsal.site, "core", "/relay/pause", { method: "POST" });
    const third = await runCutover(context, recorded(context));
    expect(third.ended).toMatchObject({
      type: "stopped",
      step: { id: "verify-relay" },
      because: expect.stringContaining("paused"),
    });
    expect(await serving()).toEqual([commit, commit, FORMER_COMMIT]);

    await askOf(rehearsal.site, "core", "/relay/resume", { method: "POST" });
    broken.add("medlink-hub");
    const hubless = await runCutover(context, recorded(context));
    expect(hubless.ended).toMatchObject({
      type: "stopped",
      step: { id: "deploy-hub" },
      because: expect.stringContaining("the former version serves again"),
    });
    expect(await serving(), "the hub's version alone was taken back").toEqual([commit, commit, FORMER_COMMIT]);
    expect(await askOf(rehearsal.site, "hub", "/api/itrans/auto-submit/status")).toMatchObject({ enabled: false });

    broken.delete("medlink-hub");
    const { clinic } = context;
    if (clinic === undefined) throw new Error("there is no clinic");
    const stranger = contextIn("first", { clinic: { ...clinic, password: "not its password" } });
    const fourth = await runCutover(stranger, recorded(context));
    expect(fourth.ended, fourth.cutover.rollback?.because).toMatchObject({ type: "rolled-back" });
    expect(fourth.cutover.records.at(-1)).toMatchObject({ step: "synthetic-claim", status: "failed" });
    expect(await serving()).toEqual([FORMER_COMMIT, FORMER_COMMIT, FORMER_COMMIT]);
    expect(await askOf(rehearsal.site, "hub", "/api/itrans/auto-submit/status")).toMatchObject({
      enabled: false,
      heldByOperator: true,
    });
    expect(await askOf(rehearsal.site, "core", "/relay/workflow/status")).toMatchObject({ paused: false });
    expect(await askOf(rehearsal.site, "core", "/operations/incidents?state=open")).toMatchObject({
      incidents: [{ severity: "S1" }],
    });
    expect(readFileSync(join(context.directory, "rollback-message.txt"), "utf8")).toContain("INC-1");
  });

  it("passes when nothing is wrong, after a rollback too, with evidence of each step; then it is rolled back on its own", async () => {
    const context = contextIn("second");
    const { site: signOffs, gates } = await rehearsalSignOffs(context);
    expect(said.at(-1)).toMatch(/^restore drill: [1-9]\d* entries of \S+-rehearsal restored/);
    const about = { environment: "staging" as const, commandsOf: "local" as const, staging: undefined };
    const list = { ...about, site: rehearsal.site, signOffs, gates, commit, now: Date.now(), tlsDays: 90 };
    expect((await runPreflight(list)).filter(({ ok }) => !ok)).toEqual([]);
    const unsigned = {
      ...signOffs,
      signed: { ...signOffs.signed, "rollback-plan": [{ name: "One" }, { name: "One" }], go: [{ name: " " }] },
    };
    const missing = (await runPreflight({ ...list, signOffs: unsigned, gates: directory.path })).filter(
      ({ ok }) => !ok,
    );
    expect(missing.map(({ id }) => id)).toEqual(["staging-gate", "load-gate", "soak-gate", "rollback-plan", "go"]);

    const { ended, cutover } = await runCutover(context, newCutover());
    expect(ended, JSON.stringify(cutover.records.at(-1))).toEqual({ type: "passed" });
    expect(passed(cutover)).toHaveLength(11);
    expect(cutover.records.find(({ step }) => step === "first-ten")?.evidence).toMatchObject({ successRate: "10/10" });
    expect(cutover.records.find(({ step }) => step === "verify-callback")?.evidence).toMatchObject({ status: "paid" });
    expect(readFileSync(join(context.directory, "cutover.md"), "utf8").match(/ passed \|/g)).toHaveLength(11);
    expect(await serving()).toEqual([commit, commit, commit]);

    const calls = readFileSync(rehearsal.callsFile, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(calls.filter(({ unknown }) => unknown.length > 0)).toEqual([]);
    const shares = calls.flatMap(({ args }: { args: string[] }) =>
      args.includes("wrangler.medlink.toml") && args[0] === "versions" && args[1] === "deploy"
        ? [args[2]?.split("@")[1]]
        : [],
    );
    expect(shares.slice(-5)).toEqual(["0%", "5%", "25%", "50%", "100%"]);

    const data = await gather(rehearsal.site, "staging", directory.path, Date.now() - 3_600_000, Date.now() + 60_000);
    expect(data).toMatchObject({ commit, rollbacks: 1, firstTen: { successRate: "10/10", failed: 0 }, missing: [] });
    expect(statusPage(data, new Date().toISOString(), "tester")).toContain("Open issues: INC-1 (S1)");
    expect(reviewPage(data, new Date().toISOString())).toContain("| Rollbacks initiated | 0 | 1 | WARNING |");

    // Whether what the tasks ask is answered as they read it; what they find is this test's own doing.
    const ours = ["Settings and secrets are fit", "Known weaknesses of dependencies"];
    const tasks = TASKS.filter(({ title }) => !ours.includes(title));
    const parts = { site: rehearsal.site, environment: "local" as const, now: Date.now(), dataDir: rehearsal.dataDir };
    const results = (await Promise.all(RHYTHMS.map((rhythm) => runTasks(rhythm, parts, undefined, tasks)))).flat();
    expect(results).toHaveLength(tasks.length);
    const found = results.filter(({ ok }) => !ok);
    expect(found.map(({ detail }) => detail)).toContain("INC-1 (S1)");
    expect(found.filter(({ detail }) => /shape|answers [45]/.test(detail))).toEqual([]);

    passedOnce = cutover;
    const report = await rollBack(context, "decided by a person", cutover.startedAt, undefined);
    expect(report.steps.filter(({ ok }) => !ok)).toEqual([]);
    expect(await serving()).toEqual([FORMER_COMMIT, FORMER_COMMIT, FORMER_COMMIT]);
  }, 600_000);

  const down = { status: 503, body: { detail: "planted" } };
  const FAULTS: readonly (readonly [StepId, WorkerName, Plant, CutoverAction["type"], string])[] = [
    [
      "backup",
      "itrans-core",
      (method, path) => (method === "POST" && path === "/operations/backups" ? down : undefined),
      "stopped",
      "planted",
    ],
    [
      "verify-core",
      "itrans-core",
      (_, path) =>
        path === "/ledger/verify"
          ? { status: 500, body: { status: "failed", findings: [{ type: "entry-hash" }] } }
          : undefined,
      // The ledger is still bad at the rollback's end: that is for a person.
      "rollback",
      "does not verify",
    ],
    [
      "verify-core",
      "itrans-core",
      (_, path) => (path === "/ledger/verify" ? { status: 503, body: {} } : undefined),
      "stopped",
      "answers 503",
    ],
    [
      "verify-relay",
      "itrans-core",
      (_, path) => (path === "/relay/workflow/status" ? down : undefined),
      "stopped",
      "answers 503",
    ],
    ["verify-hub", "medlink-hub", (_, path) => (path === "/api/health" ? down : undefined), "rollback", "not healthy"],
    [
      "verify-callback",
      "medlink-hub",
      (_, path) => (path.startsWith("/api/claims/") ? { status: 200, body: { status: "submitted" } } : undefined),
      "rolled-back",
      "the claim is submitted",
    ],
    [
      "enable-auto-submit",
      "medlink-hub",
      (method, path) => (method === "PUT" && path.endsWith("/auto-submit/settings") ? down : undefined),
      "stopped",
      "answers 503",
    ],
    [
      "first-ten",
      "itrans-core",
      (_, path) =>
        path.startsWith("/workflow/requests/") && !path.endsWith(syntheticId()) ? { status: 404, body: {} } : undefined,
      "rolled-back",
      "of the first ten claims failed",
    ],
  ];
  const syntheticId = (): string =>
    String(passedOnce?.records.find(({ step }) => step === "synthetic-claim")?.evidence.requestId);

  it.each(FAULTS)("with a failure planted at %s of %s ends as written", async (id, worker, fault, ended, because) => {
    const before = passedOnce;
    if (before === undefined) throw new Error("no cutover went through before");
    const place = STEPS.findIndex((step) => step.id === id);
    const records = before.records.filter(({ step }) => STEPS.findIndex((one) => one.id === step) < place);
    // What is planted is the step's alone: it is there once the step has begun.
    const context = contextIn(`planted-${place}-${said.length}`, {
      stepTimeoutMs: 4_000,
      say: (line) => {
        said.push(line);
        if (line.startsWith(`step ${place + 1} of`)) setTimeout(() => rehearsal.routers[worker].plant(fault), 0);
      },
    });
    // The version check of a step looks at the commit that serves.
    const now = { ...newCutover(), commit: FORMER_COMMIT, records };
    try {
      const run = await runCutover(context, now);
      expect([run.ended.type, run.cutover.records.at(-1)?.step], JSON.stringify(run.cutover.records.at(-1))).toEqual([
        ended,
        id,
      ]);
      expect(run.cutover.records.at(-1)?.because).toContain(because);
      expect(existsSync(join(context.directory, "rollback-message.txt"))).toBe(ended !== "stopped");
    } finally {
      rehearsal.routers[worker].plant(undefined);
      await askOf(rehearsal.site, "core", "/relay/resume", { method: "POST" });
    }
  });
});
