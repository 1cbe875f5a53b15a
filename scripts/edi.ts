/**
 * An operator's hand on the EDI gateway, over the hub's API: status, test-connection, reset-sandbox. MEDLINK_HUB_URL says where
 * (default: the hub of `npm start`), HUB_OPERATOR_API_KEY who.
 */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { type HubOperator, typedHubAt } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";
import { ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `Usage:
  npm run edi:status
  npm run edi:test-connection [-- --connector cdanet]   without a connector: all; fails when one does not answer in order
  npm run edi:reset-sandbox                             for all clinics

${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const printer = makePrinter(process.stdout, process.env);

const connectorsSchema = z.array(
  z.object({
    name: z.string(),
    mode: z.string(),
    host: z.string().nullable(),
    fault: z.string().nullable(),
    breaker: z.string(),
    lastExchangeAt: z.string().nullable(),
    ok: z.boolean(),
    exchanges: z.number(),
    errors: z.number(),
  }),
);

const exchangesSchema = z.object({
  exchanges: z.array(
    z.object({ connector: z.string(), kind: z.string(), outcome: z.string(), ok: z.boolean(), at: z.string() }),
  ),
});

const connectorsOf = (hub: HubOperator) => hub.ask("/api/edi/connectors", connectorsSchema);

async function status(hub: HubOperator): Promise<void> {
  for (const { name, mode, host, fault, breaker, lastExchangeAt, ok, exchanges, errors } of await connectorsOf(hub)) {
    const state = ok
      ? "ok"
      : printer.paint("red", fault ?? (breaker === "open" ? "breaker open" : "last exchange failed"));
    const last = lastExchangeAt === null ? "no exchange yet" : `last exchange ${lastExchangeAt}`;
    printer.fact(
      name,
      `${state}, ${mode} at ${host ?? "no host"}, ${exchanges} answers an hour, ${errors} errors, ${last}`,
    );
  }
  const { exchanges } = await hub.ask("/api/edi/exchanges?limit=50", exchangesSchema);
  for (const { connector, kind, outcome, at } of exchanges.filter(({ ok }) => !ok).slice(0, 5)) {
    printer.warn(`${at} ${connector} ${kind}: ${outcome}`);
  }
}

const testedSchema = z.object({
  mode: z.string(),
  ok: z.boolean(),
  outcome: z.string(),
  status: z.number().nullable(),
  durationMs: z.number(),
});

async function testConnection(hub: HubOperator, connector: string | undefined): Promise<void> {
  const names = connector === undefined ? (await connectorsOf(hub)).map(({ name }) => name) : [connector];
  const failed: string[] = [];
  for (const name of names) {
    const path = `/api/edi/connectors/${encodeURIComponent(name)}/test`;
    const tested = await hub.ask(path, testedSchema, { method: "POST" });
    const detail = `${tested.mode}, ${tested.outcome}, ${tested.durationMs} ms`;
    printer.fact(name, `${tested.ok ? "answers" : printer.paint("red", "does not answer in order")} (${detail})`);
    if (!tested.ok) failed.push(name);
  }
  if (failed.length > 0) throw new Failure(`not in order: ${failed.join(", ")}`);
}

async function resetSandbox(hub: HubOperator): Promise<void> {
  const schema = z.object({ claims: z.number(), transactions: z.number() });
  const { claims, transactions } = await hub.ask("/api/edi/sandbox/reset", schema, { method: "POST" });
  printer.fact("sandbox", `forgot ${claims} claims; ${transactions} transactions wait for it no more`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { connector: { type: "string" }, ...ENV_OPTION },
  });
  switch (positionals[0]) {
    case "status":
      return status(typedHubAt(values.env));
    case "test-connection":
      return testConnection(typedHubAt(values.env), values.connector);
    case "reset-sandbox":
      return resetSandbox(typedHubAt(values.env));
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
