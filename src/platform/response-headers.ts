/** What every answer of every worker tells a browser, should one ever show it: to guess nothing, frame nothing, keep nothing. */

const ALWAYS: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};

/** Where the answer does not say otherwise. */
const DEFAULTS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
};

/** @param secure whether it is served by HTTPS, outside development. */
export function setSecurityHeaders(headers: Headers, secure: boolean): void {
  for (const [name, value] of Object.entries(ALWAYS)) headers.set(name, value);
  for (const [name, value] of Object.entries(DEFAULTS)) if (!headers.has(name)) headers.set(name, value);
  // Only the log's files are for other sites: they are public, and no answer of ours rests on a cookie of theirs.
  const isShared = headers.get("access-control-allow-origin") === "*";
  if (!headers.has("cross-origin-resource-policy"))
    headers.set("cross-origin-resource-policy", isShared ? "cross-origin" : "same-origin");
  if (secure) headers.set("strict-transport-security", "max-age=31536000; includeSubDomains");
}
