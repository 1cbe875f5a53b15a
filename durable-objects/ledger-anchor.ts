/**
 * LedgerAnchor: owns the signer of one ledger's anchors. One object per ledger id.
 *
 * Invariant: no transaction reaches the chain that this object's storage does not hold. So a crash at any point leaves
 * either nothing sent or something this object knows by nonce, bytes and hash, and every replacement is watched beside
 * the transaction it replaces.
 *
 * Order of writes:
 *   1. nonce, signed transaction and hash, with the change for the database, in one transaction of own storage, synced;
 *   2. broadcast;
 *   3. the node's answer, in own storage;
 *   4. seen final on chain: the confirmation, in own storage;
 *   5. one D1 batch: the anchor row, and the outbox rows that waited for it become due;
 *   6. the change is dropped from own storage, and the relay gets its hint.
 * 5 and 6 are repeated until they succeed; every statement of 5 may run twice. D1 is a record: nothing is decided from its
 * anchor rows.
 *
 * One tick at a time: awaiting the node or D1 opens the input gate, so overlapping calls are joined explicitly.
 */
import { DurableObject } from "cloudflare:workers";
import { readLedgerHead, recordStatements } from "../src/anchor/anchor.store.ts";
import { AnchorStateStore } from "../src/anchor/anchor-state.store.ts";
import { ChainClient } from "../src/anchor/chain.client.ts";
import type { AnchorCommand } from "../src/anchor/evolve.ts";
import { type CommandOutcome, type TickResult, tickAnchor } from "../src/anchor/loop.ts";
import type { AnchorAction, HaltReason, WaitReason } from "../src/anchor/next-action.ts";
import { type AnchorSettings, anchorSettings } from "../src/anchor/policy.ts";
import type { AnchorChange } from "../src/anchor/state.ts";
import type { CoreEnv } from "../src/core/env.ts";
import { makeLog, systemNow } from "../src/platform/clock.edge.ts";
import { type Log, reasonOf } from "../src/platform/log.ts";
import { coreSettingsSchema, parseSettings } from "../src/platform/settings.ts";

/** What the anchor is doing, for `/health`, the console and alerts. Roots 64 hex digits, times epoch ms, wei as decimal text. */
export type AnchorStatus =
  | { readonly state: "disabled"; readonly reason: string }
  | {
      readonly state: "starting" | "idle" | "pending" | "halted" | "failing";
      /** The last decision's reason: a wait's, a halt's, or an error's. */
      readonly reason: AnchorReason | null;
      readonly chainId: number;
      readonly contractAddress: string;
      readonly signer: string | null;
      readonly ledgerSize: number | null;
      readonly latestBlock: number | null;
      readonly balanceWei: string | null;
      /** The setting; null: the balance is not watched. */
      readonly minBalanceWei: string | null;
      readonly balanceLow: boolean;
      /** What an operator asked for and no transaction answers yet. */
      readonly urged: "retry" | "supersede" | null;
      /** The anchor that an operator called wrong, until a larger one is confirmed. */
      readonly superseded: { readonly size: number; readonly root: string; readonly reason: string } | null;
      readonly lastTickAt: number | null;
      readonly confirmed: {
        readonly size: number;
        readonly root: string;
        readonly txHash: string;
        readonly blockNumber: number;
        readonly confirmedAt: number;
      } | null;
      readonly pending: {
        readonly size: number;
        readonly nonce: number;
        readonly txHash: string;
        readonly transactions: number;
        readonly since: number;
      } | null;
      /** Changes the database has not taken yet. */
      readonly unrecorded: number;
    };

/** What became of an operator's command, and what the signer does now. */
export interface AnchorCommandAnswer {
  readonly outcome: CommandOutcome | "disabled" | "failed";
  /** What was decided last, such as `replace` with its reason; null when nothing was. */
  readonly action: AnchorAction["type"] | null;
  readonly status: AnchorStatus;
}

export type AnchorReason = WaitReason | HaltReason | "nothing-new" | "empty-ledger" | "more-to-do" | "error";

interface LastTick {
  readonly at: number;
  readonly action: AnchorAction | undefined;
  readonly failed: boolean;
  readonly signer: string | undefined;
  readonly ledgerSize: number | undefined;
  readonly latestBlock: number | undefined;
  readonly balanceWei: bigint | undefined;
}

export class LedgerAnchor extends DurableObject<CoreEnv> {
  readonly #log: Log;
  readonly #settings: AnchorSettings;
  #store: AnchorStateStore | undefined;
  #running: Promise<TickResult | undefined> | undefined;
  #last: LastTick | undefined;

  constructor(ctx: DurableObjectState, env: CoreEnv) {
    super(ctx, env);
    this.#log = makeLog("itrans-core", env);
    const parsed = parseSettings(coreSettingsSchema, env);
    this.#settings = parsed.ok
      ? anchorSettings(parsed.settings, env.EVM_PRIVATE_KEY)
      : { type: "disabled", reason: parsed.problem.detail };
    if (this.#settings.type === "enabled") {
      const { chainId, contractAddress } = this.#settings.target;
      this.#store = new AnchorStateStore(ctx.storage, `${chainId}:${contractAddress}`);
    }
  }

  /** Goes as far as it can now. Calls that come during a tick share it. Never throws: failures are in the status. */
  async tick(): Promise<AnchorStatus> {
    this.#running ??= this.#run(undefined);
    await this.#running;
    return this.status();
  }

  /**
   * An operator's command, carried out in a tick of its own: retry sends the newest root at once, under the same nonce with a
   * higher fee when something is in flight, and looks again at what halted it; supersede says that the newest anchor is
   * wrong, and does the same.
   */
  async command(command: AnchorCommand): Promise<AnchorCommandAnswer> {
    // Bounded by the callers: each wait is one tick, and whoever wakes first runs next.
    while (this.#running !== undefined) await this.#running;
    const running = this.#run(command);
    this.#running = running;
    const ran = await running;
    const status = this.status();
    if (status.state === "disabled") return { outcome: "disabled", action: null, status };
    return { outcome: ran?.command ?? "failed", action: ran?.action.type ?? null, status };
  }

  override async alarm(): Promise<void> {
    await this.tick();
  }

  status(): AnchorStatus {
    const settings = this.#settings;
    const store = this.#store;
    if (settings.type === "disabled") return { state: "disabled", reason: settings.reason };
    if (store === undefined) return { state: "disabled", reason: "The anchor has no storage." };
    const { confirmed, pending, balanceLow, urge, superseded } = store.load();
    const last = this.#last;
    const newest = pending?.transactions.at(-1);
    return {
      ...describe(last, pending !== undefined),
      chainId: settings.target.chainId,
      contractAddress: settings.target.contractAddress,
      signer: last?.signer ?? null,
      ledgerSize: last?.ledgerSize ?? null,
      latestBlock: last?.latestBlock ?? null,
      balanceWei: last?.balanceWei?.toString() ?? null,
      minBalanceWei: settings.minBalanceWei?.toString() ?? null,
      balanceLow: balanceLow ?? false,
      urged: urge?.type ?? null,
      superseded: superseded ?? null,
      lastTickAt: last?.at ?? null,
      confirmed:
        confirmed === undefined
          ? null
          : {
              size: confirmed.size,
              root: confirmed.root,
              txHash: confirmed.txHash,
              blockNumber: confirmed.blockNumber,
              confirmedAt: confirmed.confirmedAt,
            },
      pending:
        pending === undefined || newest === undefined
          ? null
          : {
              size: newest.size,
              nonce: pending.nonce,
              txHash: newest.hash,
              transactions: pending.transactions.length,
              since: pending.transactions[0]?.signedAt ?? newest.signedAt,
            },
      unrecorded: store.unrecordedCount(),
    };
  }

  #run(command: AnchorCommand | undefined): Promise<TickResult | undefined> {
    return this.#tick(command).finally(() => {
      this.#running = undefined;
    });
  }

  /** @returns undefined when disabled, or when it failed: the status says which. */
  async #tick(command: AnchorCommand | undefined): Promise<TickResult | undefined> {
    const settings = this.#settings;
    const store = this.#store;
    if (settings.type === "disabled" || store === undefined) return undefined;
    let result: TickResult | undefined;
    let client: ChainClient | undefined;
    let failed = false;
    let action: AnchorAction | undefined;
    let seen: Pick<LastTick, "ledgerSize" | "latestBlock" | "balanceWei"> = this.#last ?? {
      ledgerSize: undefined,
      latestBlock: undefined,
      balanceWei: undefined,
    };
    try {
      const chain = new ChainClient(settings.target);
      client = chain;
      result = await tickAnchor(
        {
          load: () => store.load(),
          save: (state, changes) => store.save(state, changes),
          readHead: () => readLedgerHead(this.env.DB, settings.ledgerId),
          readChain: (state) => chain.read(state),
          sign: (draft) => chain.sign(draft),
          broadcast: (rawTx) => chain.broadcast(rawTx),
          now: systemNow,
        },
        settings.policyFor(chain.signer),
        command,
      );
      action = result.action;
      seen = {
        ledgerSize: result.head?.size ?? 0,
        latestBlock: result.view.type === "reachable" ? result.view.latestBlock : seen.latestBlock,
        balanceWei: result.view.type === "reachable" ? result.view.balanceWei : seen.balanceWei,
      };
    } catch (error) {
      failed = true;
      this.#log("error", "anchor_tick_failed", { reason: reasonOf(error) });
    }
    client?.destroy();
    this.#last = { at: systemNow(), action, failed, signer: client?.signer, ...seen };
    const recorded = await this.#record(settings, store);
    if (!recorded || failed || !restsUntilCron(action)) {
      await this.ctx.storage.setAlarm(systemNow() + settings.pollMs);
    }
    return result;
  }

  /** @returns whether the database now has every change. */
  async #record(settings: Extract<AnchorSettings, { type: "enabled" }>, store: AnchorStateStore): Promise<boolean> {
    const unrecorded = store.unrecorded();
    const last = unrecorded.at(-1);
    if (last === undefined) return true;
    const target = {
      ledgerId: settings.ledgerId,
      chainId: settings.target.chainId,
      contractAddress: settings.target.contractAddress,
    };
    try {
      await this.env.DB.batch(unrecorded.flatMap(({ change }) => recordStatements(this.env.DB, target, change)));
      store.recorded(last.id);
      for (const { change } of unrecorded) logChange(this.#log, change);
    } catch (error) {
      this.#log("error", "anchor_record_failed", { reason: reasonOf(error), count: unrecorded.length });
      return false;
    }
    if (unrecorded.some(({ change }) => change.type === "confirmed")) {
      // Names no row: the relay leases what is due. A lost hint costs the time until the sweep.
      await this.env.RELAY_QUEUE.send({ outboxIds: [] }).catch((error: unknown) =>
        this.#log("warn", "anchor_hint_failed", { reason: reasonOf(error) }),
      );
    }
    return store.unrecordedCount() === 0;
  }
}

function logChange(log: Log, change: AnchorChange): void {
  switch (change.type) {
    case "confirmed":
      log("info", "anchor_confirmed", { size: change.anchor.size, txHash: change.anchor.txHash });
      break;
    case "submitted": {
      const { size, hash } = change.transaction;
      log("info", "anchor_submitted", { size, txHash: hash, reason: change.reason });
      break;
    }
    case "failed":
      log("warn", "anchor_failed", { reason: change.reason, count: change.transactions.length });
      break;
    case "noted":
      log("warn", `anchor_${change.note.replace("-", "_")}`, { reason: change.reason });
      break;
  }
}

/** Whether nothing is under way that the poll should watch: the cron is soon enough. */
function restsUntilCron(action: AnchorAction | undefined): boolean {
  if (action === undefined) return false;
  if (action.type === "halt") return action.reason !== "node-unreachable";
  return (
    action.type === "idle" ||
    (action.type === "wait" && (action.reason === "interval" || action.reason === "nothing-newer"))
  );
}

function describe(
  last: LastTick | undefined,
  pending: boolean,
): { readonly state: "starting" | "idle" | "pending" | "halted" | "failing"; readonly reason: AnchorReason | null } {
  if (last === undefined) return { state: pending ? "pending" : "starting", reason: null };
  if (last.failed) return { state: "failing", reason: "error" };
  const { action } = last;
  if (action?.type === "halt") return { state: "halted", reason: action.reason };
  if (action?.type === "wait") return { state: "pending", reason: action.reason };
  if (action?.type === "idle") return { state: "idle", reason: action.reason };
  return { state: "pending", reason: pending ? null : "more-to-do" };
}
