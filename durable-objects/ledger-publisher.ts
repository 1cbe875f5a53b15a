/**
 * LedgerPublisher: publishes one ledger as tiles and signed checkpoints; its name is the ledger's id.
 *
 * Invariant: two checkpoints that do not extend one another are never signed. The last signed one is in own storage before
 * anyone sees it, and only a larger tree that is proved to extend it takes its place.
 *
 * Order of writes: bundles and tiles to R2, the signed checkpoint and the progress to own storage (compared and set in one
 * transaction, synced), the cosignatures that come in `COSIGN_PATIENCE_MS` to own storage, the checkpoint's record to D1, the checkpoint
 * to R2, the mark that it was released to own storage. `src/ledger/publish.ts` says why, and what a crash between any two leaves. A
 * cosignature that comes later goes out at the next write, or to D1 alone when its checkpoint is the newest no more.
 *
 * One round at a time: awaiting D1 or R2 opens the input gate, so overlapping calls are joined explicitly.
 */
import { DurableObject } from "cloudflare:workers";
import type { CoreEnv } from "../src/core/env.ts";
import { openCheckpoint, signCheckpoint } from "../src/ledger/checkpoint.ts";
import { Cosigning } from "../src/ledger/cosigning.ts";
import { isFull } from "../src/ledger/layout.ts";
import {
  overwriteLogFile,
  prunePartials,
  readCheckpointFile,
  readLogFile,
  tileReader,
  writeCheckpointFile,
  writeLogFileOnce,
} from "../src/ledger/log.store.ts";
import { type LogSettings, logSettings, logSigners } from "../src/ledger/log-settings.ts";
import { formatVerifierKey, isSignedBy, type NoteSigner, parseNote } from "../src/ledger/note.ts";
import { proveConsistency } from "../src/ledger/proof.ts";
import {
  newestCheckpoint,
  readCommittedEntries,
  readCommittedHead,
  recordCheckpoint,
  recordCosignature,
} from "../src/ledger/publish.store.ts";
import {
  type PublisherPort,
  type PublisherState,
  type PublishResult,
  publishRound,
  type SignedCheckpoint,
} from "../src/ledger/publish.ts";
import { PublisherStateStore } from "../src/ledger/publisher-state.store.ts";
import { askWitness } from "../src/ledger/witness.client.ts";
import { makeLog, systemNow } from "../src/platform/clock.edge.ts";
import { toHex } from "../src/platform/encoding.ts";
import { reasonOf } from "../src/platform/log.ts";
import { type CoreSettings, coreSettingsSchema } from "../src/platform/settings.ts";

/** Rounds of one call; what is left is taken up by the alarm. */
const MAX_ROUNDS = 4;
const WRITES_AT_ONCE = 6;
const MAX_RETRY_DELAY_MS = 60_000;
/** How long a release waits for witnesses: a commit is published within two seconds, whatever they do. */
const COSIGN_PATIENCE_MS = 500;
/** An alarm that is this late is taken for lost. */
const DUE_GRACE_MS = 2_000;

/** What the publisher is doing, for health, the console and alerts. Times epoch ms. */
export type PublisherStatus =
  | { readonly state: "disabled"; readonly reason: string }
  | {
      readonly state: "starting" | "current" | "catching-up" | "refused" | "failing";
      /** Why it is refused or failing. */
      readonly reason: string | null;
      readonly origin: string;
      readonly size: number | null;
      readonly rootHash: string | null;
      readonly signedAt: number | null;
      /** Entries whose tiles are written. */
      readonly builtSize: number;
      /** Witnesses whose cosignature the released checkpoint carries. */
      readonly cosignatures: number;
    };

/** What was promised last; the sequencer appends to nothing that is behind it. */
export interface Promised {
  readonly size: number;
  readonly rootHash: string;
  /** Whether it is recorded in the database and readers see it. */
  readonly released: boolean;
}

type EnabledLog = Extract<LogSettings, { type: "enabled" }>;

export class LedgerPublisher extends DurableObject<CoreEnv> {
  readonly #settings: CoreSettings;
  readonly #log: LogSettings;
  readonly #ledgerId: string;
  readonly #store: PublisherStateStore;
  #signers: readonly NoteSigner[] | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  readonly #cosigning: Cosigning;
  /** What the last release waited for witnesses: the next round begins by so much earlier. */
  #gatheringMs = 0;
  #failures = 0;
  #last: PublishResult | { readonly type: "failed"; readonly reason: string } | undefined;
  #checkpointWrittenAt = 0;
  /** When the alarm that `wake` set is due, until it begins. */
  #dueAt: number | undefined;

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#settings = coreSettingsSchema.parse(env);
    this.#ledgerId = ctx.id.name ?? this.#settings.LEDGER_ID;
    this.#log = logSettings(this.#settings, { ...env });
    this.#store = new PublisherStateStore(ctx.storage);
    this.#cosigning = this.#makeCosigning();
  }

  /** Asks for a round soon, however often this is called. @returns when it begins, epoch ms. */
  async wake(): Promise<number> {
    const set = await this.ctx.storage.getAlarm();
    if (set !== null) return set;
    // Due and not begun yet: an alarm set now would take its place and put the round off.
    if (this.#dueAt !== undefined && systemNow() - this.#dueAt < DUE_GRACE_MS) return this.#dueAt;
    const { LEDGER_PUBLISH_DELAY_MS: delay, LEDGER_PUBLISH_INTERVAL_MS: interval } = this.#settings;
    const at = Math.max(systemNow() + delay, this.#checkpointWrittenAt + interval - this.#gatheringMs);
    this.#dueAt = at;
    await this.ctx.storage.setAlarm(at);
    return at;
  }

  /**
   * Publishes what is committed when this is called, as far as bounded work goes; the alarm goes on. A call during a round
   * gets a round after it. Never throws: failures are in the status.
   */
  async publish(): Promise<PublisherStatus> {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
    return this.status();
  }

  override async alarm(): Promise<void> {
    this.#dueAt = undefined;
    await this.publish();
  }

  /** @throws when it can not be told: then nothing may be appended. */
  async promised(): Promise<Promised | undefined> {
    const { signed, released } = await this.#loadState();
    return signed && { size: signed.size, rootHash: signed.rootHash, released };
  }

  status(): PublisherStatus {
    if (this.#log.type === "disabled") return { state: "disabled", reason: this.#log.reason };
    const { signed, cosignedNote, built } = this.#store.load();
    const signatures = (note: string): number => parseNote(note)?.signatures.length ?? 0;
    return {
      ...stateOf(this.#last),
      origin: this.#log.origin,
      size: signed?.size ?? null,
      rootHash: signed?.rootHash ?? null,
      signedAt: signed?.signedAt ?? null,
      builtSize: built.edge.size,
      cosignatures:
        signed === undefined || cosignedNote === undefined ? 0 : signatures(cosignedNote) - signatures(signed.note),
    };
  }

  async #run(): Promise<void> {
    if (this.#log.type === "disabled") return;
    const log = makeLog("itrans-core", this.env);
    for (let round = 0; this.#again && round < MAX_ROUNDS; round++) {
      this.#again = false;
      try {
        const port = await this.#port(this.#log);
        const result = await publishRound(port, {
          maxEntries: this.#settings.LEDGER_PUBLISH_MAX_ENTRIES - (this.#settings.LEDGER_PUBLISH_MAX_ENTRIES % 256),
          writesAtOnce: WRITES_AT_ONCE,
        });
        this.#failures = 0;
        this.#last = result;
        if (result.type === "catching-up") this.#again = true;
        if (result.type === "current") this.#cosigning.askMissing();
        if (result.type === "refused") log("error", "publish.refused", { reason: result.reason });
        if (result.type === "published") {
          log("debug", "publish.released", { size: result.signed.size });
          await this.#prune(result);
        }
        if (result.type !== "refused" && this.#store.load().cosignedSince === true) await this.wake();
      } catch (error) {
        this.#failures += 1;
        this.#last = { type: "failed", reason: reasonOf(error) };
        log("warn", "publish.failed", { attempt: this.#failures, reason: reasonOf(error) });
        const delay = Math.min(MAX_RETRY_DELAY_MS, 500 * 2 ** Math.min(this.#failures, 10));
        await this.ctx.storage.setAlarm(systemNow() + delay);
        return;
      }
    }
    if (this.#again) await this.ctx.storage.setAlarm(systemNow());
  }

  /** The full tile answers for its partial forms; those that a crash leaves behind cost room and nothing else. */
  async #prune({ completed }: Extract<PublishResult, { type: "published" }>): Promise<void> {
    for (const tile of completed.filter(isFull).slice(0, 2 * WRITES_AT_ONCE)) {
      await prunePartials(this.env.LEDGER, this.#ledgerId, tile);
    }
  }

  async #signersOf(log: EnabledLog): Promise<readonly NoteSigner[]> {
    this.#signers ??= await logSigners(log);
    return this.#signers;
  }

  async #port(log: EnabledLog): Promise<PublisherPort> {
    const { DB: db, LEDGER: bucket } = this.env;
    const ledgerId = this.#ledgerId;
    const store = this.#store;
    const signers = await this.#signersOf(log);
    return {
      loadState: () => this.#loadState(),
      saveBuilt: (built) => store.saveBuilt(built),
      compareAndSet: (expected, next, built) => store.compareAndSet(expected, next, built),
      cosign: async (signed) => {
        const began = systemNow();
        await this.#cosigning.gather();
        this.#gatheringMs = Math.min(COSIGN_PATIENCE_MS, systemNow() - began);
        return store.load().cosignedNote ?? signed.note;
      },
      markReleased: (signed, note) => store.markReleased(signed, note),
      readHead: () => readCommittedHead(db, ledgerId),
      readEntries: (from, to) => readCommittedEntries(db, ledgerId, from, to),
      writeOnce: (path, bytes) => writeLogFileOnce(bucket, ledgerId, path, bytes),
      overwrite: (path, bytes) => overwriteLogFile(bucket, ledgerId, path, bytes),
      read: (path) => readLogFile(bucket, ledgerId, path),
      readTile: tileReader(bucket, ledgerId),
      signedBy: signers.map(({ key }) => formatVerifierKey(key)).join("\n"),
      sign: (size, root) => signCheckpoint({ origin: log.origin, size, root }, signers),
      record: (signed) => recordCheckpoint(db, ledgerId, signed),
      release: async (note) => {
        // The round began early for the witnesses' sake; when they were quicker than last time, the write has to wait.
        const early = this.#checkpointWrittenAt + this.#settings.LEDGER_PUBLISH_INTERVAL_MS - systemNow();
        if (log.witnesses.length > 0 && early > 0) await scheduler.wait(Math.min(early, COSIGN_PATIENCE_MS));
        await writeCheckpointFile(bucket, ledgerId, note);
        this.#checkpointWrittenAt = systemNow();
      },
      now: systemNow,
    };
  }

  /** Own storage; when it has no checkpoint, the largest that the database or the bucket holds. It must be by our key. */
  async #loadState(): Promise<PublisherState> {
    const state = this.#store.load();
    if (state.signed !== undefined || this.#log.type === "disabled") return state;
    const [recorded, released] = await Promise.all([
      newestCheckpoint(this.env.DB, this.#ledgerId),
      readCheckpointFile(this.env.LEDGER, this.#ledgerId),
    ]);
    const signers = await this.#signersOf(this.#log);
    let newest: SignedCheckpoint | undefined;
    for (const note of [recorded?.note, released]) {
      if (note === undefined) continue;
      const opened = await openCheckpoint(
        note,
        signers.map(({ key }) => key),
      );
      if (opened.type === "refused")
        throw new Error(`the last published checkpoint can not be trusted: ${opened.reason}`);
      const { size, root } = opened.checkpoint;
      if (newest !== undefined && newest.size >= size) continue;
      const signedBy = opened.keys.map(formatVerifierKey).join("\n");
      newest = { size, rootHash: toHex(root), note, signedBy, signedAt: recorded?.signedAt ?? systemNow() };
    }
    if (newest === undefined) return state;
    await this.#store.recover(newest);
    return this.#store.load();
  }

  #makeCosigning(): Cosigning {
    const log = makeLog("itrans-core", this.env);
    const store = this.#store;
    return new Cosigning(this.#log.type === "disabled" ? [] : this.#log.witnesses, COSIGN_PATIENCE_MS, {
      ask: async (witness, signed) => {
        const result = await askWitness(witness, {
          size: signed.size,
          text: parseNote(signed.note)?.text ?? "",
          note: signed.note,
          oldSize: store.witnessSize(witness.key.name),
          prove: (from) =>
            proveConsistency(from, signed.size, signed.size, tileReader(this.env.LEDGER, this.#ledgerId)),
          timeoutMs: this.#settings.LEDGER_WITNESS_TIMEOUT_MS,
        });
        if (result.type === "cosigned") store.saveWitnessSize(witness.key.name, signed.size);
        return result;
      },
      save: async (signed, signature) => {
        if (!store.addCosignature(signed, signature)) {
          await recordCosignature(this.env.DB, this.#ledgerId, signed, signature);
        } else if (store.load().cosignedSince === true) await this.wake();
      },
      lacking: ({ key }) => {
        const { signed, cosignedNote } = store.load();
        const note = signed && parseNote(cosignedNote ?? signed.note);
        return note === undefined || isSignedBy(note, key) ? undefined : signed;
      },
      failed: (reason) => log("warn", "publish.not-cosigned", { reason }),
      inBackground: (work) => this.ctx.waitUntil(work),
      now: systemNow,
      wait: (ms) => scheduler.wait(ms),
    });
  }
}

function stateOf(last: PublishResult | { readonly type: "failed"; readonly reason: string } | undefined): {
  readonly state: "starting" | "current" | "catching-up" | "refused" | "failing";
  readonly reason: string | null;
} {
  switch (last?.type) {
    case undefined:
      return { state: "starting", reason: null };
    case "published":
    case "current":
      return { state: "current", reason: null };
    case "catching-up":
      return { state: "catching-up", reason: null };
    case "refused":
      return { state: "refused", reason: last.reason };
    case "failed":
      return { state: "failing", reason: last.reason };
  }
}
