/**
 * Sealing everything anew under the current key, so that the previous one can be retired: table by table, row by row in the
 * order of keys, a bounded number at a time. Where it is, is one small value; it may be stopped anywhere.
 */
import * as z from "zod";

export const reEncryptStateSchema = z.object({
  /** The key that everything is sealed under when it is done. */
  keyId: z.string(),
  state: z.enum(["running", "complete"]),
  /** Columns passed already, as `table.column`. */
  passed: z.array(z.string()),
  /** The last primary key done in the column at hand. */
  after: z.string(),
  done: z.number().int(),
  total: z.number().int(),
  /** Rows that were sealed under another key. */
  changed: z.number().int(),
  /** Passes over everything. */
  passes: z.number().int(),
  startedBy: z.string(),
  startedAt: z.number().int(),
  finishedAt: z.number().int().nullable(),
});

export type ReEncryptState = Readonly<z.output<typeof reEncryptStateSchema>>;

/** A column whose values are sealed, bound to `<table>/<primary key>`. */
export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  readonly key: string;
  /** Whether each change must move the row's version. */
  readonly versioned: boolean;
}

export const nameOf = ({ table, column }: SealedColumn): string => `${table}.${column}`;

export const begin = (keyId: string, total: number, startedBy: string, now: number): ReEncryptState => ({
  keyId,
  state: "running",
  passed: [],
  after: "",
  done: 0,
  total,
  changed: 0,
  passes: 0,
  startedBy,
  startedAt: now,
  finishedAt: null,
});

/** After a slice of a column. @param read rows of the slice; fewer than were asked for end the column. */
export function advance(
  state: ReEncryptState,
  column: SealedColumn,
  slice: {
    readonly read: number;
    readonly changed: number;
    readonly lastKey: string | undefined;
    readonly full: boolean;
  },
): ReEncryptState {
  const counted = { ...state, done: state.done + slice.read, changed: state.changed + slice.changed };
  return slice.full && slice.lastKey !== undefined
    ? { ...counted, after: slice.lastKey }
    : { ...counted, after: "", passed: [...state.passed, nameOf(column)] };
}

/**
 * After the last column. While keys are rotated, workers of before may still seal under the old one: then everything is
 * passed once more.
 * @param left rows that are still under another key.
 */
export const endPass = (state: ReEncryptState, left: number, now: number): ReEncryptState =>
  left === 0
    ? { ...state, state: "complete", passes: state.passes + 1, finishedAt: now }
    : { ...state, passed: [], after: "", done: 0, passes: state.passes + 1 };
