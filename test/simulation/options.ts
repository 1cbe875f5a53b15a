/** What a run is made of: its size and its faults, drawn from the seed (a swarm: each run has some kinds of fault and lacks others). */
import type { SequencerLimits } from "../../src/ledger/sequencer.ts";
import type { DeliveryLoopOptions } from "../../src/relay/delivery-loop.ts";
import type { RetryPolicy } from "../../src/relay/retry.ts";
import type { Random } from "./random.ts";

/** Probabilities of one database call. */
export interface DatabaseFaults {
  readonly failsBefore: number;
  /** It happened, and the caller is told that it failed. */
  readonly failsAfter: number;
  /** The caller is told that it failed, and it happens up to 20 s later. */
  readonly failsThenLands: number;
  /** Up to 45 s, which is longer than anyone waits. */
  readonly slow: number;
}

/** Probabilities of one call between workers, or from a client. */
export interface CallFaults {
  readonly lost: number;
  readonly answerLost: number;
  readonly slow: number;
  /** The called isolate vanishes while it works. */
  readonly calleeKilled: number;
}

export interface QueueFaults {
  readonly sendFails: number;
  readonly lost: number;
  readonly doubled: number;
  readonly late: number;
}

/** Probabilities of one post. */
export interface ReceiverFaults {
  /** 5xx, 429 or 408, with or without Retry-After, nothing applied. */
  readonly errors: number;
  /** Of these errors: with Retry-After, which a 429 asks for all lanes of its destination. */
  readonly retryAfter: number;
  /** Applied, then answered with an error or not at all. */
  readonly errorsAfterEffect: number;
  readonly connectionFails: number;
  readonly slow: number;
  /** No answer in time; the effect lands before, or up to `lateEffectMs` after. */
  readonly timeouts: number;
  /** Of the posts that time out: the effect never lands. */
  readonly effectLost: number;
  /** 404 that says retryable. */
  readonly notYetKnown: number;
  /** A 4xx or 3xx that nothing can mend. */
  readonly refuses: number;
  readonly losesMemory: number;
  /** It is not there: connections are refused, nothing is answered, or a proxy says so. */
  readonly down: number;
}

export interface Faults {
  readonly database: DatabaseFaults;
  readonly calls: CallFaults;
  readonly queue: QueueFaults;
  readonly receivers: ReceiverFaults;
  /** Per invocation of the relay. */
  readonly relayKilled: number;
  /** Per invocation, and per lease: it stands still for up to 90 s, and goes on as if nothing had been. */
  readonly relayStalls: number;
  /** Per post: the invocation vanishes with the answer in its hands. */
  readonly relayKilledBeforeRecord: number;
  readonly cronMissed: number;
  readonly cronDoubled: number;
}

export const NO_FAULTS: Faults = {
  database: { failsBefore: 0, failsAfter: 0, failsThenLands: 0, slow: 0 },
  calls: { lost: 0, answerLost: 0, slow: 0, calleeKilled: 0 },
  queue: { sendFails: 0, lost: 0, doubled: 0, late: 0 },
  receivers: {
    errors: 0,
    retryAfter: 0,
    errorsAfterEffect: 0,
    connectionFails: 0,
    slow: 0,
    timeouts: 0,
    effectLost: 0,
    notYetKnown: 0,
    refuses: 0,
    losesMemory: 0,
    down: 0,
  },
  relayKilled: 0,
  relayStalls: 0,
  relayKilledBeforeRecord: 0,
  cronMissed: 0,
  cronDoubled: 0,
};

/**
 * `remembers` the ids of events and applies each once. `careless` applies whatever comes, parallel calls and old events too: the last
 * write wins. `forgets` remembers until it loses its memory.
 */
export type ReceiverKind = "remembers" | "careless" | "forgets";

export interface DestinationOptions {
  readonly destinationId: string;
  readonly kind: "MEDLINK" | "INSURER";
  readonly insurerAddress: string | undefined;
  readonly deliverAfter: "commit" | "anchor";
  readonly receiver: ReceiverKind;
  readonly requestsPerMinute: number;
  readonly timeoutMs: number;
}

export interface WorldOptions {
  readonly requests: number;
  readonly claims: number;
  readonly destinations: readonly DestinationOptions[];
  /** Requests begin in the first half of it; then the faults end. */
  readonly faultyMs: number;
  readonly faults: Faults;
  /** The faults end only when all has settled under them. */
  readonly faultsGoOn: boolean;
  /** Chance of a client sending a second time at once, or other content under the same id. */
  readonly duplicates: number;
  readonly conflicts: number;
  readonly sequencerEvictions: number;
  /** Share of the evictions after which the old instance goes on for a while. */
  readonly sequencerOverlaps: number;
  readonly pauses: number;
  readonly clockSteps: number;
  /** No clock is ever farther than this from the true time. */
  readonly clockErrorMs: number;
  /** How late after the timeout an effect may land. What clocks may be wrong by is taken off the 30 s that lanes wait. */
  readonly lateEffectMs: number;
  readonly sequencer: SequencerLimits;
  readonly delivery: DeliveryLoopOptions;
  readonly consumers: number;
  readonly policy: RetryPolicy;
  /** How long everything may take to settle once the faults have ended. */
  readonly settleMs: number;
}

export const INSURERS = [
  "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
] as const;

/** The contract's defaults. */
export const POLICY: RetryPolicy = {
  maxRetries: 8,
  initialBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  notYetKnownWindowMs: 600_000,
  afterTimeoutWaitMs: 30_000,
};

export const SEQUENCER: SequencerLimits = {
  commitMaxCommands: 128,
  commitMaxBytes: 1_000_000,
  waitingMaxCommands: 4_096,
  waitingMaxBytes: 32_000_000,
  gatherMs: 2,
  maxAttempts: 5,
  retryDelayMs: 200,
};

function drawDestinations(random: Random): readonly DestinationOptions[] {
  const draw = (destinationId: string, insurerAddress: string | undefined): DestinationOptions => ({
    destinationId,
    kind: insurerAddress === undefined ? "MEDLINK" : "INSURER",
    insurerAddress,
    deliverAfter: random.chance(insurerAddress === undefined ? 0.1 : 0.7) ? "anchor" : "commit",
    receiver: random.pick(["remembers", "careless", "forgets"]),
    requestsPerMinute: random.pick([6, 60, 240, 240, 240, 240, 1_000]),
    timeoutMs: random.pick([2_000, 8_000, 8_000]),
  });
  const all = [draw("medlink", undefined), draw("insurer-a", INSURERS[0]), draw("insurer-b", INSURERS[1])];
  return all.slice(0, random.between(2, 3));
}

export function drawFaults(random: Random): Faults {
  const p = (max: number): number => random.probability(max);
  return {
    database: { failsBefore: p(0.1), failsAfter: p(0.1), failsThenLands: p(0.05), slow: p(0.03) },
    calls: { lost: p(0.05), answerLost: p(0.05), slow: p(0.05), calleeKilled: p(0.03) },
    queue: { sendFails: p(0.2), lost: p(0.4), doubled: p(0.3), late: p(0.3) },
    receivers: {
      errors: p(0.4),
      retryAfter: p(0.8),
      errorsAfterEffect: p(0.3),
      connectionFails: p(0.2),
      slow: p(0.2),
      timeouts: p(0.3),
      effectLost: random.next(),
      notYetKnown: p(0.2),
      refuses: p(0.1),
      losesMemory: p(0.2),
      down: p(0.1),
    },
    relayKilled: p(0.3),
    relayStalls: p(0.2),
    relayKilledBeforeRecord: p(0.15),
    cronMissed: p(0.5),
    cronDoubled: p(0.2),
  };
}

export function drawOptions(random: Random): WorldOptions {
  const clockErrorMs = random.chance(0.35) ? random.pick([100, 1_500, 6_000]) : 0;
  return {
    requests: random.between(3, 8),
    claims: random.between(0, 2),
    destinations: drawDestinations(random),
    faultyMs: random.between(30, 240) * 1_000,
    faults: drawFaults(random),
    faultsGoOn: false,
    duplicates: random.probability(0.5),
    conflicts: random.probability(0.3),
    sequencerEvictions: random.chance(0.6) ? random.between(1, 6) : 0,
    sequencerOverlaps: random.probability(1),
    pauses: random.chance(0.3) ? random.between(1, 3) : 0,
    clockSteps: clockErrorMs > 0 ? random.between(1, 20) : 0,
    clockErrorMs,
    lateEffectMs: 30_000 - 4 * clockErrorMs,
    sequencer: {
      ...SEQUENCER,
      commitMaxCommands: random.pick([1, 2, 4, 128]),
      waitingMaxCommands: random.pick([2, 4_096, 4_096]),
    },
    delivery: {
      leaseLimit: random.pick([1, 2, 5, 20, 100]),
      slots: random.between(1, 6),
      invocationMs: random.between(1, 25) * 1_000,
      pollMs: random.pick([200, 1_000, 2_000, 2_000]),
      coreCalls: random.pick([8, 24, 24]),
    },
    consumers: random.between(1, 3),
    policy: { ...POLICY, maxRetries: random.pick([1, 3, 8, 8]) },
    settleMs: 7_200_000,
  };
}
