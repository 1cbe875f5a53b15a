/** `npm run incidents:*`: the incident register of a running system, thin over core's API. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run incidents:list  [-- --state open|closed] [--json]
npm run incidents:open  -- --severity S1|S2|S3|S4 --summary TEXT [--ticket T] [--alert NAME] [--detected TIME]
npm run incidents:note  -- TICKET --note TEXT
npm run incidents:close -- TICKET --cause TEXT --prevention TEXT

Texts are one line and name no person.
${WHERE}`;

const incidentSchema = z.object({
  ticket: z.string(),
  severity: z.string(),
  summary: z.string(),
  alert: z.string().nullable(),
  detectedAt: z.string(),
  closedAt: z.string().nullable(),
  rootCause: z.string().nullable(),
  notes: z.array(z.object({ at: z.string(), note: z.string() })),
});
type Incident = z.output<typeof incidentSchema>;

const PATH = "/operations/incidents";

function show(printer: Printer, { ticket, severity, summary, detectedAt, closedAt, rootCause, notes }: Incident): void {
  const state = closedAt === null ? printer.paint("red", "open  ") : "closed";
  printer.line(`  ${state}  ${severity}  ${ticket.padEnd(10)} ${detectedAt}  ${summary}`);
  for (const { at, note } of notes) printer.line(`${" ".repeat(24)}${printer.paint("dim", `${at}  ${note}`)}`);
  if (closedAt !== null) printer.line(`${" ".repeat(24)}${printer.paint("dim", `${closedAt}  closed: ${rootCause}`)}`);
}

const needed = (value: string | undefined, name: string): string => {
  if (value === undefined) throw new Failure(`give ${name}; --help shows how`);
  return value;
};

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const { values, positionals } = parseArgs({
    args: rest,
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      ...ENV_OPTION,
      json: { type: "boolean" },
      state: { type: "string" },
      severity: { type: "string" },
      summary: { type: "string" },
      ticket: { type: "string" },
      alert: { type: "string" },
      detected: { type: "string" },
      note: { type: "string" },
      cause: { type: "string" },
      prevention: { type: "string" },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  const operator = () => coreAt(values.env);
  const of = (): string => `${PATH}/${encodeURIComponent(needed(positionals[0], "the ticket"))}`;
  const post = async (path: string, body: unknown): Promise<void> =>
    show(printer, incidentSchema.parse(await operator().ask(path, { method: "POST", body })));
  switch (command) {
    case "list": {
      const query = new URLSearchParams(values.state === undefined ? {} : { state: values.state });
      const answer = await operator().ask(`${PATH}?${query}`);
      if (values.json === true) return printer.line(JSON.stringify(answer, null, 2));
      const { incidents } = z.object({ incidents: z.array(incidentSchema) }).parse(answer);
      for (const incident of incidents) show(printer, incident);
      return printer.line(incidents.length === 0 ? "  none" : "");
    }
    case "open":
      return post(PATH, {
        severity: needed(values.severity, "--severity"),
        summary: needed(values.summary, "--summary"),
        ...(values.ticket === undefined ? {} : { ticket: values.ticket }),
        ...(values.alert === undefined ? {} : { alert: values.alert }),
        ...(values.detected === undefined ? {} : { detectedAt: values.detected }),
      });
    case "note":
      return post(`${of()}/notes`, { note: needed(values.note, "--note") });
    case "close":
      return post(`${of()}/close`, {
        rootCause: needed(values.cause, "--cause"),
        prevention: needed(values.prevention, "--prevention"),
      });
    default:
      throw new Failure(USAGE);
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
