/**
 * One invocation of the relay: lease, post, record, until nothing is due or time is up. Leasing and recording go on beside the posts;
 * outcomes that gather while one record is under way go in the next. A destination that does not answer gets one slot, so that it
 * holds up no other.
 */
import type { DeliveryOutcome, LeasedDelivery, PostResult, RelayPortApi } from "./port.ts";

export interface DeliveryLoopOptions {
  /** Deliveries in one lease; four times as many in hand at most, those being posted not counted. */
  readonly leaseLimit: number;
  /** Posts under way at once. */
  readonly slots: number;
  /** No lease begins later than this after the start. */
  readonly invocationMs: number;
  /** While posts are slow, how often to look for other work. */
  readonly pollMs: number;
}

export interface DeliveryLoopDependencies {
  readonly port: RelayPortApi;
  /** Never rejects. */
  readonly post: (delivery: LeasedDelivery) => Promise<PostResult>;
  /** Epoch ms. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export interface DeliverySummary {
  readonly posted: number;
  readonly delivered: number;
  readonly released: number;
}

/** A destination's deliveries in hand and under way in this invocation. */
interface Line {
  readonly waiting: LeasedDelivery[];
  running: number;
  readonly timeoutMs: number;
  /** What its last post did; undefined before the first. */
  answering: boolean | undefined;
}

/** A record that is lost costs a second delivery, so it is tried again; twice recorded is recorded once. */
const RECORD_TRIES = 3;
const RECORD_PAUSE_MS = 200;

/**
 * While other posts are under way an outcome waits for more to be recorded with it: a transaction costs more than a row. It waits so
 * many times as long as the last record took, within these bounds.
 */
const GATHER_FACTOR = 3;
const MIN_GATHER_MS = 40;
const MAX_GATHER_MS = 400;

/**
 * While nothing but posts to destinations that do not answer is under way, how soon to look for other work after some was found; twice
 * as long after each look that found none, up to the poll of other times.
 */
const HUNG_POLL_MS = 20;

/**
 * How many posts to one destination may be under way at once.
 * @param answering whether it answered the last post; undefined when none has ended yet.
 */
export function slotsFor(answering: boolean | undefined, slots: number): number {
  switch (answering) {
    case true:
      return slots;
    // One that never answered may be a dead one: it must not take the others' slots to show it.
    case undefined:
    case false:
      return 1;
  }
}

/**
 * @returns once everything leased was posted or released, and recorded.
 * @throws whatever lease or record threw, after the posts under way have ended and been recorded as far as possible; what was not
 * recorded is leased again when its lease runs out.
 */
export async function runDeliveryLoop(
  dependencies: DeliveryLoopDependencies,
  options: DeliveryLoopOptions,
): Promise<DeliverySummary> {
  return new DeliveryLoop(dependencies, options).run();
}

class DeliveryLoop {
  readonly #deps: DeliveryLoopDependencies;
  readonly #options: DeliveryLoopOptions;
  readonly #deadline: number;
  readonly #lines = new Map<string, Line>();
  #inHand = 0;
  #running = 0;
  #outcomes: DeliveryOutcome[] = [];
  #leasing = false;
  #recording = false;
  /** A record failed and is being made again: no post begins whose outcome might be lost too. */
  #recordFailing = false;
  /** Something was released for the next invocation. */
  #leftOver = false;
  /** Nothing more is due as far as known; a poll or a record that frees a lane says otherwise. */
  #drained = false;
  #lastLeaseAt: number;
  /** Deliveries in hand, of each destination and in all, that are enough until the next lease is there. */
  #ahead: number;
  /** Leases in a row that handed out nothing. */
  #emptyLeases = 0;
  /** Left out of the last lease, having enough in hand. */
  #excluded: readonly string[] = [];
  #sleepingUntil = Number.POSITIVE_INFINITY;
  /** When the outcomes that gather are recorded, however few they are. */
  #gatherUntil = 0;
  #gatherMs = MIN_GATHER_MS;
  #rateLimitedUntil: number | undefined;
  #failure: { readonly thrown: unknown } | undefined;
  #notify: () => void = () => {};
  #posted = 0;
  #delivered = 0;
  #released = 0;

  constructor(deps: DeliveryLoopDependencies, options: DeliveryLoopOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#deadline = deps.now() + options.invocationMs;
    this.#lastLeaseAt = deps.now();
    this.#ahead = options.slots * 2;
  }

  async run(): Promise<DeliverySummary> {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
      this.#startPosts();
      this.#startRecord();
      this.#startLease();
      const waitMs = this.#waitMs();
      if (waitMs === undefined) break;
      if (Number.isFinite(waitMs)) this.#startSleep(waitMs);
      await changed;
    }
    if (this.#failure !== undefined) throw this.#failure.thrown;
    const wakeAt = this.#drained && !this.#leftOver ? this.#rateLimitedUntil : this.#deps.now();
    if (wakeAt !== undefined) await this.#deps.port.wake(Math.max(0, wakeAt - this.#deps.now()));
    return { posted: this.#posted, delivered: this.#delivered, released: this.#released };
  }

  get #timeLeft(): boolean {
    return this.#failure === undefined && this.#deps.now() < this.#deadline;
  }

  /** Posts that may end soon; those to destinations that do not answer are not waited for. */
  get #lively(): number {
    let count = 0;
    for (const { answering, running } of this.#lines.values()) if (answering === true) count += running;
    return count;
  }

  get #nextPollAt(): number {
    const { pollMs } = this.#options;
    const hung = this.#running > 0 && this.#lively === 0;
    return this.#lastLeaseAt + (hung ? Math.min(HUNG_POLL_MS * 2 ** this.#emptyLeases, pollMs) : pollMs);
  }

  /** @returns ms until there may be something to do without any event, Infinity for never, undefined when all is done. */
  #waitMs(): number | undefined {
    const busy = this.#running > 0 || this.#leasing || this.#recording;
    if (!this.#timeLeft) return busy ? this.#untilRecord() : undefined;
    // A poll that is due but has no room waits for an event, or for its next turn.
    const overdue = this.#nextPollAt <= this.#deps.now();
    const untilPoll = overdue ? this.#options.pollMs : this.#nextPollAt - this.#deps.now();
    if (this.#running > 0) return Math.min(this.#untilRecord(), this.#leasing ? Number.POSITIVE_INFINITY : untilPoll);
    if (busy) return Number.POSITIVE_INFINITY;
    const limitedUntil = this.#rateLimitedUntil;
    return limitedUntil !== undefined && limitedUntil < this.#deadline ? untilPoll : undefined;
  }

  /** A timer for the earliest wish only, however many events come in between. */
  #startSleep(ms: number): void {
    const until = this.#deps.now() + ms;
    if (until >= this.#sleepingUntil) return;
    this.#sleepingUntil = until;
    void this.#deps.sleep(ms).then(() => {
      if (this.#sleepingUntil === until) this.#sleepingUntil = Number.POSITIVE_INFINITY;
      this.#notify();
    });
  }

  #startPosts(): void {
    if (this.#recordFailing && this.#failure === undefined) return;
    for (;;) {
      const next = this.#running < this.#options.slots || this.#failure !== undefined ? this.#nextLine() : undefined;
      const delivery = next?.waiting.shift();
      if (next === undefined || delivery === undefined) return;
      this.#inHand -= 1;
      if (this.#isLate(delivery, next)) {
        this.#release(delivery);
      } else {
        void this.#post(delivery, next);
      }
    }
  }

  /** The destination with the fewest posts under way among those that may have another. */
  #nextLine(): Line | undefined {
    let best: Line | undefined;
    for (const line of this.#lines.values()) {
      if (line.waiting.length === 0) continue;
      const [first] = line.waiting;
      const late = first !== undefined && this.#isLate(first, line);
      if (!late && line.running >= slotsFor(line.answering, this.#options.slots)) continue;
      if (best === undefined || line.running < best.running) best = line;
    }
    return best;
  }

  /** Not to be posted by this invocation any more, but released. */
  #isLate(delivery: LeasedDelivery, line: Line): boolean {
    if (this.#failure !== undefined || this.#deps.now() >= delivery.startBeforeMs) return true;
    return this.#tooLateFor(line);
  }

  /**
   * A post to a destination that does not answer lasts as long as its timeout: begun near the end, it would keep this invocation, and
   * where only one runs at a time every other destination, waiting for it.
   */
  #tooLateFor(line: Line): boolean {
    if (line.answering !== false) return false;
    const now = this.#deps.now();
    return now + line.timeoutMs > this.#deadline && now > this.#deadline - this.#options.invocationMs / 2;
  }

  async #post(delivery: LeasedDelivery, line: Line): Promise<void> {
    line.running += 1;
    this.#running += 1;
    const may = delivery.suspected !== true || (await this.#announced(delivery));
    const startedAt = this.#deps.now();
    const result = may ? await this.#deps.post(delivery) : undefined;
    line.running -= 1;
    this.#running -= 1;
    if (result === undefined) {
      this.#release(delivery);
      this.#notify();
      return;
    }
    line.answering = result.type === "answered";
    this.#posted += 1;
    if (result.type === "answered" && result.status >= 200 && result.status < 300) this.#delivered += 1;
    const durationMs = Math.max(0, this.#deps.now() - startedAt);
    this.#push({ ...keyOf(delivery), type: "posted", result, startedAt, durationMs });
    this.#notify();
  }

  /** Never rejects: a post that can not be announced in time is not made. */
  async #announced({ outboxId, leaseToken, startBeforeMs }: LeasedDelivery): Promise<boolean> {
    try {
      return (await this.#deps.port.begin(outboxId, leaseToken)) && this.#deps.now() < startBeforeMs;
    } catch {
      return false;
    }
  }

  #release(delivery: LeasedDelivery): void {
    this.#released += 1;
    this.#leftOver = true;
    this.#push({ ...keyOf(delivery), type: "released" });
  }

  #untilRecord(): number {
    if (this.#recording || this.#outcomes.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(1, this.#gatherUntil - this.#deps.now());
  }

  #push(outcome: DeliveryOutcome): void {
    if (this.#outcomes.length === 0) this.#gatherUntil = this.#deps.now() + this.#gatherMs;
    this.#outcomes.push(outcome);
  }

  #startRecord(): void {
    if (this.#recording || this.#outcomes.length === 0) return;
    const enough = this.#outcomes.length >= this.#options.leaseLimit;
    if (this.#lively > 0 && !enough && this.#deps.now() < this.#gatherUntil) return;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    this.#recording = true;
    void this.#settle(async () => {
      const { due } = await this.#record(outcomes);
      if (due > 0) this.#drained = false;
    }).then(() => {
      this.#recording = false;
      this.#notify();
    });
  }

  async #record(outcomes: readonly DeliveryOutcome[]): Promise<{ readonly due: number }> {
    for (let attempt = 1; ; attempt++) {
      const startedAt = this.#deps.now();
      try {
        const recorded = await this.#deps.port.record(outcomes);
        const tookMs = this.#deps.now() - startedAt;
        this.#gatherMs = Math.min(MAX_GATHER_MS, Math.max(MIN_GATHER_MS, GATHER_FACTOR * tookMs));
        this.#recordFailing = false;
        return recorded;
      } catch (thrown) {
        if (attempt >= RECORD_TRIES) throw thrown;
        this.#recordFailing = true;
        await this.#deps.sleep(RECORD_PAUSE_MS * attempt);
      }
    }
  }

  #startLease(): void {
    if (this.#leasing || this.#recordFailing || !this.#timeLeft) return;
    const { leaseLimit, slots } = this.#options;
    const postedBefore = this.#posted;
    if (this.#excluded.some((id) => !this.#hasEnough(this.#lines.get(id)))) this.#drained = false;
    if (this.#drained && (this.#deps.now() < this.#nextPollAt || this.#running >= slots)) return;
    const limit = Math.min(leaseLimit, leaseLimit * 4 - this.#inHand);
    if (limit < 1 || this.#startable() >= this.#ahead) return;
    this.#leasing = true;
    this.#drained = true;
    this.#lastLeaseAt = this.#deps.now();
    this.#excluded = [...this.#lines.keys()].filter((id) => this.#hasEnough(this.#lines.get(id)));
    void this.#settle(async () => {
      const lease = await this.#deps.port.lease(limit, this.#excluded);
      this.#emptyLeases = lease.deliveries.length > 0 ? 0 : Math.min(this.#emptyLeases + 1, 10);
      for (const delivery of lease.deliveries) this.#take(delivery);
      // Receivers may take more during one lease than was in hand at its beginning: then more is kept.
      this.#ahead = Math.min(leaseLimit, Math.max(slots * 2, 2 * (this.#posted - postedBefore)));
      if (lease.more) this.#drained = false;
      this.#rateLimitedUntil = lease.rateLimitedUntilMs;
    }).then(() => {
      this.#leasing = false;
      this.#notify();
    });
  }

  /** Deliveries in hand that only wait for a slot; those of a destination that has all it may have do not count. */
  #startable(): number {
    let count = 0;
    for (const { waiting, running, answering } of this.#lines.values()) {
      if (answering === true || running < slotsFor(answering, this.#options.slots)) count += waiting.length;
    }
    return count;
  }

  /** Enough in hand to keep its slots busy while the next lease is on its way. */
  #hasEnough(line: Line | undefined): boolean {
    if (line === undefined) return false;
    if (this.#tooLateFor(line)) return true;
    return line.waiting.length >= (line.answering === false ? 1 : this.#ahead);
  }

  #take(delivery: LeasedDelivery): void {
    const id = delivery.destination.destinationId;
    const line = this.#lines.get(id) ?? {
      waiting: [],
      running: 0,
      timeoutMs: delivery.destination.timeoutMs,
      answering: undefined,
    };
    this.#lines.set(id, line);
    line.waiting.push(delivery);
    this.#inHand += 1;
  }

  async #settle(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#failure ??= { thrown };
    }
  }
}

const keyOf = ({ outboxId, leaseToken }: LeasedDelivery) => ({ outboxId, leaseToken });
