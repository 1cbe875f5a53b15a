import { createServer } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { DIAGNOSIS_CHECKS, runCheck } from "../../../scripts/lib/checks.ts";

const DAY = 86_400_000;
const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();
const run = (state: string, finishedAt: string | null) => ({ name: `run-${state}`, state, finishedAt, reason: null });
const level = (value: number) => ({ points: [[1, value]] });
const outcomes = (ok: number, failed: number) => ({
  series: [
    { label: "ok", points: [[1, ok]] },
    { label: "failed", points: [[1, failed]] },
  ],
});

/** A system in which all is well, by path and, for series, by metric. */
const WELL: Readonly<Record<string, unknown>> = {
  "/operations/backups": { runs: [run("good", ago(3_600_000))], drills: [run("good", ago(DAY))] },
  "/api/operations/backups": { runs: [run("good", ago(3_600_000))] },
  "/operations/secrets": { secrets: [{ name: "HASH_KEY", ageDays: 12 }], overlaps: [] },
  "/settlements/reconciliation/runs": { openItems: 0, runs: [{ state: "clean", reason: null }] },
  itrans_core_settlements_stuck: level(0),
  itrans_core_database_size_bytes: level(1_000_000),
  medlink_database_size_bytes: level(1_000_000),
  medlink_operator_actions_waiting: level(0),
  itrans_core_cron_runs_total: outcomes(100, 0),
  medlink_cron_runs_total: outcomes(100, 0),
  "/health": { status: "ok", faults: [] },
};

let answers: Record<string, unknown> = {};
let healthStatus = 200;
const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://here");
  const found = answers[url.searchParams.get("name") ?? url.pathname];
  const keyed = url.pathname === "/health" || request.headers["x-api-key"] === "operator-key";
  const status = url.pathname === "/health" ? healthStatus : !keyed ? 401 : found === undefined ? 404 : 200;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(found ?? {}));
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.close());
beforeEach(() => {
  answers = { ...WELL };
  healthStatus = 200;
});

async function outcomeOf(name: string) {
  const check = DIAGNOSIS_CHECKS.find((each) => each.name === name);
  const address = server.address();
  if (check === undefined || address === null || typeof address === "string") throw new Error(`no check: ${name}`);
  return runCheck(check, { url: `http://127.0.0.1:${address.port}`, key: "operator-key" });
}

/** What makes each of them fail, and what it then says. */
const PLANTED: readonly (readonly [check: string, answers: Readonly<Record<string, unknown>>, says: RegExp])[] = [
  ["core's backups are good", { "/operations/backups": { runs: [run("good", ago(27 * 3_600_000))] } }, /27\.0 h old/],
  ["core's backups are good", { "/operations/backups": { runs: [run("failed", ago(9))] } }, /no good snapshot/],
  [
    "core's backups are good",
    { "/operations/backups": { runs: [run("failed", ago(9)), run("good", ago(DAY))] } },
    /newest run failed/,
  ],
  ["the hub's backups are good", { "/api/operations/backups": { runs: [run("expired", ago(DAY))] } }, /no good/],
  [
    "a restore was drilled",
    { "/operations/backups": { runs: [], drills: [run("good", ago(91 * DAY))] } },
    /91 days old/,
  ],
  ["a restore was drilled", { "/operations/backups": { runs: [], drills: [run("failed", ago(DAY))] } }, /not there/],
  [
    "secrets are young",
    { "/operations/secrets": { secrets: [{ name: "HASH_KEY", ageDays: 91.2 }], overlaps: [] } },
    /90 days or older: HASH_KEY 91/,
  ],
  ["settlements end", { itrans_core_settlements_stuck: level(3) }, /^3 have not ended/],
  [
    "books agree with the payer's operator",
    { "/settlements/reconciliation/runs": { openItems: 2, runs: [] } },
    /2 mismatches are open/,
  ],
  [
    "books agree with the payer's operator",
    { "/settlements/reconciliation/runs": { openItems: 0, runs: [{ state: "failed", reason: "OPERATOR" }] } },
    /OPERATOR/,
  ],
  ["core's database has room", { itrans_core_database_size_bytes: level(8_600_000_000) }, /86\.0 %/],
  ["the hub's database has room", { medlink_database_size_bytes: level(9_000_000_000) }, /90\.0 %/],
  ["core's cron runs", { itrans_core_cron_runs_total: outcomes(10, 2) }, /2 of 12 jobs failed/],
  ["core's cron runs", { itrans_core_cron_runs_total: { series: [] } }, /no job ran/],
  ["what operators did to the hub is in the ledger", { medlink_operator_actions_waiting: level(2) }, /2 actions wait/],
  ["the hub's cron runs", { medlink_cron_runs_total: { series: [] } }, /no job ran/],
];

test.each([...new Set(PLANTED.map(([check]) => check)), "the relay is fit"])(
  "where all is well, it passes: %s",
  async (name) => {
    expect(await outcomeOf(name)).toMatchObject({ ok: true });
  },
);

test.each(PLANTED)("it fails with what is wrong, and says what to do: %s, %j", async (name, planted, says) => {
  answers = { ...WELL, ...planted };
  const { ok, detail, remedy } = await outcomeOf(name);
  expect(ok).toBe(false);
  expect(detail).toMatch(says);
  expect(remedy).toMatch(/npm run|docs\//);
});

test("a relay that is not fit says why", async () => {
  healthStatus = 503;
  answers["/health"] = { status: "misconfigured", faults: ["RELAY_WEBHOOK_SIGNING_SECRET is not set"] };
  expect(await outcomeOf("the relay is fit")).toMatchObject({
    ok: false,
    detail: "RELAY_WEBHOOK_SIGNING_SECRET is not set",
  });
});

test("a system so young that nothing was due yet is told apart from one whose backups fail", async () => {
  answers["/operations/backups"] = { runs: [], drills: [] };
  expect(await outcomeOf("core's backups are good")).toMatchObject({ ok: true });
  expect(await outcomeOf("a restore was drilled")).toMatchObject({ ok: true });
});
