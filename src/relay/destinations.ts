/** What a destination may look like. Deliveries leave our network with our signature: where to is checked before it is stored. */
import type { CoreSettings } from "../platform/settings.ts";
import type { EventType } from "./event-type.ts";
import type { DestinationKind } from "./port.ts";

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
  /** Broken: its breaker is not closed. */
  readonly state: "active" | "paused" | "broken";
  /** Of its extra headers; their values are never shown. */
  readonly headerNames: readonly string[];
  /** It asked for PING events; else a ping is a HEAD. */
  readonly pingEvents: boolean;
  readonly itransSignature: "current" | "previous";
  readonly secret: {
    /** Epoch ms; null: never rotated. */
    readonly rotatedAt: number | null;
    /** Epoch ms of the last post that it signed. */
    readonly lastUsedAt: number | null;
    /** The one before it, as long as it signs too. */
    readonly previous: { readonly expiresAt: number; readonly lastUsedAt: number | null } | null;
  };
  readonly lastPing: {
    readonly requestedAt: number;
    /** Null: under way, or the relay is away. */
    readonly answeredAt: number | null;
    readonly reachable: boolean | null;
    readonly status: number | null;
    readonly error: string | null;
    readonly durationMs: number | null;
  } | null;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly updatedAt: number;
}

/** What binds a sealed secret to its destination (the seal's additional data). */
export const secretPlace = (destinationId: string): string => `destination:${destinationId}`;

export const headersPlace = (destinationId: string): string => `destination-headers:${destinationId}`;

export const MAX_EXTRA_HEADERS = 10;

/** Ours, and those that say how a message is framed, routed or believed. */
const RESERVED_HEADER =
  /^(accept-encoding|connection|content-.*|cookie|date|expect|forwarded|host|idempotency-key|keep-alive|origin|proxy-.*|referer|sec-.*|te|trailer|transfer-encoding|upgrade|user-agent|via|webhook-.*|x-correlation-id|x-forwarded-.*|x-itrans-.*|x-real-ip|cf-.*)$/;

/**
 * @returns what is wrong with a destination's extra headers, by name and never by value; undefined when they may be sent.
 */
export function extraHeadersFault(headers: Readonly<Record<string, string>>): string | undefined {
  const names = Object.keys(headers);
  if (names.length > MAX_EXTRA_HEADERS) return `There are more than ${MAX_EXTRA_HEADERS} headers.`;
  if (new Set(names.map((name) => name.toLowerCase())).size < names.length) return "A header is named twice.";
  for (const name of names) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) return "A header's name is not one.";
    if (RESERVED_HEADER.test(name.toLowerCase())) return `The header ${name} is not a destination's to set.`;
    if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,510}[\x21-\x7e])?$/.test(headers[name] ?? "")) {
      return `The header ${name} must have 1 to 512 printable ASCII characters.`;
    }
  }
  return undefined;
}

const MAX_URL_LENGTH = 2_048;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** The URL parser has turned every notation of an IPv4 address into dotted decimal by then. */
const IP_LITERAL = /^(\d{1,3}(\.\d{1,3}){3}|\[.*\])$/;
const PRIVATE_NAME = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|test|invalid|onion|home\.arpa)$/;
/** Names that resolve to whatever address is written in them. */
const ADDRESS_IN_NAME = /(^|\.)(nip\.io|sslip\.io|xip\.io|localtest\.me|lvh\.me|vcap\.me|lacolhost\.com)$/;
const PUBLIC_NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/;

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
  if (!PUBLIC_NAME.test(host) || PRIVATE_NAME.test(host) || ADDRESS_IN_NAME.test(host))
    return "The URL names a host that is not public.";
  return undefined;
}
