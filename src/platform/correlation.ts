/** Correlation ids: opaque, short, safe in a header and a log line. Anything else from outside is replaced. */
const CORRELATION_ID = /^[A-Za-z0-9._-]{1,64}$/;

export const isCorrelationId = (value: string | undefined): value is string =>
  value !== undefined && CORRELATION_ID.test(value);

/** The id the request came in with, or a new one. */
export const correlationIdOf = (received: string | undefined, newId: () => string): string =>
  isCorrelationId(received) ? received : newId();
