/** An incident: noticed, noted, closed with its cause. What may be written about one, so that it names no person. */

export const SEVERITIES = ["S1", "S2", "S3", "S4"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface IncidentNote {
  /** Epoch ms. */
  readonly at: number;
  /** Opaque key id. */
  readonly actor: string;
  readonly note: string;
}

export interface Incident {
  readonly ticket: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly alert: string | null;
  /** Epoch ms, as the others. */
  readonly detectedAt: number;
  readonly openedAt: number;
  readonly openedBy: string;
  readonly closedAt: number | null;
  readonly closedBy: string | null;
  readonly rootCause: string | null;
  readonly prevention: string | null;
  readonly notes: readonly IncidentNote[];
}

export const MAX_TEXT = 300;
export const TICKET = /^[A-Z0-9-]{1,40}$/;

/** Runs of digits this long are numbers of people, policies and telephones. */
const LONG_NUMBER = /\d(?:[ -]?\d){6,}/;

/**
 * @returns why the text may not be kept; undefined when it may. It can not know a name when it sees one; it knows what addresses,
 *   telephone numbers and policy numbers look like.
 */
export function textFault(text: string): string | undefined {
  if (text.trim() === "" || text.length > MAX_TEXT) return `is not 1 to ${MAX_TEXT} characters`;
  if (/\p{Cc}/u.test(text)) return "is more than one line";
  if (text.includes("@")) return "has an address in it: name no person";
  // A time or a commit is no telephone number.
  const rest = text
    .replace(/\d{4}-\d{2}-\d{2}T[\d:.]+Z?/g, "")
    .replace(/\b[0-9a-f]{7,64}\b/g, (hash) => (/[a-f]/.test(hash) ? "" : hash));
  if (LONG_NUMBER.test(rest)) return "has a long number in it: name no person, policy or telephone";
  return undefined;
}
