/** The gates' tunables, from the environment. */
import * as z from "zod";

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** 30s, 5m, 1h, 500ms; a number alone is seconds. @returns ms; undefined when it is no duration. */
export function durationMs(text: string): number | undefined {
  const [, digits = "", unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  if (digits === "") return undefined;
  const factor = unit === "ms" || unit === "m" || unit === "h" ? UNITS_MS[unit] : UNITS_MS.s;
  return Number(digits) * factor;
}

const duration = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context) => {
      const ms = durationMs(text);
      if (ms !== undefined && ms > 0) return ms;
      context.addIssue({ code: "custom", message: "is no duration such as 30s, 5m or 1h" });
      return z.NEVER;
    });
const count = (fallback: number) => z.coerce.number().int().min(1).max(1_000_000).default(fallback);
const share = (fallback: number) => z.coerce.number().min(0).max(1).default(fallback);
const limitMs = (fallback: number) => z.coerce.number().positive().default(fallback);

export const tunablesSchema = z.object({
  LOAD_DURATION: duration("5m"),
  SOAK_DURATION: duration("30m"),
  /** Before the gate's time begins: isolates start, caches fill and the first anchor lets the insurers' deliveries go; nothing counts. */
  LOAD_WARMUP: duration("90s"),
  LOAD_TARGET_VUS: count(100),
  SOAK_VUS: count(50),
  /** Calls a second of each virtual user: a person or a program that waits for its answer and then for its turn. */
  LOAD_VU_CALLS_PER_SECOND: z.coerce.number().int().min(1).max(100).default(1),
  SLO_P95_MAX_MS: limitMs(400),
  SLO_P99_MAX_MS: limitMs(1_000),
  SLO_ERROR_RATE_MAX: share(0.01),
  SLO_CHECK_RATE_MIN: share(0.95),
  SLO_MIN_REQUESTS_LOAD: count(200),
  SLO_MIN_REQUESTS_SOAK: count(500),
  SLO_LIFECYCLE_P95_MAX_MS: limitMs(2_000),
  SLO_CACHE_HIT_RATE_MIN: share(0.4),
  SLO_RATE_LIMITED_MAX: share(0.05),
  /** How long the queues may take to come to rest after the load. */
  SLO_DRAIN_MAX: duration("60s"),
  /** Three of these in a row over the limit mean that it is time to scale. */
  SCALE_WINDOW: duration("5m"),
  LOAD_OUTPUT_DIR: z.string().default(".local/load"),
});

export type Tunables = z.output<typeof tunablesSchema>;
export type GateName = "load" | "soak";

/** What stands for each of them in the environment; an empty one is none. */
export function readTunables(environment: Readonly<Record<string, string | undefined>>) {
  const given = Object.keys(tunablesSchema.shape).flatMap((name) => {
    const value = environment[name];
    return value === undefined || value === "" ? [] : [[name, value] as const];
  });
  return tunablesSchema.safeParse(Object.fromEntries(given));
}

export const planOf = (gate: GateName, tunables: Tunables) =>
  gate === "load"
    ? {
        durationMs: tunables.LOAD_DURATION,
        users: tunables.LOAD_TARGET_VUS,
        minRequests: tunables.SLO_MIN_REQUESTS_LOAD,
      }
    : { durationMs: tunables.SOAK_DURATION, users: tunables.SOAK_VUS, minRequests: tunables.SLO_MIN_REQUESTS_SOAK };
