/**
 * Protection against cross-site request forgery without a token: browsers say where a request comes from, and cannot be
 * made to lie about it; a client that is no browser says nothing and carries no cookie it did not mean to send.
 */
export interface RequestOrigin {
  readonly method: string;
  readonly url: string;
  readonly secFetchSite: string | undefined;
  readonly origin: string | undefined;
}

const SAFE_METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** True when a state-changing request comes from another site's page. */
export function isCrossSite(request: RequestOrigin): boolean {
  if (SAFE_METHODS.includes(request.method)) return false;
  if (request.secFetchSite !== undefined) {
    return request.secFetchSite !== "same-origin" && request.secFetchSite !== "none";
  }
  if (request.origin === undefined) return false;
  return request.origin !== new URL(request.url).origin;
}
