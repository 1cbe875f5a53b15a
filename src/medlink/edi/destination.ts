/** Where EDI messages may go. They carry health information: only to hosts that the deployment names. */
import { destinationUrlFault } from "../../relay/destinations.ts";

type Environment = Parameters<typeof destinationUrlFault>[1];

/** @param text host names separated by commas or spaces. */
export const hostsOf = (text: string | undefined): readonly string[] =>
  (text ?? "")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((host) => host !== "");

/**
 * The relay's rule for where a delivery may go, and the host among those allowed: exactly it, no subdomain. A closed code.
 * @returns undefined when messages may go there.
 */
export function ediUrlFault(
  url: string | undefined,
  allowedHosts: readonly string[],
  environment: Environment,
): "url_not_set" | "url_not_allowed" | "host_not_allowed" | undefined {
  if (url === undefined) return "url_not_set";
  if (destinationUrlFault(url, environment) !== undefined) return "url_not_allowed";
  return allowedHosts.includes(new URL(url).hostname) ? undefined : "host_not_allowed";
}

export type EdiMode = "sandbox" | "production" | "refused";

/** Production takes two switches: one set alone is a mistake, and then nothing is sent, least of all to the sandbox. */
export const ediModeOf = (settings: {
  readonly EDI_MODE: "sandbox" | "production";
  readonly EDI_PRODUCTION_ENABLED: boolean;
}): EdiMode =>
  settings.EDI_MODE === "sandbox" ? "sandbox" : settings.EDI_PRODUCTION_ENABLED ? "production" : "refused";
