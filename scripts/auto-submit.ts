/** An operator's hand on auto-submit, over the hub's API: status, on, off, requeue. `lib/hub.ts` says where and who. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import type { CallOptions } from "./lib/http.ts";
import { type HubOperator, typedHubAt } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";
import { ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `Usage:
  npm run auto-submit:status
  npm run auto-submit:on      [-- --clinic ID]   without a clinic: the whole hub
  npm run auto-submit:off     [-- --clinic ID]
  npm run auto-submit:requeue [-- --clinic ID --error CODE --since 2026-01-31T12:00:00Z]

${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const PAGES = 10_000;

const printer = makePrinter(process.stdout, process.env);

const ask = <Schema extends z.ZodType>(
  hub: HubOperator,
  path: string,
  schema: Schema,
  options: CallOptions = {},
): Promise<z.output<Schema>> => hub.ask(`/api/itrans/auto-submit/${path}`, schema, options);

const switchSchema = z.object({ enabled: z.boolean(), heldByOperator: z.boolean() });
const statusSchema = switchSchema.extend({
  core: z.object({
    state: z.string(),
    since: z.string().nullable(),
    probeAt: z.string().nullable(),
    submissionsAllowed: z.number(),
  }),
  stats: z.record(z.string(), z.number()),
  oldestDueAt: z.string().nullable(),
  failures: z.array(z.object({ error: z.string(), count: z.number() })),
});
const requeuedSchema = z.object({
  requeued: z.number(),
  refused: z.array(z.object({ jobId: z.string(), claimId: z.string(), reason: z.string() })),
  queueFull: z.boolean(),
  nextCursor: z.string().nullable(),
});

const switchText = ({ enabled, heldByOperator }: z.output<typeof switchSchema>): string =>
  heldByOperator ? "off for the whole hub: queued claims wait" : enabled ? "on" : "off: new claims are not queued";

async function status(hub: HubOperator): Promise<void> {
  const { core, stats, oldestDueAt, failures, ...switches } = await ask(hub, "status", statusSchema);
  printer.fact("auto-submit", switchText(switches));
  const since = core.since === null ? "" : ` since ${core.since}`;
  const probe = core.probeAt === null ? "" : `, next probe ${core.probeAt}`;
  printer.fact("breaker", `${core.state}${since}${probe}, ${core.submissionsAllowed} submissions at once`);
  printer.fact(
    "jobs",
    Object.entries(stats)
      .map(([state, count]) => `${count} ${state}`)
      .join(", "),
  );
  if (oldestDueAt !== null) printer.fact("oldest due", oldestDueAt);
  for (const { error, count } of failures) printer.fact("failed", `${count} ${error}`);
}

async function turn(hub: HubOperator, enabled: boolean, clinicId: string | undefined): Promise<void> {
  const body = { enabled, ...(clinicId === undefined ? {} : { clinicId }) };
  const now = await ask(hub, "settings", switchSchema, { method: "PUT", body });
  printer.fact("auto-submit", `${clinicId ?? "whole hub"}: ${switchText(now)}`);
}

/** Asks page after page; what was done stays done when it is stopped. */
async function requeue(hub: HubOperator, filter: Readonly<Record<string, string>>): Promise<void> {
  let requeued = 0;
  let cursor: string | undefined;
  for (let page = 0; page < PAGES; page++) {
    const body = { filter, ...(cursor === undefined ? {} : { cursor }) };
    const did = await ask(hub, "requeue", requeuedSchema, { method: "POST", body, timeoutMs: 60_000 });
    requeued += did.requeued;
    for (const { jobId, claimId, reason } of did.refused) printer.warn(`${jobId} of ${claimId}: ${reason}`);
    if (did.queueFull) throw new Failure(`${requeued} queued again, then the queue was full: run it again later`);
    if (did.nextCursor === null) break;
    cursor = did.nextCursor;
  }
  printer.fact("queued again", String(requeued));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { clinic: { type: "string" }, error: { type: "string" }, since: { type: "string" }, ...ENV_OPTION },
  });
  const [command] = positionals;
  const { clinic, error, since } = values;
  switch (command) {
    case "status":
      return status(typedHubAt(values.env));
    case "on":
    case "off":
      return turn(typedHubAt(values.env), command === "on", clinic);
    case "requeue":
      return requeue(typedHubAt(values.env), {
        ...(clinic === undefined ? {} : { clinicId: clinic }),
        ...(error === undefined ? {} : { error }),
        ...(since === undefined ? {} : { since }),
      });
    default:
      throw new Failure(USAGE);
  }
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
