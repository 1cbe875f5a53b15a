/** What the relay needs to know of a destination to post to it. */
import type { DestinationKind, LeasedDestination } from "./port.ts";

/** What the relay needs to know of destination `d` to post to it. ?1 now. */
export const DESTINATION_JSON = `json_object('kind', d.kind, 'url', d.url, 'timeoutMs', d.timeout_ms,
    'secret', d.secret_wrapped, 'secretKey', d.wrapping_key_id,
    'previous', CASE WHEN d.previous_expires_at > ?1 THEN d.previous_secret_wrapped END,
    'previousKey', d.previous_wrapping_key_id, 'itransSignature', d.itrans_signature,
    'headers', d.headers_wrapped, 'headersKey', d.headers_wrapping_key_id)`;

interface DestinationJson {
  readonly kind: DestinationKind;
  readonly url: string;
  readonly timeoutMs: number;
  readonly secret: string | null;
  readonly secretKey: string | null;
  readonly previous: string | null;
  readonly previousKey: string | null;
  readonly itransSignature: "current" | "previous";
  readonly headers: string | null;
  readonly headersKey: string | null;
}

/** @param json DESTINATION_JSON. */
export function leasedDestination(destinationId: string, json: string): LeasedDestination {
  const row: DestinationJson = JSON.parse(json);
  const sealed = (value: string | null, keyId: string | null) =>
    value === null || keyId === null ? undefined : { keyId, sealed: value };
  const previous = sealed(row.previous, row.previousKey);
  const headers = sealed(row.headers, row.headersKey);
  return {
    destinationId,
    kind: row.kind,
    url: row.url,
    timeoutMs: row.timeoutMs,
    sealedSecret: sealed(row.secret, row.secretKey),
    itransSignature: row.itransSignature,
    ...(previous === undefined ? {} : { sealedPreviousSecret: previous }),
    ...(headers === undefined ? {} : { sealedHeaders: headers }),
  };
}
