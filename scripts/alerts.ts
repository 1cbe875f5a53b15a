/** `npm run alerts:*`: what core's evaluator watches, thin over core's API. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import * as z from "zod";
import { contactsSchema } from "../src/operations/alerts/escalation.ts";
import { type Roster, rosterSchema } from "../src/operations/alerts/roster.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Operator } from "./lib/operator.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { coreAt, ENV_OPTION, systemAt, WHERE } from "./lib/sites.ts";

const USAGE = `npm run alerts:status [-- --json]
npm run alerts:acknowledge -- <alert>
npm run alerts:silence -- [<alert>] --minutes N --reason CODE    every alert without one
npm run alerts:silence -- --end <silence id>
npm run alerts:contacts                        who is called now, by core and by the hub
npm run alerts:contacts -- FILE                says who is called when: config/contacts.example.json shows the form
npm run alerts:test                            a message on every channel; exit 1 when one is not taken

CODE is A to Z, 0 to 9 and hyphens.
${WHERE}`;

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

async function status(printer: Printer, core: Operator, json: boolean): Promise<void> {
  const answer = await core.ask("/operations/alerts");
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

async function acknowledge(printer: Printer, core: Operator, name: string | undefined): Promise<void> {
  if (name === undefined) throw new Failure("name the alert; npm run alerts:status lists them");
  await core.ask(`/operations/alerts/${encodeURIComponent(name)}/acknowledge`, { method: "POST" });
  printer.note(`${name} is acknowledged: it is escalated no further.`);
}

async function silence(
  printer: Printer,
  core: Operator,
  alert: string | undefined,
  given: {
    readonly minutes?: string | undefined;
    readonly reason?: string | undefined;
    readonly end?: string | undefined;
  },
): Promise<void> {
  if (given.end !== undefined) {
    await core.ask(`/operations/alerts/silences/${encodeURIComponent(given.end)}`, { method: "DELETE" });
    return printer.note("The silence is ended.");
  }
  const minutes = Number(given.minutes);
  if (!Number.isInteger(minutes) || given.reason === undefined) throw new Failure("give --minutes N and --reason CODE");
  const body = { ...(alert === undefined ? {} : { alert }), minutes, reason: given.reason };
  const made = z
    .object({ silenceId: z.string(), until: z.string() })
    .parse(await core.ask("/operations/alerts/silences", { method: "POST", body }));
  printer.note(`${alert ?? "Every alert"} is silent until ${made.until}; end it with --end ${made.silenceId}`);
}

async function test(printer: Printer, core: Operator): Promise<void> {
  const answer = await core.ask("/operations/alerts/test", { method: "POST" });
  const sent = z.object({ notifications }).parse(answer).notifications;
  for (const { id, state, error } of sent)
    printer.note(`${state.padEnd(9)} ${id}${error === null ? "" : `: ${error}`}`);
  if (sent.length === 0 || sent.some(({ state }) => state !== "sent")) {
    throw new Failure("not every channel took the test: set what it names and test again");
  }
}

const calledSchema = z.object({
  source: z.enum(["file", "setting", "none"]),
  putAt: z.string().nullable(),
  shiftEndsAt: z.string().nullable(),
  fault: z.string().nullable(),
  contacts: contactsSchema,
});

/** @throws Failure with every fault of it, and no value but names. */
function readRosterFile(file: string): Roster {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Failure(`${file} can not be read as JSON: ${messageOf(error)}`);
  }
  const parsed = rosterSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `  ${[...path, message].join(" ")}`);
  throw new Failure([`${file} is not a roster:`, ...faults].join("\n"));
}

async function contacts(printer: Printer, file: string | undefined, env: string | undefined): Promise<void> {
  const body = file === undefined ? undefined : readRosterFile(file);
  const { core, hub } = systemAt(env, process.env);
  const sites = [
    { of: "core", operator: core, path: "/operations/alerts/contacts" },
    { of: "the hub", operator: hub, path: "/api/operations/alerts/contacts" },
  ];
  const failed: string[] = [];
  for (const { of, operator: site, path } of sites) {
    try {
      const answer = await site.ask(path, body === undefined ? {} : { method: "PUT", body });
      const { source, putAt, shiftEndsAt, fault, contacts: called } = calledSchema.parse(answer);
      const since = source === "file" ? `a roster put ${putAt}` : source === "setting" ? "ALERT_CONTACTS" : "nothing";
      printer.line(printer.paint("bold", `${of} calls, from ${since}`));
      if (shiftEndsAt !== null) printer.note(`until ${shiftEndsAt}, when the shift ends`);
      if (fault !== null) printer.warn(fault);
      for (const { role, name, phone, email, slack } of called)
        printer.line(
          `  ${role.padEnd(18)} ${[name, phone, email, slack].filter((part) => part !== undefined).join("  ")}`,
        );
      if (called.length === 0) printer.warn("nobody is mentioned or mailed");
    } catch (error) {
      failed.push(`${of}: ${messageOf(error)}`);
    }
  }
  if (failed.length > 0) throw new Failure(failed.join("\n"));
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
      ...ENV_OPTION,
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  const core = (): Operator => coreAt(values.env);
  switch (command) {
    case "status":
      return status(printer, core(), values.json === true);
    case "acknowledge":
      return acknowledge(printer, core(), positionals[0]);
    case "silence":
      return silence(printer, core(), positionals[0], values);
    case "contacts":
      return contacts(printer, positionals[0], values.env);
    case "test":
      return test(printer, core());
    default:
      throw new Failure(USAGE);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
