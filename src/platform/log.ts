/**
 * Structured logs: one JSON object a line. Fields are a closed list of non-personal facts, so that nothing from a payload
 * can slip in by spreading an object.
 */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines below the least level are not written. */
export const isLogged = (level: LogLevel, least: LogLevel): boolean =>
  LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);

export interface LogFields {
  readonly correlationId?: string;
  readonly route?: string;
  readonly method?: string;
  readonly status?: number;
  readonly durationMs?: number;
  readonly code?: string;
  readonly count?: number;
  readonly size?: number;
  readonly seq?: number;
  readonly attempt?: number;
  readonly tenantId?: string;
  readonly destinationId?: string;
  readonly eventId?: string;
  readonly requestIdHash?: string;
  readonly jobId?: string;
  /** Of a settlement. */
  readonly refId?: string;
  readonly txHash?: string;
  readonly queue?: string;
  readonly cron?: string;
  /** The error's name and message of our own making; never an upstream body. */
  readonly reason?: string;
}

export type Log = (level: LogLevel, event: string, fields?: LogFields) => void;

/** A line's text; `at` is RFC 3339. */
export function formatLogLine(worker: string, level: LogLevel, event: string, fields: LogFields, at: string): string {
  return JSON.stringify({ at, level, worker, event, ...fields });
}

/** A short, safe description of something thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}`.slice(0, 300) : "unknown";
}
