/** How long personal data is kept, and when a person's is gone everywhere. */
import { type ErasureReason, TIME_TRAVEL_DAYS } from "../../workflow/erasure.ts";

/** The erasure of one person. Times are milliseconds since the epoch. */
export interface Erasure {
  readonly patientId: string;
  readonly clinicId: string;
  readonly reason: ErasureReason;
  readonly state: "running" | "complete";
  readonly claimsErased: number;
  /** A closed code: why it could not go on. */
  readonly lastError: string | null;
  readonly requestedBy: string;
  readonly correlationId: string;
  readonly requestedAt: number;
  readonly nextAttemptAt: number | null;
  readonly completedAt: number | null;
  /** Past every copy that core and the hub know of. */
  readonly completeEverywhereAt: number | null;
}

/** What was last changed before this is past. Calendar years, in UTC. @returns milliseconds since the epoch. */
export function cutoffOf(now: number, retentionYears: number): number {
  const date = new Date(now);
  return date.setUTCFullYear(date.getUTCFullYear() - retentionYears);
}

/** The hub's own database can be restored to any minute of these days; then no copy is left here. */
export const hubCompleteAt = (erasedAt: number): number => erasedAt + TIME_TRAVEL_DAYS * 86_400_000;

/** Between two tries of an erasure that could not go on. */
export const RETRY_AFTER_MS = 60_000;
