/** What the database's own guards say when a batch must not stand. Each aborts the whole batch. */
const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : "");

/** A row was changed since it was read: read it and decide again. */
export const isVersionMoved = (thrown: unknown): boolean => messageOf(thrown).includes("version moved");

/** @param column `table.column` of a unique key; of several columns, the first. */
export const isTaken = (thrown: unknown, column: string): boolean =>
  messageOf(thrown).includes("UNIQUE constraint failed") && messageOf(thrown).includes(column);

/** A row names a clinic that is not there, in a table whose only reference is the clinic. */
export const isMissingClinic = (thrown: unknown): boolean =>
  messageOf(thrown).includes("FOREIGN KEY constraint failed");

/** A row is still named by another, or names one that is gone. */
export const isMissingReference = (thrown: unknown): boolean =>
  messageOf(thrown).includes("FOREIGN KEY constraint failed");

/** How often a decision is made again before the caller is told to come back. */
export const DECIDE_AGAIN_LIMIT = 5;
