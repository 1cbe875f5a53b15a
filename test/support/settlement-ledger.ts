/** Claims and settlements through the real rules and commits on a database of SQLite, without a Durable Object around them. */
import { Sequencer } from "../../src/ledger/sequencer.ts";
import { loadContext, loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { type Command, type CommandResult, commandBytes, planCommit } from "../../src/workflow/commit-plan.ts";
import { problemOf, type Sequenced } from "../../src/workflow/sequencer.client.ts";

export const LEDGER = "main";

/** @param uncertain told of a commit that failed, which none should. */
export function ledgerOn(
  db: D1Database,
  now: () => number,
  uncertain: (error: unknown) => void,
): (command: Command) => Promise<Sequenced> {
  const sequencer = new Sequencer<
    Command,
    Awaited<ReturnType<typeof loadHead>>,
    Awaited<ReturnType<typeof loadContext>>,
    CommandResult,
    ReturnType<typeof planCommit>,
    unknown
  >(
    {
      loadHead: () => loadHead(db, LEDGER),
      loadContext: (commands) => loadContext(db, LEDGER, commands),
      plan: (head, context, commands, nowMs) =>
        planCommit(head, context, commands, nowMs, { ledgerId: LEDGER, chainId: 31_337 }),
      commit: (plan) => writeCommit(db, LEDGER, plan),
      committed: () => {},
      sizeOf: commandBytes,
      now,
      sleep: () => new Promise((resolve) => setImmediate(resolve)),
      uncertain,
    },
    {
      commitMaxCommands: 128,
      commitMaxBytes: 1_000_000,
      waitingMaxCommands: 100_000,
      waitingMaxBytes: 64_000_000,
      gatherMs: 0,
      maxAttempts: 1,
      retryDelayMs: 0,
    },
  );
  return async (command) => {
    const appended = await sequencer.append(command);
    if (appended.type !== "done") throw new Error(`the sequencer is ${appended.type}`);
    const { result } = appended;
    return result.type === "rejected"
      ? { type: "problem", problem: problemOf(result.rejection), rejection: result.rejection }
      : { type: "done", result };
  };
}
