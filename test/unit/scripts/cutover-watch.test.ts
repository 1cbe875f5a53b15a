/** What a cutover does once claims flow: its own code over a stand-in of the two workers, with a clock that the test turns. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CutoverContext } from "../../../scripts/lib/cutover/context.ts";
import { decide } from "../../../scripts/lib/cutover/decisions.ts";
import { readingsOf } from "../../../scripts/lib/cutover/observe.ts";
import type { Cutover, StepId } from "../../../scripts/lib/cutover/plan.ts";
import { STEPS } from "../../../scripts/lib/cutover/plan.ts";
import { readCutover, runCutover, writeCutover } from "../../../scripts/lib/cutover/run.ts";
import { DEFAULT_LIMITS } from "../../../scripts/lib/deploy/rollout.ts";
import type { Platform } from "../../../scripts/lib/platform.ts";

const BEGAN = Date.parse("2026-11-22T10:00:00.000Z");
const MIN = 60_000;
const SYNTHETIC = `0x${"5".repeat(64)}`;
const hashOf = (claim: number): string => `0x${String(claim).padStart(64, "0")}`;

interface FakeClaim {
  readonly at: number;
  readonly seq: number;
  state: "waiting" | "delivered" | "dead";
}

const fresh = () => ({
  claims: [] as FakeClaim[],
  /** Entries of the newest final anchor. */
  anchored: 0,
  givenUp: 0,
  requests: 0,
  serverErrors: 0,
  deadLetters: 0,
  healthy: true,
  findings: [] as readonly unknown[],
  autoSubmit: true,
  answers: true,
  onCall: (_: string): void => {},
  /** Whether what changes something is answered at all. */
  silent: false,
});

let now = BEGAN;
let world = fresh();
let calls: string[] = [];
let server: Server;
let url = "";
let directory = "";

function answerOf(method: string, path: string, body: string): readonly [status: number, body: unknown] {
  if (path === "/metrics")
    return [
      200,
      [
        `itrans_core_http_requests_total{status="200"} ${world.requests}`,
        `itrans_core_http_requests_total{status="503"} ${world.serverErrors}`,
        `itrans_core_outbox_dead_letters ${world.deadLetters}`,
        `medlink_claim_events_total{kind="submissionFailed"} ${world.givenUp}`,
        "",
      ].join("\n"),
    ];
  if (path === "/ledger/verify") return [world.findings.length === 0 ? 200 : 500, { findings: world.findings }];
  if (path === "/api/health") return [world.healthy ? 200 : 503, {}];
  if (path === "/operations/incidents") return [201, { ticket: "INC-1" }];
  if (path.startsWith("/relay/workflow/deliveries")) {
    if (!world.answers) return [503, {}];
    const query = new URL(path, "http://core").searchParams;
    const all = world.claims.map(({ at, state }, index) => ({
      requestIdHash: hashOf(index),
      destinationId: "medlink",
      state: state === "waiting" ? "due" : state,
      createdAt: at,
    }));
    const status = query.get("status");
    const deliveries = all.filter(({ requestIdHash, state }) =>
      query.get("request") === null
        ? state === (status === "pending" ? "due" : status)
        : requestIdHash === query.get("request"),
    );
    return [200, { next: null, deliveries }];
  }
  if (path.startsWith("/ledger/anchors"))
    return [
      200,
      {
        anchors: [
          { state: "submitted", size: world.anchored + 5 },
          { state: "confirmed", size: world.anchored },
        ],
      },
    ];
  if (path.startsWith("/workflow/requests/")) {
    const id = path.slice("/workflow/requests/".length);
    if (id === "synthetic") return [200, { requestIdHash: SYNTHETIC }];
    const claim = world.claims[Number(BigInt(id))];
    // The newest entry, a decision, waits for an anchor that does not come.
    return claim === undefined
      ? [404, {}]
      : [200, { requestIdHash: id, ledger: { seq: claim.seq }, anchor: { status: "none" } }];
  }
  if (path === "/api/itrans/auto-submit/settings" && method === "PUT") world.autoSubmit = body.includes("true");
  return [200, {}];
}

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const { method = "GET", url: path = "/" } = request;
      calls.push(`${method} ${path}`);
      world.onCall(`${method} ${path}`);
      if (world.silent && method === "POST") return;
      const [status, answer] = answerOf(method, path, body);
      if (typeof answer === "string") response.writeHead(status, { "content-type": "text/plain" }).end(answer);
      else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
});
afterAll(() => {
  server.closeAllConnections();
  return new Promise<void>((resolve) => server.close(() => resolve()));
});
beforeEach(() => {
  now = BEGAN;
  world = fresh();
  calls = [];
  directory = mkdtempSync(join(tmpdir(), "cutover-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const unused = (): never => {
  throw new Error("nothing is deployed here");
};
const platform: Platform = { wrangler: unused };

/** @param happens is told the minutes since auto-submit was switched on, before each look. */
function contextOf(happens: (minute: number) => void, compress = 1): CutoverContext {
  return {
    environment: "staging",
    commandsOf: "staging",
    site: {
      urls: { "itrans-core": url, "itrans-relay": url, "medlink-hub": url },
      keys: { core: "c", hub: "h", workflow: "w" },
      scrapeToken: "s",
      values: {},
    },
    directory,
    control: directory,
    clinic: undefined,
    evmRpcUrl: undefined,
    compress,
    stepTimeoutMs: 30 * MIN,
    firstClaims: 10,
    contact: "on-call",
    now: () => now,
    sleep: async (ms) => {
      // Whole minutes, and later more of them at once: as many looks as a test needs.
      now += Math.max(ms, now - BEGAN < 45 * MIN ? MIN : 10 * MIN);
      happens((now - BEGAN) / MIN);
      await setImmediate();
    },
    say: () => {},
    prepare: unused,
    rollout: {
      platform,
      environment: "staging",
      site: {
        urls: { "itrans-core": url, "itrans-relay": url, "medlink-hub": url },
        keys: { core: "", hub: "", workflow: "" },
        scrapeToken: "",
        values: {},
      },
      facts: { version: "0", commit: "c0ffee", builtAt: "" },
      pace: { watchMs: 0, everyMs: 0, settleMs: 0 },
      limits: DEFAULT_LIMITS,
      deployedName: (worker) => worker,
      objectMigration: () => undefined,
      now: () => now,
      sleep: () => Promise.resolve(),
    },
  };
}

const passedBefore = (id: StepId) => {
  const at = new Date(BEGAN).toISOString();
  const evidence = id === "synthetic-claim" ? { claimId: "c", requestId: "synthetic", startedAt: BEGAN } : {};
  return { step: id, startedAt: at, endedAt: at, status: "passed" as const, evidence };
};
/** Ten steps are through, auto-submit is on. */
const enabled = (): Cutover => ({
  environment: "staging",
  commit: "c0ffee",
  startedAt: new Date(BEGAN).toISOString(),
  records: STEPS.slice(0, 10).map(({ id }) => passedBefore(id)),
});

/** Files one more. @param anchoredToo and its entry is in a final anchor. */
const file = (state: FakeClaim["state"] = "delivered", anchoredToo = true): void => {
  const seq = 10 + 2 * world.claims.length;
  world.claims.push({ at: now, seq, state });
  if (anchoredToo) world.anchored = seq + 1;
};
const recordedNow = (): Cutover => {
  const cutover = readCutover(directory);
  if (cutover === undefined) throw new Error("nothing was recorded");
  return cutover;
};

describe("a cutover whose auto-submit is on", () => {
  it("stops at the first failed claim and still rolls back at the third, which comes an hour later", async () => {
    const { ended, cutover } = await runCutover(
      contextOf((minute) => {
        if (minute === 5 || minute === 40 || minute === 105) file("dead");
        else if (minute < 4) file();
      }),
      enabled(),
    );
    expect(ended).toMatchObject({ type: "rolled-back", because: "3 of the first ten claims failed" });
    expect(cutover.records.at(-1)).toMatchObject({ step: "first-ten", status: "failed" });
    expect((now - BEGAN) / MIN).toBeGreaterThanOrEqual(105);
    expect(world.autoSubmit).toBe(false);
    expect(calls).toContain("POST /relay/pause");
  });

  it.each([
    ["5xx", () => (world.serverErrors += 20), "were answered 5xx"],
    ["an unhealthy hub", () => (world.healthy = false), "the hub was unhealthy"],
    ["an integrity failure", () => (world.findings = [{ type: "entry-hash" }]), "the ledger does not verify"],
    ["dead letters within the hour", () => (world.deadLetters = 500), "500 dead letters"],
    ["claims that auto-submit gave up", () => (world.givenUp = 3), "of the first ten claims failed"],
  ])("that stopped at a failed claim rolls back at %s half an hour later", async (_, breaks, because) => {
    const { ended } = await runCutover(
      contextOf((minute) => {
        world.requests += 100;
        if (minute === 3) file("dead");
        if (minute >= 33) breaks();
      }),
      enabled(),
    );
    expect(ended.type === "rolled-back" || ended.type === "rollback", JSON.stringify(ended)).toBe(true);
    expect(ended).toMatchObject({ because: expect.stringContaining(because) });
    expect((now - BEGAN) / MIN).toBeGreaterThanOrEqual(33);
    expect(world.autoSubmit).toBe(false);
  });

  it("that stopped says what to do in commands for its environment", async () => {
    const said: string[] = [];
    const context = contextOf((minute) => minute === 3 && file("dead"));
    await runCutover({ ...context, say: (line) => said.push(line) }, enabled());
    expect(said.find((line) => line.startsWith("stopped:"))).toContain("npm run rollback -- --env staging takes");
  });

  it("that stopped ends as stopped when the four hours are over and nothing more was seen", async () => {
    const { ended } = await runCutover(
      contextOf((minute) => minute === 3 && file("dead")),
      enabled(),
    );
    expect(ended).toMatchObject({ type: "stopped", step: { id: "first-ten" } });
    expect((now - BEGAN) / MIN).toBeGreaterThanOrEqual(240);
    expect(readingsOf(contextOf(() => {})).length).toBeGreaterThan(60);
    expect(world.autoSubmit).toBe(true);
  });

  it("keeps watching while core can not say how the claims stand", async () => {
    const { ended } = await runCutover(
      contextOf((minute) => {
        if (minute === 3) file("dead");
        world.answers = minute < 5 || minute > 20;
        if (minute === 18) {
          file("dead");
          file("dead");
        }
      }),
      enabled(),
    );
    expect(ended).toMatchObject({ type: "rolled-back", because: "3 of the first ten claims failed" });
    expect((now - BEGAN) / MIN).toBeGreaterThan(20);
  });

  it("that stopped goes on with a person's acceptance, told from elsewhere, and says so in its record", async () => {
    const { ended, cutover } = await runCutover(
      contextOf((minute) => {
        if (minute <= 9) file();
        if (minute === 10) file("dead");
        if (minute === 20) {
          expect(recordedNow().records.at(-1)).toMatchObject({ step: "first-ten", status: "failed" });
          const acceptance = {
            claims: 1,
            reason: "one insurer refuses by policy",
            by: "Lee",
            at: "2026-11-22T10:20:00Z",
          };
          decide(directory, { type: "accept", acceptance });
        }
      }),
      enabled(),
    );
    expect(ended).toEqual({ type: "passed" });
    expect(cutover.records.at(-1)).toMatchObject({
      step: "first-ten",
      status: "passed",
      evidence: { successRate: "9/10", failed: 1, accepted: { by: "Lee" } },
    });
    const page = readFileSync(join(directory, "cutover.md"), "utf8");
    expect(page).toContain("Success rate of the first claims: 9/10.");
    expect(page).toContain("Accepted by Lee");
    expect(page).toContain("one insurer refuses by policy");
  });

  it("with one claim accepted stops again at a second one that fails, and rolls back at a third", async () => {
    const accepted = { claims: 1, reason: "known", by: "Lee", at: new Date(BEGAN).toISOString() };
    let stopsAtSecond = false;
    const { ended, cutover } = await runCutover(
      contextOf((minute) => {
        if (minute === 2 || minute === 10 || minute === 30) file("dead");
        if (minute === 29) stopsAtSecond = recordedNow().records.at(-1)?.because?.includes("2 failed") === true;
      }),
      { ...enabled(), accepted },
    );
    expect(stopsAtSecond).toBe(true);
    expect(ended).toMatchObject({ type: "rolled-back" });
    expect(cutover.rollback?.because).toBe("3 of the first ten claims failed");
  });

  it("leaves the way back to the person who takes it from elsewhere", async () => {
    const { ended } = await runCutover(
      contextOf((minute) => {
        if (minute === 3) file("dead");
        if (minute === 12) decide(directory, { type: "rollback", because: "decided" });
      }),
      enabled(),
    );
    expect(ended).toEqual({ type: "left", because: "decided" });
    expect(calls).not.toContain("POST /relay/pause");
  });

  it("leaves it while the first claims are watched too, and no later run goes on from there", async () => {
    let decidedAt = 0;
    const { ended } = await runCutover(
      contextOf((minute) => {
        if (minute <= 3) file();
        if (minute !== 12) return;
        decidedAt = now;
        decide(directory, { type: "rollback", because: "decided" });
      }),
      enabled(),
    );
    expect(ended).toEqual({ type: "left", because: "decided" });
    expect(now, "at once").toBe(decidedAt);
    expect(calls).not.toContain("POST /relay/pause");
    expect(recordedNow().records, "nothing is said of the step").toEqual(enabled().records);
    const later = await runCutover(
      contextOf(() => {}),
      recordedNow(),
    );
    expect(later.ended).toEqual({ type: "rolled-back", because: "decided" });
    expect(calls).toContain("POST /relay/pause");
  });

  it("does not lose what another process wrote of going back, whatever it writes later", async () => {
    const rollback = { because: "decided", at: "2026-11-22T10:05:00.000Z", complete: true };
    let written = 0;
    const { ended } = await runCutover(
      contextOf((minute) => {
        file();
        if (minute === 5) writeCutover(directory, { ...recordedNow(), rollback });
        if (minute > 5 && recordedNow().firstTen?.claims.length === minute - 1) written += 1;
        if (minute > 5) expect(recordedNow().rollback).toEqual(rollback);
      }),
      enabled(),
    );
    expect(written, "it wrote on").toBeGreaterThan(0);
    expect(ended).toEqual({ type: "rolled-back", because: "decided" });
    expect(recordedNow().rollback).toEqual(rollback);
  });

  it("passes with claims decided since the last final anchor: what counts is that their submission is anchored", async () => {
    const { ended, cutover } = await runCutover(
      contextOf((minute) => minute <= 10 && file()),
      enabled(),
    );
    expect(ended).toEqual({ type: "passed" });
    expect(cutover.records.at(-1)?.evidence).toMatchObject({ successRate: "10/10", failed: 0 });
  });

  it("calls a claim failed whose submission no anchor holds after half an hour", async () => {
    const { cutover } = await runCutover(
      contextOf((minute) => minute === 1 && file("delivered", false)),
      enabled(),
    );
    expect(cutover.records.at(-1)).toMatchObject({ status: "failed", because: "0/10 through, 1 seen, 1 failed" });
  });

  it("remembers in a later run what was through and what auto-submit gave up before", async () => {
    await runCutover(
      contextOf((minute) => {
        if (minute <= 2) file();
        if (minute === 4) world.givenUp = 1;
        if (minute === 30) throw new Error("killed");
      }),
      enabled(),
    ).catch(() => {});
    const kept = recordedNow();
    expect(kept.firstTen).toMatchObject({ claims: [hashOf(0), hashOf(1)], through: [hashOf(0), hashOf(1)], failed: 1 });
    // The anchor that held them was found wrong meanwhile: they were through all the same.
    world.anchored = 0;
    now += 60 * MIN;
    const { cutover } = await runCutover(
      contextOf(() => {}),
      kept,
    );
    expect(cutover.records.at(-1)?.because).toBe("2/10 through, 2 seen, 1 failed");
    expect(cutover.rollback).toBeUndefined();
  });
});

describe("a new cutover", () => {
  const begun = (): Cutover => ({ ...enabled(), records: [] });

  it("has its record while its first step, a backup of minutes, is taken", async () => {
    let first: Cutover | undefined;
    world.onCall = (call) => {
      if (call === "POST /operations/backups") first ??= readCutover(directory);
    };
    await runCutover(
      contextOf(() => {}),
      begun(),
    );
    expect(first).toEqual(begun());
  });

  it("that goes on replaces nothing of its record before its first step is over", async () => {
    const kept = { ...begun(), firstTen: { claims: [], through: [], givenUpBefore: 2, failed: 0 } };
    writeCutover(directory, kept);
    let then: Cutover | undefined;
    world.onCall = (call) => {
      if (call === "POST /operations/backups") then ??= readCutover(directory);
    };
    await runCutover(
      contextOf(() => {}),
      begun(),
    );
    expect(then).toEqual(kept);
  });

  it("that is taken back while settings and databases are looked at uploads nothing", async () => {
    const context = contextOf(() => {});
    const uploads: (readonly string[])[] = [];
    const { ended } = await runCutover(
      {
        ...context,
        prepare: async () => decide(directory, { type: "rollback", because: "decided" }),
        rollout: {
          ...context.rollout,
          platform: {
            wrangler: async (args) => {
              uploads.push(args);
              return "";
            },
          },
        },
      },
      { ...begun(), records: [passedBefore("backup")] },
    );
    expect(ended).toEqual({ type: "left", because: "decided" });
    expect(uploads).toEqual([]);
  });

  it("that is taken back while its backup is taken does not wait for it", async () => {
    world.onCall = (call) => {
      if (call === "POST /operations/backups") decide(directory, { type: "rollback", because: "decided" });
    };
    world.silent = true;
    const { ended, cutover } = await runCutover(
      contextOf(() => {}),
      begun(),
    );
    expect(ended).toEqual({ type: "left", because: "decided" });
    expect(cutover.records).toEqual([]);
    expect(cutover.rollback).toMatchObject({ because: "decided" });
  });
});
