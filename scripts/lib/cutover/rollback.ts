/** Everything back to the versions before: auto-submit off first, hub before relay before core, the ledger verified at the end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { ORDER } from "../deploy/rollout.ts";
import { haltedByHand, readRollout, runRollout, saveRollout } from "../deploy/run-rollout.ts";
import { askOf } from "../deploy/site.ts";
import { messageOf } from "../fail.ts";
import { call } from "../http.ts";
import { type CutoverContext, isoNow, rolloutFile } from "./context.ts";
import { rollbackMessage } from "./messages.ts";
import { integrityOf } from "./observe.ts";

export interface RollbackStep {
  readonly name: string;
  readonly at: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface RollbackReport {
  readonly because: string;
  readonly from: string;
  readonly at: string;
  readonly steps: readonly RollbackStep[];
  readonly complete: boolean;
  readonly ticket: string | undefined;
  readonly message: string;
}

const ticketSchema = z.looseObject({ ticket: z.string() });

/** Letters of codes and words only: what failed is said by services, and a register names no person. */
const summaryFor = (because: string): string =>
  `rolled back: ${because.replaceAll(/[^\w .,:;%/()-]|\d{5,}/g, "?").slice(0, 200)}`;

/**
 * A step that fails does not keep the next from being tried; what is left is said.
 * @param from when the claims began that may need another look. @param backup the snapshot of before.
 */
export async function rollBack(
  context: CutoverContext,
  because: string,
  from: string,
  backup: string | undefined,
): Promise<RollbackReport> {
  const { site, say } = context;
  const steps: RollbackStep[] = [];
  const attempt = async (name: string, work: () => Promise<string>): Promise<boolean> => {
    try {
      steps.push({ name, at: isoNow(context), ok: true, detail: await work() });
    } catch (error) {
      steps.push({ name, at: isoNow(context), ok: false, detail: messageOf(error).split("\n")[0] ?? "" });
    }
    const { ok = false, detail = "" } = steps.at(-1) ?? {};
    say(`${ok ? "done  " : "FAILED"} ${name}: ${detail}`);
    return ok;
  };
  await attempt("auto-submit off", async () => {
    await askOf(site, "hub", "/api/itrans/auto-submit/settings", { method: "PUT", body: { enabled: false } });
    return "queued claims wait and are kept";
  });
  await attempt("relay paused", async () => {
    await askOf(site, "core", "/relay/pause", { method: "POST" });
    return "deliveries wait in the outbox";
  });
  for (const worker of ORDER.toReversed()) {
    await attempt(`${worker} back`, async () => {
      const path = rolloutFile(context, worker);
      const found = readRollout(path);
      const touched = found?.workers.some(({ set, returned }) => set !== undefined && returned !== true) === true;
      if (found === undefined || !touched) return "was not changed";
      await runRollout(
        { ...context.rollout, say: (_, line) => say(line), save: (state) => saveRollout(path, state) },
        haltedByHand(found, because, isoNow(context)),
      );
      return `version ${found.workers[0]?.former?.slice(0, 8) ?? "of before"} serves again`;
    });
  }
  await attempt("hub healthy", async () => {
    const { status } = await call(`${site.urls["medlink-hub"]}/api/health`, { timeoutMs: 10_000 });
    if (status !== 200) throw new Error(`/api/health answers ${status}`);
    return "/api/health answers 200";
  });
  const intact = await attempt("ledger verifies", async () => {
    const answer = await call(`${site.urls["itrans-core"]}/ledger/verify`, { timeoutMs: 10_000 });
    if (answer.status !== 200 || integrityOf(answer) !== true)
      throw new Error(
        `it does not: the relay stays paused. docs/backup.md says how to restore${backup === undefined ? "" : ` snapshot ${backup}`} beside it and compare`,
      );
    return "no findings";
  });
  if (intact) {
    await attempt("relay resumed", async () => {
      await askOf(site, "core", "/relay/resume", { method: "POST" });
      return "deliveries go on";
    });
  }
  let ticket: string | undefined;
  await attempt("incident opened", async () => {
    const body = { severity: "S1", summary: summaryFor(because), detectedAt: isoNow(context) };
    ticket = ticketSchema.parse(await askOf(site, "core", "/operations/incidents", { method: "POST", body })).ticket;
    return ticket;
  });
  const complete = steps.every(({ ok }) => ok);
  const at = isoNow(context);
  const message = rollbackMessage({
    environment: context.environment,
    at,
    because,
    from,
    to: at,
    complete,
    ticket,
    backup,
    contact: context.contact,
    timeframe: "24 hours",
  });
  const report = { because, from, at, steps, complete, ticket, message };
  writeFileSync(join(context.directory, "rollback.json"), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(context.directory, "rollback-message.txt"), message);
  return report;
}
