/** What a destination may look like. Deliveries leave our network with our signature: where to is checked before it is stored. */
import type { CoreSettings } from "../platform/settings.ts";
import type { DestinationKind, EventType } from "./port.ts";

export const MEDLINK_DESTINATION_ID = "medlink";

export interface Destination {
  readonly destinationId: string;
  readonly tenantId: string;
  readonly kind: DestinationKind;
  readonly insurerAddress: string | undefined;
  readonly url: string;
  /** Whether it has a signing secret of its own; the secret itself is never shown. */
  readonly hasSecret: boolean;
  readonly deliverAfter: "commit" | "anchor";
  readonly eventTypes: readonly EventType[];
  readonly requestsPerMinute: number;
  readonly timeoutMs: number;
  readonly state: "active" | "paused";
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly updatedAt: number;
}

/** What binds a sealed secret to its destination (the seal's additional data). */
export const secretPlace = (destinationId: string): string => `destination:${destinationId}`;

const MAX_URL_LENGTH = 2_048;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** The URL parser has turned every notation of an IPv4 address into dotted decimal by then. */
const IP_LITERAL = /^(\d{1,3}(\.\d{1,3}){3}|\[.*\])$/;
const PRIVATE_NAME = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|test|invalid|onion|home\.arpa)$/;

/**
 * https to a public name; in development http to this machine as well. What a name resolves to is not seen here: the relay's
 * `global_fetch_strictly_public` and its refusal of redirects are for that.
 * @returns what is wrong, for the person who set it; undefined when it may be used.
 */
export function destinationUrlFault(text: string, environment: CoreSettings["ENVIRONMENT"]): string | undefined {
  if (text.length > MAX_URL_LENGTH) return `The URL is longer than ${MAX_URL_LENGTH} characters.`;
  if (!URL.canParse(text)) return "The URL is not one.";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "The URL carries credentials; use the signing secret instead.";
  if (url.hash !== "") return "The URL has a fragment, which is never sent.";
  const host = url.hostname.replace(/\.$/, "");
  if (environment === "development" && LOOPBACK.test(host)) {
    return url.protocol === "http:" || url.protocol === "https:" ? undefined : "The URL must be http or https.";
  }
  if (url.protocol !== "https:") return "The URL must be https.";
  if (IP_LITERAL.test(host)) return "The URL names an address; it must name a host.";
  if (!host.includes(".") || PRIVATE_NAME.test(host)) return "The URL names a host that is not public.";
  return undefined;
}
