/**
 * Personal fields of the hub: `re-encrypt` seals them under the current ENCRYPTION_KEY, `re-hash` makes what they are searched by
 * anew under the current HASH_KEY; each shows how far it is. Stopped, it is gone on with by the hub's cron or by the next call;
 * once it is complete the key's `_PREVIOUS` can be taken away.
 */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { typedHubAt } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";
import { ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run fields:re-encrypt [-- --status]
npm run fields:re-hash    [-- --status]

${WHERE}`;
answerHelp(import.meta.filename, USAGE);
const RENEWALS = {
  "re-encrypt": { name: "re-encryption", changed: "sealed anew", key: "ENCRYPTION_KEY" },
  "re-hash": { name: "re-hashing", changed: "hashed anew", key: "HASH_KEY" },
} as const;
/** At a thousand rows a call: a hundred million rows. */
const CALLS = 100_000;
const WIDTH = 40;

const statusSchema = z.object({
  state: z.enum(["never", "running", "complete"]),
  keyId: z.string(),
  done: z.number(),
  total: z.number(),
  changed: z.number(),
  held: z.number(),
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
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { status: { type: "boolean" }, ...ENV_OPTION },
  });
  const word = positionals[0];
  if (word !== "re-encrypt" && word !== "re-hash") throw new Failure(USAGE);
  const { name, changed, key } = RENEWALS[word];
  const hub = typedHubAt(values.env);
  const path = `/api/admin/${word}`;
  let status = await hub.ask(
    path,
    statusSchema,
    values.status === true ? {} : { method: "POST", body: { start: true, rows: 0 } },
  );
  for (let calls = 0; values.status !== true && status.state === "running" && calls < CALLS; calls++) {
    progress(status);
    status = await hub.ask(path, statusSchema, { method: "POST", body: { rows: 1_000 } });
  }
  if (values.status !== true) progress({ ...status, done: status.state === "complete" ? status.total : status.done });
  if (process.stderr.isTTY) process.stderr.write("\n");
  printer.fact(name, status.state === "never" ? "never begun" : status.state);
  printer.fact("key", status.keyId);
  printer.fact("rows", `${status.done} of ${status.total}, ${status.changed} ${changed}`);
  if (status.held > 0) {
    printer.fact(
      "held",
      `${status.held} rows have the e-mail address or health number of another: mend them, then run this again`,
    );
  } else if (status.state === "complete") printer.fact("next", `${key}_PREVIOUS can be taken away`);
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
