/** The commit loop over the real store: what each step's failure leaves in the database and tells the callers. */
import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Head } from "../../../src/ledger/head.ts";
import { type Appended, Sequencer, type SequencerLimits, type SequencerPort } from "../../../src/ledger/sequencer.ts";
import { type CommitReceipt, loadContext, loadHead, writeCommit } from "../../../src/workflow/commit.store.ts";
import {
  type Command,
  type CommandResult,
  type CommitContext,
  type CommitPlan,
  commandBytes,
  planCommit,
} from "../../../src/workflow/commit-plan.ts";
import { adjudicateCommand, hashOf, INSURER, submitCommand } from "../../support/commands.ts";
import { migratedCore } from "../../support/d1-sqlite.ts";
import { logFindings } from "../../support/ledger-world.ts";

const LEDGER = "main";
const LIMITS: SequencerLimits = {
  commitMaxCommands: 128,
  commitMaxBytes: 1_000_000,
  waitingMaxCommands: 1_000,
  waitingMaxBytes: 32_000_000,
  gatherMs: 2,
  maxAttempts: 5,
  retryDelayMs: 200,
};

type Port = SequencerPort<Command, Head, CommitContext, CommandResult, CommitPlan, CommitReceipt>;
type Answer = Appended<CommandResult>;

interface Seen {
  /** Commands of each planned group, retries included. */
  readonly groups: number[];
  readonly uncertain: number[];
  readonly slept: number[];
  readonly receipts: CommitReceipt[];
}

function makeSequencer(
  db: D1Database,
  change: (port: Port) => Partial<Port> = () => ({}),
  limits: Partial<SequencerLimits> = {},
) {
  const seen: Seen = { groups: [], uncertain: [], slept: [], receipts: [] };
  const real: Port = {
    loadHead: () => loadHead(db, LEDGER),
    loadContext: (commands) => loadContext(db, LEDGER, commands),
    plan: (head, context, commands, nowMs) => {
      seen.groups.push(commands.length);
      return planCommit(head, context, commands, nowMs, { ledgerId: LEDGER, chainId: 31_337 });
    },
    commit: (planned) => writeCommit(db, LEDGER, planned),
    committed: (receipt) => void seen.receipts.push(receipt),
    sizeOf: commandBytes,
    now: () => 1_790_000_000_000,
    sleep: async (ms) => void seen.slept.push(ms),
    uncertain: (_error, attempt) => void seen.uncertain.push(attempt),
  };
  const sequencer = new Sequencer<Command, Head, CommitContext, CommandResult, CommitPlan, CommitReceipt>(
    { ...real, ...change(real) },
    { ...LIMITS, ...limits },
  );
  return { sequencer, seen };
}

const heard = (answer: Answer): string => (answer.type === "done" ? answer.result.type : answer.type);

const storedIds = (sqlite: DatabaseSync): readonly unknown[] =>
  sqlite
    .prepare("SELECT command_id FROM ledger_entries ORDER BY seq")
    .all()
    .map((row) => row.command_id);

const findings = (db: D1Database) => logFindings(db, LEDGER);

function withDestination() {
  const made = migratedCore();
  made.sqlite
    .prepare(
      `INSERT INTO destinations (destination_id, tenant_id, kind, insurer_address, url, deliver_after, event_types,
         requests_per_minute, timeout_ms, state, created_at, updated_at)
       VALUES ('insurer', 'default', 'INSURER', ?, 'https://insurer.ca/', 'commit',
         '["REQUEST_SUBMITTED","REQUEST_ACKNOWLEDGED","REQUEST_ADJUDICATED"]', 240, 8000, 'active', 0, 0)`,
    )
    .run(INSURER);
  return made;
}

const COMMANDS = ["R1", "R2", "R3"].map((id) => submitCommand(id));
const ALL = ["default:R0", "default:R1", "default:R2", "default:R3"];
const NOTHING_NEW = ["default:R0"];

type Step = "loadHead" | "loadContext" | "commit, not persisted" | "commit, but persisted" | "committed";

/** A port of which one step fails so many times. */
function failing(step: Step, times: number): (port: Port) => Partial<Port> {
  let left = times;
  const fails = (): boolean => {
    left -= 1;
    return left >= 0;
  };
  const lost = new Error(`${step} failed`);
  return (port) => {
    switch (step) {
      case "loadHead":
        return { loadHead: async () => (fails() ? Promise.reject(lost) : port.loadHead()) };
      case "loadContext":
        return { loadContext: async (commands) => (fails() ? Promise.reject(lost) : port.loadContext(commands)) };
      case "commit, not persisted":
        return { commit: async (planned) => (fails() ? Promise.reject(lost) : port.commit(planned)) };
      case "commit, but persisted":
        return {
          commit: async (planned) => {
            const receipt = await port.commit(planned);
            if (fails()) throw lost;
            return receipt;
          },
        };
      case "committed":
        return {
          committed: (receipt) => {
            if (fails()) throw lost;
            port.committed(receipt);
          },
        };
    }
  };
}

interface FaultRow {
  readonly step: Step;
  readonly fails: "once" | "always";
  readonly hears: readonly string[];
  readonly stored: readonly string[];
  /** Times the loop did not know the outcome. */
  readonly uncertain: number;
}

const done = ["committed", "committed", "committed"];
const unavailable = ["unavailable", "unavailable", "unavailable"];

// R1 is a group of its own (nothing waits behind it yet), R2 and R3 are the next.
const FAULTS: readonly FaultRow[] = [
  { step: "loadHead", fails: "once", hears: done, stored: ALL, uncertain: 1 },
  { step: "loadHead", fails: "always", hears: unavailable, stored: NOTHING_NEW, uncertain: 10 },
  { step: "loadContext", fails: "once", hears: done, stored: ALL, uncertain: 1 },
  { step: "loadContext", fails: "always", hears: unavailable, stored: NOTHING_NEW, uncertain: 10 },
  { step: "commit, not persisted", fails: "once", hears: done, stored: ALL, uncertain: 1 },
  { step: "commit, not persisted", fails: "always", hears: unavailable, stored: NOTHING_NEW, uncertain: 10 },
  {
    step: "commit, but persisted",
    fails: "once",
    hears: ["unchanged", "committed", "committed"],
    stored: ALL,
    uncertain: 1,
  },
  {
    step: "commit, but persisted",
    fails: "always",
    hears: ["unchanged", "unchanged", "unchanged"],
    stored: ALL,
    uncertain: 2,
  },
  { step: "committed", fails: "once", hears: done, stored: ALL, uncertain: 1 },
  { step: "committed", fails: "always", hears: done, stored: ALL, uncertain: 2 },
];

describe("a step of the commit that fails", () => {
  it.each(FAULTS)("$step, $fails: callers hear $hears", async ({ step, fails, hears, stored, uncertain }) => {
    const { db, sqlite } = withDestination();
    await makeSequencer(db).sequencer.append(submitCommand("R0"));
    const { sequencer, seen } = makeSequencer(db, failing(step, fails === "once" ? 1 : Number.POSITIVE_INFINITY));

    const answers = await Promise.all(COMMANDS.map((command) => sequencer.append(command)));

    expect(answers.map(heard)).toEqual(hears);
    expect(storedIds(sqlite)).toEqual(stored);
    expect(seen.uncertain).toHaveLength(uncertain);
    expect(await findings(db)).toEqual([]);
    // Entries, projections, payloads, keys and outbox rows stand or fall together.
    for (const table of ["requests", "payloads", "payload_keys", "outbox"]) {
      expect(sqlite.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()?.n).toBe(stored.length);
    }

    // Callers who did not hear "done" send the same again: now all of it is there, once.
    const { sequencer: healed } = makeSequencer(db);
    const again = await Promise.all(COMMANDS.map((command) => healed.append(command)));
    expect(again.map(heard)).toEqual(hears.map((word) => (word === "unavailable" ? "committed" : "unchanged")));
    expect(storedIds(sqlite)).toEqual(ALL);
    expect(await findings(db)).toEqual([]);
  });

  it("makes a sequencer that was at work forget its head, and read it once more", async () => {
    const { db, sqlite } = withDestination();
    let loads = 0;
    let failsNow = false;
    const { sequencer, seen } = makeSequencer(db, (port) => ({
      loadHead: () => {
        loads += 1;
        return port.loadHead();
      },
      commit: async (planned) => {
        const receipt = await port.commit(planned);
        if (!failsNow) return receipt;
        failsNow = false;
        throw new Error("the answer was lost");
      },
    }));
    for (const id of ["A", "B"]) await sequencer.append(submitCommand(id));
    expect(loads).toBe(1);
    failsNow = true;
    expect(heard(await sequencer.append(submitCommand("C")))).toBe("unchanged");
    expect(heard(await sequencer.append(submitCommand("D")))).toBe("committed");
    expect([loads, seen.uncertain]).toEqual([2, [1]]);
    expect(storedIds(sqlite)).toEqual(["A", "B", "C", "D"].map((id) => `default:${id}`));
    expect(await findings(db)).toEqual([]);
  });

  it("does not stop the loop: what comes after the fault commits with the same sequencer", async () => {
    const { db, sqlite } = withDestination();
    const { sequencer } = makeSequencer(db, failing("commit, not persisted", LIMITS.maxAttempts));
    expect(heard(await sequencer.append(submitCommand("R1")))).toBe("unavailable");
    expect(heard(await sequencer.append(submitCommand("R2")))).toBe("committed");
    expect(storedIds(sqlite)).toEqual(["default:R2"]);
  });

  it("waits longer after each failure and gives up after the last attempt", async () => {
    const { db } = withDestination();
    const { sequencer, seen } = makeSequencer(db, failing("loadContext", Number.POSITIVE_INFINITY));
    await sequencer.append(submitCommand("R1"));
    expect(seen.slept).toEqual([200, 400, 600, 800]);
    expect(seen.uncertain).toEqual([1, 2, 3, 4, 5]);
  });

  it("cannot be hurt by a batch that lands late, after its commands were decided again", async () => {
    const { db, sqlite } = withDestination();
    let late: (() => Promise<unknown>) | undefined;
    const { sequencer } = makeSequencer(db, (port) => ({
      commit: async (planned) => {
        if (late !== undefined) return port.commit(planned);
        late = () => port.commit(planned);
        throw new Error("no answer in time");
      },
    }));
    expect(heard(await sequencer.append(submitCommand("R1")))).toBe("committed");
    await expect(late?.()).rejects.toThrow("ledger head: version moved");
    expect(storedIds(sqlite)).toEqual(["default:R1"]);
    expect(await findings(db)).toEqual([]);
  });

  it("is no empty ledger: a head row that vanished stops appends instead of starting over", async () => {
    const { db, sqlite } = withDestination();
    await makeSequencer(db).sequencer.append(submitCommand("R1"));
    sqlite.exec("DROP TRIGGER ledger_heads_delete; DELETE FROM ledger_heads");
    const { sequencer } = makeSequencer(db);
    expect(heard(await sequencer.append(submitCommand("R2")))).toBe("unavailable");
    expect(storedIds(sqlite)).toEqual(["default:R1"]);
  });
});

describe("the commit loop", () => {
  it("answers nobody, the rejected neither, before the batch is known to have committed", async () => {
    const { db } = withDestination();
    let release: (() => void) | undefined;
    let committing = 0;
    const { sequencer } = makeSequencer(db, (port) => ({
      commit: async (planned) => {
        committing += 1;
        const receipt = await port.commit(planned);
        if (committing === 2) await new Promise<void>((resolve) => (release = resolve));
        return receipt;
      },
    }));
    const answered: string[] = [];
    const append = (name: string, command: Command) =>
      sequencer.append(command).then((answer) => answered.push(`${name} ${heard(answer)}`));
    const all = [
      append("first", submitCommand("R1")),
      append("submit", submitCommand("R2")),
      append("same", submitCommand("R2")),
      append("lost", adjudicateCommand("nobody")),
    ];
    await expect.poll(() => release).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toEqual(["first committed"]);
    release?.();
    await Promise.all(all);
    expect(answered).toEqual(["first committed", "submit committed", "same unchanged", "lost rejected"]);
  });

  it("wakes the relay with the rows that became due, after the answers", async () => {
    const { db, sqlite } = withDestination();
    const order: string[] = [];
    const { sequencer, seen } = makeSequencer(db, (port) => ({
      committed: (receipt) => {
        queueMicrotask(() => order.push("woken"));
        port.committed(receipt);
      },
    }));
    await sequencer.append(submitCommand("R1")).then(() => order.push("answered"));
    await expect.poll(() => order).toHaveLength(2);
    expect(order).toEqual(["answered", "woken"]);
    const ids = sqlite.prepare("SELECT outbox_id FROM outbox").all();
    expect(seen.receipts).toEqual([{ dueOutboxIds: ids.map((row) => row.outbox_id), dueSettlements: [] }]);
  });

  it("writes nothing and keeps its head for a group that changes nothing", async () => {
    const { db } = withDestination();
    let commits = 0;
    const { sequencer } = makeSequencer(db, (port) => ({
      commit: (planned) => {
        commits += 1;
        return port.commit(planned);
      },
    }));
    await sequencer.append(submitCommand("R1"));
    await sequencer.append(submitCommand("R1"));
    expect(commits).toBe(1);
    await sequencer.append(submitCommand("R2"));
    expect(commits).toBe(2);
  });

  it("commits what gathered in groups of at most so many commands, in the order they came", async () => {
    const { db, sqlite } = withDestination();
    const { sequencer, seen } = makeSequencer(db, () => ({}), { commitMaxCommands: 10 });
    const ids = Array.from({ length: 25 }, (_, i) => `R${i}`);
    const answered: string[] = [];
    await Promise.all(ids.map((id) => sequencer.append(submitCommand(id)).then(() => answered.push(id))));
    expect(seen.groups).toEqual([1, 10, 10, 4]);
    expect(answered).toEqual(ids);
    expect(storedIds(sqlite)).toEqual(ids.map((id) => `default:${id}`));
  });

  it("waits for callers while they keep coming after a group, not for ever, and not after a lone one", async () => {
    const { db } = withDestination();
    const calls: Promise<Answer>[] = [];
    let coming = 0;
    const { sequencer, seen } = makeSequencer(db, () => ({
      sleep: async () => {
        if (coming === 0) return;
        coming -= 1;
        calls.push(sequencer.append(submitCommand(`late-${coming}`)));
      },
    }));
    const send = (...ids: readonly string[]) => calls.push(...ids.map((id) => sequencer.append(submitCommand(id))));
    const answered = async () => {
      for (let known = 0; known < calls.length; ) {
        known = calls.length;
        await Promise.all(calls);
      }
    };
    coming = 3;
    send("alone");
    await answered();
    expect(seen.groups).toEqual([1]);
    send("R0", "R1", "R2");
    await answered();
    expect(seen.groups).toEqual([1, 1, 2, 3]);
    coming = 30;
    send("R3", "R4", "R5");
    await answered();
    expect(seen.groups.slice(4)).toEqual([1, 2, 10, 10, 10]);
  });

  it("bounds a group by bytes as well, and lets one that is larger than that pass alone", async () => {
    const { db } = withDestination();
    const sized = (id: string, length: number) =>
      submitCommand(id, { payload: { type: "inline", sealed: "A".repeat(length) } });
    const { sequencer, seen } = makeSequencer(db, () => ({}), { commitMaxBytes: 30_000 });
    await Promise.all(
      [sized("R0", 0), sized("R1", 10_000), sized("R2", 10_000), sized("R3", 50_000), sized("R4", 0)].map((command) =>
        sequencer.append(command),
      ),
    );
    expect(seen.groups).toEqual([1, 2, 1, 1]);
  });

  it("says overloaded when its list is full by count, keeps nothing of it, and takes more once there is room", async () => {
    const { db, sqlite } = withDestination();
    const { sequencer } = makeSequencer(db, () => ({}), { waitingMaxCommands: 2 });
    const answers = await Promise.all(["R1", "R2", "R3", "R4"].map((id) => sequencer.append(submitCommand(id))));
    expect(answers.map(heard)).toEqual(["committed", "committed", "committed", "overloaded"]);
    expect(storedIds(sqlite)).toEqual(["default:R1", "default:R2", "default:R3"]);
    expect(heard(await sequencer.append(submitCommand("R4")))).toBe("committed");
  });

  it("says overloaded when its list is full by bytes, and gives the bytes back", async () => {
    const { db } = withDestination();
    const one = commandBytes(submitCommand("R1"));
    const { sequencer } = makeSequencer(db, () => ({}), { waitingMaxBytes: one });
    const hear = async () => {
      const answers = await Promise.all(["A", "B", "C"].map((id) => sequencer.append(submitCommand(id))));
      return answers.map((answer) => answer.type);
    };
    expect(await hear()).toEqual(["done", "done", "overloaded"]);
    expect(await hear()).toEqual(["done", "done", "overloaded"]);
  });

  it("takes a plan that leaves a command unanswered for a failure and writes nothing of it", async () => {
    const { db, sqlite } = withDestination();
    const { sequencer } = makeSequencer(db, (port) => ({
      plan: (...args) => ({ ...port.plan(...args), results: [] }),
    }));
    expect(heard(await sequencer.append(submitCommand("R1")))).toBe("unavailable");
    expect(storedIds(sqlite)).toEqual([]);
  });

  it("never forks the log when two are alive at once on one database", async () => {
    const { db, sqlite } = withDestination();
    const limits = { maxAttempts: 200, commitMaxCommands: 7 };
    const a = makeSequencer(db, () => ({}), limits);
    const b = makeSequencer(db, () => ({}), limits);
    const ids = Array.from({ length: 60 }, (_, i) => `R${i}`);
    // Every request goes to both, as when a call is sent again while the object moves.
    const answers = await Promise.all(
      ids.flatMap((id) => [a.sequencer.append(submitCommand(id)), b.sequencer.append(submitCommand(id))]),
    );
    expect(new Set(answers.map(heard))).toEqual(new Set(["committed", "unchanged"]));
    expect(answers.filter((answer) => heard(answer) === "committed")).toHaveLength(60);
    expect(a.seen.uncertain.length + b.seen.uncertain.length).toBeGreaterThan(0);
    expect([...storedIds(sqlite)].sort()).toEqual(ids.map((id) => `default:${id}`).sort());
    expect(await findings(db)).toEqual([]);
    expect(sqlite.prepare("SELECT COUNT(*) AS n FROM outbox").get()?.n).toBe(60);
  });

  it("decides commands for one request in one group on each other's outcome", async () => {
    const { db } = withDestination();
    const { sequencer } = makeSequencer(db);
    const answers = await Promise.all([
      sequencer.append(submitCommand("R0")),
      sequencer.append(submitCommand("R1")),
      sequencer.append(adjudicateCommand("R1")),
      sequencer.append(adjudicateCommand("R1", { decision: "DENIED", decisionHash: hashOf("other") })),
    ]);
    expect(answers.map(heard)).toEqual(["committed", "committed", "committed", "rejected"]);
    expect(await findings(db)).toEqual([]);
  });
});
