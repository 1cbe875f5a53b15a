/** The way back while another process runs the cutover: it is told, waited for, and only then is anything taken back. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import type { CutoverContext } from "../../../scripts/lib/cutover/context.ts";
import { decisionIn, otherRun } from "../../../scripts/lib/cutover/decisions.ts";
import type { Cutover } from "../../../scripts/lib/cutover/plan.ts";
import { readCutover, writeCutover } from "../../../scripts/lib/cutover/run.ts";
import { takeBack } from "../../../scripts/lib/cutover/take-back.ts";
import { DEFAULT_LIMITS } from "../../../scripts/lib/deploy/rollout.ts";

const AT = "2026-11-22T10:00:00.000Z";
const begun: Cutover = { environment: "staging", commit: "c0ffee", startedAt: AT, records: [] };

let server: Server;
let url = "";
let calls: string[] = [];
let root = "";
let directory = "";
let control = "";
let now = Date.parse(AT);
let said: string[] = [];
let other: ChildProcess | undefined;

beforeAll(async () => {
  server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify({ findings: [], ticket: "INC-1" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
});
afterAll(() => new Promise<void>((resolve) => server.close(() => resolve())));
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cutovers-"));
  directory = join(root, "2026-11-22T10-00-00-000Z");
  control = join(root, "staging");
  mkdirSync(directory);
  writeCutover(directory, begun);
  calls = [];
  said = [];
});
afterEach(async () => {
  await endOther();
  rmSync(root, { recursive: true });
});

/** Another process that marked itself as the one that runs the cutover. */
async function startOther(): Promise<number> {
  const script = `
    import { beginRun } from ${JSON.stringify(join(projectRoot, "scripts/lib/cutover/decisions.ts"))};
    beginRun(${JSON.stringify(control)});
    console.log("marked");
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  other = child;
  await once(child.stdout, "data");
  return child.pid ?? 0;
}
async function endOther(): Promise<void> {
  const child = other;
  other = undefined;
  if (child === undefined) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

const unused = (): never => {
  throw new Error("nothing is deployed here");
};
function contextIn(folder: string): CutoverContext {
  const site = {
    urls: { "itrans-core": url, "itrans-relay": url, "medlink-hub": url },
    keys: { core: "c", hub: "h", workflow: "w" },
    scrapeToken: "s",
    values: {},
  };
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  return {
    ...clock,
    environment: "staging",
    commandsOf: "staging",
    site,
    directory: folder,
    control,
    clinic: undefined,
    evmRpcUrl: undefined,
    compress: 1,
    stepTimeoutMs: 1_000,
    firstClaims: 10,
    contact: "on-call",
    say: () => {},
    prepare: unused,
    rollout: {
      ...clock,
      platform: { wrangler: unused },
      environment: "staging",
      site,
      facts: { version: "0", commit: "c0ffee", builtAt: "" },
      pace: { watchMs: 0, everyMs: 0, settleMs: 0 },
      limits: DEFAULT_LIMITS,
      deployedName: (worker) => worker,
      objectMigration: () => undefined,
    },
  };
}

/** @param waits is told the seconds waited so far, before each second more. */
const back = (waits: (seconds: number) => Promise<void> | void = () => {}) => {
  const began = now;
  return takeBack({
    root,
    environment: "staging",
    control,
    because: "decided",
    contextIn,
    now: () => now,
    sleep: async (ms) => {
      await waits((now - began) / 1_000);
      now += ms;
    },
    say: (line) => said.push(line),
  });
};

it("with no other run is done at once, and written down as complete", async () => {
  expect(await back()).toEqual({ directory, complete: true });
  expect(said).toEqual([]);
  expect(readCutover(directory)?.rollback).toMatchObject({ because: "decided", complete: true });
  expect(existsSync(join(control, "run.json")), "it lets go itself").toBe(false);
});

it("with another run tells it, says so while it waits, and begins when it has let go", async () => {
  const pid = await startOther();
  let told = 0;
  const ended = back(async (seconds) => {
    expect(decisionIn(control)).toEqual({ type: "rollback", because: "decided" });
    expect(calls, "nothing is taken back meanwhile").toEqual([]);
    told += 1;
    if (seconds < 25) return;
    writeCutover(directory, { ...begun, firstTen: { claims: [], through: [], givenUpBefore: 7, failed: 0 } });
    await endOther();
  });
  expect(await ended).toEqual({ directory, complete: true });
  expect(told).toBe(26);
  expect(said).toHaveLength(3);
  expect(said[1]).toBe(`process ${pid} runs the cutover and was told to let go: waiting, 290 s at most`);
  expect(calls).toContain("POST /relay/pause");
  expect(readCutover(directory), "over what the other wrote last").toMatchObject({
    firstTen: { givenUpBefore: 7 },
    rollback: { complete: true },
  });
  expect(decisionIn(control)).toBeUndefined();
});

it("takes nothing back while another run does not let go, and says what to do", async () => {
  const pid = await startOther();
  await expect(back()).rejects.toThrow(
    `process ${pid} has not let go of the cutover in 5 minutes: end it (kill ${pid}) and run the same command again`,
  );
  expect(calls).toEqual([]);
  expect(decisionIn(control), "it still ends when it can").toEqual({ type: "rollback", because: "decided" });
});

it("is not done a second time when the run that was waited for did it", async () => {
  await startOther();
  const rollback = { because: "3 of the first ten claims failed", at: AT, complete: true };
  const ended = back(async () => {
    writeCutover(directory, { ...begun, rollback });
    await endOther();
  });
  expect(await ended).toEqual({ directory, complete: true });
  expect(said.at(-1)).toContain("3 of the first ten claims failed");
  expect(calls).toEqual([]);
  expect(readCutover(directory)?.rollback).toEqual(rollback);
});

it("that lacks a setting says so and leaves the other run alone", async () => {
  await startOther();
  const parts = { root, environment: "staging", control, because: "decided", now: () => now, say: () => {} };
  const contextOf = (): never => {
    throw new Error("set OPERATOR_API_KEY");
  };
  await expect(takeBack({ ...parts, contextIn: contextOf, sleep: unused })).rejects.toThrow("set OPERATOR_API_KEY");
  expect(decisionIn(control)).toBeUndefined();
});

it("keeps any cutover from being begun meanwhile, and half-way is written down as not complete", async () => {
  let seen: unknown;
  server.once("request", () => {
    seen = readCutover(directory)?.rollback;
    expect(readFileSync(join(directory, "cutover.md"), "utf8")).toContain("A rollback began, and is not complete,");
    expect(otherRun(control), "this process is the run").toBeUndefined();
    expect(JSON.parse(readFileSync(join(control, "run.json"), "utf8"))).toMatchObject({ pid: process.pid });
  });
  await back();
  expect(seen).toEqual({ because: "decided", at: expect.any(String) });
  expect(readFileSync(join(directory, "cutover.md"), "utf8")).toContain("Rolled back at ");
});
