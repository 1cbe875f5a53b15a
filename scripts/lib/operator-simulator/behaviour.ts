/** How the simulated operator misbehaves: shares of its calls, drawn from a seed, so that a run can be had again. */
import * as z from "zod";

const share = z.number().min(0).max(1).default(0);

/** Every share is of the calls it can happen to. */
export const behaviourSchema = z.strictObject({
  seed: z.int().min(0).max(0xffff_ffff).default(1),
  /** Answered 500, half of them after it took effect. */
  serverErrors: share,
  /** Not answered within `timeoutMs`, after it took effect. */
  timeouts: share,
  /** How long such a call is left without an answer; then the connection is closed. */
  timeoutMs: z.int().min(0).max(120_000).default(30_000),
  /** 429 without need. */
  throttled: share,
  /** Of new transactions: ACCEPTED, and COMPLETED `completesAfterMs` later. */
  late: share,
  completesAfterMs: z.int().min(0).max(3_600_000).default(5_000),
  /** Of new transactions: REJECTED for a business reason. */
  rejected: share,
  /** Before every answer. */
  delayMs: z.int().min(0).max(60_000).default(0),
  /** Calls in any 60 seconds. */
  callsPerMinute: z.int().min(1).max(1_000_000).default(60),
  /** All of it answers 503 and nothing takes effect. */
  down: z.boolean().default(false),
});

export type Behaviour = z.output<typeof behaviourSchema>;

export const REJECTION_REASONS = ["INSUFFICIENT_FUNDS", "ACCOUNT_CLOSED", "LIMIT_EXCEEDED"] as const;

/** mulberry32: small, seeded, good enough to draw shares with. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What happens to one call. `before`: nothing takes effect. */
export type Mishap = "none" | "error-before" | "error-after" | "timeout" | "throttled";

export function drawMishap(behaviour: Behaviour, random: () => number): Mishap {
  if (behaviour.down) return "error-before";
  const drawn = random();
  const { throttled, serverErrors, timeouts } = behaviour;
  if (drawn < throttled) return "throttled";
  if (drawn < throttled + serverErrors) return random() < 0.5 ? "error-before" : "error-after";
  if (drawn < throttled + serverErrors + timeouts) return "timeout";
  return "none";
}

export type Fate = {
  readonly status: "ACCEPTED" | "COMPLETED" | "REJECTED";
  readonly reason: string | null;
  readonly completesAt: number | null;
};

export function drawFate(behaviour: Behaviour, random: () => number, now: number): Fate {
  const drawn = random();
  if (drawn < behaviour.rejected) {
    const reason = REJECTION_REASONS[Math.floor(random() * REJECTION_REASONS.length)] ?? REJECTION_REASONS[0];
    return { status: "REJECTED", reason, completesAt: null };
  }
  if (drawn < behaviour.rejected + behaviour.late) {
    return { status: "ACCEPTED", reason: null, completesAt: now + behaviour.completesAfterMs };
  }
  return { status: "COMPLETED", reason: null, completesAt: null };
}
