/** `npm run alerts:*`: what core's evaluator watches, thin over core's API. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { operatorOf } from "./lib/operator.ts";
import { makePrinter, type Printer } from "./lib/print.ts";

const USAGE = `npm run alerts:status [-- --json]
npm run alerts:acknowledge -- <alert>
npm run alerts:silence -- [<alert>] --minutes N --reason CODE    every alert without one
npm run alerts:silence -- --end <silence id>
npm run alerts:test                            a message on every channel; exit 1 when one is not taken

CODE is A to Z, 0 to 9 and hyphens. ITRANS_CORE_URL and OPERATOR_API_KEY name core and the key; on this machine .dev.vars does.`;

const notifications = z.array(
  z.object({ id: z.string(), state: z.string(), attempts: z.number(), at: z.string(), error: z.string().nullable() }),
);
const statusSchema = z.object({
  evaluatedAt: z.string().nullable(),
  fault: z.string().nullable(),
  alerts: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      severity: z.string(),
      phase: z.string(),
      openedAt: z.string().nullable(),
      acknowledgedAt: z.string().nullable(),
      silencedUntil: z.string().nullable(),
    }),
  ),
  silences: z.array(
    z.object({ silenceId: z.string(), alert: z.string().nullable(), until: z.string(), reason: z.string() }),
  ),
  notifications,
});

const operator = () => operatorOf(process.env);

async function status(printer: Printer, json: boolean): Promise<void> {
  const answer = await operator().ask("/operations/alerts");
  if (json) return printer.line(JSON.stringify(answer, null, 2));
  const { evaluatedAt, fault, alerts, silences, notifications: told } = statusSchema.parse(answer);
  printer.fact("evaluated", evaluatedAt ?? "never: core's cron starts it");
  if (fault !== null) printer.warn(fault);
  for (const { name, title, severity, phase, openedAt, acknowledgedAt, silencedUntil } of alerts) {
    const shown =
      phase === "open"
        ? printer.paint("red", "open   ")
        : phase === "pending"
          ? printer.paint("yellow", "pending")
          : "quiet  ";
    const since = openedAt === null ? "" : ` since ${openedAt}${acknowledgedAt === null ? "" : ", acknowledged"}`;
    const silent = silencedUntil === null ? "" : ` (silent until ${silencedUntil})`;
    printer.line(`  ${shown}  ${severity}  ${name.padEnd(28)} ${printer.paint("dim", `${title}${since}${silent}`)}`);
  }
  for (const { silenceId, alert, until, reason } of silences) {
    printer.note(`silence ${silenceId}: ${alert ?? "every alert"} until ${until}, ${reason}`);
  }
  for (const { id, error } of told.filter(({ state }) => state === "given-up"))
    printer.warn(`not sent: ${id}: ${error}`);
}

async function acknowledge(printer: Printer, name: string | undefined): Promise<void> {
  if (name === undefined) throw new Failure("name the alert; npm run alerts:status lists them");
  await operator().ask(`/operations/alerts/${encodeURIComponent(name)}/acknowledge`, { method: "POST" });
  printer.note(`${name} is acknowledged: it is escalated no further.`);
}

async function silence(
  printer: Printer,
  alert: string | undefined,
  given: {
    readonly minutes?: string | undefined;
    readonly reason?: string | undefined;
    readonly end?: string | undefined;
  },
): Promise<void> {
  if (given.end !== undefined) {
    await operator().ask(`/operations/alerts/silences/${encodeURIComponent(given.end)}`, { method: "DELETE" });
    return printer.note("The silence is ended.");
  }
  const minutes = Number(given.minutes);
  if (!Number.isInteger(minutes) || given.reason === undefined) throw new Failure("give --minutes N and --reason CODE");
  const body = { ...(alert === undefined ? {} : { alert }), minutes, reason: given.reason };
  const made = z
    .object({ silenceId: z.string(), until: z.string() })
    .parse(await operator().ask("/operations/alerts/silences", { method: "POST", body }));
  printer.note(`${alert ?? "Every alert"} is silent until ${made.until}; end it with --end ${made.silenceId}`);
}

async function test(printer: Printer): Promise<void> {
  const answer = await operator().ask("/operations/alerts/test", { method: "POST" });
  const sent = z.object({ notifications }).parse(answer).notifications;
  for (const { id, state, error } of sent)
    printer.note(`${state.padEnd(9)} ${id}${error === null ? "" : `: ${error}`}`);
  if (sent.length === 0 || sent.some(({ state }) => state !== "sent")) {
    throw new Failure("not every channel took the test: set what it names and test again");
  }
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const { values, positionals } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      json: { type: "boolean" },
      minutes: { type: "string" },
      reason: { type: "string" },
      end: { type: "string" },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  switch (command) {
    case "status":
      return status(printer, values.json === true);
    case "acknowledge":
      return acknowledge(printer, positionals[0]);
    case "silence":
      return silence(printer, positionals[0], values);
    case "test":
      return test(printer);
    default:
      throw new Failure(USAGE);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
