/**
 * The scrub: going through everything that is stored, round after round, in bounded slices. Bytes are read and hashed again in
 * each round; what is carried from slice to slice is where it is, the tree so far, and what was found.
 *
 * A round: the log (entries, chain, tree, head, checkpoints, roots of anchors, full and partial tiles and bundles), the subjects
 * (projections replayed, payloads opened), rows without a subject, the record of anchors, and files that have no place.
 *
 * An append under way is never a finding: what is read of the database in one slice is of one moment, the published files
 * are those of the checkpoint that was out when the round began, and what is read first is always what was written last.
 *
 * A finding stays until a whole round no longer sees it. What only ever grows (checkpoints, the anchors' history, the log itself) is
 * remembered by its digest from one round to the next, apart from the database: a row taken out of the middle is seen by that.
 */
import { toHex, utf8 } from "../platform/encoding.ts";
import { type AnchorEventRow, type AnchorRow, anchorFindings, digestOf, eventFindings } from "./check-anchors.ts";
import type { StoredEntry } from "./check-entry.ts";
import {
  fileFinding,
  LOG_START,
  type LogPosition,
  LogWalk,
  type RootClaim,
  type StoredHead,
  sameBytes,
} from "./check-log.ts";
import type { Hasher } from "./check-tree.ts";
import type { OpenedCheckpoint } from "./checkpoint.ts";
import { type Finding, findingKey } from "./finding.ts";
import { parseTilePath, TILE_WIDTH, type Tile, tilePath } from "./layout.ts";

export interface CheckpointRow {
  readonly size: number;
  readonly rootHash: string;
  readonly note: string;
  readonly signedAt: number;
}

/** A part of the log and everything that speaks of its sizes, all of one moment. */
export interface LogSlice {
  readonly head: StoredHead | undefined;
  /** One more than the largest seq that is there; 0 when there is none. */
  readonly storedSize: number;
  readonly entries: readonly StoredEntry[];
  /** Of a size in the slice, or beyond the head, or of none (below 1, with the first slice). */
  readonly checkpoints: readonly CheckpointRow[];
  readonly anchors: readonly Pick<AnchorRow, "size" | "rootHash">[];
  /** The size of the largest checkpoint. */
  readonly newestCheckpoint: number | undefined;
}

/** What the publisher remembers, apart from the database. */
export interface PromisedCheckpoint {
  readonly size: number;
  readonly rootHash: string;
  /** Whether it is recorded in the database and out. */
  readonly released: boolean;
}

export const ORPHAN_TABLES = ["requests", "claims", "payloads", "payload_keys", "settlements"] as const;
export type OrphanTable = (typeof ORPHAN_TABLES)[number];

export interface ScrubPort {
  readonly hasher: Hasher;
  now(): number;
  /** Undefined: nothing was ever signed. */
  readPromised(): Promise<PromisedCheckpoint | undefined>;
  /** The checkpoint that readers see. */
  readPublishedNote(): Promise<string | undefined>;
  /** Undefined: this log has no key, so no signature can be checked. */
  openNote(note: string): Promise<OpenedCheckpoint> | undefined;
  readLog(from: number, to: number): Promise<LogSlice>;
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** Paths of the log's tiles and bundles, page by page. */
  listFiles(cursor: string | undefined): Promise<{ readonly paths: readonly string[]; readonly cursor?: string }>;
  /** Checks every subject whose first entry is one of these. */
  checkSubjects(from: number, to: number): Promise<{ readonly findings: readonly Finding[]; readonly erased: number }>;
  /** Subjects of rows after `cursor`, in order, and whether any entry is about them. */
  readOwners(
    table: OrphanTable,
    cursor: string,
    limit: number,
  ): Promise<readonly { readonly subject: string; readonly known: boolean }[]>;
  readAnchors(
    afterSize: number,
    limit: number,
  ): Promise<{
    readonly anchors: readonly AnchorRow[];
    /** Of these anchors, and of sizes between them that have no row. */
    readonly events: readonly AnchorEventRow[];
  }>;
  readAnchorEvents(afterId: number, limit: number): Promise<readonly AnchorEventRow[]>;
  /** What the chain holds; undefined when no node is configured or none answers. */
  readChain(): Promise<{ readonly size: number; readonly rootHash: string } | undefined>;
  /** Whether the chain has the anchor where the row says; undefined when it can not be told. */
  isOnChain(anchor: AnchorRow): Promise<boolean | undefined>;
}

/** Rows of a table that only grows, up to some key: how many there were, and a digest over them. */
interface Remembered {
  readonly through: number;
  readonly count: number;
  readonly digest: string;
}
const NOTHING_REMEMBERED: Remembered = { through: 0, count: 0, digest: "" };

interface Memory {
  readonly size: number;
  readonly rootHash: string;
  readonly checkpoints: Remembered;
  readonly anchorEvents: Remembered;
  /** By size: the id of its last event and a digest of the row. */
  readonly anchors: Readonly<Record<string, readonly [number, string]>>;
}

export const PHASES = ["log", "subjects", "owners", "anchors", "anchor-events", "files"] as const;
export type Phase = (typeof PHASES)[number];

export interface SeenFinding {
  readonly finding: Finding;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly round: number;
}

/** JSON; kept between slices. Times epoch ms. */
export interface ScrubState {
  /** The round under way, or to come when `startedAt` is null. */
  readonly round: number;
  readonly startedAt: number | null;
  readonly phase: Phase;
  readonly log: LogPosition;
  /** Entries of the log phase of this round. */
  readonly size: number;
  /** Size of the published tree whose files this round checks. */
  readonly publishedSize: number;
  readonly rootHash: string;
  /** Where the phase is: a seq, a subject, a size, a listing's cursor. */
  readonly at: number;
  readonly cursor: string;
  readonly table: number;
  readonly chain: { readonly size: number; readonly rootHash: string } | null;
  readonly promised: PromisedCheckpoint | null;
  readonly lastSignedAt: number;
  readonly checkpoints: Remembered;
  readonly anchorEvents: Remembered;
  readonly anchors: Readonly<Record<string, readonly [number, string]>>;
  readonly memory: Memory | null;
  readonly erased: number;
  readonly chainChecked: boolean;
  readonly signaturesChecked: boolean;
  readonly findings: Readonly<Record<string, SeenFinding>>;
  /** Findings of this round that there was no room for. */
  readonly omitted: number;
  readonly lastCompletedAt: number | null;
  readonly lastSize: number;
  readonly lastErased: number;
}

export const NEVER_SCRUBBED: ScrubState = {
  round: 1,
  startedAt: null,
  phase: "log",
  log: LOG_START,
  size: 0,
  publishedSize: 0,
  rootHash: "",
  at: 0,
  cursor: "",
  table: 0,
  chain: null,
  promised: null,
  lastSignedAt: 0,
  checkpoints: NOTHING_REMEMBERED,
  anchorEvents: NOTHING_REMEMBERED,
  anchors: {},
  memory: null,
  erased: 0,
  chainChecked: false,
  signaturesChecked: false,
  findings: {},
  omitted: 0,
  lastCompletedAt: null,
  lastSize: 0,
  lastErased: 0,
};

/** A multiple of 256: every slice of the log begins with a bundle. */
export const SLICE_ENTRIES = 2_048;
const SUBJECT_ENTRIES = 256;
const OWNERS = 1_000;
const ANCHORS = 100;
const READS_AT_ONCE = 6;
const MAX_FINDINGS = 1_000;
const MAX_REMEMBERED_ANCHORS = 2_048;
/** Clocks of two machines may differ by this much. */
const CLOCK_MARGIN_MS = 300_000;

export interface Slice {
  readonly state: ScrubState;
  /** About how many entries' worth of work it was. */
  readonly cost: number;
  /** The round is over. */
  readonly completed: boolean;
}

/** One slice of the round under way; the first of the next one when none is. @throws when something can not be read. */
export async function scrubSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const begun = state.startedAt === null ? await begin(port, state) : state;
  switch (begun.phase) {
    case "log":
      return logSlice(port, begun);
    case "subjects":
      return subjectSlice(port, begun);
    case "owners":
      return ownerSlice(port, begun);
    case "anchors":
      return anchorSlice(port, begun);
    case "anchor-events":
      return anchorEventSlice(port, begun);
    case "files":
      return fileSlice(port, begun);
  }
}

/** Whole slices until about `budget` entries' worth of work is done or the round ends. */
export async function scrubWithin(
  port: ScrubPort,
  state: ScrubState,
  budget: number,
  save: (state: ScrubState) => Promise<void> | void,
): Promise<{ readonly state: ScrubState; readonly completed: boolean }> {
  let now = state;
  for (let spent = 0; spent < budget; ) {
    const slice = await scrubSlice(port, now);
    now = slice.state;
    await save(now);
    if (slice.completed) return { state: now, completed: true };
    spent += Math.max(1, slice.cost);
  }
  return { state: now, completed: false };
}

async function begin(port: ScrubPort, state: ScrubState): Promise<ScrubState> {
  const promised = (await port.readPromised()) ?? null;
  const [note, chain] = await Promise.all([port.readPublishedNote(), port.readChain()]);
  const findings: Finding[] = [];
  let publishedSize = 0;
  const opened = note === undefined ? undefined : port.openNote(note);
  if (note === undefined) {
    if (promised?.released === true) {
      findings.push({ type: "tile-missing", place: "checkpoint", detail: "the published checkpoint is gone" });
    }
  } else if (opened !== undefined) {
    const result = await opened;
    if (result.type === "refused") {
      findings.push({ type: "checkpoint-signature", place: "published", detail: `published: ${result.reason}` });
    } else {
      publishedSize = result.checkpoint.size;
      if (promised?.released === true && publishedSize < promised.size) {
        const detail = `the published checkpoint has ${publishedSize} entries, ${promised.size} were promised`;
        findings.push({ type: "checkpoint-mismatch", place: "published", detail });
      }
    }
  }
  return withFindings(
    {
      ...state,
      startedAt: port.now(),
      phase: "log",
      log: LOG_START,
      size: 0,
      publishedSize: Math.max(publishedSize, promised?.released === true ? promised.size : 0),
      rootHash: "",
      at: 0,
      cursor: "",
      table: 0,
      chain: chain ?? null,
      promised,
      lastSignedAt: 0,
      checkpoints: NOTHING_REMEMBERED,
      anchorEvents: NOTHING_REMEMBERED,
      anchors: {},
      erased: 0,
      chainChecked: chain !== undefined,
      signaturesChecked: opened !== undefined,
      omitted: 0,
    },
    findings,
    port.now(),
  );
}

function withFindings(state: ScrubState, found: readonly Finding[], now: number): ScrubState {
  if (found.length === 0) return state;
  const findings = { ...state.findings };
  let { omitted } = state;
  let room = MAX_FINDINGS - Object.keys(findings).length;
  for (const finding of found) {
    const key = findingKey(finding);
    const seen = findings[key];
    if (seen === undefined && room <= 0) {
      omitted += 1;
      continue;
    }
    if (seen === undefined) room -= 1;
    findings[key] = { finding, firstSeenAt: seen?.firstSeenAt ?? now, lastSeenAt: now, round: state.round };
  }
  return { ...state, findings, omitted };
}

/** Roots that are claimed of sizes in a slice, from whatever source. */
function claimsOf(state: ScrubState, slice: LogSlice): readonly RootClaim[] {
  const claims: RootClaim[] = [];
  for (const { size, rootHash } of slice.checkpoints) {
    const detail = `the checkpoint of ${size} entries has another root than the entries give`;
    claims.push({ size, rootHash, otherwise: { type: "checkpoint-mismatch", size, place: "root_hash", detail } });
  }
  for (const { size, rootHash } of slice.anchors) {
    const detail = `the anchor of ${size} entries has another root than the entries give`;
    claims.push({ size, rootHash, otherwise: { type: "anchor-mismatch", size, place: "root_hash", detail } });
  }
  const { promised, chain, memory } = state;
  if (promised !== null) {
    const detail = `the publisher signed another root for ${promised.size} entries`;
    const otherwise: Finding = { type: "checkpoint-mismatch", size: promised.size, place: "promised", detail };
    claims.push({ ...promised, otherwise });
  }
  if (chain !== null) {
    const detail = `the chain holds another root for ${chain.size} entries`;
    claims.push({ ...chain, otherwise: { type: "anchor-chain-mismatch", size: chain.size, detail } });
  }
  if (memory !== null && memory.size > 0) {
    const detail = `the first ${memory.size} entries are not those of an earlier round`;
    claims.push({ ...memory, otherwise: { type: "history-changed", size: memory.size, detail } });
  }
  return claims;
}

async function logSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const from = state.log.tree.size;
  const slice = await port.readLog(from, from + SLICE_ENTRIES);
  return checkLogSlice(port, state, slice, (files) => compareFiles(port, files));
}

/**
 * The log phase alone, to its end, with the next slice being read while one is hashed, and the files of the one before compared.
 * @returns the state behind it, in the next phase.
 */
export async function scrubLog(port: ScrubPort, state: ScrubState): Promise<ScrubState> {
  let now = state.startedAt === null ? await begin(port, state) : state;
  const read = (from: number) => {
    const slice = port.readLog(from, from + SLICE_ENTRIES);
    slice.catch(() => undefined); // heard where it is awaited
    return slice;
  };
  let reading = read(now.log.tree.size);
  let comparing: Promise<readonly Finding[]> = Promise.resolve([]);
  while (now.phase === "log") {
    const slice = await reading;
    reading = read(now.log.tree.size + SLICE_ENTRIES);
    const files: ExpectedFile[] = [];
    now = (
      await checkLogSlice(port, now, slice, async (expected) => {
        files.push(...expected);
        return [];
      })
    ).state;
    now = withFindings(now, await comparing, port.now());
    comparing = compareFiles(port, files);
    comparing.catch(() => undefined);
  }
  await reading;
  return withFindings(now, await comparing, port.now());
}

interface ExpectedFile {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

async function compareFiles(port: ScrubPort, files: readonly ExpectedFile[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await inParallel(files, async ({ tile, bytes }) => {
    const finding = fileFinding(tile, bytes, await readTile(port, tile));
    if (finding !== undefined) findings.push(finding);
  });
  return findings;
}

async function checkLogSlice(
  port: ScrubPort,
  state: ScrubState,
  slice: LogSlice,
  compare: (files: readonly ExpectedFile[]) => Promise<readonly Finding[]>,
): Promise<Slice> {
  const from = state.log.tree.size;
  const end = Math.min(slice.head?.size ?? slice.storedSize, slice.storedSize);
  const until = Math.max(from, Math.min(end, from + SLICE_ENTRIES));
  const files: ExpectedFile[] = [];
  const published = {
    size: state.publishedSize,
    expect: (tile: Tile, bytes: Uint8Array) => files.push({ tile, bytes }),
  };
  const walk = new LogWalk(port.hasher, state.log, published);
  walk.pass(
    slice.entries.filter(({ seq }) => seq < until),
    until,
    claimsOf(state, slice),
  );
  const findings = [...walk.findings];
  findings.push(...(await compare(files)));
  const checked = await checkCheckpoints(port, state, slice.checkpoints, end);
  findings.push(...checked.findings);

  const over = until >= end;
  if (over) {
    for (const { seq } of slice.entries.filter(({ seq }) => seq >= end)) {
      findings.push({ type: "entry-unexpected", seq, detail: `entry ${seq} is beyond the head` });
    }
    if (slice.storedSize > from + SLICE_ENTRIES && slice.storedSize > end) {
      const seq = slice.storedSize - 1;
      findings.push({ type: "entry-unexpected", seq, detail: `entry ${seq} is beyond the head` });
    }
    findings.push(...endFindings(state, slice, walk));
  }
  const advanced: ScrubState = {
    ...state,
    log: over ? LOG_START : walk.position(),
    size: walk.size,
    lastSignedAt: checked.lastSignedAt,
    checkpoints: checked.remembered,
    ...(over ? { phase: "subjects", at: 0, rootHash: walk.position().tree.size === 0 ? "" : walk.rootHex() } : {}),
  };
  return {
    state: withFindings(advanced, findings, port.now()),
    cost: until - from,
    completed: false,
  };
}

/** What only the end of the log can tell: the head, and whether less is there than was promised. */
function endFindings(state: ScrubState, slice: LogSlice, walk: LogWalk): readonly Finding[] {
  const findings: Finding[] = [];
  const { head } = slice;
  const size = walk.size;
  if (head === undefined) {
    if (size > 0) findings.push({ type: "head-mismatch", place: "row", detail: "the ledger's head is gone" });
  } else {
    const before = walk.findings.length;
    walk.atHead(head);
    findings.push(...walk.findings.slice(before));
  }
  const fewer = (place: string, promisedSize: number, who: string) => {
    if (promisedSize <= size) return;
    const detail = `${who} ${promisedSize} entries, ${size} are there`;
    findings.push({ type: "truncated", size: promisedSize, place, detail });
  };
  fewer("head", head?.size ?? 0, "the head promises");
  fewer("promised", state.promised?.size ?? 0, "a signed checkpoint promises");
  fewer("published", state.publishedSize, "the published checkpoint promises");
  fewer("chain", state.chain?.size ?? 0, "the chain holds an anchor of");
  fewer("earlier-round", state.memory?.size ?? 0, "an earlier round went through");
  for (const checkpoint of slice.checkpoints) fewer("checkpoint", checkpoint.size, "a recorded checkpoint promises");
  for (const anchor of slice.anchors) fewer("anchor", anchor.size, "a recorded anchor covers");
  const { promised } = state;
  if (promised?.released === true && (slice.newestCheckpoint ?? 0) < promised.size) {
    const detail = `the released checkpoint of ${promised.size} entries is not recorded`;
    findings.push({ type: "checkpoint-missing", size: promised.size, detail });
  }
  return findings;
}

async function checkCheckpoints(
  port: ScrubPort,
  state: ScrubState,
  rows: readonly CheckpointRow[],
  end: number,
): Promise<{ readonly findings: readonly Finding[]; readonly remembered: Remembered; readonly lastSignedAt: number }> {
  const findings: Finding[] = [];
  let { checkpoints: remembered, lastSignedAt } = state;
  for (const row of rows) {
    const { size } = row;
    const wrong = (place: string, detail: string) =>
      findings.push({
        type: "checkpoint-mismatch",
        size,
        place,
        detail: `the checkpoint of ${size} entries ${detail}`,
      });
    if (size < 1) wrong("size", "is of no tree");
    if (row.signedAt < lastSignedAt || row.signedAt > port.now() + CLOCK_MARGIN_MS) {
      wrong("signed_at", "was not signed between its neighbours");
    }
    lastSignedAt = Math.max(lastSignedAt, Math.min(row.signedAt, port.now() + CLOCK_MARGIN_MS));
    const opened = await port.openNote(row.note);
    if (opened?.type === "refused") {
      const detail = `the checkpoint of ${size} entries can not be trusted: ${opened.reason}`;
      findings.push({ type: "checkpoint-signature", size, detail });
    } else if (opened !== undefined) {
      if (opened.checkpoint.size !== size) wrong("note", "is signed for another size");
      if (toHex(opened.checkpoint.root) !== row.rootHash) wrong("note", "is signed for another root");
    }
    if (size > end) continue;
    const before = remembered;
    remembered = remember(port, before, size, `${size} ${row.rootHash} ${row.signedAt}`);
    findings.push(...forgotten(state.memory?.checkpoints, before, remembered, "checkpoint-missing"));
  }
  return { findings, remembered, lastSignedAt };
}

function remember(port: ScrubPort, before: Remembered, through: number, text: string): Remembered {
  const digest = toHex(port.hasher.leaf(utf8(`${before.digest}\n${text}`)));
  return { through, count: before.count + 1, digest };
}

const REMEMBERED = {
  "checkpoint-missing": "recorded checkpoints",
  "anchor-missing": "events of anchors",
} as const;

/** Once as far as an earlier round went, the rows must be those that were there then. */
function forgotten(
  earlier: Remembered | undefined,
  before: Remembered,
  now: Remembered,
  type: keyof typeof REMEMBERED,
): readonly Finding[] {
  if (earlier === undefined || earlier.count === 0) return [];
  const reaches = now.through >= earlier.through && (before.count === 0 || before.through < earlier.through);
  if (!reaches || (now.through === earlier.through && now.digest === earlier.digest)) return [];
  return [{ type, place: "earlier-round", detail: `the ${REMEMBERED[type]} are not those of an earlier round` }];
}

/** A table that ends before the place an earlier round reached. */
function endsEarly(
  earlier: Remembered | undefined,
  now: Remembered,
  type: keyof typeof REMEMBERED,
): readonly Finding[] {
  if (earlier === undefined || earlier.count === 0 || (now.count > 0 && now.through >= earlier.through)) return [];
  return [{ type, place: "earlier-round", detail: `the ${REMEMBERED[type]} end before those of an earlier round` }];
}

async function readTile(port: ScrubPort, tile: Tile): Promise<Uint8Array | undefined> {
  const stored = await port.readFile(tilePath(tile));
  if (stored !== undefined || tile.width === TILE_WIDTH) return stored;
  // Pruned when the full one came, whose beginning it is.
  const full = await port.readFile(tilePath({ ...tile, width: TILE_WIDTH }));
  return full === undefined ? undefined : beginningOf(tile, full);
}

function beginningOf(tile: Tile, full: Uint8Array): Uint8Array | undefined {
  if (tile.kind === "hashes") return full.subarray(0, tile.width * 32);
  let at = 0;
  for (let i = 0; i < tile.width; i++) {
    const [high, low] = [full[at], full[at + 1]];
    if (high === undefined || low === undefined) return undefined;
    at += 2 + high * 256 + low;
  }
  return full.subarray(0, at);
}

async function inParallel<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
}

const next = (state: ScrubState, phase: Phase): ScrubState => ({ ...state, phase, at: 0, cursor: "", table: 0 });

async function subjectSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const to = Math.min(state.size, state.at + SUBJECT_ENTRIES);
  if (state.at >= to) return { state: endLog(port, next(state, "owners")), cost: 0, completed: false };
  const { findings, erased } = await port.checkSubjects(state.at, to);
  const checked = withFindings({ ...state, at: to, erased: state.erased + erased }, findings, port.now());
  return { state: checked, cost: to - state.at, completed: false };
}

function endLog(port: ScrubPort, state: ScrubState): ScrubState {
  const early = endsEarly(state.memory?.checkpoints, state.checkpoints, "checkpoint-missing");
  return withFindings(state, early, port.now());
}

async function ownerSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const table = ORPHAN_TABLES[state.table];
  if (table === undefined) return { state: next(state, "anchors"), cost: 0, completed: false };
  const owners = await port.readOwners(table, state.cursor, OWNERS);
  const findings = owners
    .filter(({ known }) => !known)
    .map(({ subject }): Finding => {
      const detail = `a row of ${table} belongs to no entry`;
      const type =
        table === "payloads"
          ? "payload-unexpected"
          : table === "payload_keys"
            ? "key-unexpected"
            : "projection-unexpected";
      return { type, subject, place: table, detail };
    });
  const last = owners.at(-1)?.subject;
  const moved =
    last === undefined || owners.length < OWNERS
      ? { ...state, table: state.table + 1, cursor: "" }
      : { ...state, cursor: last };
  return {
    state: withFindings(moved, findings, port.now()),
    cost: Math.ceil(owners.length / 10),
    completed: false,
  };
}

async function anchorSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const after = state.cursor === "" ? Number.MIN_SAFE_INTEGER : Number(state.cursor);
  const { anchors, events } = await port.readAnchors(after, ANCHORS);
  const findings = [...anchorFindings(anchors, events)];
  const remembered: Record<string, readonly [number, string]> = { ...state.anchors };
  for (const anchor of anchors) {
    const { size } = anchor;
    const lastEvent = events.findLast((event) => event.size === size)?.eventId ?? 0;
    const digest = toHex(port.hasher.leaf(utf8(digestOf(anchor))));
    const [knownEvent, knownDigest] = state.memory?.anchors[size] ?? [];
    if (knownEvent === lastEvent && knownDigest !== digest) {
      const detail = `the anchor of ${size} entries changed without an event that says so`;
      findings.push({ type: "anchor-mismatch", size, place: "row", detail });
    }
    remembered[size] = [lastEvent, digest];
    if (anchor.state === "confirmed" && (await port.isOnChain(anchor)) === false) {
      const detail = `the chain does not hold the anchor of ${size} entries where the record says`;
      findings.push({ type: "anchor-chain-mismatch", size, detail });
    }
  }
  const kept = Object.entries(remembered).slice(-MAX_REMEMBERED_ANCHORS); // integer keys: in order of size
  const moved = { ...state, anchors: Object.fromEntries(kept) };
  const last = anchors.at(-1);
  const over = last === undefined || anchors.length < ANCHORS;
  return {
    state: withFindings(
      over ? next(moved, "anchor-events") : { ...moved, cursor: String(last.size) },
      findings,
      port.now(),
    ),
    cost: anchors.length,
    completed: false,
  };
}

async function anchorEventSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const events = await port.readAnchorEvents(
    state.anchorEvents.count === 0 ? Number.MIN_SAFE_INTEGER : state.anchorEvents.through,
    OWNERS,
  );
  const findings: Finding[] = [...eventFindings(events)];
  let remembered = state.anchorEvents;
  const earlier = state.memory?.anchorEvents;
  for (const event of events) {
    const before = remembered;
    remembered = remember(port, before, event.eventId, JSON.stringify(event));
    findings.push(...forgotten(earlier, before, remembered, "anchor-missing"));
  }
  const over = events.length < OWNERS;
  if (over) findings.push(...endsEarly(earlier, remembered, "anchor-missing"));
  const moved = { ...state, anchorEvents: remembered };
  return {
    state: withFindings(over ? next(moved, "files") : moved, findings, port.now()),
    cost: events.length,
    completed: false,
  };
}

/** Files that the log phase did not ask for: partial ones beside a full one, and what is no tile at all. */
async function fileSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const { paths, cursor } = await port.listFiles(state.cursor === "" ? undefined : state.cursor);
  const findings: Finding[] = [];
  const partials: Tile[] = [];
  for (const path of paths) {
    const tile = parseTilePath(path);
    if (tile === undefined) {
      findings.push({ type: "file-unexpected", place: path, detail: `${path} is not the path of a tile` });
    } else if (tile.width < TILE_WIDTH && endOf(tile) < state.publishedSize) partials.push(tile);
  }
  await inParallel(partials, async (tile) => {
    const place = tilePath(tile);
    const part = await port.readFile(place);
    if (part === undefined) return; // pruned since it was listed
    const whole = await wholeOf(port, state, tile);
    const expected = whole === undefined ? undefined : beginningOf(tile, whole);
    if (expected !== undefined && sameBytes(part, expected)) return;
    findings.push({ type: "tile-mismatch", place, detail: `${place} is not the beginning of its tile` });
  });
  const checked = withFindings(state, findings, port.now());
  if (cursor !== undefined) return { state: { ...checked, cursor }, cost: paths.length, completed: false };
  return { state: complete(port, checked), cost: paths.length, completed: true };
}

/** Entries that a file covers the last of. */
const endOf = (tile: Tile): number =>
  (tile.index * TILE_WIDTH + tile.width) * (tile.kind === "entries" ? 1 : TILE_WIDTH ** tile.level);

/** The widest form of the tile in the published tree, which the log phase has checked. */
async function wholeOf(port: ScrubPort, state: ScrubState, tile: Tile): Promise<Uint8Array | undefined> {
  const perHash = tile.kind === "entries" ? 1 : TILE_WIDTH ** tile.level;
  const hashes = Math.floor(state.publishedSize / perHash) - tile.index * TILE_WIDTH;
  const width = Math.min(TILE_WIDTH, hashes);
  return width < 1 ? undefined : readTile(port, { ...tile, width });
}

function complete(port: ScrubPort, state: ScrubState): ScrubState {
  const now = port.now();
  const kept = Object.entries(state.findings).filter(([, { round }]) => round === state.round);
  const { memory } = state;
  // A memory is replaced only by a round that found it whole: what was changed must not become what is remembered.
  const whole = kept.length === 0;
  return {
    ...state,
    findings: Object.fromEntries(kept),
    memory: whole
      ? {
          size: state.size,
          rootHash: state.rootHash,
          checkpoints: state.checkpoints,
          anchorEvents: state.anchorEvents,
          anchors: state.anchors,
        }
      : memory,
    round: state.round + 1,
    startedAt: null,
    phase: "log",
    lastCompletedAt: now,
    lastSize: state.size,
    lastErased: state.erased,
  };
}

export interface ScrubReport {
  /** Of the round under way, or the one to come. */
  readonly round: number;
  readonly phase: Phase | "waiting";
  /** Entries of the phase that are behind it. */
  readonly position: number;
  readonly startedAt: number | null;
  readonly lastCompletedAt: number | null;
  /** Entries of the last round that ended. */
  readonly lastSize: number;
  readonly erasedSubjects: number;
  readonly chainChecked: boolean;
  readonly signaturesChecked: boolean;
  readonly omittedFindings: number;
  readonly findings: readonly (Finding & { readonly firstSeenAt: number; readonly lastSeenAt: number })[];
}

export function scrubReport(state: ScrubState): ScrubReport {
  const waiting = state.startedAt === null;
  return {
    round: state.round,
    phase: waiting ? "waiting" : state.phase,
    position: waiting
      ? 0
      : state.phase === "log"
        ? state.log.tree.size
        : state.phase === "subjects"
          ? state.at
          : state.size,
    startedAt: state.startedAt,
    lastCompletedAt: state.lastCompletedAt,
    lastSize: state.lastSize,
    erasedSubjects: state.lastErased,
    chainChecked: state.chainChecked,
    signaturesChecked: state.signaturesChecked,
    omittedFindings: state.omitted,
    findings: Object.values(state.findings).map(({ finding, firstSeenAt, lastSeenAt }) => ({
      ...finding,
      firstSeenAt,
      lastSeenAt,
    })),
  };
}
