/** How a dead letter failed, in few words. */

/** `http-503` and the like, `http-5xx`, `http-4xx`, `timeout`, `connection-failed`, `not-yet-known`, `lease-expired`. */
export type ErrorClass = string;

export const ERROR_CLASS = /^(http-[1-9]\d\d|http-[1-9]xx|timeout|connection-failed|not-yet-known|lease-expired)$/;

/** The range of stored errors that are of this class: from the first, up to but not the second. What follows a colon is detail. */
export function errorRange(errorClass: ErrorClass): readonly [string, string] {
  if (!errorClass.endsWith("xx")) return [errorClass, `${errorClass};`];
  const start = errorClass.slice(0, -2);
  return [start, `${start}:`];
}
