/** Carries runs on: lease, step, store, until none is due or the time is up. Any isolate goes on where another stopped. */
import { systemNow } from "../../platform/clock.edge.ts";
import type { Log } from "../../platform/log.ts";
import type { CoreSettings } from "../../platform/settings.ts";
import type { OperatorEnv } from "../operator/gateway.client.ts";
import type { OperatorBooks } from "../operator/records.ts";
import { csvHeader, csvLine } from "./csv.ts";
import { spanOf } from "./days.ts";
import { countOurs, knownRefIds, ourPage } from "./our-books.store.ts";
import { findRun, insertRun, leaseRun, listItems, saveStep } from "./reconciliation.store.ts";
import { afterStep, type Run, reportKey } from "./run.ts";
import { reconcileStep } from "./step.ts";

export interface ReconciliationEnv extends OperatorEnv {
  readonly DB: D1Database;
  readonly LEDGER: R2Bucket;
}

/** Beyond the time that a step may take: a call that has begun ends by itself. */
const LEASE_MARGIN_MS = 60_000;
const REPORT_PAGE = 1_000;
const MAX_REPORT_ITEMS = 50_000;

export interface Reconciler {
  start(run: {
    readonly runId: string;
    readonly kind: Run["kind"];
    readonly fromDay: string;
    readonly toDay: string;
    readonly startedBy: string;
  }): Promise<boolean>;
  /** @param runId undefined: whichever is due. @returns how many steps were made. */
  drive(runId: string | undefined, budgetMs: number): Promise<number>;
}

export function makeReconciler(
  env: Pick<ReconciliationEnv, "DB" | "LEDGER">,
  settings: CoreSettings,
  log: Log,
  operator: OperatorBooks,
  clock: () => number = systemNow,
): Reconciler {
  const { DB: db } = env;
  const ledgerId = settings.LEDGER_ID;
  const toleranceMs = settings.RECONCILIATION_TOLERANCE_MINUTES * 60_000;

  async function step(run: Run, deadline: number): Promise<void> {
    const made = await reconcileStep(run, toleranceMs, {
      ours: (span, after, limit) => ourPage(db, ledgerId, span, after, limit),
      known: (refIds) => knownRefIds(db, ledgerId, refIds),
      page: (query) => operator.page({ ...query, correlationId: run.runId }),
      lookUp: ({ refId, tenantId }) =>
        operator.lookUp(refId, { correlationId: run.runId, clinicKey: tenantId, priority: "bulk" }),
      mayAsk: () => clock() < deadline,
      now: clock,
    });
    const now = clock();
    const next = afterStep(run, made, now);
    const findings = made.type === "stepped" ? made.findings : [];
    const endedDay = made.type === "stepped" && made.dayEnded ? run.day : undefined;
    const saved = await saveStep(db, ledgerId, run, next, findings, endedDay, now);
    if (saved === undefined) return;
    if (saved.state === "completed") await writeReport(saved);
    const told = { jobId: run.runId, count: saved.mismatches };
    if (saved.state === "completed") log("info", "reconciliation.completed", told);
    if (saved.state === "failed") log("error", "reconciliation.failed", { ...told, reason: saved.reason ?? "" });
  }

  async function writeReport({ runId, fromDay, toDay }: Run): Promise<void> {
    await env.LEDGER.put(reportKey(ledgerId, runId), await reportOf(db, ledgerId, fromDay, toDay), {
      httpMetadata: { contentType: "text/csv; charset=utf-8" },
    });
  }

  return {
    async start({ fromDay, toDay, ...run }) {
      const expected = await countOurs(db, ledgerId, spanOf(fromDay, toDay));
      return insertRun(db, ledgerId, { ...run, fromDay, toDay, expected, at: clock() });
    },

    async drive(runId, budgetMs) {
      const deadline = clock() + budgetMs;
      let steps = 0;
      while (clock() < deadline) {
        const leaseMs = Math.max(0, deadline - clock()) + LEASE_MARGIN_MS;
        const run = await leaseRun(db, ledgerId, runId, leaseMs, clock());
        if (run === undefined) break;
        await step(run, deadline);
        steps += 1;
      }
      return steps;
    },
  };
}

/** Every item of these days as it stands, as CSV; the first MAX_REPORT_ITEMS of them. */
export async function reportOf(db: D1Database, ledgerId: string, fromDay: string, toDay: string): Promise<string> {
  const lines = [csvHeader()];
  let after = 0;
  while (lines.length <= MAX_REPORT_ITEMS) {
    const items = await listItems(db, ledgerId, { fromDay, toDay }, REPORT_PAGE, { after });
    for (const item of items) lines.push(csvLine(item));
    const last = items.at(-1);
    if (last === undefined || items.length < REPORT_PAGE) break;
    after = last.itemId;
  }
  return lines.join("");
}

/** The stored report; one that a crash kept from being stored is made now. */
export async function readReport(env: ReconciliationEnv, ledgerId: string, runId: string): Promise<string | undefined> {
  const stored = await env.LEDGER.get(reportKey(ledgerId, runId));
  if (stored !== null) return stored.text();
  const run = await findRun(env.DB, ledgerId, runId);
  if (run === undefined || run.state !== "completed") return undefined;
  return reportOf(env.DB, ledgerId, run.fromDay, run.toDay);
}
