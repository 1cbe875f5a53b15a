/** Calendar days in a zone. */

/** How far a zone is ahead of UTC at a moment, in milliseconds. */
export function zoneOffset(timeZone: string, at: number): number {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(at);
  const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.find((one) => one.type === type)?.value);
  const local = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return local - Math.floor(at / 1_000) * 1_000;
}

/** The moment at which a day begins in a zone. @param day `YYYY-MM-DD`. @returns epoch milliseconds. */
export function startOfDay(day: string, timeZone: string): number {
  const utc = Date.parse(day);
  // The offset of a moment near midnight, then that of midnight itself: the clocks may change in between.
  const near = utc - zoneOffset(timeZone, utc);
  return utc - zoneOffset(timeZone, near);
}

export const DAY_MS = 86_400_000;

/** The day after. @param day `YYYY-MM-DD`. */
export const nextDay = (day: string): string => new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, 10);
