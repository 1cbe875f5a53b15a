/**
 * Rotating a secret without a gap, whatever order the platform reaches the isolates in:
 *
 *   add      every worker that holds it gets <NAME>_PREVIOUS = new: everyone accepts both, everyone still uses the old
 *   switch   every worker gets <NAME> = new and <NAME>_PREVIOUS = old, in one change: everyone accepts both, and uses the new
 *   retire   <NAME>_PREVIOUS goes, once nothing needs the old value any more
 *
 * Pure: what is to be set where, and what must hold before each step.
 */
import { type RenewalOf, type RotationPlan, rotationOf } from "../../src/platform/rotation.ts";
import { SECRETS, type SecretSpec, type WorkerName } from "../../src/platform/secrets.ts";

export const STEPS = ["add", "switch", "retire"] as const;
export type Step = (typeof STEPS)[number];

export interface Change {
  readonly worker: WorkerName;
  /** Null: it is taken away. */
  readonly set: Readonly<Record<string, string | null>>;
}

/** The secret and the other ends of the key that it is. */
export function endsOf(name: string): readonly SecretSpec[] {
  const spec = SECRETS.find((secret) => secret.name === name);
  if (spec === undefined) return [];
  const shared = spec.sameAs ?? spec.name;
  return SECRETS.filter((secret) => (secret.sameAs ?? secret.name) === shared);
}

export const planOf = (name: string): RotationPlan =>
  rotationOf(name, endsOf(name)[0]?.sameAs ?? endsOf(name)[0]?.name);

/** @param old what is in use now. */
export function changesOf(step: Step, name: string, old: string, fresh: string): readonly Change[] {
  const perWorker = new Map<WorkerName, Record<string, string | null>>();
  for (const end of endsOf(name)) {
    for (const worker of end.workers) {
      const set = perWorker.get(worker) ?? {};
      switch (step) {
        case "add":
          set[`${end.name}_PREVIOUS`] = fresh;
          break;
        case "switch":
          set[end.name] = fresh;
          set[`${end.name}_PREVIOUS`] = old;
          break;
        case "retire":
          set[`${end.name}_PREVIOUS`] = null;
          break;
      }
      perWorker.set(worker, set);
    }
  }
  return [...perWorker].map(([worker, set]) => ({ worker, set }));
}

/** What core and hub say of their secrets, as far as a step of a rotation rests on it. Times are epoch ms. */
export interface RotationState {
  /** When the secret's newest switch was recorded in the ledger; undefined: it was not, or a newer `add` came after it. */
  readonly switchedAt: number | undefined;
  /** When each worker was first seen with the value that it has now; undefined: never. */
  readonly seen: readonly { readonly worker: WorkerName; readonly name: string; readonly at: number | undefined }[];
  /** Values beside the present one that core and hub accept, and when somebody last came with one. */
  readonly overlaps: readonly {
    readonly worker: WorkerName;
    readonly name: string;
    readonly previousUsedAt: number | undefined;
  }[];
  /** Jobs that make anew what is stored under a key. */
  readonly renewals: readonly {
    readonly job: string;
    readonly finished: boolean;
    /** Rows that could not be made anew. */
    readonly left: number;
    readonly startedAt: number;
    readonly finishedAt: number;
  }[];
  /** When good snapshots of a worker began; undefined: it backs nothing up. */
  readonly snapshots: ReadonlyMap<WorkerName, readonly number[] | undefined>;
}

const placesOf = (name: string): readonly { readonly worker: WorkerName; readonly name: string }[] =>
  endsOf(name).flatMap((end) => end.workers.map((worker) => ({ worker, name: end.name })));

/** Workers to be asked before a step. Core always: it has the record of the steps. */
export const askedOf = (name: string): ReadonlySet<WorkerName> =>
  new Set(["itrans-core", ...placesOf(name).map(({ worker }) => worker)]);

/** Core and hub tell what they accept besides; the relay posts with the present value and is asked by nobody. */
const tellsOverlaps = (worker: WorkerName): boolean => worker !== "itrans-relay";

/** @returns which workers do not accept the new value beside the old one yet; undefined when all do. */
export function switchFault(name: string, { overlaps }: Pick<RotationState, "overlaps">): string | undefined {
  const missing = placesOf(name).filter(
    (place) =>
      tellsOverlaps(place.worker) && !overlaps.some((one) => one.worker === place.worker && one.name === place.name),
  );
  if (missing.length === 0) return undefined;
  return `${missing.map((place) => `${place.worker} does not have ${place.name}_PREVIOUS`).join(", ")}: take --step add first, or wait until every worker began with it`;
}

/** @returns workers that still accept a value beside the present one. */
export const lingering = (name: string, { overlaps }: Pick<RotationState, "overlaps">): readonly string[] =>
  placesOf(name)
    .filter((place) => overlaps.some((one) => one.worker === place.worker && one.name === place.name))
    .map((place) => `${place.worker} still has ${place.name}_PREVIOUS`);

/** @returns workers that were not seen with the value that was switched to. */
export function unseen(
  name: string,
  { seen, switchedAt }: Pick<RotationState, "seen" | "switchedAt">,
): readonly string[] {
  return placesOf(name)
    .filter((place) => {
      const at = seen.find((one) => one.worker === place.worker && one.name === place.name)?.at;
      return at === undefined || switchedAt === undefined || at < switchedAt;
    })
    .map((place) => `${place.worker} was not seen with the new ${place.name} yet`);
}

const secondsOf = (ms: number): number => Math.ceil(ms / 1000);

/**
 * @param confirmed a person says that what nothing can tell is so.
 * @returns why the old value can not go yet; undefined when nothing is known against it.
 */
export function retireFault(
  name: string,
  state: RotationState,
  now: number,
  quietMs: number,
  confirmed = false,
): string | undefined {
  const { switchedAt } = state;
  if (switchedAt === undefined) return "the ledger has no record that it was switched: take --step switch first";
  const [notYet] = unseen(name, state);
  if (notYet !== undefined) return notYet;
  const plan = planOf(name);
  // The last worker to begin with the new value ended the time in which the old one was used.
  const begun = Math.max(
    switchedAt,
    ...state.seen.filter((one) => endsOf(name).some((end) => end.name === one.name)).map(({ at }) => at ?? 0),
  );
  const quiet = Math.max(quietMs, plan.leastMs ?? 0);
  if (now - begun < quiet)
    return `it was switched ${secondsOf(now - begun)} s ago, and ${secondsOf(quiet)} s must have passed`;
  for (const { name: end } of endsOf(name)) {
    for (const { previousUsedAt } of state.overlaps.filter((overlap) => overlap.name === end)) {
      if (previousUsedAt !== undefined && now - previousUsedAt < quiet)
        return `somebody came with the old ${end} ${secondsOf(now - previousUsedAt)} s ago`;
    }
  }
  const fault = plan.renewal === undefined ? undefined : renewalFault(plan.renewal, switchedAt, state);
  if (fault !== undefined) return fault;
  if (plan.askPerson !== true || confirmed) return undefined;
  return `only you know whether ${plan.beforeRetiring}: when it is so, take the step with --confirmed`;
}

/** What is stored must be under the new value, and so must what a restore would bring back. */
function renewalFault(
  { worker, job }: RenewalOf,
  switchedAt: number,
  { renewals, snapshots }: RotationState,
): string | undefined {
  const run = renewals.find((one) => one.job === job);
  if (run === undefined || run.startedAt < switchedAt) return `${job} has not begun since the switch`;
  if (!run.finished) return `${job} has not finished`;
  if (run.left > 0) return `${run.left} rows of ${job} could not be made anew: without the old value they are lost`;
  if (!snapshots.has(worker)) return `the snapshots of ${worker} were not asked for`;
  const good = snapshots.get(worker);
  if (good === undefined || good.some((startedAt) => startedAt >= run.finishedAt)) return undefined;
  const hub = worker === "medlink-hub" ? " --hub" : "";
  return `no good snapshot of ${worker} began after ${job} had finished, so a restore would need the old value: scripts/backupLedgerSnapshot.sh --env E${hub}`;
}
