/**
 * Erasure: key and salt of a subject are destroyed, its ciphertext with them, and an entry says so. Entries, hashes and
 * proofs stay as they are: what they commit to can no longer be guessed at.
 */
export const ERASURE_REASONS = ["PATIENT_REQUEST", "RETENTION_EXPIRED", "COURT_ORDER", "WRONG_PERSON"] as const;
export type ErasureReason = (typeof ERASURE_REASONS)[number];

/**
 * In place of an erased amount, which was a fact of someone's health. XXX is ISO 4217's code for "no currency", so that an
 * unknown amount is never added to a known one.
 */
export const ERASED_MONEY = { amountMinor: 0, currency: "XXX" } as const;

/** D1 can be restored to any minute of the last 30 days (developers.cloudflare.com/d1/reference/time-travel). */
export const TIME_TRAVEL_DAYS = 30;

/** Wrapped keys are backed up apart from snapshots and kept this long, never under a retention lock. */
export const WRAPPED_KEY_BACKUP_DAYS = 30;

const DAY_MS = 86_400_000;

export interface Completion {
  /** RFC 3339: from then on no copy of the key exists anywhere. */
  readonly completeEverywhereBy: string;
  readonly copies: readonly { readonly where: string; readonly until: string }[];
}

/** @param erasedAt RFC 3339, the `at` of the ERASED entry: the newest copy of the key was made just before. */
export function completionOf(erasedAt: string): Completion {
  const after = (days: number): string => new Date(Date.parse(erasedAt) + days * DAY_MS).toISOString();
  return {
    completeEverywhereBy: after(Math.max(TIME_TRAVEL_DAYS, WRAPPED_KEY_BACKUP_DAYS)),
    copies: [
      { where: "point-in-time history of the database (D1 Time Travel)", until: after(TIME_TRAVEL_DAYS) },
      { where: "backups of wrapped keys", until: after(WRAPPED_KEY_BACKUP_DAYS) },
    ],
  };
}

/** An insurer's call that was under way writes its object late; it ended long before this. */
export const LAST_LOOK_MS = 3_600_000;

export const RETRY_AFTER_MS = 60_000;

export interface PendingErasure {
  readonly subject: string;
  /** Epoch ms. */
  readonly erasedAt: number;
}

/** When the objects of an erased subject are looked for again; undefined: they are gone, and none can come. */
export function nextLook(pending: PendingErasure, deleted: boolean, now: number): number | undefined {
  const last = pending.erasedAt + LAST_LOOK_MS;
  if (!deleted) return now + RETRY_AFTER_MS;
  return now >= last ? undefined : last;
}
