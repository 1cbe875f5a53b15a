/** Log lines of the workers: read, chosen, shown. */
import * as z from "zod";
import { isLogged, LOG_LEVELS, type LogLevel } from "../../src/platform/log.ts";
import { Failure } from "./fail.ts";

const eventSchema = z.looseObject({
  at: z.string(),
  level: z.enum(LOG_LEVELS),
  worker: z.string(),
  event: z.string(),
  correlationId: z.string().optional(),
  route: z.string().optional(),
});

export type LogEvent = z.output<typeof eventSchema>;

/** @returns undefined for what is no event of ours, such as what the runtime itself says. */
export function readEvent(line: string): LogEvent | undefined {
  try {
    const parsed = eventSchema.safeParse(JSON.parse(line));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export interface LogFilter {
  /** Epoch ms. */
  readonly since?: number | undefined;
  readonly least: LogLevel;
  readonly worker?: string | undefined;
  /** The event's name, or its beginning and a star. */
  readonly event?: string | undefined;
  readonly correlationId?: string | undefined;
  /** Events of EDI and FHIR: by name or by route. */
  readonly edi?: boolean | undefined;
}

export function isWanted(event: LogEvent, filter: LogFilter): boolean {
  const { since, least, worker, event: name, correlationId, edi } = filter;
  if (since !== undefined && !(Date.parse(event.at) >= since)) return false;
  if (!isLogged(event.level, least)) return false;
  if (worker !== undefined && event.worker !== worker) return false;
  if (name !== undefined && !(name.endsWith("*") ? event.event.startsWith(name.slice(0, -1)) : event.event === name)) {
    return false;
  }
  if (correlationId !== undefined && event.correlationId !== correlationId) return false;
  return edi !== true || event.event.startsWith("edi") || /^\/(api\/edi|fhir)|\/edi$/.test(event.route ?? "");
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `15m`, and as people write it: `15 minutes ago`. */
const AGO = /^(\d{1,6}) ?(s|seconds?|m|minutes?|h|hours?|d|days?)( ago)?$/;

/** @param text such as 15m, 2h, "1 hour ago", or RFC 3339. @param now epoch ms. @throws Failure naming the option when it is neither. */
export function sinceOf(text: string, now: number, option = "--since"): number {
  const [, amount, word = ""] = AGO.exec(text.trim()) ?? [];
  const unit = word.charAt(0);
  if (amount !== undefined && (unit === "s" || unit === "m" || unit === "h" || unit === "d")) {
    return now - Number(amount) * UNITS[unit];
  }
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Failure(`${option} is a time such as 15m, 2h or 2026-01-31T12:00:00Z: ${text}`);
  return at;
}

/** One line for a person: time, level, worker, event, then the fields. */
export function showEvent({ at, level, worker, event, ...fields }: LogEvent): string {
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  return [at, level.padEnd(5), worker.padEnd(12), event, ...rest].join(" ");
}

const tailSchema = z.looseObject({
  logs: z.array(z.looseObject({ message: z.array(z.unknown()) })).default([]),
});

/** The lines that one JSON object of `wrangler tail --format json` carries. */
export function linesOfTail(text: string): readonly string[] {
  const parsed = tailSchema.safeParse(JSON.parse(text));
  if (!parsed.success) return [];
  return parsed.data.logs.flatMap(({ message }) => message.filter((part): part is string => typeof part === "string"));
}

/**
 * Cuts a stream of JSON objects, which may span lines, into objects.
 * @returns the whole ones, and the rest to be put before the next chunk.
 */
export function cutObjects(text: string): { readonly objects: readonly string[]; readonly rest: string } {
  const objects: string[] = [];
  let depth = 0;
  let begin = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (inString) {
      if (c === "\\") i += 1;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === "{") {
      if (depth === 0) begin = i;
      depth += 1;
    } else if (c === "}" && depth > 0) {
      depth -= 1;
      if (depth === 0) {
        objects.push(text.slice(begin, i + 1));
        begin = i + 1;
      }
    }
  }
  return { objects, rest: text.slice(begin) };
}
