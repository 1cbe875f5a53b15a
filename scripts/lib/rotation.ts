/**
 * Rotating a secret without a gap, whatever order the platform reaches the isolates in:
 *
 *   add      every worker that holds it gets <NAME>_PREVIOUS = new: everyone accepts both, everyone still uses the old
 *   switch   every worker gets <NAME> = new and <NAME>_PREVIOUS = old, in one change: everyone accepts both, and uses the new
 *   retire   <NAME>_PREVIOUS goes, once nothing needs the old value any more
 *
 * Pure: what is to be set where, and what must hold before each step.
 */
import { type RotationPlan, rotationOf } from "../../src/platform/rotation.ts";
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

/** What core says of its secrets, as far as the end of an overlap rests on it. */
export interface RotationState {
  readonly overlaps: readonly { readonly name: string; readonly previousUsedAt: string | null }[];
  readonly rewraps: readonly { readonly kind: string; readonly finished: boolean; readonly unreadable: number }[];
}

const REWRAP_OF: Readonly<Record<string, string>> = {
  PAYLOAD_MASTER_KEY: "payload-keys",
  DESTINATION_WRAPPING_KEY: "destinations",
};

/** @returns why the old value can not go yet; undefined when nothing is known against it. */
export function retireFault(name: string, state: RotationState, now: number, quietMs: number): string | undefined {
  const kind = REWRAP_OF[name];
  if (kind !== undefined) {
    const run = state.rewraps.find((one) => one.kind === kind);
    if (run === undefined || !run.finished) return `the re-wrap of ${kind} has not finished`;
    if (run.unreadable > 0)
      return `${run.unreadable} ${kind} were sealed under a key that is not held: without the old one they are lost`;
  }
  for (const { name: end } of endsOf(name)) {
    const usedAt = state.overlaps.find((overlap) => overlap.name === end)?.previousUsedAt;
    if (usedAt == null) continue;
    const quiet = now - Date.parse(usedAt);
    if (quiet < quietMs) return `somebody came with the old ${end} ${Math.round(quiet / 1000)} s ago`;
  }
  return undefined;
}
