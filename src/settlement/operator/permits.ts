/**
 * Permits for calls to the payer's operator: who gets the next one, and when.
 *
 * When: permits are paced by slots, never counted. The operator counts arrivals, and an arrival follows its permit by some delay
 * that varies; a counter that lets a burst through would be right here and wrong there. With a gap of (window + jitter) / limit
 * between slots, any limit + 1 arrivals span more than the window as long as their delays differ by less than the jitter. All
 * there is to remember is when the next slot begins: one number, which is stored before a permit leaves, so neither many isolates
 * nor an eviction can hand out two permits for one slot. An idle time saves nothing up.
 *
 * Who: what is urgent first, but nothing waits for ever; within a priority the clinic that waited longest since its last permit.
 */

/** Of the one OperatorLimiter. */
export const OPERATOR_LIMITER_NAME = "operator";

export interface PermitPolicy {
  readonly callsPerWindow: number;
  readonly windowMs: number;
  /** By how much the delays from slot to arrival may differ; what it is made of is in JITTER_MS. */
  readonly jitterMs: number;
  /** A timer that fires later than this starts the count anew from when it fired. */
  readonly maxLateMs: number;
  readonly maxWaiting: number;
  /** How often a waiting priority is passed over in favour of more urgent ones. */
  readonly patience: Readonly<Record<Priority, number>>;
}

/** Questions about what is stuck are urgent; sends are normal; reconciliation pages and replays are bulk. */
export const PRIORITIES = ["urgent", "normal", "bulk"] as const;
export type Priority = (typeof PRIORITIES)[number];

/**
 * 250 ms of a late timer, 500 ms that a permit may take to its caller (who throws an older one away), and a second for what
 * connecting and sending may take more at one time than at another. For 60 calls a minute that is a slot every 1,030 ms: 58 in any
 * minute, and 57 at the operator when delays differ by no more than a second.
 */
export const JITTER_MS = { lateTimer: 250, permit: 500, network: 1_000 } as const;

const DEFAULTS = {
  windowMs: 60_000,
  jitterMs: JITTER_MS.lateTimer + JITTER_MS.permit + JITTER_MS.network,
  maxLateMs: JITTER_MS.lateTimer,
  maxWaiting: 256,
  patience: { urgent: 0, normal: 3, bulk: 9 },
} as const;

export const permitPolicy = (callsPerMinute: number): PermitPolicy => ({ ...DEFAULTS, callsPerWindow: callsPerMinute });

/** Between two slots, ms. */
export const spacingMs = ({ callsPerWindow, windowMs, jitterMs }: PermitPolicy): number =>
  Math.floor((windowMs + jitterMs) / callsPerWindow) + 1;

/** Epoch ms at which the next slot begins; it is all that is stored. */
export type NextSlotAt = number;

/**
 * @returns how long to wait, ms, or when the slot after this one begins. A timer's lateness is no drift as long as it is small: the
 * rate would fall with each. More of it counts from now, since it would bring two permits closer together.
 */
export function takeSlot(
  next: NextSlotAt,
  policy: PermitPolicy,
  now: number,
): { readonly waitMs: number } | { readonly nextSlotAt: NextSlotAt } {
  if (now < next) return { waitMs: next - now };
  const from = now - next <= policy.maxLateMs ? next : now;
  return { nextSlotAt: from + spacingMs(policy) };
}

/** The operator said when to come back: nothing goes before. */
export const postponed = (next: NextSlotAt, retryAfterMs: number, now: number): NextSlotAt =>
  Math.max(next, now + retryAfterMs);

export interface Waiter {
  readonly clinicKey: string;
  readonly priority: Priority;
}

const MAX_SERVED_KEPT = 1_000;

/** Those who wait for a permit, bounded. Lost with the object that holds it: its callers are then gone as well. */
export class WaitingRoom<Held extends Waiter> {
  readonly #policy: PermitPolicy;
  readonly #lines: Readonly<Record<Priority, Map<string, Held[]>>> = {
    urgent: new Map(),
    normal: new Map(),
    bulk: new Map(),
  };
  /** Slots given to more urgent ones while this priority waited. */
  readonly #passedOver: Record<Priority, number> = { urgent: 0, normal: 0, bulk: 0 };
  /** Clinics by their last permit, oldest first. */
  readonly #served = new Map<string, number>();
  #turn = 0;
  #size = 0;

  constructor(policy: PermitPolicy) {
    this.#policy = policy;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * @returns who has to leave because the room is full: the newcomer, or the newest of the clinic that takes most of it. Undefined:
   * nobody.
   */
  enter(waiter: Held): Held | undefined {
    this.#add(waiter);
    if (this.#size <= this.#policy.maxWaiting) return undefined;
    const leaving = this.#newestOfLargest();
    if (leaving !== undefined) this.leave(leaving);
    return leaving;
  }

  leave(waiter: Held): void {
    const line = this.#lines[waiter.priority].get(waiter.clinicKey);
    const at = line?.indexOf(waiter) ?? -1;
    if (line === undefined || at === -1) return;
    line.splice(at, 1);
    this.#size -= 1;
    if (line.length === 0) this.#lines[waiter.priority].delete(waiter.clinicKey);
  }

  /** Who gets the slot; undefined when nobody waits. */
  next(): Held | undefined {
    const priority = this.#nextPriority();
    if (priority === undefined) return undefined;
    const waiter = this.#longestUnserved(this.#lines[priority]);
    if (waiter === undefined) return undefined;
    this.leave(waiter);
    this.#countTurn(priority, waiter.clinicKey);
    return waiter;
  }

  /** How many permits go to others before a newcomer gets one, as the room stands. */
  ahead({ priority, clinicKey }: Waiter): number {
    const lines = this.#lines[priority];
    const own = lines.get(clinicKey)?.length ?? 0;
    let before = PRIORITIES.slice(0, PRIORITIES.indexOf(priority)).reduce(
      (sum, more) => sum + count(this.#lines[more]),
      own,
    );
    for (const [key, line] of lines) if (key !== clinicKey) before += Math.min(line.length, own + 1);
    return before;
  }

  all(): readonly Held[] {
    return PRIORITIES.flatMap((priority) => [...this.#lines[priority].values()].flat());
  }

  #add(waiter: Held): void {
    const lines = this.#lines[waiter.priority];
    const line = lines.get(waiter.clinicKey);
    if (line === undefined) lines.set(waiter.clinicKey, [waiter]);
    else line.push(waiter);
    this.#size += 1;
  }

  #nextPriority(): Priority | undefined {
    const waiting = PRIORITIES.filter((priority) => this.#lines[priority].size > 0);
    const overdue = waiting.findLast(
      (priority) => priority !== "urgent" && this.#passedOver[priority] >= this.#policy.patience[priority],
    );
    return overdue ?? waiting[0];
  }

  #countTurn(taken: Priority, clinicKey: string): void {
    this.#turn += 1;
    this.#passedOver[taken] = 0;
    for (const priority of PRIORITIES) {
      if (priority === taken) continue;
      if (this.#lines[priority].size === 0) this.#passedOver[priority] = 0;
      else this.#passedOver[priority] += 1;
    }
    this.#served.delete(clinicKey);
    this.#served.set(clinicKey, this.#turn);
    if (this.#served.size > MAX_SERVED_KEPT) {
      for (const oldest of this.#served.keys()) {
        this.#served.delete(oldest);
        break;
      }
    }
  }

  #longestUnserved(lines: ReadonlyMap<string, readonly Held[]>): Held | undefined {
    let chosen: Held | undefined;
    let chosenTurn = Number.POSITIVE_INFINITY;
    for (const [clinicKey, line] of lines) {
      const turn = this.#served.get(clinicKey) ?? -1;
      if (turn < chosenTurn) {
        chosen = line[0];
        chosenTurn = turn;
      }
    }
    return chosen;
  }

  /** Of the least urgent priority that has any, so that a crowd of bulk makes room for a question. */
  #newestOfLargest(): Held | undefined {
    for (const priority of [...PRIORITIES].reverse()) {
      let largest: readonly Held[] = [];
      for (const line of this.#lines[priority].values()) if (line.length > largest.length) largest = line;
      const newest = largest.at(-1);
      if (newest !== undefined) return newest;
    }
    return undefined;
  }
}

const count = (lines: ReadonlyMap<string, readonly unknown[]>): number =>
  [...lines.values()].reduce((sum, line) => sum + line.length, 0);
