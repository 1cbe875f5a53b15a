/** Where a subject begins, by which its rows are found. */

/**
 * SQL of the seq of a subject's first entry; null when there is none.
 * @param ledgerId and @param subject SQL expressions.
 */
export const firstSeqOf = (ledgerId: string, subject: string): string =>
  `(SELECT MIN(first.seq) FROM ledger_entries AS first INDEXED BY ledger_entries_subject
    WHERE first.ledger_id = ${ledgerId} AND first.subject = ${subject})`;
