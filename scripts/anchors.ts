/** The operator's view of the anchors and two commands on them, over HTTP. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run anchors:status [-- --limit N --before SIZE]
npm run anchors:retry                           the newest root now; same nonce, higher fee when one is in flight
npm run anchors:supersede -- --reason INC-2041  the newest anchor is wrong; a correcting one follows it

--json prints core's answer as it is.
${WHERE}`;
answerHelp(import.meta.filename, USAGE);

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
      ...ENV_OPTION,
      reason: { type: "string" },
      limit: { type: "string" },
      before: { type: "string" },
      json: { type: "boolean" },
    },
  });
  const [command] = positionals;
  const core = coreAt(values.env);
  const anchors = "/ledger/anchors";

  let answer: unknown;
  switch (command) {
    case "status": {
      const query = new URLSearchParams();
      if (values.limit !== undefined) query.set("limit", values.limit);
      if (values.before !== undefined) query.set("before", values.before);
      answer = await core.ask(query.size === 0 ? anchors : `${anchors}?${query}`);
      break;
    }
    case "retry":
      answer = await core.ask(`${anchors}/retry`, { method: "POST" });
      break;
    case "supersede":
      if (values.reason === undefined || !REASON.test(values.reason)) {
        throw new Failure("--reason is needed: 1 to 40 of A-Z, 0-9 and -, such as a ticket's number");
      }
      answer = await core.ask(`${anchors}/supersede`, { method: "POST", body: { reason: values.reason } });
      break;
    default:
      throw new Failure(USAGE);
  }

  if (values.json === true) console.log(JSON.stringify(answer));
  else if (command === "status") printStatus(answer);
  else {
    const { action, signer } = commandSchema.parse(answer);
    console.log(`taken; the signer's decision: ${action ?? "none"}`);
    console.log(describeSigner(signer));
  }
}

await main().catch((error: unknown) => {
  console.error(`anchors: ${messageOf(error)}`);
  process.exitCode = 1;
});
