/**
 * A thousand settlements through real workers and the simulated operator over HTTP: a tenth of its calls fails, a tenth takes effect and
 * is not answered, and workerd is killed on the way. In the end both books must say the same of each.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { call, summaryOf } from "../../../scripts/lib/http.ts";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { startSimulator } from "../../../scripts/lib/operator-simulator/server.ts";
import { type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { dayOf } from "../../../src/settlement/reconciliation/days.ts";
import { seededRandom } from "./random.ts";
import { ANY_PORT, bundledOnce, expectStatus, KEYS, plainPayload, post, secrets, signedSubmit } from "./stack.ts";

const CALLS_A_MINUTE = 6_000;
const CLIENTS = 8;
/** After a kill what it held comes back when its lease runs out; some answer of a thousand is lost eight times in a row, which takes 30 minutes. */
const DRAIN_MS = 40 * 60_000;

const RECONCILE_MS = 10 * 60_000;

const createdSchema = z.looseObject({ claimId: z.string() });
const statusSchema = z.looseObject({ repeats: z.int(), conflicts: z.int(), mishaps: z.int(), calls: z.int() });

const runSchema = z.looseObject({ runId: z.string(), state: z.string(), agreed: z.int(), mismatches: z.int() });
type Reconciled = z.output<typeof runSchema>;

export interface StackSettled {
  readonly faults: readonly string[];
  readonly settlements: number;
  /** That our books and the operator's agree on, as reconciliation says. */
  readonly reconciled: number;
  readonly kills: number;
  readonly calls: number;
  readonly mishaps: number;
  readonly durationMs: number;
}

interface Row {
  readonly ref_id: string;
  readonly status: string;
  readonly amount_cents: number;
  readonly currency: string;
  readonly operator_transaction_id: string | null;
}

/** The days of the run, which may have gone past midnight. */
async function reconcileDays(coreUrl: string, from: string, to: string): Promise<Reconciled> {
  const root = `${coreUrl}/settlements/reconciliation/runs`;
  let run = runSchema.parse(await expectStatus(202, post(root, KEYS.operator, { from, to })));
  for (const until = performance.now() + RECONCILE_MS; run.state === "running" && performance.now() < until; ) {
    await sleep(500);
    run = runSchema.parse(await expectStatus(200, post(`${root}/${run.runId}/continue`, KEYS.operator, undefined)));
  }
  return run;
}

/** @param kills of workerd while settlements are driven. */
export async function settleOnStack(
  count: number,
  seed: number,
  kills: number,
  dataDir: string,
  say: (text: string) => void,
): Promise<StackSettled> {
  const startedAt = performance.now();
  const firstDay = dayOf(Date.now());
  const random = seededRandom(seed);
  const faults: string[] = [];
  const secret = secrets.OPERATOR_HMAC_SECRET ?? "";
  const simulator = await startSimulator({
    port: 0,
    secrets: [secret],
    store: join(dataDir, "operator", "books.db"),
    controlToken: "control",
    behaviour: {
      seed: seed >>> 0,
      serverErrors: 0.1,
      timeouts: 0.1,
      timeoutMs: 2_000,
      throttled: 0.05,
      late: 0.2,
      callsPerMinute: 2 * CALLS_A_MINUTE,
    },
  });
  const script = bundledOnce();
  const start = (): Promise<Stack> =>
    startStack({
      dataDir: join(dataDir, "core"),
      ports: ANY_PORT,
      workers: ["itrans-core"],
      secrets,
      script,
      cronEveryMs: 1_000,
      settings: () => ({
        "itrans-core": {
          OPERATOR_API_URL: simulator.url,
          OPERATOR_CALLS_PER_MINUTE: String(CALLS_A_MINUTE),
          OPERATOR_TIMEOUT_MS: "1000",
          API_RATE_LIMIT_MAX_REQUESTS: "1000000",
          METRICS: "off",
          LOG_LEVEL: "error",
        },
      }),
    });
  let stack = await start();
  try {
    let made = 0;
    const client = async (): Promise<void> => {
      while (made < count) {
        made += 1;
        const body = signedSubmit(plainPayload(`settled-${made}`));
        const { core } = stack.urls;
        const { claimId } = createdSchema.parse(await expectStatus(201, post(`${core}/claims`, KEYS.claims, body)));
        await expectStatus(200, post(`${core}/claims/${claimId}/finalize`, KEYS.claims, undefined));
        const settled = await post(`${core}/claims/${claimId}/settle`, KEYS.claims, undefined);
        if (settled.status >= 300) faults.push(`settling: ${summaryOf(settled)}`);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const rows = async (): Promise<readonly Row[]> => {
      const database = await stack.database("itrans-core");
      const { results } = await database
        .prepare("SELECT ref_id, status, amount_cents, currency, operator_transaction_id FROM settlements")
        .all<Row>();
      return results;
    };
    say(`${count} asked for`);
    let killed = 0;
    const ended = new Set(["COMPLETED", "REJECTED", "FAILED"]);
    for (const until = performance.now() + DRAIN_MS; performance.now() < until; ) {
      const done = (await rows()).filter(({ status }) => ended.has(status)).length;
      if (done === count) break;
      if (killed < kills && done > ((killed + random.next()) * count) / (kills + 1)) {
        killed += 1;
        process.kill(stack.workerdPid(), "SIGKILL");
        await stack.died;
        await stack.dispose();
        stack = await start();
        say(`killed at ${done} of ${count}`);
      }
      await sleep(250);
    }
    const all = await rows();
    if (all.length !== count) faults.push(`there are ${all.length} settlements of ${count}`);
    for (const row of all) {
      const there = simulator.books.find(row.ref_id, Date.now());
      const same =
        there !== undefined &&
        there.status === row.status &&
        there.amountCents === row.amount_cents &&
        there.currency === row.currency &&
        there.operatorTransactionId === row.operator_transaction_id;
      if (!same) faults.push(`${row.ref_id} is ${row.status} here and ${there?.status ?? "missing"} at the operator`);
    }
    if (simulator.books.count() !== count) faults.push(`the operator has ${simulator.books.count()} transactions`);
    const { repeats, conflicts, mishaps, calls } = statusSchema.parse(
      (await call(`${simulator.url}/control/status`, { headers: { "x-control-token": "control" } })).body,
    );
    if (repeats > 0) faults.push(`${repeats} transactions were sent again though they were there`);
    if (conflicts > 0) faults.push(`${conflicts} were sent with other terms`);
    const { agreed, mismatches, state } = await reconcileDays(stack.urls.core, firstDay, dayOf(Date.now()));
    if (state !== "completed" || mismatches > 0)
      faults.push(`reconciliation is ${state}, with ${mismatches} mismatches`);
    const verified = await call(`${stack.urls.core}/ledger/verify`);
    if (verified.status !== 200) faults.push(`the ledger: ${summaryOf(verified)}`);
    const durationMs = Math.round(performance.now() - startedAt);
    return { faults, settlements: all.length, reconciled: agreed, kills: killed, calls, mishaps, durationMs };
  } finally {
    await stack.dispose();
    await simulator.close();
  }
}

export const settleStackSuite: LongSuite = {
  name: "settlements-stack",
  about: "1,000 settlements through real workers and the simulated operator, workerd killed twice on the way",
  pieces: 1,
  async run({ seed, dataDir, say }) {
    const { faults, ...counts } = await settleOnStack(1_000, seed, 2, dataDir, say);
    return { faults, counts };
  },
  summarize: ([counts]) => ({ stack: counts }),
};
