/**
 * Making everything that a key protects anew under the current one, so that the previous one can be retired: place by place,
 * row by row in the order of keys, a bounded number at a time. Where it is, is one small value; it may be stopped anywhere.
 */
import * as z from "zod";

export const renewalStateSchema = z.object({
  /** The key that everything is under when it is done. */
  keyId: z.string(),
  state: z.enum(["running", "complete"]),
  /** Names of the places passed already. */
  passed: z.array(z.string()),
  /** The last primary key done in the place at hand. */
  after: z.string(),
  done: z.number().int(),
  total: z.number().int(),
  /** Rows that were under another key. */
  changed: z.number().int(),
  /** Of these, in the pass at hand. */
  changedInPass: z.number().int().default(0),
  /** Rows of the pass at hand that cannot be changed, since another row has the same value under the current key. */
  held: z.number().int().default(0),
  /** Passes over everything. */
  passes: z.number().int(),
  startedBy: z.string(),
  startedAt: z.number().int(),
  finishedAt: z.number().int().nullable(),
});

export type RenewalState = Readonly<z.output<typeof renewalStateSchema>>;

export const begin = (keyId: string, total: number, startedBy: string, now: number): RenewalState => ({
  keyId,
  state: "running",
  passed: [],
  after: "",
  done: 0,
  total,
  changed: 0,
  changedInPass: 0,
  held: 0,
  passes: 0,
  startedBy,
  startedAt: now,
  finishedAt: null,
});

/** What was done in one slice of a place. */
export interface Slice {
  readonly changed: number;
  readonly held: number;
  /** Rows that were read; fewer than were asked for end the place. */
  readonly read: number;
  readonly lastKey: string | undefined;
  readonly full: boolean;
}

export function advance(state: RenewalState, place: string, slice: Slice): RenewalState {
  const counted = {
    ...state,
    done: state.done + slice.read,
    changed: state.changed + slice.changed,
    changedInPass: state.changedInPass + slice.changed,
    held: state.held + slice.held,
  };
  return slice.full && slice.lastKey !== undefined
    ? { ...counted, after: slice.lastKey }
    : { ...counted, after: "", passed: [...state.passed, place] };
}

/**
 * After the last place. While keys are rotated, workers of before may still write under the old one: then everything is
 * passed once more.
 * @param left rows that are still under another key, or may be.
 */
export const endPass = (state: RenewalState, left: number, now: number): RenewalState =>
  left === 0
    ? { ...state, state: "complete", passes: state.passes + 1, finishedAt: now }
    : { ...state, passed: [], after: "", done: 0, changedInPass: 0, held: 0, passes: state.passes + 1 };
