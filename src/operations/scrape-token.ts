import { acceptedValues } from "../platform/secrets.ts";
import { timingSafeEqual } from "../platform/timing-safe.ts";

/** Whether a request may read `/metrics`: with METRICS_SCRAPE_TOKEN as its Bearer token. While none is set, nobody may. */
export function mayScrape(
  authorization: string | null | undefined,
  values: Readonly<Record<string, unknown>>,
): boolean {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined) return false;
  return acceptedValues(values, "METRICS_SCRAPE_TOKEN").some((value) => timingSafeEqual(value, token));
}

export const SCRAPE_REFUSED = {
  code: "unauthenticated",
  detail: "Send METRICS_SCRAPE_TOKEN as Authorization: Bearer.",
} as const;
