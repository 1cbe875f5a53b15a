/** `npm run report:*`: settlements and deliveries of some time, counted from core's API. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { sinceOf } from "./lib/log-lines.ts";
import type { Operator } from "./lib/operator.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import type { Distribution, Share, Slot } from "./lib/report.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";
import { barOf, tableOf } from "./lib/table.ts";
import { type Transaction, transactionsReport, type Window } from "./lib/transactions-report.ts";
import { type WebhookDelivery, webhooksReport } from "./lib/webhooks-report.ts";

const USAGE = `npm run report:transactions [-- options]   settlements: status, amounts, duration, rate, bursts, what is stuck
npm run report:webhooks [-- options]       deliveries: status, destinations, duration, rate, bursts, retries, dead letters

  --since T         15m, 2h, 7d, or RFC 3339 (24h)
  --until T         the same (now)
  --tenant T        settlements of one tenant
  --destination D   deliveries to one destination
  --json            the report as JSON

At most 20,000 settlements or deliveries of each status are read; the report says when there were more.
${WHERE}`;

const PAGE = 200;
const MOST_PAGES = 100;
const BAR = 24;

interface Read<Row> {
  readonly rows: readonly Row[];
  /** There were more than are read. */
  readonly cut: boolean;
}

const moment = z.iso.datetime().transform((text) => Date.parse(text));

const settlementsSchema = z.object({
  settlements: z.array(
    z.object({
      refId: z.string(),
      tenantId: z.string(),
      type: z.string(),
      status: z.string(),
      amountCents: z.int(),
      currency: z.string(),
      reason: z.string().nullable(),
      replays: z.int(),
      createdAt: moment,
      updatedAt: moment,
    }),
  ),
  nextCursor: z.number().nullable(),
});

async function readTransactions(
  operator: Operator,
  { since, until }: Window,
  tenantId: string | undefined,
): Promise<Read<Transaction>> {
  const rows: Transaction[] = [];
  let cursor: number | null = null;
  for (let page = 0; page < MOST_PAGES; page++) {
    const query = new URLSearchParams({
      from: new Date(since).toISOString(),
      to: new Date(until).toISOString(),
      limit: String(PAGE),
      ...(cursor === null ? {} : { cursor: String(cursor) }),
      ...(tenantId === undefined ? {} : { tenantId }),
    });
    const found = settlementsSchema.parse(await operator.ask(`/settlements?${query}`));
    rows.push(...found.settlements);
    cursor = found.nextCursor;
    if (cursor === null) return { rows, cut: false };
  }
  return { rows, cut: true };
}

/** What is delivered later than this after its event is not looked for. */
const RETRIED_FOR_MS = 86_400_000;

const deliveriesSchema = z.object({
  next: z.string().nullable(),
  deliveries: z.array(
    z.object({
      outboxId: z.int(),
      eventType: z.string(),
      destinationId: z.string(),
      state: z.string(),
      attempts: z.int(),
      lastStatus: z.int().nullable(),
      lastError: z.string().nullable(),
      createdAt: z.number(),
      deliveredAt: z.number().nullable(),
    }),
  ),
});

/** Delivered ones of the time in which they were delivered; of the others, those whose event is of that time. */
async function readDeliveries(
  operator: Operator,
  { since, until }: Window,
  destination: string | undefined,
): Promise<Read<WebhookDelivery>> {
  const rows: WebhookDelivery[] = [];
  let cut = false;
  for (const status of ["delivered", "pending", "dead"]) {
    let cursor: string | null = null;
    for (let page = 0; ; page++) {
      if (page === MOST_PAGES) {
        cut = true;
        break;
      }
      const query = new URLSearchParams({
        status,
        limit: String(PAGE),
        ...(cursor === null ? {} : { cursor }),
        ...(destination === undefined ? {} : { destination }),
      });
      const found = deliveriesSchema.parse(await operator.ask(`/relay/workflow/deliveries?${query}`));
      const timeOf = ({ deliveredAt, createdAt }: WebhookDelivery): number => deliveredAt ?? createdAt;
      rows.push(...found.deliveries.filter((one) => timeOf(one) >= since && timeOf(one) < until));
      cursor = found.next;
      const last = found.deliveries.at(-1);
      // By their events, newest first: of those of a day before the time, some may have been delivered in it.
      const isPast = status === "delivered" && last !== undefined && last.createdAt < since - RETRIED_FOR_MS;
      if (cursor === null || isPast) break;
    }
  }
  return { rows, cut };
}

const percent = (share: number | undefined): string => (share === undefined ? "-" : `${(share * 100).toFixed(1)} %`);

function duration(ms: number | undefined): string {
  if (ms === undefined) return "-";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

const clock = (at: number): string => new Date(at).toISOString().slice(0, 16).replace("T", " ");

/** A table of shares with bars, and more columns between. */
function shares<Row extends Share>(
  printer: Printer,
  title: string,
  rows: readonly Row[],
  more: readonly (readonly [title: string, cell: (row: Row) => string])[] = [],
): void {
  if (rows.length === 0) return;
  const most = Math.max(...rows.map(({ share }) => share));
  printer.line();
  printer.line(
    tableOf(
      [title, "count", "share", ...more.map(([name]) => name), ""],
      rows.map((row) => [
        row.name,
        String(row.count),
        percent(row.share),
        ...more.map(([, cell]) => cell(row)),
        barOf(row.share / most, BAR).padEnd(BAR),
      ]),
    ),
  );
}

function durations(printer: Printer, title: string, of: Distribution | undefined): void {
  if (of === undefined) return;
  const { mean, min, p50, p95, p99, max } = of;
  printer.line();
  printer.line(
    tableOf(
      [title, "mean", "min", "p50", "p95", "p99", "max"],
      [["", ...[mean, min, p50, p95, p99, max].map(duration)]],
    ),
  );
}

function rate(
  printer: Printer,
  what: string,
  {
    rate: { slotMs, slots },
    busiestMinute: busiest,
    bursts,
  }: {
    readonly rate: { readonly slotMs: number; readonly slots: readonly Slot[] };
    readonly busiestMinute: Slot | undefined;
    readonly bursts: readonly Slot[];
  },
): void {
  const most = Math.max(...slots.map(({ count }) => count), 0);
  if (most === 0) return;
  printer.line();
  printer.line(
    tableOf(
      [`${what} each ${duration(slotMs).replace(".0", "")} (UTC)`, "count", ""],
      slots.map(({ at, count }) => [clock(at), String(count), barOf(count / most, BAR).padEnd(BAR)]),
    ),
  );
  if (busiest !== undefined) printer.line(`busiest minute: ${busiest.count} at ${clock(busiest.at)}`);
  for (const { at, count } of bursts)
    printer.line(`burst: ${count} within ${new Date(at).toISOString().slice(0, 19)}Z`);
}

const heading = (printer: Printer, what: string, { since, until }: Window, count: number, cut: boolean): void => {
  printer.line(printer.paint("bold", `${what}: ${count}, from ${clock(since)} to ${clock(until)} UTC`));
  if (cut) printer.warn("there were more: only the newest were read; take a shorter time");
};

async function transactions(
  printer: Printer,
  core: Operator,
  window: Window,
  json: boolean,
  tenant: string | undefined,
) {
  const { rows, cut } = await readTransactions(core, window, tenant);
  const report = transactionsReport(rows, window, Date.now());
  if (json) return printer.line(JSON.stringify({ ...report, cut }, null, 2));
  heading(printer, "settlements", window, report.count, cut);
  if (report.stuckCount > 0) {
    printer.warn(`${report.stuckCount} have not ended for over 5 minutes:`);
    for (const { refId, status, ageMs } of report.stuck) printer.note(`  ${refId}  ${status}  ${duration(ageMs)}`);
  }
  shares(printer, "status", report.byStatus, [["amount", ({ amounts }) => amounts.join(", ")]]);
  shares(printer, "type", report.byType);
  shares(printer, "tenant", report.byTenant, [["confirmed", ({ amounts }) => amounts.join(", ")]]);
  shares(printer, "reason", report.reasons);
  durations(printer, "until confirmed", report.duration);
  rate(printer, "asked for", report);
  printer.line();
  printer.fact("error rate", `${percent(report.errorRate)} of those that ended failed for technical reasons`);
  printer.fact("replayed", String(report.replayed));
}

async function webhooks(
  printer: Printer,
  core: Operator,
  window: Window,
  json: boolean,
  destination: string | undefined,
) {
  const { rows, cut } = await readDeliveries(core, window, destination);
  const report = webhooksReport(rows, window);
  if (json) return printer.line(JSON.stringify({ ...report, cut }, null, 2));
  heading(printer, "deliveries", window, report.count, cut);
  shares(printer, "state", report.byState);
  shares(printer, "destination", report.byDestination, [
    ["retried", ({ retried }) => String(retried)],
    ["dead", ({ dead }) => String(dead)],
    ["p95", ({ p95 }) => duration(p95)],
  ]);
  shares(printer, "event", report.byEvent);
  durations(printer, "event to delivery", report.duration);
  rate(printer, "delivered", report);
  shares(printer, "attempts", report.byAttempts);
  shares(printer, "last error", report.errors);
  printer.line();
  const attempts = report.meanAttempts === undefined ? "-" : report.meanAttempts.toFixed(2);
  printer.fact(
    "retry rate",
    `${percent(report.retryRate)} needed more than one attempt; ${attempts} attempts on average, ${report.mostAttempts} at most`,
  );
  for (const { outboxId, destinationId, eventType, attempts: made, error } of report.attention) {
    printer.warn(`dead letter ${outboxId}  ${eventType} to ${destinationId}: ${error} after ${made} attempts`);
  }
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({
    args: rest,
    options: {
      help: { type: "boolean" },
      ...ENV_OPTION,
      json: { type: "boolean", default: false },
      since: { type: "string", default: "24h" },
      until: { type: "string" },
      tenant: { type: "string" },
      destination: { type: "string" },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true || command === "--help") return printer.line(USAGE);
  const now = Date.now();
  const window = {
    since: sinceOf(values.since, now),
    until: values.until === undefined ? now : sinceOf(values.until, now, "--until"),
  };
  if (window.since >= window.until) throw new Failure("--since is not before --until");
  switch (command) {
    case "transactions":
      return transactions(printer, coreAt(values.env), window, values.json, values.tenant);
    case "webhooks":
      return webhooks(printer, coreAt(values.env), window, values.json, values.destination);
    default:
      throw new Failure(USAGE);
  }
}

// Whoever reads may have seen enough.
process.stdout.on("error", () => process.exit(0));
main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
