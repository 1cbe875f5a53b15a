/** Worlds that are not drawn but set: what must hold at a size or under a fault of its own. */
import { settleMany } from "../support/settle-many.ts";
import { NO_FAULTS, POLICY, SEQUENCER, type WorldOptions } from "./options.ts";
import { type Simulation, type SimulationResult, simulate } from "./simulate.ts";
import type { World } from "./world.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

const calm = (requests: number, faultyMs: number): WorldOptions => ({
  requests,
  claims: 0,
  destinations: [
    {
      destinationId: "medlink",
      kind: "MEDLINK",
      insurerAddress: undefined,
      deliverAfter: "commit",
      receiver: "careless",
      requestsPerMinute: 1_000_000,
      timeoutMs: 8_000,
    },
  ],
  faultyMs,
  faults: { ...NO_FAULTS },
  faultsGoOn: false,
  duplicates: 0,
  conflicts: 0,
  sequencerEvictions: 0,
  sequencerOverlaps: 0,
  pauses: 0,
  clockSteps: 0,
  clockErrorMs: 0,
  lateEffectMs: 30_000,
  sequencer: SEQUENCER,
  delivery: { leaseLimit: 100, slots: 6, invocationMs: 25_000, pollMs: 1_000, coreCalls: 24 },
  consumers: 3,
  policy: POLICY,
  settleMs: 12 * HOUR_MS,
});

interface ScenarioRun {
  readonly seed: number;
  readonly requests: number;
  readonly print?: (line: string) => void;
}

export type Scenario = (run: ScenarioRun) => Promise<SimulationResult>;

/**
 * A receiver without deduplication and without a state machine, as some in the field are: 20 % errors, 5 % timeouts whose effect lands up
 * to 30 s late, 5 % not yet known. The errors go on until nothing is left to deliver.
 */
const carelessReceiver: Scenario = ({ seed, requests, ...more }) =>
  simulate({
    seed,
    ...more,
    options: () => ({
      ...calm(requests, HOUR_MS),
      faults: {
        ...NO_FAULTS,
        receivers: { ...NO_FAULTS.receivers, errors: 0.2, timeouts: 0.05, notYetKnown: 0.05 },
      },
      faultsGoOn: true,
    }),
    happenings: withoutDeadLetters,
  });

const deadLetters = (world: World): number =>
  Number(world.row("SELECT COUNT(*) AS n FROM outbox WHERE state = 'dead'")?.n);

/** Nothing is given up at any time. */
function withoutDeadLetters({ world }: Simulation): void {
  const look = (): void => {
    const dead = deadLetters(world);
    if (dead > 0) {
      const row = world.row("SELECT outbox_id, attempts, last_error FROM outbox WHERE state = 'dead'");
      const first = `row ${row?.outbox_id} after ${row?.attempts} attempts, ${row?.last_error}`;
      world.violate("scenario", `${dead} deliveries were given up: ${first}`);
    }
    world.scheduler.after(MINUTE_MS, look);
  };
  look();
}

/** Every hint is wiped while `requests` deliveries are pending and nobody consumes: the sweep alone brings them back. */
const queueWiped: Scenario = ({ seed, requests, ...more }) => {
  const faultyMs = 10 * MINUTE_MS;
  return simulate({
    seed,
    ...more,
    options: () => ({ ...calm(requests, faultyMs), lateEffectMs: 0 }),
    happenings: ({ world, queue }) => {
      queue.consumer = undefined;
      world.scheduler.after(faultyMs - 1, () => {
        const pending = Number(world.row("SELECT COUNT(*) AS n FROM outbox WHERE state = 'due'")?.n);
        if (pending < requests) world.violate("scenario", `only ${pending} deliveries are pending`);
        queue.wipe();
      });
    },
  });
};

/**
 * The receiver is down for six hours: connections are refused, nothing is answered, or a proxy says so. What is submitted meanwhile and before arrives in order
 * afterwards, and nothing is given up.
 */
const destinationDown: Scenario = ({ seed, requests, ...more }) => {
  const downAtMs = 10 * MINUTE_MS;
  const faultyMs = downAtMs + 6 * HOUR_MS;
  const down = { ...NO_FAULTS.receivers, down: 1 };
  return simulate({
    seed,
    ...more,
    options: () => calm(requests, faultyMs),
    happenings: (simulation) => {
      const { world } = simulation;
      withoutDeadLetters(simulation);
      world.scheduler.after(downAtMs, () => {
        world.trace("receivers", "down");
        world.faults = { ...NO_FAULTS, receivers: down };
      });
      world.scheduler.after(faultyMs - 1, () => {
        const pending = Number(world.row("SELECT COUNT(*) AS n FROM outbox WHERE state IN ('due', 'leased')")?.n);
        if (pending < requests / 2) world.violate("scenario", `only ${pending} deliveries wait for the receiver`);
      });
    },
  });
};

/** Settlements through an operator that loses answers while isolates end: each moves its money once, and reconciliation finds nothing. */
const settlements: Scenario = async ({ seed, requests, print }) => {
  const { faults, calls, reconciled, virtualMinutes } = await settleMany(requests, seed);
  const [fault] = faults;
  print?.(`${reconciled} of ${requests} settlements agree after ${calls} calls in ${virtualMinutes} minutes`);
  return {
    seed,
    violation: fault === undefined ? undefined : { rule: "settled exactly once", detail: fault },
    trace: faults,
    entries: 4 * requests,
    posts: calls,
    events: 0,
    deadLetters: 0,
    virtualMs: virtualMinutes * MINUTE_MS,
  };
};

export const scenarios: Readonly<Record<string, { readonly run: Scenario; readonly requests: number }>> = {
  "careless-receiver": { run: carelessReceiver, requests: 10_000 },
  "destination-down": { run: destinationDown, requests: 200 },
  "queue-wiped": { run: queueWiped, requests: 1_000 },
  settlements: { run: settlements, requests: 100 },
};
