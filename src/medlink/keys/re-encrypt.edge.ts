/** Drives the re-encryption: a call of the operator, or the minute's cron, each a bounded number of rows. */
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { readTask, type StoredTask, taskUpdate } from "../tasks/tasks.store.ts";
import { countRows, countUnderOtherKeys, readSealed, sealedColumns, sealedUpdate } from "./re-encrypt.store.ts";
import { advance, begin, endPass, nameOf, type ReEncryptState, reEncryptStateSchema } from "./re-encrypt.ts";

const TASK = "re-encrypt";
const SLICE = 200;

const read = (task: StoredTask | undefined): ReEncryptState | undefined =>
  task === undefined ? undefined : reEncryptStateSchema.parse(JSON.parse(task.state));

export const readReEncryption = async (hub: Hub): Promise<ReEncryptState | undefined> =>
  read(await readTask(hub.db, TASK));

/** Begins, unless it runs for the current key already. */
export async function startReEncryption(
  hub: Hub,
  by: { readonly name: string; readonly correlationId: string },
): Promise<ReEncryptState> {
  const task = await readTask(hub.db, TASK);
  const known = read(task);
  const { currentKeyId } = hub.fields;
  if (known?.state === "running" && known.keyId === currentKeyId) return known;
  const now = hub.now();
  const state = begin(currentKeyId, await countRows(hub.db, await sealedColumns(hub.db)), by.name, now);
  await hub.db.batch([
    taskUpdate(hub.db, TASK, task, JSON.stringify(state), now),
    auditInsert(hub.db, {
      clinicId: WHOLE_HUB,
      actor: by.name,
      action: "fields.re-encrypt",
      subject: WHOLE_HUB,
      detail: currentKeyId,
      correlationId: by.correlationId,
      at: now,
    }),
  ]);
  return (await readReEncryption(hub)) ?? state;
}

/** Does at most about `maxRows` rows. @returns where it stands; undefined when it was never begun. */
export async function stepReEncryption(hub: Hub, maxRows: number): Promise<ReEncryptState | undefined> {
  const columns = await sealedColumns(hub.db);
  let state: ReEncryptState | undefined;
  for (let rows = 0; rows < maxRows; rows += SLICE) {
    const task = await readTask(hub.db, TASK);
    state = read(task);
    if (task === undefined || state === undefined || state.state === "complete") return state;
    // Another rotation began: what was passed is to be passed again, under the key of now.
    if (state.keyId !== hub.fields.currentKeyId) {
      state = begin(hub.fields.currentKeyId, await countRows(hub.db, columns), state.startedBy, hub.now());
    }
    state = await step(hub, task, state, columns);
  }
  return state;
}

async function step(
  hub: Hub,
  task: StoredTask,
  state: ReEncryptState,
  columns: Awaited<ReturnType<typeof sealedColumns>>,
): Promise<ReEncryptState> {
  const { db, fields } = hub;
  const column = columns.find((each) => !state.passed.includes(nameOf(each)));
  const save = (next: ReEncryptState) => taskUpdate(db, TASK, task, JSON.stringify(next), hub.now());
  if (column === undefined) {
    const next = endPass(state, await countUnderOtherKeys(db, columns, fields.currentKeyId), hub.now());
    await save(next).run();
    return next;
  }
  const rows = await readSealed(db, column, state.after, SLICE);
  const old = rows.filter(({ sealed }) => !sealed.startsWith(`${fields.currentKeyId}.`));
  const renewed = await Promise.all(
    old.map(async ({ id, sealed }) => {
      const place = `${column.table}/${id}`;
      return { id, sealed, next: await fields.seal(await fields.open(sealed, place), place) };
    }),
  );
  const next = advance(state, column, {
    read: rows.length,
    changed: renewed.length,
    lastKey: rows.at(-1)?.id,
    full: rows.length === SLICE,
  });
  await db.batch([save(next), ...(renewed.length === 0 ? [] : [sealedUpdate(db, column, renewed)])]);
  return next;
}
