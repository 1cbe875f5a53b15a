/** A rollout carried out against three workers that say what a worker says, and a platform that answers in wrangler's words. */
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OVERRIDE_HEADER } from "../../../scripts/lib/deploy/look.ts";
import { DEFAULT_LIMITS, newRollout, ORDER, type Rollout } from "../../../scripts/lib/deploy/rollout.ts";
import { haltedByHand, Interrupted, type RolloutParts, runRollout } from "../../../scripts/lib/deploy/run-rollout.ts";
import { CONFIGS, type Share } from "../../../scripts/lib/platform.ts";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { recordingPlatform } from "../../support/recording-platform.ts";

const FORMER = "00000000-0000-4000-8000-000000000001";
const NEXT = "00000000-0000-4000-8000-000000000002";
const COMMITS: Readonly<Record<string, string>> = { [FORMER]: "a".repeat(40), [NEXT]: "b".repeat(40) };

let shares: Record<WorkerName, readonly Share[]>;
let uploaded: Set<WorkerName>;
let requests = 0;
let errors = 0;
/** Answers that the next version gives wrongly, by path. */
let wrong: ReadonlySet<string> = new Set();
/** Errors for every request, once a share of this worker is reached. */
let failsAt: { readonly worker: WorkerName; readonly percentage: number } | undefined;

function answerOf(worker: WorkerName, path: string, version: string): readonly [number, unknown] {
  if (version === NEXT && wrong.has(path)) return [500, {}];
  switch (path) {
    case "/version":
    case "/api/version":
      return [200, { version: "1.0.0", commit: COMMITS[version], builtAt: "" }];
    case "/health":
      return [
        200,
        { status: "ok", database: { latencyMs: 1 }, ledger: { size: 1 }, chain: { state: "idle", reason: null } },
      ];
    case "/ledger/verify":
      return [200, { status: "ok", size: 1, findings: [] }];
    case "/workflow/requests/smoke":
    case "/api/claims":
      return [401, {}];
    case "/sign-in":
      return [200, "<form></form>"];
    case "/metrics": {
      requests += 100;
      const next = shares[worker].find(({ versionId }) => versionId === NEXT)?.percentage ?? 0;
      if (failsAt?.worker === worker && next >= failsAt.percentage) errors += 10;
      const name = worker === "medlink-hub" ? "medlink" : "itrans_core";
      return [
        200,
        [
          `${name}_http_requests_total{status="200"} ${requests - errors}`,
          `${name}_http_requests_total{status="500"} ${errors}`,
          `${name}_http_request_duration_seconds_bucket{le="0.1"} ${requests}`,
          `${name}_http_request_duration_seconds_bucket{le="+Inf"} ${requests}`,
          "itrans_core_outbox_dead_letters 0",
        ].join("\n"),
      ];
    }
    default:
      return [200, { status: "ok" }];
  }
}

const servers = new Map<WorkerName, Server>();
const urls: Record<WorkerName, string> = { "itrans-core": "", "itrans-relay": "", "medlink-hub": "" };

beforeAll(async () => {
  for (const worker of ORDER) {
    const server = createServer((request, response) => {
      const header = String(request.headers[OVERRIDE_HEADER.toLowerCase()] ?? "");
      const named = new RegExp(`${worker}="([^"]+)"`).exec(header)?.[1];
      const deployed = shares[worker];
      const [most] = deployed.toSorted((a, b) => b.percentage - a.percentage);
      const version = deployed.find(({ versionId }) => versionId === named)?.versionId ?? most?.versionId ?? "";
      const [status, body] = answerOf(worker, (request.url ?? "").split("?")[0] ?? "", version);
      response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    urls[worker] = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    servers.set(worker, server);
  }
});
afterAll(() => {
  for (const server of servers.values()) server.close();
});
beforeEach(() => {
  const alone = [{ versionId: FORMER, percentage: 100 }];
  shares = { "itrans-core": alone, "itrans-relay": alone, "medlink-hub": alone };
  uploaded = new Set();
  wrong = new Set();
  failsAt = undefined;
});

const history: string[] = [];

const platform = recordingPlatform(({ args }) => {
  const worker = ORDER.find((name) => args.includes(CONFIGS[name])) ?? "itrans-core";
  switch (args.slice(0, 2).join(" ")) {
    case "versions upload":
      uploaded.add(worker);
      return `Worker Version ID: ${NEXT}`;
    case "versions list":
      return JSON.stringify([{ id: FORMER }, ...(uploaded.has(worker) ? [{ id: NEXT }] : [])]);
    case "versions view":
      return JSON.stringify({ resources: { script_runtime: { migration_tag: "v5" } } });
    case "deployments status":
      return JSON.stringify({
        versions: shares[worker].map(({ versionId, percentage }) => ({ version_id: versionId, percentage })),
      });
    case "versions deploy":
      shares[worker] = args.flatMap((arg) => {
        const [, versionId, percentage] = /^([0-9a-f-]{36})@(\d+)%$/.exec(arg) ?? [];
        return versionId === undefined ? [] : [{ versionId, percentage: Number(percentage) }];
      });
      history.push(`${worker} ${shares[worker].find(({ versionId }) => versionId === NEXT)?.percentage ?? "back"}`);
      return "";
    default:
      return "";
  }
});

let clock = 0;
const partsWith = (save: (rollout: Rollout) => void, over: Partial<RolloutParts> = {}): RolloutParts => ({
  platform,
  environment: "staging",
  site: { urls, keys: { core: "", hub: "", workflow: "" }, scrapeToken: "t", values: {} },
  facts: { version: "1.0.0", commit: "b".repeat(40), builtAt: "" },
  pace: { watchMs: 300_000, everyMs: 60_000, settleMs: 10_000 },
  limits: DEFAULT_LIMITS,
  deployedName: (worker) => worker,
  objectMigration: () => "v5",
  now: () => clock,
  sleep: async (ms) => {
    clock += ms;
  },
  say: () => {},
  save,
  ...over,
});
const begun = (): Rollout => newRollout("staging", "b".repeat(40), "2026-11-22T10:00:00.000Z");
const percentages = () =>
  ORDER.map((worker) => shares[worker].find(({ versionId }) => versionId === NEXT)?.percentage ?? 0);

describe("a rollout, carried out", () => {
  it("brings every worker to 100 %, watching each share for as long as it is to", async () => {
    const before = clock;
    const done = await runRollout(
      partsWith(() => {}),
      begun(),
    );
    expect(done.ended?.outcome).toBe("done");
    expect(percentages()).toEqual([100, 100, 100]);
    expect(clock - before).toBe(3 * 4 * 300_000);
  });

  it.each([
    ["well", "done", 100],
    ["halted", "returned", 0],
  ] as const)(
    "that goes %s, killed after any step before that was written down, ends the same",
    async (how, outcome, share) => {
      if (how === "halted") wrong = new Set(["/sign-in"]);
      const quick = { pace: { watchMs: 0, everyMs: 1, settleMs: 4 } };
      const two = (): Rollout => ({ ...begun(), workers: [{ worker: "itrans-relay" }, { worker: "medlink-hub" }] });
      let saves = 0;
      const counting = partsWith(() => {
        saves += 1;
      }, quick);
      await runRollout(counting, two());
      expect(saves).toBeGreaterThan(15);
      for (let kill = 1; kill <= saves; kill++) {
        const alone = [{ versionId: FORMER, percentage: 100 }];
        shares = { "itrans-core": alone, "itrans-relay": alone, "medlink-hub": alone };
        let kept = JSON.stringify(two());
        let count = 0;
        const dying = partsWith((rollout) => {
          count += 1;
          if (count >= kill) throw new Error("killed");
          kept = JSON.stringify(rollout);
        }, quick);
        await expect(runRollout(dying, two())).rejects.toThrow("killed");
        const ended = await runRollout(
          partsWith(() => {}, quick),
          JSON.parse(kept),
        );
        expect([kill, ended.ended?.outcome, percentages()]).toEqual([kill, outcome, [0, share, share]]);
      }
    },
  );

  it("whose new version fails its smoke test gives it no request, and returns the workers before it", async () => {
    wrong = new Set(["/api/version"]);
    history.length = 0;
    const done = await runRollout(
      partsWith(() => {}),
      begun(),
    );
    expect(done).toMatchObject({ halted: { worker: "medlink-hub" }, ended: { outcome: "returned" } });
    expect(history.filter((line) => line.startsWith("medlink-hub"))).toEqual(["medlink-hub 0", "medlink-hub back"]);
    expect(history.slice(-2)).toEqual(["itrans-relay back", "itrans-core back"]);
    expect(percentages()).toEqual([0, 0, 0]);
  });

  it("under which errors rise at 25 % stops there and goes back", async () => {
    failsAt = { worker: "itrans-core", percentage: 25 };
    history.length = 0;
    const done = await runRollout(
      partsWith(() => {}),
      begun(),
    );
    expect(done.halted?.because.join()).toMatch(/were answered 5xx/);
    expect(history).toEqual(["itrans-core 0", "itrans-core 5", "itrans-core 25", "itrans-core back"]);
  });

  it("with a Durable Object migration that is not deployed begins nothing", async () => {
    history.length = 0;
    const done = await runRollout(
      partsWith(() => {}, { objectMigration: () => "v6" }),
      begun(),
    );
    expect(done.halted?.because.join()).toContain("--durable-objects");
    expect(history).toEqual([]);
  });

  it.each([
    ["that is uploaded and serves nobody", "versions upload", []],
    ["that was given its first requests", "5 %", ["itrans-core 0", "itrans-core 5"]],
  ])("that is interrupted with a version %s stands there, and can be taken back", async (_, seen, reached) => {
    history.length = 0;
    let interrupted = false;
    let kept = begun();
    const parts = partsWith(
      (rollout) => {
        kept = rollout;
        const [core] = rollout.workers;
        interrupted = seen === "5 %" ? core?.set === 5 : core?.next !== undefined;
      },
      {
        heed: () => {
          if (interrupted) throw new Interrupted("decided");
        },
      },
    );
    await expect(runRollout(parts, begun())).rejects.toThrow(Interrupted);
    expect(history, "nothing was given or returned after it").toEqual(reached);
    expect(kept.halted).toBeUndefined();
    await runRollout(parts, haltedByHand(kept, "decided", "2026-11-22T12:00:00.000Z"));
    expect(percentages()).toEqual([0, 0, 0]);
  });

  it("whose share is being watched is interrupted at the next look", async () => {
    const before = clock;
    const parts = partsWith(() => {}, {
      heed: () => {
        if (clock - before > 100_000) throw new Interrupted("decided");
      },
    });
    await expect(runRollout(parts, begun())).rejects.toThrow(Interrupted);
    expect(clock - before).toBe(120_000);
  });

  it("that was done is taken back by hand, the hub first", async () => {
    const done = await runRollout(
      partsWith(() => {}),
      begun(),
    );
    history.length = 0;
    const back = await runRollout(
      partsWith(() => {}),
      haltedByHand(done, "p95 doubled", "2026-11-22T12:00:00.000Z"),
    );
    expect(back.ended?.outcome).toBe("returned");
    expect(history).toEqual(["medlink-hub back", "itrans-relay back", "itrans-core back"]);
  });
});
