/**
 * One invocation of the relay: lease, post, record, until nothing is due or time is up. Leasing and recording go on beside the posts;
 * outcomes that gather while one record is under way go in the next.
 *
 * A destination that does not answer holds up no other. It gets one slot; and once nothing is under way but posts that take long, the
 * invocation is free: its consumer acknowledges and goes on to the next hint, while the posts left behind end and are recorded by
 * themselves. As long as they are under way the isolate makes no others in their place.
 */
import type { KnownReceivers } from "./known-receivers.ts";
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
  /** After so many calls to core no post begins; those under way need a few more, for their records. */
  readonly coreCalls: number;
}

export interface DeliveryLoopDependencies {
  readonly port: RelayPortApi;
  /** Never rejects. */
  readonly post: (delivery: LeasedDelivery) => Promise<PostResult>;
  /** Epoch ms. */
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** The isolate's. */
  readonly receivers: KnownReceivers;
}

export interface DeliveryRun {
  /**
   * Resolves when all that is left, if anything, is posts that take long and their records: at most LEFT_BEHIND_MS of them.
   * Rejects as `ended` does, if that is before.
   */
  readonly free: Promise<void>;
  /**
   * Resolves once everything leased was posted or released, and recorded. Rejects with whatever lease or record threw, after the posts
   * under way have ended and been recorded as far as possible; what was not recorded is leased again when its lease runs out.
   */
  readonly ended: Promise<DeliverySummary>;
}

export interface DeliverySummary {
  readonly posted: number;
  readonly delivered: number;
  readonly released: number;
}

/** A destination's deliveries in hand and under way in this invocation. */
interface Line {
  readonly destinationId: string;
  readonly waiting: LeasedDelivery[];
  running: number;
  readonly timeoutMs: number;
}

interface PostUnderWay {
  readonly line: Line;
  /** Epoch ms. */
  readonly startedAt: number;
  /** Called when it has ended, once it was left behind. */
  forget: () => void;
}

/** A record that is lost costs a second delivery, so it is tried again; twice recorded is recorded once. */
const RECORD_TRIES = 3;
const RECORD_PAUSE_MS = 200;

/**
 * While other posts are under way an outcome waits for more to be recorded with it: a transaction costs more than a row. It waits so
 * many times as long as the last record took, within these bounds.
 */
const GATHER_FACTOR = 3;
const MIN_GATHER_MS = 60;
const MAX_GATHER_MS = 400;

/**
 * The platform gives an invocation that has answered 30 s more: a post that may last longer than this is not left behind, but waited for.
 */
export const LEFT_BEHIND_MS = 25_000;

/** A post left behind that has not ended so long after its timeout went with its invocation. */
const LOST_AFTER_MS = 30_000;

/** When a post takes long: that to a receiver which answers, and that to one of which nothing is known. */
const SLOW_MS = 1_000;
const SLOW_UNKNOWN_MS = 50;

/** Calls to core that are kept for what is in hand when no more is leased. */
const CALLS_FOR_THE_REST = 6;

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

export function startDeliveryLoop(dependencies: DeliveryLoopDependencies, options: DeliveryLoopOptions): DeliveryRun {
  return new DeliveryLoop(dependencies, options).start();
}

class DeliveryLoop {
  readonly #deps: DeliveryLoopDependencies;
  readonly #options: DeliveryLoopOptions;
  readonly #deadline: number;
  readonly #lines = new Map<string, Line>();
  #inHand = 0;
  readonly #underWay = new Set<PostUnderWay>();
  #outcomes: DeliveryOutcome[] = [];
  #leasing = false;
  #recording = false;
  /** A record failed and is being made again: no post begins whose outcome might be lost too. */
  #recordFailing = false;
  /** Something was released for the next invocation. */
  #leftOver = false;
  /** Free: what is under way was left behind. */
  #left = false;
  #setFree: () => void = () => {};
  #coreCalls = 0;
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

  start(): DeliveryRun {
    const left = new Promise<void>((resolve) => {
      this.#setFree = resolve;
    });
    const ended = this.#run();
    const free = Promise.race([left, ended.then(() => {})]);
    free.catch(() => {}); // who waits for `ended` alone hears it there
    return { free, ended };
  }

  async #run(): Promise<DeliverySummary> {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
      this.#startPosts();
      this.#startRecord();
      this.#startLease();
      if (this.#mayLeave()) this.#leave();
      const waitMs = this.#waitMs();
      if (waitMs === undefined) break;
      if (Number.isFinite(waitMs)) this.#startSleep(waitMs);
      await changed;
    }
    if (this.#failure !== undefined) throw this.#failure.thrown;
    const done = this.#drained && !this.#leftOver && !this.#left;
    const wakeAt = done ? this.#rateLimitedUntil : this.#deps.now();
    if (wakeAt !== undefined) await this.#wakeAt(wakeAt);
    return { posted: this.#posted, delivered: this.#delivered, released: this.#released };
  }

  #wakeAt(at: number): Promise<void> {
    return this.#deps.port.wake(Math.max(0, at - this.#deps.now()));
  }

  get #running(): number {
    return this.#underWay.size;
  }

  get #timeLeft(): boolean {
    return (
      this.#failure === undefined &&
      !this.#left &&
      this.#coreCalls < this.#options.coreCalls - CALLS_FOR_THE_REST &&
      this.#deps.now() < this.#deadline
    );
  }

  /** Posts that may end soon. */
  get #lively(): number {
    const now = this.#deps.now();
    let count = 0;
    for (const post of this.#underWay) {
      if (this.#answering(post.line) === true && now < this.#slowAt(post)) count += 1;
    }
    return count;
  }

  #answering({ destinationId }: Line): boolean | undefined {
    return this.#deps.receivers.answering(destinationId);
  }

  /** Epoch ms from when on a post takes long. */
  #slowAt({ line, startedAt }: PostUnderWay): number {
    switch (this.#answering(line)) {
      case true:
        return startedAt + SLOW_MS;
      case undefined:
        return startedAt + SLOW_UNKNOWN_MS;
      case false:
        return startedAt;
    }
  }

  /** Epoch ms from when on a post can be left behind: it takes long, but not so long that it could not end by itself. */
  #leavableAt(post: PostUnderWay): number {
    return Math.max(this.#slowAt(post), post.startedAt + post.line.timeoutMs - LEFT_BEHIND_MS);
  }

  /** @returns ms until all posts under way can be left behind. */
  #untilLeavable(): number {
    let last = Number.NEGATIVE_INFINITY;
    for (const post of this.#underWay) last = Math.max(last, this.#leavableAt(post));
    return last - this.#deps.now();
  }

  /** Nothing is under way but posts that can be left behind. */
  #mayLeave(): boolean {
    if (this.#left || this.#running === 0 || this.#failure !== undefined) return false;
    if (this.#leasing || this.#recording || this.#outcomes.length > 0) return false;
    return this.#untilLeavable() <= 0;
  }

  #leave(): void {
    this.#left = true;
    const { receivers } = this.#deps;
    for (const post of this.#underWay) {
      const { destinationId, timeoutMs } = post.line;
      post.forget = receivers.leave(destinationId, post.startedAt + timeoutMs + LOST_AFTER_MS);
    }
    // What had only no slot here is for the next invocation; the rest waits for the posts left behind.
    let wanted = !this.#drained;
    for (const line of this.#lines.values()) {
      if (line.waiting.length > 0 && this.#slotsOf(line.destinationId) > 0) wanted = true;
      for (const delivery of line.waiting.splice(0)) this.#release(delivery);
    }
    this.#inHand = 0;
    this.#startRecord();
    const wakeAt = wanted ? this.#deps.now() : this.#rateLimitedUntil;
    if (wakeAt !== undefined) void this.#settle(() => this.#wakeAt(wakeAt));
    this.#setFree();
  }

  get #nextPollAt(): number {
    const { pollMs } = this.#options;
    const hung = this.#running > 0 && this.#lively === 0;
    return this.#lastLeaseAt + (hung ? Math.min(HUNG_POLL_MS * 2 ** this.#emptyLeases, pollMs) : pollMs);
  }

  /** @returns ms until there may be something to do without any event, Infinity for never, undefined when all is done. */
  #waitMs(): number | undefined {
    const busy = this.#running > 0 || this.#leasing || this.#recording;
    if (!busy) return undefined;
    if (this.#left) return Number.POSITIVE_INFINITY;
    if (this.#running === 0) return Number.POSITIVE_INFINITY;
    const leavable = this.#untilLeavable();
    const untilLeavable = leavable > 0 ? leavable : Number.POSITIVE_INFINITY;
    const soon = Math.min(this.#untilRecord(), untilLeavable);
    if (!this.#timeLeft || this.#leasing) return soon;
    // A poll that is due but has no room waits for an event, or for its next turn.
    const untilPoll = this.#nextPollAt - this.#deps.now();
    return Math.min(soon, untilPoll > 0 ? untilPoll : this.#options.pollMs);
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
      if (!late && line.running >= this.#slotsOf(line.destinationId)) continue;
      if (best === undefined || line.running < best.running) best = line;
    }
    return best;
  }

  /** Not to be posted by this invocation any more, but released. */
  #isLate(delivery: LeasedDelivery, line: Line): boolean {
    if (this.#failure !== undefined || this.#coreCalls >= this.#options.coreCalls) return true;
    if (this.#deps.now() >= delivery.startBeforeMs) return true;
    return this.#tooLateFor(line);
  }

  /**
   * A post to a destination that does not answer lasts as long as its timeout: where that is too long for it to be left behind, and it
   * begins near the end, it would keep this invocation waiting.
   */
  #tooLateFor(line: Line): boolean {
    if (this.#answering(line) !== false || line.timeoutMs <= LEFT_BEHIND_MS) return false;
    const now = this.#deps.now();
    return now + line.timeoutMs > this.#deadline && now > this.#deadline - this.#options.invocationMs / 2;
  }

  async #post(delivery: LeasedDelivery, line: Line): Promise<void> {
    line.running += 1;
    const post: PostUnderWay = { line, startedAt: this.#deps.now(), forget: () => {} };
    this.#underWay.add(post);
    const may = delivery.suspected !== true || (await this.#announced(delivery));
    const startedAt = this.#deps.now();
    const result = may ? await this.#deps.post(delivery) : undefined;
    line.running -= 1;
    this.#underWay.delete(post);
    post.forget();
    if (result === undefined) {
      this.#release(delivery);
      this.#notify();
      return;
    }
    this.#deps.receivers.learn(line.destinationId, result.type === "answered");
    this.#posted += 1;
    if (result.type === "answered" && result.status >= 200 && result.status < 300) this.#delivered += 1;
    const durationMs = Math.max(0, this.#deps.now() - startedAt);
    this.#push({ ...keyOf(delivery), type: "posted", result, startedAt, durationMs });
    this.#notify();
  }

  /** Never rejects: a post that can not be announced in time is not made. */
  async #announced({ outboxId, leaseToken, startBeforeMs }: LeasedDelivery): Promise<boolean> {
    this.#coreCalls += 1;
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
      this.#coreCalls += 1;
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
    if (this.#excluded.some((id) => !this.#hasEnough(id))) this.#drained = false;
    if (this.#drained && (this.#deps.now() < this.#nextPollAt || this.#running >= slots)) return;
    const limit = Math.min(leaseLimit, leaseLimit * 4 - this.#inHand);
    if (limit < 1 || this.#startable() >= this.#ahead) return;
    this.#leasing = true;
    this.#drained = true;
    this.#lastLeaseAt = this.#deps.now();
    const known = new Set([...this.#lines.keys(), ...this.#deps.receivers.lagging(this.#deps.now())]);
    this.#excluded = [...known].filter((id) => this.#hasEnough(id));
    this.#coreCalls += 1;
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

  /** How many posts to a destination this invocation may have under way at once. */
  #slotsOf(destinationId: string): number {
    const { receivers, now } = this.#deps;
    return slotsFor(receivers.answering(destinationId), this.#options.slots) - receivers.left(destinationId, now());
  }

  /** Deliveries in hand that only wait for a slot; those of a destination that has all it may have do not count. */
  #startable(): number {
    let count = 0;
    for (const line of this.#lines.values()) {
      if (this.#answering(line) === true || line.running < this.#slotsOf(line.destinationId))
        count += line.waiting.length;
    }
    return count;
  }

  /** Enough in hand to keep its slots busy while the next lease is on its way. */
  #hasEnough(destinationId: string): boolean {
    if (this.#slotsOf(destinationId) <= 0) return true;
    const line = this.#lines.get(destinationId);
    if (line === undefined) return false;
    if (this.#tooLateFor(line)) return true;
    return this.#answering(line) === true
      ? line.waiting.length >= this.#ahead
      : line.waiting.length + line.running >= 1;
  }

  #take(delivery: LeasedDelivery): void {
    const { destinationId, timeoutMs } = delivery.destination;
    const line = this.#lines.get(destinationId) ?? { destinationId, timeoutMs, waiting: [], running: 0 };
    this.#lines.set(destinationId, line);
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
