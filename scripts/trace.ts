/** `npm run trace -- <correlation id>`: one call's way through hub, core, ledger, relay and the payer's operator, as one timeline. */
import { createReadStream, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import * as z from "zod";
import { isCorrelationId } from "../src/platform/correlation.ts";
import { projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { cutObjects, type LogEvent, linesOfTail, readEvent } from "./lib/log-lines.ts";
import type { Operator } from "./lib/operator.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";
import { inOrder, type Moment, momentOfLog, momentsOf, requestsOf, type TraceAnswer } from "./lib/trace.ts";

const USAGE = `npm run trace -- <correlation id> [options]

  --whole       the other calls about the same requests too: acknowledgement, decision, settlement
  --logs FILE   log lines, or what wrangler tail --format json wrote; may be given several times
  --data DIR    where the local run keeps its log, read when no --logs is given (.data)
  --before N    look through older deliveries than this one, as the last answer said
  --json        one JSON object

Every answer of the system carries its correlation id as x-correlation-id; delivered webhooks, settlements and log lines have it.
What the tables know comes from core. ${WHERE}`;

const MOST_IDS = 50;
const MOST_REQUESTS = 20;
/** Of one object in a file of the platform's tail. */
const MOST_CHARACTERS = 10_000_000;

const time = z.number();
const answerSchema: z.ZodType<TraceAnswer & { readonly olderThan: number | null }> = z.object({
  correlationId: z.string(),
  entries: z.array(
    z.object({ seq: z.int(), entryHash: z.string(), subject: z.string(), type: z.string(), at: z.string() }),
  ),
  deliveries: z.array(
    z.object({
      outboxId: z.int(),
      eventType: z.string(),
      destinationId: z.string(),
      requestIdHash: z.string(),
      seq: z.int(),
      state: z.string(),
      createdAt: time,
      settledAt: time.nullable(),
      attempts: z.array(
        z.object({
          startedAt: time,
          durationMs: z.number(),
          outcome: z.string(),
          status: z.int().nullable(),
          error: z.string().nullable(),
        }),
      ),
    }),
  ),
  settlements: z.array(
    z.object({
      refId: z.string(),
      type: z.string(),
      status: z.string(),
      requestIdHash: z.string(),
      createdAt: time,
      updatedAt: time,
      askedAt: time.nullable(),
      lastAnswer: z.string().nullable(),
    }),
  ),
  keys: z.array(
    z.object({
      keyId: z.string(),
      scope: z.string(),
      state: z.string(),
      effectId: z.string(),
      createdAt: time,
      updatedAt: time,
    }),
  ),
  olderThan: z.int().nullable(),
});

const ofRequestSchema = z.object({ deliveries: z.array(z.object({ correlationId: z.string() })) });

interface Told {
  readonly answers: readonly TraceAnswer[];
  readonly olderThan: number | null;
}

async function askCore(operator: Operator, first: string, whole: boolean, before: string | undefined): Promise<Told> {
  const answers: TraceAnswer[] = [];
  const ids = [first];
  const requests = new Set<string>();
  let olderThan: number | null = null;
  for (let i = 0; i < ids.length && i < MOST_IDS; i++) {
    const query = before === undefined ? "" : `?before=${encodeURIComponent(before)}`;
    const answer = answerSchema.parse(await operator.ask(`/operations/trace/${ids[i]}${query}`));
    answers.push(answer);
    olderThan ??= answer.olderThan;
    for (const requestIdHash of whole ? requestsOf(answer) : []) {
      if (requests.has(requestIdHash) || requests.size >= MOST_REQUESTS) continue;
      requests.add(requestIdHash);
      const found = await operator.ask(`/relay/workflow/deliveries?request=${requestIdHash}`);
      for (const { correlationId } of ofRequestSchema.parse(found).deliveries) {
        if (!ids.includes(correlationId) && isCorrelationId(correlationId)) ids.push(correlationId);
      }
    }
  }
  return { answers, olderThan };
}

/** @param wanted correlation ids. */
async function readLog(path: string, wanted: ReadonlySet<string>): Promise<readonly LogEvent[]> {
  const found: LogEvent[] = [];
  const take = (line: string): void => {
    const event = readEvent(line);
    if (event?.correlationId !== undefined && wanted.has(event.correlationId)) found.push(event);
  };
  let isLines: boolean | undefined;
  let rest = "";
  for await (const line of createInterface(createReadStream(path))) {
    if (line.trim() === "") continue;
    isLines ??= readEvent(line) !== undefined;
    if (isLines) {
      take(line);
      continue;
    }
    const cut = cutObjects(`${rest}${line}\n`);
    if (cut.rest.length > MOST_CHARACTERS) throw new Failure(`${path} is neither log lines nor a tail's JSON`);
    rest = cut.rest;
    for (const object of cut.objects) for (const one of linesOfTail(object)) take(one);
  }
  return found;
}

function logFiles(given: readonly string[] | undefined, data: string, printer: Printer): readonly string[] {
  const paths = given ?? [join(resolve(projectRoot, data), "workers.log")];
  for (const path of paths) {
    if (existsSync(path)) continue;
    if (given !== undefined) throw new Failure(`there is no ${path}`);
    printer.warn(`there is no ${path}, so no log is read: --data names the local run's directory, --logs a file`);
    return [];
  }
  return paths;
}

const WHERE_WIDTH = 12;

function show(printer: Printer, moments: readonly Moment[], ids: readonly string[]): void {
  const [first] = moments;
  if (first === undefined) return;
  printer.line(printer.paint("dim", `  from ${new Date(first.at).toISOString()}`));
  for (const { at, where, what, detail, correlationId, bad } of moments) {
    const offset = `${((at - first.at) / 1_000).toFixed(3)} s`.padStart(12);
    const named = ids.length > 1 ? `${String(ids.indexOf(correlationId) + 1).padStart(2)}  ` : "";
    const event = printer.paint(bad ? "red" : "green", what.padEnd(22));
    printer.line(`${offset}  ${named}${where.padEnd(WHERE_WIDTH)}  ${event} ${printer.paint("dim", detail)}`);
  }
  if (ids.length > 1) {
    printer.line();
    for (const [i, id] of ids.entries()) printer.line(printer.paint("dim", `  ${String(i + 1).padStart(2)}  ${id}`));
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      ...ENV_OPTION,
      whole: { type: "boolean", default: false },
      logs: { type: "string", multiple: true },
      data: { type: "string", default: ".data" },
      before: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const printer = makePrinter(process.stdout, process.env);
  if (values.help === true) return printer.line(USAGE);
  const [id] = positionals;
  if (!isCorrelationId(id)) throw new Failure(USAGE);
  const warnings = makePrinter(process.stderr, process.env);
  const files = logFiles(values.logs, values.data, warnings);
  const { answers, olderThan } = await askCore(coreAt(values.env), id, values.whole, values.before);
  const wanted = new Set([id, ...answers.map(({ correlationId }) => correlationId)]);
  const events: LogEvent[] = [];
  for (const file of files) events.push(...(await readLog(file, wanted)));
  const moments = inOrder([...answers.flatMap(momentsOf), ...events.map(momentOfLog)]);
  const ids = [...wanted].filter((each) => moments.some(({ correlationId }) => correlationId === each));
  if (values.json) {
    const shown = moments.map(({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest }));
    printer.line(JSON.stringify({ correlationId: id, moments: shown, olderThan }, null, 2));
  } else show(printer, moments, ids);
  if (olderThan !== null)
    warnings.warn(`deliveries before ${olderThan} were not looked at: --before ${olderThan} does`);
  if (moments.length === 0) throw new Failure(`nothing has the correlation id ${id}`);
}

// Whoever reads may have seen enough.
process.stdout.on("error", () => process.exit(0));
main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
