/** The platform's clock, randomness and log sink, handed to everything that must not reach for them itself. */
import { formatLogLine, type Log } from "./log.ts";
import type { RandomBytes } from "./seal.ts";

export const systemNow = (): number => Date.now();

export const systemRandomBytes: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

export const newUuid = (): string => crypto.randomUUID();

export const systemRandom = (): number => Math.random();

export function makeLog(worker: string): Log {
  return (level, event, fields = {}) => {
    const line = formatLogLine(worker, level, event, fields, new Date().toISOString());
    if (level === "error") console.error(line);
    else if (level === "warn") console.warn(line);
    else console.log(line);
  };
}
