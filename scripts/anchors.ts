/**
 * The operator's view of the anchors and two commands on them, over HTTP.
 *
 *   npm run anchors:status [-- --limit N --before SIZE]
 *   npm run anchors:retry                           the newest root now; same nonce, higher fee when one is in flight
 *   npm run anchors:supersede -- --reason INC-2041  the newest anchor is wrong; a correcting one follows it
 *
 * `--url` or ITRANS_API_URL says where core is (default: this machine), OPERATOR_API_KEY the key; for a core on this machine
 * the key is found in .dev.vars. `--json` prints core's answer as it is.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, parseEnv } from "node:util";
import * as z from "zod";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { type Answer, call, summaryOf } from "./lib/http.ts";
import { DEFAULT_PORTS } from "./lib/stack.ts";

answerHelp(import.meta.filename);

const USAGE =
  "usage: anchors.ts status [--limit N] [--before SIZE] | retry | supersede --reason CODE   [--url URL] [--json]";
const LOCAL_CORE = `http://127.0.0.1:${DEFAULT_PORTS.core}`;
const REASON = /^[A-Z0-9-]{1,40}$/;

const eventSchema = z.object({
  type: z.string(),
  reason: z.string(),
  at: z.string(),
  txHash: z.string().nullable(),
  nonce: z.number().nullable(),
  blockNumber: z.number().nullable(),
  actor: z.string().nullable(),
});
const signerSchema = z.object({
  state: z.string(),
  reason: z.string().nullable(),
  address: z.string().nullish(),
  balanceWei: z.string().nullish(),
  balanceLow: z.boolean().optional(),
  ledgerSize: z.number().nullish(),
  pending: z.object({ size: z.number(), nonce: z.number(), transactions: z.number() }).nullish(),
});
const statusSchema = z.object({
  signer: signerSchema,
  anchors: z.array(z.object({ size: z.number(), state: z.string(), events: z.array(eventSchema) })),
  nextBefore: z.number().nullable(),
  signerEvents: z.array(eventSchema),
});
const commandSchema = z.object({ action: z.string().nullable(), signer: signerSchema });

type AnchorLineEvent = z.output<typeof eventSchema>;

function operatorKey(url: string): string {
  const given = process.env.OPERATOR_API_KEY;
  if (given !== undefined && given !== "") return given;
  const file = join(projectRoot, ".dev.vars");
  const local = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname);
  const key = local && existsSync(file) ? parseEnv(readFileSync(file, "utf8")).OPERATOR_API_KEY : undefined;
  if (key === undefined || key === "") throw new Failure("set OPERATOR_API_KEY to the operator's key");
  return key;
}

function describeSigner(signer: z.output<typeof signerSchema>): string {
  const { state, reason, address, balanceWei, balanceLow, ledgerSize, pending } = signer;
  const parts = [`signer ${state}${reason === null ? "" : ` (${reason})`}`];
  if (typeof address === "string") parts.push(address);
  if (typeof balanceWei === "string") parts.push(`balance ${balanceWei} wei${balanceLow === true ? ", LOW" : ""}`);
  if (typeof ledgerSize === "number") parts.push(`ledger ${ledgerSize}`);
  if (pending) parts.push(`in flight: size ${pending.size}, nonce ${pending.nonce}, ${pending.transactions} sent`);
  return parts.join("  ");
}

const describeEvent = ({ at, type, reason, nonce, blockNumber, txHash, actor }: AnchorLineEvent): string =>
  [
    `    ${at}  ${type} (${reason})`,
    nonce === null ? "" : `nonce ${nonce}`,
    blockNumber === null ? "" : `block ${blockNumber}`,
    txHash ?? "",
    actor === null ? "" : `by ${actor}`,
  ]
    .filter((part) => part !== "")
    .join("  ");

function printStatus(body: unknown): void {
  const { signer, anchors, nextBefore, signerEvents } = statusSchema.parse(body);
  console.log(describeSigner(signer));
  for (const event of signerEvents) console.log(describeEvent(event));
  for (const { size, state, events } of anchors) {
    console.log(`anchor ${size}  ${state}`);
    for (const event of events) console.log(describeEvent(event));
  }
  if (nextBefore !== null) console.log(`(older ones: --before ${nextBefore})`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      url: { type: "string" },
      reason: { type: "string" },
      limit: { type: "string" },
      before: { type: "string" },
      json: { type: "boolean" },
    },
  });
  const [command] = positionals;
  const base = (values.url ?? process.env.ITRANS_API_URL ?? LOCAL_CORE).replace(/\/+$/, "");
  if (!URL.canParse(base)) throw new Failure(`${base} is not a URL`);
  const anchors = `${base}/ledger/anchors`;
  const send = async (url: string, method: "GET" | "POST", body?: unknown): Promise<Answer> => {
    const answer = await call(url, { method, headers: { "x-api-key": operatorKey(base) }, body, timeoutMs: 120_000 });
    if (answer.status !== 200) throw new Failure(summaryOf(answer));
    return answer;
  };

  let answer: Answer;
  switch (command) {
    case "status": {
      const query = new URLSearchParams();
      if (values.limit !== undefined) query.set("limit", values.limit);
      if (values.before !== undefined) query.set("before", values.before);
      answer = await send(query.size === 0 ? anchors : `${anchors}?${query}`, "GET");
      break;
    }
    case "retry":
      answer = await send(`${anchors}/retry`, "POST");
      break;
    case "supersede":
      if (values.reason === undefined || !REASON.test(values.reason)) {
        throw new Failure("--reason is needed: 1 to 40 of A-Z, 0-9 and -, such as a ticket's number");
      }
      answer = await send(`${anchors}/supersede`, "POST", { reason: values.reason });
      break;
    default:
      throw new Failure(USAGE);
  }

  if (values.json === true) console.log(JSON.stringify(answer.body));
  else if (command === "status") printStatus(answer.body);
  else {
    const { action, signer } = commandSchema.parse(answer.body);
    console.log(`taken; the signer's decision: ${action ?? "none"}`);
    console.log(describeSigner(signer));
  }
}

await main().catch((error: unknown) => {
  console.error(`anchors: ${messageOf(error)}`);
  process.exitCode = 1;
});
