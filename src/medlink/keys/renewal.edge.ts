/** Drives a renewal: a call of the operator, or the minute's cron, each a bounded number of rows. */
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { readTask, type StoredTask, taskUpdate } from "../tasks/tasks.store.ts";
import { advance, begin, endPass, type RenewalState, renewalStateSchema, type Slice } from "./renewal.ts";

const SLICE = 200;

/** Rows of one kind that a key protects. */
export interface Place {
  readonly name: string;
  readonly count: () => Promise<number>;
  /** Looks at the rows behind `after`, at most `limit`. The statements make anew those that need it. */
  readonly renew: (
    after: string,
    limit: number,
  ) => Promise<Omit<Slice, "full"> & { readonly statements: readonly D1PreparedStatement[] }>;
}

export interface Renewal {
  readonly task: "re-encrypt" | "re-hash";
  readonly keyId: (hub: Hub) => string;
  readonly places: (hub: Hub) => Promise<readonly Place[]>;
  /** After a whole pass: how many rows are, or may be, under another key. */
  readonly left: (hub: Hub, state: RenewalState) => Promise<number>;
}

const read = (task: StoredTask | undefined): RenewalState | undefined =>
  task === undefined ? undefined : renewalStateSchema.parse(JSON.parse(task.state));

export const readRenewal = async ({ task }: Renewal, hub: Hub): Promise<RenewalState | undefined> =>
  read(await readTask(hub.db, task));

async function countAll(places: readonly Place[]): Promise<number> {
  const counts = await Promise.all(places.map(({ count }) => count()));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Begins, unless it runs for the current key already. */
export async function startRenewal(
  renewal: Renewal,
  hub: Hub,
  by: { readonly name: string; readonly correlationId: string },
): Promise<RenewalState> {
  const task = await readTask(hub.db, renewal.task);
  const known = read(task);
  const keyId = renewal.keyId(hub);
  if (known?.state === "running" && known.keyId === keyId) return known;
  const now = hub.now();
  const state = begin(keyId, await countAll(await renewal.places(hub)), by.name, now);
  await hub.db.batch([
    taskUpdate(hub.db, renewal.task, task, JSON.stringify(state), now),
    auditInsert(hub.db, {
      clinicId: WHOLE_HUB,
      actor: by.name,
      action: `fields.${renewal.task}`,
      subject: WHOLE_HUB,
      detail: keyId,
      correlationId: by.correlationId,
      at: now,
    }),
  ]);
  return (await readRenewal(renewal, hub)) ?? state;
}

/** Does at most about `maxRows` rows. @returns where it stands; undefined when it was never begun. */
export async function stepRenewal(renewal: Renewal, hub: Hub, maxRows: number): Promise<RenewalState | undefined> {
  let places: readonly Place[] | undefined;
  let state: RenewalState | undefined;
  for (let rows = 0; rows < maxRows; rows += SLICE) {
    const task = await readTask(hub.db, renewal.task);
    state = read(task);
    if (task === undefined || state === undefined || state.state === "complete") return state;
    places ??= await renewal.places(hub);
    // Another rotation began: what was passed is to be passed again, under the key of now.
    const keyId = renewal.keyId(hub);
    if (state.keyId !== keyId) state = begin(keyId, await countAll(places), state.startedBy, hub.now());
    state = await step(renewal, hub, task, state, places);
  }
  return state;
}

async function step(
  renewal: Renewal,
  hub: Hub,
  task: StoredTask,
  state: RenewalState,
  places: readonly Place[],
): Promise<RenewalState> {
  const { db } = hub;
  const { passed } = state;
  const place = places.find(({ name }) => !passed.includes(name));
  const save = (next: RenewalState) => taskUpdate(db, renewal.task, task, JSON.stringify(next), hub.now());
  if (place === undefined) {
    const next = endPass(state, await renewal.left(hub, state), hub.now());
    await save(next).run();
    return next;
  }
  const { statements, ...slice } = await place.renew(state.after, SLICE);
  const next = advance(state, place.name, { ...slice, full: slice.read === SLICE });
  await db.batch([save(next), ...statements]);
  return next;
}
