/**
 * OperatorLimiter: the one place that says whether a call to the payer's operator may go now; a single object for all isolates.
 *
 * Invariant: two permits are never for one slot. When the next slot begins is stored before a permit leaves (the platform holds an
 * answer back until the write is durable), so an eviction finds it again and a lost answer wastes its slot. The pace itself, and
 * who is next, are src/settlement/operator/permits.ts.
 *
 * The circuit breaker is kept here too: whoever wants to call asks here anyway, so all isolates see one circuit at no cost.
 *
 * Callers wait in memory, bounded in number and time; with the object they lose their calls and come back. Timers and callers of
 * different requests share the object's context, so one timer serves them all.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { systemNow } from "../src/platform/clock.edge.ts";
import { type CoreSettings, coreSettingsSchema } from "../src/platform/settings.ts";
import {
  afterCall,
  type CallOutcome,
  type Circuit,
  CLOSED_CIRCUIT,
  passage,
  probing,
} from "../src/settlement/operator/circuit.ts";
import {
  type PermitPolicy,
  permitPolicy,
  postponed,
  spacingMs,
  takeSlot,
  type Waiter,
  WaitingRoom,
} from "../src/settlement/operator/permits.ts";

export interface PermitRequest extends Waiter {
  readonly maxWaitMs: number;
}

export type Permit =
  /** `heldMs`: how long the call was kept here; what it took beyond that was the way. */
  | { readonly type: "permit"; readonly heldMs: number }
  | { readonly type: "refused"; readonly reason: "busy" | "open"; readonly retryAfterMs: number };

export interface OperatorReport extends CallOutcome {
  /** The operator answered 429. */
  readonly retryAfterMs?: number;
}

interface Waiting extends Waiter {
  readonly arrivedAt: number;
  readonly deadline: number;
  readonly resolve: (permit: Permit) => void;
}

/** An answer to a probe is waited for this much longer than its timeout. */
const PROBE_MARGIN_MS = 5_000;

/** However long the operator says: a mistake of theirs must not stop us for days. */
const MAX_RETRY_AFTER_MS = 15 * 60_000;

export class OperatorLimiter extends DurableObject<CoreEnv> {
  readonly #settings: CoreSettings;
  readonly #policy: PermitPolicy;
  readonly #room: WaitingRoom<Waiting>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#settings = coreSettingsSchema.parse(env);
    this.#policy = permitPolicy(this.#settings.OPERATOR_CALLS_PER_MINUTE);
    this.#room = new WaitingRoom(this.#policy);
  }

  /** Waits for a slot, at most `maxWaitMs`. */
  acquire({ clinicKey, priority, maxWaitMs }: PermitRequest): Promise<Permit> | Permit {
    const now = systemNow();
    const way = passage(this.#circuit, now);
    if (way.type === "stop") return { type: "refused", reason: "open", retryAfterMs: way.retryAfterMs };
    const expectedMs = this.#waitMs(now, this.#room.ahead({ clinicKey, priority }));
    if (expectedMs > maxWaitMs) return { type: "refused", reason: "busy", retryAfterMs: expectedMs };
    return new Promise((resolve) => {
      const waiting = { clinicKey, priority, arrivedAt: now, deadline: now + maxWaitMs, resolve };
      const leaving = this.#room.enter(waiting);
      if (leaving !== undefined) this.#refuse(leaving, now);
      this.#serve();
    });
  }

  /** What became of a call: for the circuit, and for the pace when the operator asked for a pause. */
  report({ failed, key, retryAfterMs }: OperatorReport): void {
    const now = systemNow();
    const circuit = afterCall(this.#circuit, { failed, key }, now);
    this.ctx.storage.kv.put("circuit", circuit);
    if (retryAfterMs !== undefined) {
      this.#nextSlotAt = postponed(this.#nextSlotAt, Math.min(retryAfterMs, MAX_RETRY_AFTER_MS), now);
    }
    this.#serve();
  }

  status(): {
    readonly circuit: Circuit;
    readonly nextSlotAt: number;
    readonly spacingMs: number;
    readonly waiting: number;
  } {
    return {
      circuit: this.#circuit,
      nextSlotAt: this.#nextSlotAt,
      spacingMs: spacingMs(this.#policy),
      waiting: this.#room.size,
    };
  }

  get #nextSlotAt(): number {
    return this.ctx.storage.kv.get<number>("nextSlotAt") ?? 0;
  }

  set #nextSlotAt(at: number) {
    this.ctx.storage.kv.put("nextSlotAt", at);
  }

  get #circuit(): Circuit {
    return this.ctx.storage.kv.get<Circuit>("circuit") ?? CLOSED_CIRCUIT;
  }

  /** Gives out what is due, refuses whom it is too late for, and comes back for the rest. */
  #serve(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = systemNow();
    for (const waiting of this.#room.all()) if (waiting.deadline < now) this.#dismiss(waiting, now);
    while (this.#room.size > 0) {
      const way = passage(this.#circuit, now);
      if (way.type === "stop") {
        for (const waiting of this.#room.all()) {
          this.#room.leave(waiting);
          waiting.resolve({ type: "refused", reason: "open", retryAfterMs: way.retryAfterMs });
        }
        return;
      }
      const slot = takeSlot(this.#nextSlotAt, this.#policy, now);
      if ("waitMs" in slot) {
        const untilDeadline = Math.min(...this.#room.all().map(({ deadline }) => deadline)) - now + 1;
        this.#timer = setTimeout(() => this.#serve(), Math.min(slot.waitMs, untilDeadline));
        return;
      }
      const waiting = this.#room.next();
      if (waiting === undefined) return;
      this.#nextSlotAt = slot.nextSlotAt;
      if (way.type === "probe") {
        const probeMs = this.#settings.OPERATOR_TIMEOUT_MS + PROBE_MARGIN_MS;
        this.ctx.storage.kv.put("circuit", probing(this.#circuit, probeMs, now));
      }
      waiting.resolve({ type: "permit", heldMs: now - waiting.arrivedAt });
    }
  }

  #dismiss(waiting: Waiting, now: number): void {
    this.#room.leave(waiting);
    this.#refuse(waiting, now);
  }

  #refuse(waiting: Waiting, now: number): void {
    waiting.resolve({ type: "refused", reason: "busy", retryAfterMs: this.#waitMs(now, this.#room.ahead(waiting)) });
  }

  /** Until a newcomer with so many before it has a slot, ms. */
  #waitMs(now: number, ahead: number): number {
    return Math.max(0, this.#nextSlotAt - now) + ahead * spacingMs(this.#policy);
  }
}
