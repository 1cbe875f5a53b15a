/** The log itself: entries, chain, tree, head, checkpoints, and every root that is claimed of a size. */
import { toHex } from "../platform/encoding.ts";
import { LOG_START, LogWalk, type RootClaim } from "./check-log.ts";
import type { Finding } from "./finding.ts";
import type { Tile } from "./layout.ts";
import { beginRound } from "./scrub-begin.ts";
import { compareFiles, type ExpectedFile } from "./scrub-files.ts";
import { forgotten, type Remembered, remember } from "./scrub-memory.ts";
import type { CheckpointRow, LogSlice, ScrubPort } from "./scrub-port.ts";
import { type ScrubState, type Slice, withFindings } from "./scrub-state.ts";

/** A multiple of 256: every slice of the log begins with a bundle. */
const SLICE_ENTRIES = 2_048;

/** Clocks of two machines may differ by this much. */
const CLOCK_MARGIN_MS = 300_000;

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

export async function logSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const from = state.log.tree.size;
  const slice = await port.readLog(from, from + SLICE_ENTRIES);
  return checkLogSlice(port, state, slice, (files) => compareFiles(port, files));
}

/**
 * The log phase alone, to its end, with the next slice being read while one is hashed, and the files of the one before compared.
 * @returns the state behind it, in the next phase.
 */
export async function scrubLog(port: ScrubPort, state: ScrubState): Promise<ScrubState> {
  let now = state.startedAt === null ? await beginRound(port, state) : state;
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
    now = withFindings(now, await comparing, port);
    comparing = compareFiles(port, files);
    comparing.catch(() => undefined);
  }
  await reading;
  return withFindings(now, await comparing, port);
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
    state: withFindings(advanced, findings, port),
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
    remembered = remember(port.hasher, before, size, `${size} ${row.rootHash} ${row.signedAt}`);
    findings.push(...forgotten(state.memory?.checkpoints, before, remembered, "checkpoint-missing"));
  }
  return { findings, remembered, lastSignedAt };
}
