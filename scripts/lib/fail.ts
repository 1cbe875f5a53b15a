/** A failure that its one line explains in full: no stack is shown for it. */
export class Failure extends Error {
  override readonly name = "Failure";
}

export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
