/**
 * LedgerSequencer: the only writer of one ledger; its name is the ledger's id.
 *
 * Invariant: entries are appended one commit at a time, each commit on the head that the database has. The loop that keeps
 * it is `src/ledger/sequencer.ts`; this class gives it the database, the clock and the queue. Two of these objects that
 * overlap for a moment can not fork the log: the head's trigger lets one batch through.
 *
 * Order of writes: one D1 batch (head, entries, projections, payloads, keys, outbox), then the callers' answers, then the
 * queue's hint and the publisher's. Nothing is kept in the object's own storage.
 *
 * On load the head is held against the last signed checkpoint: a database that was rolled back behind it, or that has
 * another history of that size, is not appended to. While the publisher can not be asked, nothing is.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { type Head, rootHexOf } from "../src/ledger/head.ts";
import { mayAppend } from "../src/ledger/publish.ts";
import { PublishWaker } from "../src/ledger/publish-waker.ts";
import { type Appended, Sequencer } from "../src/ledger/sequencer.ts";
import { flushLater, measureOf, metricSink } from "../src/operations/meter.edge.ts";
import type { Measure } from "../src/operations/metrics-buffer.ts";
import { makeLog, systemNow } from "../src/platform/clock.edge.ts";
import { reasonOf } from "../src/platform/log.ts";
import { type CoreSettings, coreSettingsSchema } from "../src/platform/settings.ts";
import { syncSettingsDestination } from "../src/relay/destinations.store.ts";
import { type CommitReceipt, loadContext, loadHead, writeCommit } from "../src/workflow/commit.store.ts";
import {
  type Command,
  type CommandResult,
  type CommitContext,
  type CommitPlan,
  commandBytes,
  planCommit,
} from "../src/workflow/commit-plan.ts";

/** Times a group is decided before its callers hear that the outcome is unknown; about two seconds of trying. */
const MAX_ATTEMPTS = 5;
const RETRY_DELAY_MS = 200;

/** Most row ids in one hint; a queue message holds 128 kB. */
const MAX_HINTED_ROWS = 1_000;
/** A batch of messages; each wakes a consumer that goes on to whatever is due. */
const MAX_HINTED_SETTLEMENTS = 100;

export class LedgerSequencer extends DurableObject<CoreEnv> {
  readonly #sequencer: Sequencer<Command, Head, CommitContext, CommandResult, CommitPlan, CommitReceipt>;

  readonly #waker: PublishWaker;

  readonly #measure: Measure;

  /** Commands here now. */
  #present = 0;

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#measure = measureOf("itrans-core", env);
    const settings = coreSettingsSchema.parse(env);
    const ledgerId = ctx.id.name ?? settings.LEDGER_ID;
    const log = makeLog("itrans-core", env);
    const publisher = env.PUBLISHER.getByName(ledgerId);
    this.#waker = new PublishWaker({
      wake: () => publisher.wake(),
      now: systemNow,
      failed: (error) => log("warn", "publisher.wake-lost", { reason: reasonOf(error) }),
    });
    this.#sequencer = new Sequencer(
      {
        loadHead: async () => {
          await syncSettingsDestination(env.DB, settings, systemNow());
          const [head, promised] = await Promise.all([loadHead(env.DB, ledgerId), publisher.promised()]);
          if (!mayAppend({ size: head.frontier.size, rootHash: rootHexOf(head) }, promised)) {
            log("error", "ledger.behind-checkpoint", { size: head.frontier.size });
            throw new Error(
              `the database has ${head.frontier.size} entries; the last signed checkpoint promises others`,
            );
          }
          return head;
        },
        loadContext: (commands) => loadContext(env.DB, ledgerId, commands),
        plan: (head, context, commands, nowMs) =>
          planCommit(head, context, commands, nowMs, { ledgerId, chainId: settings.CHAIN_ID }),
        commit: async (plan) => {
          const startedAt = systemNow();
          const receipt = await writeCommit(env.DB, ledgerId, plan);
          this.#measureCommit(plan, systemNow() - startedAt);
          return receipt;
        },
        committed: (receipt) => {
          this.#wakeRelay(receipt);
          this.#wakeSettlements(receipt);
          const waking = this.#waker.committed();
          if (waking !== undefined) this.ctx.waitUntil(waking);
        },
        sizeOf: commandBytes,
        now: systemNow,
        sleep: (ms) => scheduler.wait(ms),
        uncertain: (error, attempt) => {
          this.#measure.add("itrans_core_ledger_commits_total", { outcome: "uncertain" });
          log("warn", "commit.uncertain", { attempt, reason: reasonOf(error) });
        },
      },
      limitsOf(settings),
    );
  }

  async append(command: Command): Promise<Appended<CommandResult>> {
    const startedAt = systemNow();
    this.#present += 1;
    this.#measure.observe("itrans_core_ledger_waiting_commands", {}, this.#present);
    try {
      return await this.#sequencer.append(command);
    } finally {
      this.#present -= 1;
      this.#measure.observe("itrans_core_ledger_append_duration_seconds", {}, (systemNow() - startedAt) / 1000);
      flushLater("itrans-core", this.env, metricSink(this.env), (work) => this.ctx.waitUntil(work));
    }
  }

  #measureCommit({ entries, results }: CommitPlan, durationMs: number): void {
    this.#measure.add("itrans_core_ledger_commits_total", { outcome: "committed" });
    this.#measure.observe("itrans_core_ledger_commit_duration_seconds", {}, durationMs / 1000);
    this.#measure.observe("itrans_core_ledger_commit_size_commands", {}, results.length);
    for (const { encoded } of entries)
      this.#measure.add("itrans_core_ledger_appends_total", { type: encoded.entry.type });
  }

  /** A hint that is lost costs time, not a delivery: the sweep finds the rows. */
  #wakeRelay({ dueOutboxIds }: CommitReceipt): void {
    if (dueOutboxIds.length === 0) return;
    this.ctx.waitUntil(
      this.env.RELAY_QUEUE.send({ outboxIds: dueOutboxIds.slice(0, MAX_HINTED_ROWS) }).catch((error: unknown) =>
        makeLog("itrans-core", this.env)("warn", "relay.hint-lost", { reason: reasonOf(error) }),
      ),
    );
  }

  /** As with the relay's: the sweep finds what a lost hint leaves. */
  #wakeSettlements({ dueSettlements }: CommitReceipt): void {
    if (dueSettlements.length === 0) return;
    const hints = dueSettlements.slice(0, MAX_HINTED_SETTLEMENTS).map((body) => ({ body }));
    this.ctx.waitUntil(
      this.env.SETTLEMENT_QUEUE.sendBatch(hints).catch((error: unknown) =>
        makeLog("itrans-core", this.env)("warn", "settlement.hint-lost", { reason: reasonOf(error) }),
      ),
    );
  }
}

const limitsOf = (settings: CoreSettings) => ({
  commitMaxCommands: settings.LEDGER_COMMIT_MAX_COMMANDS,
  commitMaxBytes: settings.LEDGER_COMMIT_MAX_BYTES,
  waitingMaxCommands: settings.LEDGER_WAITING_MAX_COMMANDS,
  waitingMaxBytes: settings.LEDGER_WAITING_MAX_BYTES,
  gatherMs: settings.LEDGER_COMMIT_GATHER_MS,
  maxAttempts: MAX_ATTEMPTS,
  retryDelayMs: RETRY_DELAY_MS,
});
