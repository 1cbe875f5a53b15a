/**
 * LedgerScrubber: goes through everything stored of one ledger, round after round; its name is the ledger's id.
 *
 * Invariant: what it reports was read from storage and hashed again in the round that it names, and a finding stays until a
 * whole round no longer sees it. `src/ledger/scrub.ts` is the round; this class gives it hands, a bound and a memory apart
 * from the database that it checks.
 *
 * Order of writes: the state after each slice, to own storage, and nothing else. A crash repeats a slice.
 *
 * One tick at a time: awaiting D1 or R2 opens the input gate, so overlapping calls are joined explicitly.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { scrubPortOf } from "../src/ledger/scrub.edge.ts";
import { scrubWithin } from "../src/ledger/scrub.ts";
import { ScrubStateStore } from "../src/ledger/scrub-state.store.ts";
import { type ScrubReport, type ScrubState, scrubReport } from "../src/ledger/scrub-state.ts";
import { makeLog } from "../src/platform/clock.edge.ts";
import { reasonOf } from "../src/platform/log.ts";
import { type CoreSettings, coreSettingsSchema } from "../src/platform/settings.ts";

export class LedgerScrubber extends DurableObject<CoreEnv> {
  readonly #settings: CoreSettings;
  readonly #store: ScrubStateStore;
  #running: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#settings = coreSettingsSchema.parse(env);
    this.#store = new ScrubStateStore(ctx.storage);
  }

  /** A minute's worth of the round, to its end at most. What can not be read now is read by the next tick. */
  async tick(): Promise<ScrubReport> {
    const budget = this.#settings.LEDGER_SCRUB_ENTRIES_PER_MINUTE;
    if (budget > 0) {
      this.#running ??= this.#run(budget).finally(() => {
        this.#running = undefined;
      });
      await this.#running;
    }
    return this.status();
  }

  status(): ScrubReport {
    return scrubReport(this.#store.load());
  }

  async #run(budget: number): Promise<void> {
    const log = makeLog("itrans-core", this.env);
    const before = this.#store.load();
    const { port, close } = await scrubPortOf(this.env, this.#settings);
    try {
      const { state } = await scrubWithin(port, before, budget, (slice) => this.#store.save(slice));
      this.#tellNew(before, state);
    } catch (error) {
      log("warn", "scrub.interrupted", { reason: reasonOf(error) });
    } finally {
      close();
    }
  }

  #tellNew(before: ScrubState, after: ScrubState): void {
    const fresh = Object.keys(after.findings).filter((key) => before.findings[key] === undefined);
    if (fresh.length === 0) return;
    makeLog("itrans-core", this.env)("error", "scrub.found", { count: fresh.length });
  }
}
