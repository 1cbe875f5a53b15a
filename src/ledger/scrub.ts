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
import { anchorEventSlice, anchorSlice } from "./scrub-anchors.ts";
import { beginRound } from "./scrub-begin.ts";
import { fileSlice } from "./scrub-files.ts";
import { logSlice } from "./scrub-log.ts";
import type { ScrubPort } from "./scrub-port.ts";
import type { ScrubState, Slice } from "./scrub-state.ts";
import { ownerSlice, subjectSlice } from "./scrub-subjects.ts";

/** One slice of the round under way; the first of the next one when none is. @throws when something can not be read. */
export async function scrubSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const begun = state.startedAt === null ? await beginRound(port, state) : state;
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
