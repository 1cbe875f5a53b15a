/**
 * A restore, in steps: every file is held against the manifest before anything of it is used, every entry against the chain and the tree,
 * the tree against the signed checkpoint and the anchor. What it writes to is a clean database, offered to nobody before the last step.
 *
 * Entries come first, then what the minutes after the snapshot brought (the tail), then keys and projections, payloads, and the other
 * tables. What an ERASED entry is about gets neither key nor ciphertext back, whatever the backup still holds of it.
 */

import { LOG_START } from "../ledger/check-log.ts";
import { openCheckpoint } from "../ledger/checkpoint.ts";
import { EMPTY_HEAD, rootHexOf } from "../ledger/head.ts";
import { toHex } from "../platform/encoding.ts";
import { driveUndriven } from "../settlement/drive.store.ts";
import { rebuildSettlements } from "../settlement/rebuild.store.ts";
import type { Manifest } from "./manifest.ts";
import { countRows, insertEmptyHead, occupiedTables, quietRelay, removeSeeds } from "./restore.store.ts";
import { entriesStep, openNewLedger, tailStep } from "./restore-entries.edge.ts";
import {
  isRecord,
  ledgerOf,
  type RestoreCounts,
  type RestoreParts,
  RestoreRefused,
  type RestoreState,
  readTail,
} from "./restore-files.edge.ts";
import { attachmentsStep, insertRecords, keysStep, payloadsStep, tablesStep } from "./restore-rows.edge.ts";
import { SEGMENT_ENTRIES } from "./segments.ts";

const NOTHING: RestoreCounts = {
  entries: 0,
  subjects: 0,
  erased: 0,
  withoutKey: 0,
  keys: 0,
  payloads: 0,
  rows: 0,
  orphans: 0,
  sentAgain: 0,
  askedAgain: 0,
  attachments: 0,
  attachmentsWithout: 0,
};

export const RESTORE_START: RestoreState = { phase: "begin", at: 0, position: LOG_START, size: 0, counts: NOTHING };

/** Steps that a restore takes, for a bar that moves. */
export const restoreSteps = ({ files, ledger }: Manifest): number =>
  files.length + Math.ceil((ledger?.size ?? 0) / SEGMENT_ENTRIES) + 4;

/** @throws RestoreRefused with what does not hold; the database is then not to be used. */
export async function restoreStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  switch (state.phase) {
    case "begin":
      return begin(parts, state);
    case "entries":
      return entriesStep(parts, state);
    case "tail":
      return tailStep(parts, state);
    case "keys":
      return keysStep(parts, state);
    case "payloads":
      return payloadsStep(parts, state);
    case "tables":
      return tablesStep(parts, state);
    case "attachments":
      return attachmentsStep(parts, state);
    case "finish":
      return finish(parts, state);
    case "done":
      return state;
  }
}

async function begin(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const { db, catalogue, manifest } = parts;
  const occupied = await occupiedTables(db, catalogue);
  if (occupied.length > 0) throw new RestoreRefused(`the database is not clean: ${occupied.join(", ")} have rows`);
  const { ledger } = manifest;
  await removeSeeds(db, catalogue);
  if (ledger === null) return { ...state, phase: "tables" };
  await checkSigned(parts);
  await insertEmptyHead(db, ledger.id, EMPTY_HEAD, rootHexOf(EMPTY_HEAD));
  return { ...state, phase: "entries" };
}

async function checkSigned({ manifest: { ledger }, logKeys }: RestoreParts): Promise<void> {
  const checkpoint = ledger?.checkpoint ?? null;
  if (checkpoint === null || logKeys.length === 0) return;
  const opened = await openCheckpoint(checkpoint.note, logKeys);
  if (opened.type === "refused") throw new RestoreRefused(`the checkpoint can not be trusted: ${opened.reason}`);
  const { size, root } = opened.checkpoint;
  if (size !== checkpoint.size || toHex(root) !== checkpoint.rootHash) {
    throw new RestoreRefused("the checkpoint is signed for another tree than the manifest says");
  }
}

const TAIL_TABLES = [
  ["settlement", "settlements"],
  ["idempotency", "idempotency_keys"],
  ["operatorAction", "operator_actions"],
  ["outbox", "outbox"],
] as const;

async function finish(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  if (parts.manifest.ledger === null) return { ...state, phase: "done" };
  const { id } = ledgerOf(parts);
  let rows = 0;
  for (const [part, table] of TAIL_TABLES) {
    const tail = await readTail(parts, state.size, part);
    rows += await insertRecords(parts.db, table, tail.map(({ value }) => value).filter(isRecord));
  }
  // What came since the snapshot included: a settlement without a row would count for nothing and could be paid again.
  const hasSettlements = Object.hasOwn(parts.catalogue, "settlements");
  if (hasSettlements) await rebuildSettlements(parts.db, id);
  // Of a ledger that ended nothing is driven any more.
  const askedAgain = hasSettlements && parts.continuesAs === undefined ? await resumeSettlements(parts) : 0;
  const sentAgain = await quietRelay(parts.db, parts.now());
  if (parts.continuesAs !== undefined) await openNewLedger(parts, parts.continuesAs, state);
  const { counts } = state;
  return { ...state, phase: "done", counts: { ...counts, rows: counts.rows + rows, sentAgain, askedAgain } };
}

const DRIVES_AT_ONCE = 1_000;

/**
 * Whatever is under way may have been sent, also where no entry says so any more: each is asked about before it is sent.
 * @returns how many.
 */
async function resumeSettlements(parts: RestoreParts): Promise<number> {
  const { id } = ledgerOf(parts);
  for (let resumed = 0; ; ) {
    const more = await driveUndriven(parts.db, id, Number.MAX_SAFE_INTEGER, parts.now(), DRIVES_AT_ONCE);
    resumed += more;
    if (more < DRIVES_AT_ONCE) return resumed;
  }
}

/** From the first step to the last. @throws as `restoreStep`. */
export async function restoreAll(
  parts: RestoreParts,
  progress: (state: RestoreState, steps: number) => void = () => {},
): Promise<RestoreState> {
  let state = RESTORE_START;
  for (let steps = 1; state.phase !== "done"; steps++) {
    state = await restoreStep(parts, state);
    progress(state, steps);
  }
  return state;
}

/** Rows in each table that was restored. */
export const restoredRows = ({ db, catalogue }: Pick<RestoreParts, "db" | "catalogue">) =>
  countRows(
    db,
    Object.entries(catalogue).flatMap(([name, table]) => (table.class === "never" ? [] : [name])),
  );
