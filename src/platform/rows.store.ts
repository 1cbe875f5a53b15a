/** Rows of a statement in a batch. */

/**
 * @param result of a statement whose rows are `Row`, as its caller says.
 * @throws Error for a result without rows, which is a failed read and not an empty one.
 */
export function rowsOf<Row>(result: D1Result<unknown> | undefined): readonly Row[] {
  if (result?.results === undefined || !result.success) throw new Error("a read failed");
  return result.results as readonly Row[];
}
