/**
 * Receivers, and what is checked at their doors: one post of a lane at a time, in order, the same bytes each time, no sooner than
 * the policy says. An effect lands when the receiver applies it, which may be long after the relay has given up.
 */

import { LEASE_SLACK_MS } from "../../src/relay/leases.store.ts";
import type { LeasedDelivery, PostResult } from "../../src/relay/port.ts";
import { MAX_RETRY_AFTER_MS } from "../../src/relay/retry.ts";
import type { DestinationOptions } from "./options.ts";
import type { Life } from "./scheduler.ts";
import type { World } from "./world.ts";

/** One lane as its receiver sees it. */
export interface LaneView {
  readonly destinationId: string;
  readonly subject: string;
  /** Until then the receiver is at work on a post. */
  openUntil: number;
  /** The last post that got no answer, in time or at all, was given up then. */
  timedOutAt: number;
  newestLanded: number;
  /** What the receiver believes of the request. */
  status: string | undefined;
  /** Effects by ledger position. */
  readonly effects: Map<number, number>;
}

export interface Answered {
  readonly at: number;
  readonly result: PostResult;
  readonly leaseToken: number;
  /** By the relay's clock. */
  readonly startedAt: number;
}

interface Frozen {
  readonly body: string;
  readonly seq: number;
  readonly subject: string;
  readonly status: string;
}

/** How one post goes, in ms from its beginning. */
interface Course {
  readonly arriveMs: number | undefined;
  /** Undefined: no effect. */
  readonly landMs: number | undefined;
  /** Later than the timeout: no answer. */
  readonly answerMs: number;
  readonly result: PostResult;
}

const MINUTE_MS = 60_000;

const answer = (status: number, over: { retryAfter?: string; retryable?: boolean } = {}): PostResult => ({
  type: "answered",
  status,
  retryAfter: over.retryAfter,
  retryable: over.retryable ?? false,
});

export class Receivers {
  readonly #world: World;
  readonly #destinations: ReadonlyMap<string, DestinationOptions>;
  readonly #lanes = new Map<string, LaneView>();
  readonly #frozen = new Map<number, Frozen>();
  readonly #answers = new Map<number, Answered[]>();
  /** When the posts of the last minute were sent, by destination. */
  readonly #sent = new Map<string, number[]>();
  /** Ids of applied events, by destination. */
  readonly #memories = new Map<string, Set<string>>();
  readonly #known = new Set<string>();
  posts = 0;

  constructor(world: World) {
    this.#world = world;
    this.#destinations = new Map(world.options.destinations.map((options) => [options.destinationId, options]));
  }

  get lanes(): Iterable<LaneView> {
    return this.#lanes.values();
  }

  lane(destinationId: string, subject: string): LaneView | undefined {
    return this.#lanes.get(`${destinationId} ${subject}`);
  }

  answersTo(outboxId: number): readonly Answered[] {
    return this.#answers.get(outboxId) ?? [];
  }

  /** The client has heard of this request's hash, so its webhook receiver knows it. */
  learn(subject: string): void {
    this.#known.add(subject);
  }

  readonly post = (relay: Life, delivery: LeasedDelivery): Promise<PostResult> => {
    const { scheduler, now } = this.#world;
    const destination = this.#destinationOf(delivery);
    const { timeoutMs } = destination;
    const sentAt = now();
    const startedAt = this.#world.relayClock.now();
    const frozen = this.#freeze(delivery);
    const course = this.#draw(destination, frozen.subject);
    const timesOut = course.answerMs >= timeoutMs;
    const result: PostResult = timesOut ? { type: "timeout" } : course.result;
    this.posts += 1;
    this.#checkRate(destination, sentAt);
    this.#world.trace(
      "post",
      delivery.destination.destinationId,
      delivery.outboxId,
      delivery.eventType,
      describe(result),
    );
    if (course.arriveMs !== undefined) {
      const openUntil = sentAt + Math.max(Math.min(course.answerMs, timeoutMs), course.landMs ?? 0);
      scheduler.after(course.arriveMs, () => this.#arrive(delivery, frozen, openUntil));
      if (course.landMs !== undefined) {
        scheduler.after(course.landMs, () => this.#land(destination, delivery, frozen));
      }
    }
    return new Promise((resolve) => {
      scheduler.after(timesOut ? timeoutMs : course.answerMs, () => {
        const lane = this.#laneOf(delivery, frozen.subject);
        if (result.type !== "answered") lane.timedOutAt = now();
        this.#remember(delivery, result, startedAt);
        scheduler.within(relay, 0, () => resolve(result));
      });
    });
  };

  /** A place in the rate is taken with the lease; the post follows within the slack of the lease. */
  #checkRate({ destinationId, requestsPerMinute }: DestinationOptions, now: number): void {
    const sent = (this.#sent.get(destinationId) ?? []).filter((at) => at > now - MINUTE_MS);
    sent.push(now);
    this.#sent.set(destinationId, sent);
    const windowMs = MINUTE_MS + LEASE_SLACK_MS + 4 * this.#world.options.clockErrorMs;
    if (sent.length > Math.ceil((requestsPerMinute * windowMs) / MINUTE_MS) + 1) {
      this.#world.violate(
        "rate",
        `${destinationId} got ${sent.length} posts in a minute, it takes ${requestsPerMinute}`,
      );
    }
  }

  #destinationOf({ destination: { destinationId } }: LeasedDelivery): DestinationOptions {
    const destination = this.#destinations.get(destinationId);
    if (destination === undefined) throw new Error(`a post to nobody: ${destinationId}`);
    return destination;
  }

  #laneOf({ destination: { destinationId } }: LeasedDelivery, subject: string): LaneView {
    const key = `${destinationId} ${subject}`;
    const held = this.#lanes.get(key);
    if (held !== undefined) return held;
    const lane: LaneView = {
      destinationId,
      subject,
      openUntil: 0,
      timedOutAt: 0,
      newestLanded: 0,
      status: undefined,
      effects: new Map(),
    };
    this.#lanes.set(key, lane);
    return lane;
  }

  #remember({ outboxId, leaseToken }: LeasedDelivery, result: PostResult, startedAt: number): void {
    const answers = this.#answers.get(outboxId);
    const answered = { at: this.#world.now(), result, leaseToken, startedAt };
    if (answers === undefined) this.#answers.set(outboxId, [answered]);
    else answers.push(answered);
  }

  #freeze({ outboxId, body, eventId, eventType }: LeasedDelivery): Frozen {
    const held = this.#frozen.get(outboxId);
    if (held !== undefined) {
      if (held.body !== body) this.#world.violate("frozen body", `row ${outboxId} was posted with two bodies`);
      return held;
    }
    const event: unknown = JSON.parse(body);
    const { seq, subject, decision, blockNumber } = readEvent(event);
    const destination = this.#world.options.destinations.find(({ kind }) => eventId.endsWith(`:${kind}`));
    if (destination === undefined) this.#world.violate("event", `event id ${eventId} names no kind of destination`);
    const stored = this.#world.row("SELECT body, event_id, destination_id FROM outbox WHERE outbox_id = ?", outboxId);
    if (stored?.body !== body || stored.event_id !== eventId) {
      this.#world.violate("frozen body", `row ${outboxId} was posted with another body than it has`);
    }
    const after = this.#world.options.destinations.find(
      ({ destinationId }) => destinationId === stored?.destination_id,
    );
    if (after?.deliverAfter === "anchor" && blockNumber === null) {
      this.#world.violate("anchor", `row ${outboxId} was posted before its anchor was confirmed`);
    }
    const status = decision ?? eventType.replace("REQUEST_", "");
    const frozen = { body, seq, subject, status };
    this.#frozen.set(outboxId, frozen);
    return frozen;
  }

  #arrive(delivery: LeasedDelivery, { subject }: Frozen, openUntil: number): void {
    const world = this.#world;
    const { options } = world;
    const { outboxId, destination } = delivery;
    const lane = this.#laneOf(delivery, subject);
    const now = world.now();
    if (now < lane.openUntil) {
      world.violate(
        "one in flight",
        `row ${outboxId} reached ${destination.destinationId} ${lane.openUntil - now} ms before it was done with the last of its lane`,
      );
    }
    const waitMs = options.policy.afterTimeoutWaitMs - 4 * options.clockErrorMs;
    if (lane.timedOutAt > 0 && now - lane.timedOutAt < waitMs) {
      world.violate(
        "wait after timeout",
        `row ${outboxId} came ${now - lane.timedOutAt} ms after a timeout in its lane`,
      );
    }
    if (delivery.attempts > options.policy.maxRetries) {
      world.violate("attempts", `row ${outboxId} is tried after ${delivery.attempts} counted attempts`);
    }
    this.#checkRetryAfter(delivery, now);
    lane.openUntil = Math.max(lane.openUntil, openUntil);
  }

  /** What a receiver asked for is owed once its answer is recorded; an answer that nobody recorded is not known. */
  #checkRetryAfter({ outboxId }: LeasedDelivery, now: number): void {
    const last = this.answersTo(outboxId).at(-1);
    const result = last?.result;
    if (last === undefined || result?.type !== "answered" || !/^\d+$/.test(result.retryAfter ?? "")) return;
    if (result.status !== 429 && result.status !== 503) return;
    const askedMs = Math.min(Number(result.retryAfter) * 1_000, MAX_RETRY_AFTER_MS);
    if (now - last.at >= askedMs - 2 * this.#world.options.clockErrorMs) return;
    const recorded = this.#world.row(
      "SELECT 1 FROM delivery_attempts WHERE outbox_id = ? AND lease_token = ?",
      outboxId,
      last.leaseToken,
    );
    if (recorded !== undefined) {
      this.#world.violate(
        "retry-after",
        `row ${outboxId} came ${now - last.at} ms after a Retry-After of ${askedMs} ms`,
      );
    }
  }

  #land(destination: DestinationOptions, delivery: LeasedDelivery, { subject, seq, status }: Frozen): void {
    const world = this.#world;
    const { outboxId, eventId } = delivery;
    const lane = this.#laneOf(delivery, subject);
    const memory = this.#memories.get(destination.destinationId) ?? new Set();
    this.#memories.set(destination.destinationId, memory);
    if (destination.receiver === "forgets" && world.random.chance(world.faults.receivers.losesMemory)) memory.clear();
    if (destination.receiver !== "careless" && memory.has(eventId)) return;
    if (outboxId < lane.newestLanded) {
      world.violate("order", `row ${outboxId} was applied after row ${lane.newestLanded} of its lane`);
    }
    memory.add(eventId);
    lane.newestLanded = Math.max(lane.newestLanded, outboxId);
    lane.status = status;
    const effects = (lane.effects.get(seq) ?? 0) + 1;
    lane.effects.set(seq, effects);
    world.trace("effect", destination.destinationId, outboxId, status, effects > 1 ? `${effects} times` : undefined);
    if (destination.receiver === "remembers" && effects > 1) {
      world.violate("one effect", `entry ${seq} was applied ${effects} times at ${destination.destinationId}`);
    }
  }

  #draw(destination: DestinationOptions, subject: string): Course {
    const { random, faults, options, healed } = this.#world;
    const { receivers } = faults;
    const { timeoutMs } = destination;
    const arriveMs = random.between(1, 100);
    const workMs = random.chance(receivers.slow) ? random.between(300, timeoutMs - 200) : random.between(5, 300);
    const landMs = arriveMs + random.between(1, workMs);
    const answerMs = arriveMs + workMs + 5;
    if (random.chance(receivers.down)) return this.#drawDown(arriveMs, answerMs, timeoutMs);
    if (random.chance(receivers.connectionFails)) {
      const lost: PostResult = { type: "connection-failed", reason: "connection reset" };
      if (random.chance(0.5)) return { arriveMs: undefined, landMs: undefined, answerMs: arriveMs, result: lost };
      const lateMs = answerMs + random.between(0, options.lateEffectMs);
      return { arriveMs, landMs: random.chance(0.5) ? landMs : lateMs, answerMs, result: lost };
    }
    if (random.chance(receivers.timeouts)) {
      const lateMs = timeoutMs + random.between(0, options.lateEffectMs);
      const landsMs = random.chance(0.3) ? random.between(arriveMs, timeoutMs) : lateMs;
      const landMs = random.chance(receivers.effectLost) ? undefined : landsMs;
      return { arriveMs, landMs, answerMs: timeoutMs, result: { type: "timeout" } };
    }
    const unknown = destination.kind === "MEDLINK" && !healed && !this.#known.has(subject);
    if (unknown || random.chance(receivers.notYetKnown)) {
      return { arriveMs, landMs: undefined, answerMs, result: answer(404, { retryable: true }) };
    }
    if (random.chance(receivers.refuses)) {
      return { arriveMs, landMs: undefined, answerMs, result: answer(random.pick([400, 404, 410, 302])) };
    }
    if (random.chance(receivers.errors)) {
      const status = random.pick([500, 502, 503, 503, 429, 429, 408]);
      const retryAfter = random.chance(receivers.retryAfter) ? this.#drawRetryAfter() : undefined;
      const result = answer(status, retryAfter === undefined ? {} : { retryAfter });
      return { arriveMs, landMs: undefined, answerMs, result };
    }
    if (random.chance(receivers.errorsAfterEffect)) {
      return { arriveMs, landMs, answerMs, result: answer(random.pick([500, 502, 503])) };
    }
    return { arriveMs, landMs, answerMs, result: answer(random.pick([200, 200, 201, 204])) };
  }

  #drawDown(arriveMs: number, answerMs: number, timeoutMs: number): Course {
    const { random } = this.#world;
    const refused: PostResult = { type: "connection-failed", reason: "connection refused" };
    switch (random.between(0, 2)) {
      case 0:
        return { arriveMs: undefined, landMs: undefined, answerMs: arriveMs, result: refused };
      case 1:
        return { arriveMs: undefined, landMs: undefined, answerMs: timeoutMs, result: { type: "timeout" } };
      default:
        return { arriveMs, landMs: undefined, answerMs, result: answer(random.pick([502, 503, 504])) };
    }
  }

  #drawRetryAfter(): string {
    const { random, coreClock } = this.#world;
    switch (random.between(0, 9)) {
      case 0:
        return "soon";
      case 1:
        return "999999999";
      case 2:
        return new Date(coreClock.now() + random.between(-10, 60) * 1_000).toUTCString();
      default:
        return String(random.between(0, 90));
    }
  }
}

const describe = (result: PostResult): string =>
  result.type === "answered"
    ? `${result.status}${result.retryable ? " retryable" : ""}${result.retryAfter === undefined ? "" : ` retry-after ${result.retryAfter}`}`
    : result.type;

interface ReadEvent {
  readonly seq: number;
  readonly subject: string;
  readonly decision: string | undefined;
  readonly blockNumber: unknown;
}

/** A body as receivers read it. */
function readEvent(event: unknown): ReadEvent {
  const fields = objectOf(event);
  const data = objectOf(fields.data);
  const { seq } = objectOf(fields.ledger);
  const { requestIdHash, blockNumber } = fields;
  if (typeof seq !== "number" || typeof requestIdHash !== "string") throw new Error("a body that is not an event");
  return {
    seq,
    subject: requestIdHash,
    decision: typeof data.decision === "string" ? data.decision : undefined,
    blockNumber,
  };
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {};
