/** Steps of a restore that write the ledger: every entry is held against the chain and the tree, the tree against what was promised. */

import { readEntry } from "../ledger/check-entry.ts";
import { LOG_START, LogWalk, type RootClaim } from "../ledger/check-log.ts";
import { FAST_HASHER } from "../ledger/check-tree.ts";
import { continuedEntry } from "../ledger/continued.ts";
import { EMPTY_HEAD, rootHexOf } from "../ledger/head.ts";
import { insertEmptyHead, insertEntries, type RestoredEntry, readHeadSize } from "./restore.store.ts";
import {
  BATCH,
  type BackupSource,
  filesOf,
  isRecord,
  ledgerOf,
  linesOf,
  type Promised,
  type RestoreParts,
  RestoreRefused,
  type RestoreState,
  readChecked,
  type TailFile,
} from "./restore-files.edge.ts";
import { rangeOfPath } from "./segments.ts";

interface RawEntry {
  readonly seq: number;
  readonly hash: string;
  readonly commandId: string;
  readonly commandIndex: number;
  readonly body: string;
}

function entryOfLine(path: string, line: unknown): RawEntry {
  if (Array.isArray(line)) {
    const [seq, hash, commandId, commandIndex, body]: readonly unknown[] = line;
    if (
      typeof seq === "number" &&
      typeof hash === "string" &&
      typeof commandId === "string" &&
      typeof commandIndex === "number" &&
      typeof body === "string"
    ) {
      return { seq, hash, commandId, commandIndex, body };
    }
  }
  throw new RestoreRefused(`${path} holds a line that is no entry`);
}

function claimsOf(parts: RestoreParts): readonly RootClaim[] {
  const { checkpoint, anchor, size, rootHash } = ledgerOf(parts);
  const claim = (of: { size: number; rootHash: string }, what: string, type: RootClaim["otherwise"]["type"]) => ({
    size: of.size,
    rootHash: of.rootHash,
    otherwise: {
      type,
      size: of.size,
      detail: `${what} of ${of.size} entries has another root than the entries give`,
    },
  });
  return [
    claim({ size, rootHash }, "the manifest", "root-mismatch"),
    ...(checkpoint === null ? [] : [claim(checkpoint, "the checkpoint", "checkpoint-mismatch")]),
    ...(anchor === null ? [] : [claim(anchor, "the anchor", "anchor-mismatch")]),
    ...(parts.promises ?? []).map((promise) => claim(promise, promise.what, "checkpoint-mismatch")),
  ];
}

/** Walks over entries and writes those that are not there yet. */
async function appendEntries(
  parts: RestoreParts,
  state: RestoreState,
  path: string,
  entries: readonly RawEntry[],
): Promise<Pick<RestoreState, "position" | "size">> {
  const { id } = ledgerOf(parts);
  const claims = claimsOf(parts);
  const there = (await readHeadSize(parts.db, id)) ?? 0;
  const walk = new LogWalk(FAST_HASHER, state.position);
  for (let i = 0; i < entries.length; i += BATCH) {
    const group = entries.slice(i, i + BATCH);
    const rows: RestoredEntry[] = [];
    for (const raw of group) {
      const entry = readEntry(raw.body);
      if (entry !== undefined) rows.push({ ...raw, prev: entry.prev, subject: entry.subject });
    }
    const until = state.size + i + group.length;
    walk.pass(
      rows.map(({ seq, hash, body }) => ({ seq, entryHash: hash, body })),
      until,
      claims,
    );
    const [finding] = walk.findings;
    if (finding !== undefined) throw new RestoreRefused(`${path}: ${finding.detail}`);
    const fresh = rows.filter(({ seq }) => seq >= there);
    const last = rows.at(-1);
    if (fresh.length === 0 || last === undefined) continue;
    const { tree, at } = walk.position();
    const head = {
      size: until,
      headHash: last.hash,
      rootHash: walk.rootHex(),
      frontier: JSON.stringify(tree.roots),
      lastAt: at ?? EMPTY_HEAD.lastAt,
    };
    await insertEntries(parts.db, id, head, fresh);
  }
  return { position: walk.position(), size: state.size + entries.length };
}

export async function entriesStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const file = filesOf(parts, "entries")[state.at];
  if (file === undefined) {
    const { size, headHash, rootHash } = ledgerOf(parts);
    if (state.size !== size) throw new RestoreRefused(`the files hold ${state.size} entries, ${size} are promised`);
    const walk = new LogWalk(FAST_HASHER, state.position);
    if (walk.rootHex() !== rootHash) throw new RestoreRefused("the entries give another root than the manifest says");
    if (size > 0 && state.position.prev !== headHash) throw new RestoreRefused("the last entry is not the head's");
    return { ...state, phase: "tail", at: 0 };
  }
  const lines = await linesOf(undefined, file.path, await readChecked(parts.source, file));
  if (lines.length !== file.rows) throw new RestoreRefused(`${file.path} has ${lines.length} lines, not ${file.rows}`);
  const entries = lines.map((line) => entryOfLine(file.path, line));
  const appended = await appendEntries(parts, state, file.path, entries);
  return { ...state, ...appended, at: state.at + 1, counts: { ...state.counts, entries: appended.size } };
}

/** Tail files that go on from `size`, each from where the one before ends. */
async function tailFrom(source: BackupSource, size: number): Promise<TailFile | undefined> {
  const files = (await source.list("tail")).flatMap((path) => {
    const range = rangeOfPath(path);
    return range === undefined ? [] : [{ path, range }];
  });
  // Of those that reach over the end, the one that reaches farthest.
  return files.filter(({ range }) => range.from <= size && range.to > size).sort((a, b) => b.range.to - a.range.to)[0];
}

/** The largest tree that was promised and that what is restored does not reach. */
const farthestMissed = ({ promises = [] }: RestoreParts, size: number): Promised | undefined =>
  promises.filter((promise) => promise.size > size).sort((one, other) => other.size - one.size)[0];

export async function tailStep(parts: RestoreParts, state: RestoreState): Promise<RestoreState> {
  const next = await tailFrom(parts.source, state.size);
  if (next === undefined) {
    const short = farthestMissed(parts, state.size);
    if (short !== undefined && parts.continuesAs === undefined) {
      throw new RestoreRefused(`${short.what} promises ${short.size} entries, this backup reaches ${state.size}`);
    }
    if (short === undefined && parts.continuesAs !== undefined) {
      throw new RestoreRefused("this backup reaches all that was promised: no new ledger is needed");
    }
    return { ...state, phase: "keys", at: 0 };
  }
  const bytes = await parts.source.read(next.path);
  if (bytes === undefined) throw new RestoreRefused(`${next.path} is missing`);
  const lines = await linesOf(parts.keys, next.path, bytes);
  const entries = lines.flatMap((line) =>
    isRecord(line) && "entry" in line ? [entryOfLine(next.path, line.entry)] : [],
  );
  const fresh = entries.filter(({ seq }) => seq >= state.size);
  if (fresh.length === 0) throw new RestoreRefused(`${next.path} does not hold what its name says`);
  const appended = await appendEntries(parts, state, next.path, fresh);
  return { ...state, ...appended, counts: { ...state.counts, entries: appended.size } };
}

/** The old ledger stays as it is, for reading; what is appended from now on is the new one's. */
export async function openNewLedger(parts: RestoreParts, id: string, state: RestoreState): Promise<void> {
  const old = ledgerOf(parts);
  const missed = farthestMissed(parts, state.size);
  if (missed === undefined || id === old.id) throw new RestoreRefused(`${id} is no name for a new ledger`);
  const walk = new LogWalk(FAST_HASHER, LOG_START);
  const restoredRootHash = new LogWalk(FAST_HASHER, state.position).rootHex();
  const { size, rootHash } = missed;
  const { body, hashHex, entry } = continuedEntry(
    { ledger: old.id, size, rootHash, restoredSize: state.size, restoredRootHash },
    new Date(parts.now()).toISOString(),
  );
  walk.pass([{ seq: 0, entryHash: hashHex, body }], 1, []);
  const [finding] = walk.findings;
  if (finding !== undefined) throw new Error(`entry 0 of the new ledger does not hold: ${finding.detail}`);
  await insertEmptyHead(parts.db, id, EMPTY_HEAD, rootHexOf(EMPTY_HEAD));
  const head = {
    size: 1,
    headHash: hashHex,
    rootHash: walk.rootHex(),
    frontier: JSON.stringify(walk.position().tree.roots),
    lastAt: entry.at,
  };
  const { prev, subject } = entry;
  const commandId = `continue:${old.id}`;
  await insertEntries(parts.db, id, head, [{ seq: 0, hash: hashHex, prev, subject, commandId, commandIndex: 0, body }]);
}
