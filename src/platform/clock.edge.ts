/** The platform's clock, randomness and log sink, handed to everything that must not reach for them itself. */
import { formatLogLine, isLogged, LOG_LEVELS, type Log } from "./log.ts";
import type { RandomBytes } from "./seal.ts";

export const systemNow = (): number => Date.now();

export const systemRandomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

export const newUuid = (): string => crypto.randomUUID();

export const systemRandom = (): number => Math.random();

/** @param env the worker's environment; its LOG_LEVEL is the least level written, `info` when unset. */
export function makeLog(worker: string, env: { readonly LOG_LEVEL?: string } = {}): Log {
  const least = LOG_LEVELS.find((level) => level === env.LOG_LEVEL) ?? "info";
  return (level, event, fields = {}) => {
    if (!isLogged(level, least)) return;
    const line = formatLogLine(worker, level, event, fields, new Date().toISOString());
    if (level === "error") console.error(line);
    else if (level === "warn") console.warn(line);
    else console.log(line);
  };
}
