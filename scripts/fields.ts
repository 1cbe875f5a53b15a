/**
 * Personal fields of the hub: `re-encrypt` seals them under the current ENCRYPTION_KEY and shows how far it is. Stopped, it is
 * gone on with by the hub's cron or by the next call; once it is complete ENCRYPTION_KEY_PREVIOUS can be taken away.
 */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { hubOperatorOf } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = "Usage: npm run fields:re-encrypt [-- --status]";
answerHelp(import.meta.filename, USAGE);
/** At a thousand rows a call: a hundred million rows. */
const CALLS = 100_000;
const WIDTH = 40;

const statusSchema = z.object({
  state: z.enum(["never", "running", "complete"]),
  keyId: z.string(),
  done: z.number(),
  total: z.number(),
  changed: z.number(),
});
type Status = z.output<typeof statusSchema>;

const printer = makePrinter(process.stdout, process.env);

function progress({ done, total }: Status): void {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * WIDTH);
  const bar = `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)}`;
  const text = `${bar} ${Math.floor(100 * share)} %  ${done} of ${total} rows`;
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${text}`);
  else process.stderr.write(`${text}\n`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { status: { type: "boolean" } } });
  if (positionals[0] !== "re-encrypt") throw new Failure(USAGE);
  const hub = hubOperatorOf(process.env);
  const path = "/api/admin/re-encrypt";
  let status = await hub.ask(
    path,
    statusSchema,
    values.status === true ? {} : { method: "POST", body: { start: true, rows: 0 } },
  );
  for (let calls = 0; values.status !== true && status.state === "running" && calls < CALLS; calls++) {
    progress(status);
    status = await hub.ask(path, statusSchema, { method: "POST", body: { rows: 1_000 }, timeoutMs: 60_000 });
  }
  if (values.status !== true) progress({ ...status, done: status.state === "complete" ? status.total : status.done });
  if (process.stderr.isTTY) process.stderr.write("\n");
  printer.fact("re-encryption", status.state === "never" ? "never begun" : status.state);
  printer.fact("key", status.keyId);
  printer.fact("rows", `${status.done} of ${status.total}, ${status.changed} sealed anew`);
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
