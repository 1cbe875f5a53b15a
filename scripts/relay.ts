/** `npm run relay:*`: the relay's controls, thin over core's API. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import type { Operator } from "./lib/operator.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run relay:status
npm run relay:pause  [-- <destination>]       the relay as a whole without one
npm run relay:resume [-- <destination>]
npm run relay:drain  [-- <destination>]       pauses, and waits until nothing is under way
npm run relay:ping -- <destination>
npm run relay:dead-letters [-- <id>] [--destination D] [--since T] [--until T] [--error CLASS] [--limit N]
npm run relay:replay -- <id> | [--destination D] [--since T] [--until T] [--error CLASS] [--limit N] [--per-minute N]
npm run relay:discard -- <id> --reason CODE [--release]
npm run relay:rotate-secret -- <destination> [--overlap-hours N] [--itrans current|previous] [--drop-previous]
                               the new secret is read from NEW_SECRET, or made and shown once

Times are RFC 3339 or epoch ms. CODE is A to Z, 0 to 9 and hyphens. CLASS is http-503, http-5xx, timeout, connection-failed,
not-yet-known or lease-expired.
${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const OPTIONS = {
  help: { type: "boolean" },
  ...ENV_OPTION,
  destination: { type: "string" },
  since: { type: "string" },
  until: { type: "string" },
  error: { type: "string" },
  limit: { type: "string" },
  "per-minute": { type: "string" },
  reason: { type: "string" },
  release: { type: "boolean" },
  "overlap-hours": { type: "string" },
  itrans: { type: "string" },
  "drop-previous": { type: "boolean" },
} as const;

type Values = ReturnType<typeof parse>["values"];

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
}

const numberOf = (name: keyof Values, values: Values): number | undefined => {
  const given = values[name];
  if (given === undefined) return undefined;
  const number = Number(given);
  if (given === "" || !Number.isFinite(number)) throw new Failure(`--${name} is not a number`);
  return number;
};

const countsSchema = z.looseObject({ underWay: z.number(), pending: z.number() });
const statusSchema = countsSchema.extend({
  destinations: z.array(countsSchema.extend({ destinationId: z.string() })),
});

/** A lease, the longest timeout and the wait behind it, and some. */
const DRAIN_MS = 180_000;

/** Pauses, then waits for the posts under way. What is pending stays for the resume. */
async function drain(subject: string | undefined, operator: Operator): Promise<unknown> {
  await setPaused("pause", subject, operator);
  for (const until = performance.now() + DRAIN_MS; ; await sleep(500)) {
    const status = statusSchema.parse(await operator.ask("/relay/workflow/status"));
    const counts =
      subject === undefined ? status : status.destinations.find(({ destinationId }) => destinationId === subject);
    if (counts === undefined) throw new Failure(`there is no destination ${subject}; npm run relay:status lists them`);
    if (counts.underWay === 0) return { drained: subject ?? "relay", underWay: 0, pending: counts.pending };
    if (performance.now() > until) throw new Failure(`${counts.underWay} deliveries are still under way`);
  }
}

const setPaused = (how: "pause" | "resume", subject: string | undefined, operator: Operator) =>
  operator.ask(
    subject === undefined ? `/relay/${how}` : `/relay/destinations/${segment(subject, "destination")}/${how}`,
    { method: "POST", body: {} },
  );

/** What is given of these, under the API's names. */
const filterOf = (values: Values): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [
      ["destinationId", values.destination],
      ["since", values.since],
      ["until", values.until],
      ["errorClass", values.error],
    ].flatMap(([name, value]) => (name === undefined || value === undefined ? [] : [[name, value]])),
  );

const segment = (value: string | undefined, what: string): string => {
  if (value === undefined || value === "") throw new Failure(`name the ${what}; npm run relay:status lists them`);
  return encodeURIComponent(value);
};

async function run(command: string | undefined, subject: string | undefined, values: Values, operator: Operator) {
  const post = (path: string, body: unknown = {}) => operator.ask(path, { method: "POST", body });
  const letters = "/relay/workflow/dead-letters";
  switch (command) {
    case "status":
      return operator.ask("/relay/workflow/status");
    case "pause":
    case "resume":
      return setPaused(command, subject, operator);
    case "drain":
      return drain(subject, operator);
    case "ping":
      return post(`/relay/destinations/${segment(subject, "destination")}/ping`);
    case "dead-letters": {
      if (subject !== undefined) return operator.ask(`${letters}/${segment(subject, "id")}`);
      const query = new URLSearchParams({
        ...filterOf(values),
        ...(values.limit === undefined ? {} : { limit: values.limit }),
      });
      return operator.ask(`${letters}?${query}`);
    }
    case "replay": {
      if (subject !== undefined) return post(`${letters}/${segment(subject, "id")}/replay`);
      const limit = numberOf("limit", values);
      const perMinute = numberOf("per-minute", values);
      return post(`${letters}/replay`, {
        ...filterOf(values),
        ...(limit === undefined ? {} : { limit }),
        ...(perMinute === undefined ? {} : { perMinute }),
      });
    }
    case "discard":
      return post(`${letters}/${segment(subject, "id")}/discard`, {
        reason: values.reason ?? "",
        rest: values.release === true ? "release" : "discard",
      });
    case "rotate-secret": {
      const overlapHours = numberOf("overlap-hours", values);
      const secret = process.env.NEW_SECRET ?? "";
      return post(`/relay/destinations/${segment(subject, "destination")}/secret`, {
        ...(secret === "" ? {} : { secret }),
        ...(overlapHours === undefined ? {} : { overlapSeconds: Math.round(overlapHours * 3_600) }),
        ...(values.itrans === undefined ? {} : { itransSignature: values.itrans }),
        dropPrevious: values["drop-previous"] === true,
      });
    }
    default:
      throw new Failure(USAGE);
  }
}

try {
  const [command, ...rest] = process.argv.slice(2);
  const { values, positionals } = parse(rest);
  if (values.help === true || command === "help") console.log(USAGE);
  else console.log(JSON.stringify(await run(command, positionals[0], values, coreAt(values.env)), null, 2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
