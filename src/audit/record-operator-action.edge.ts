/**
 * The audit trail of core's operators: every action is an entry of the ledger before it is done.
 *
 * Entry first: an action that took effect and is nowhere recorded can not happen, whatever crashes. What can happen is an entry of
 * an action that then failed or found nothing to do: it says that it was asked for, which is true. Where the entry can not be had,
 * the answer is 503 and nothing is done.
 *
 * But for actions that only stop something (a pause, a revocation), save what there is or see to what is wrong. A ledger that takes no
 * entries may be the very reason for them, so they are noted in the database, done, and appended by the cron when the ledger is back.
 * Without the database too, only what it may be the reason for is done: alerts are seen to, a backup is fetched. The log has that.
 */
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import type { CoreEnv } from "../core/env.ts";
import { SALT_BYTES } from "../ledger/commitment.ts";
import { newUuid, systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { fromHex } from "../platform/encoding.ts";
import { reasonOf } from "../platform/log.ts";
import type { Problem } from "../platform/problem.ts";
import { type Sequenced, sequence } from "../workflow/sequencer.client.ts";
import {
  type CoreActionCode,
  type HubActionCode,
  mayPrecedeEntry,
  needsNoDatabase,
  type OperatorActionCode,
  operatorActionCommand,
  type RecordOperatorAction,
} from "./operator-action.ts";
import {
  dropWaiting,
  findRecordedAction,
  keepWaiting,
  waitingActions,
  wasRecordedSince,
} from "./operator-actions.store.ts";

export interface DoneByOperator {
  readonly action: CoreActionCode;
  /** What it is done to: an id that names no person, never a secret. */
  readonly target?: string | undefined;
  /** `[A-Z0-9-]{1,40}`. */
  readonly reason?: string | undefined;
}

const NOT_RECORDED: Problem = {
  code: "unavailable",
  detail: "The ledger could not record this action, so it was not done. Try again.",
  retryAfterSeconds: 3,
};

/** By the key that asks, under its call's correlation id. */
async function sequenceAction(
  c: Context<CoreAppEnv>,
  done: Omit<DoneByOperator, "action"> & { readonly action: OperatorActionCode },
  actionId: string,
  salt: Uint8Array,
): Promise<{ readonly command: RecordOperatorAction; readonly sequenced: Sequenced }> {
  const { principal, correlationId, settings } = c.var;
  const command = operatorActionCommand(
    { ...done, tenantId: principal.tenantId, actor: principal.keyId, correlationId },
    actionId,
    salt,
  );
  return { command, sequenced: await sequence(c.env, settings.LEDGER_ID, command) };
}

/**
 * Call it after everything that may refuse the action, and right before it is done.
 * @returns undefined once it is recorded; else the problem to answer with, and nothing may be done.
 */
export async function recordOperatorAction(c: Context<CoreAppEnv>, done: DoneByOperator): Promise<Problem | undefined> {
  const { correlationId, settings, log } = c.var;
  const { command, sequenced } = await sequenceAction(c, done, `act_${newUuid()}`, systemRandomBytes(SALT_BYTES));
  if (sequenced.type === "done") return undefined;
  if (!mayPrecedeEntry(done.action)) return NOT_RECORDED;
  try {
    await keepWaiting(c.env.DB, settings.LEDGER_ID, command, systemNow());
    log("warn", "operator-action.waiting", { code: done.action, correlationId });
    return undefined;
  } catch (error) {
    const isDone = needsNoDatabase(done.action);
    const event = isDone ? "operator-action.unrecorded" : "operator-action.refused";
    log("error", event, { code: done.action, correlationId, reason: reasonOf(error) });
    return isDone ? undefined : NOT_RECORDED;
  }
}

/** What an operator did to the hub, as the hub tells it: again under the same id and salt until core has taken it. */
export interface DoneToHub {
  readonly actionId: string;
  /** 64 hex. */
  readonly salt: string;
  readonly action: HubActionCode;
  readonly target: string | undefined;
}

const HUB_NOT_RECORDED: Problem = {
  code: "unavailable",
  detail: "The ledger could not record this action. Send it again.",
  retryAfterSeconds: 3,
};

/** @returns undefined once it is in the ledger, now or since it came before. Nothing is kept waiting here: the hub does that. */
export async function recordHubAction(c: Context<CoreAppEnv>, done: DoneToHub): Promise<Problem | undefined> {
  const { actionId, salt, action, target } = done;
  const { command, sequenced } = await sequenceAction(c, { action, target }, actionId, fromHex(salt));
  if (sequenced.type !== "done") return HUB_NOT_RECORDED;
  if (sequenced.result.type !== "unchanged") return undefined;
  const recorded = await findRecordedAction(c.env.DB, c.var.settings.LEDGER_ID, command.subject);
  if (recorded === undefined) return HUB_NOT_RECORDED;
  const isSame = recorded.action === action && recorded.target === (target ?? null);
  return isSame ? undefined : { code: "conflict", detail: "Another action is recorded under this id and salt." };
}

/** Files that the same key fetches within this time are one export. */
const EXPORT_MS = 3_600_000;

/** Of a backup's files, which go out one by one: one entry for all that a key fetches within an hour. */
export async function recordBackupExport(c: Context<CoreAppEnv>): Promise<Problem | undefined> {
  const action = "BACKUP_EXPORT";
  const { principal, settings } = c.var;
  const since = systemNow() - EXPORT_MS;
  const isKnown = await wasRecordedSince(c.env.DB, settings.LEDGER_ID, action, principal.keyId, since).catch(
    () => false,
  );
  return isKnown ? undefined : recordOperatorAction(c, { action });
}

const WAITING_AT_ONCE = 50;

/** Appends what waits; the rest at the next turn. A command that did commit is recognized and only taken off the list. */
export async function appendWaitingActions(env: CoreEnv, ledgerId: string): Promise<void> {
  for (const { subject, command } of await waitingActions(env.DB, ledgerId, WAITING_AT_ONCE)) {
    const waiting: RecordOperatorAction = JSON.parse(command);
    const sequenced = await sequence(env, ledgerId, waiting);
    if (sequenced.type !== "done") return;
    await dropWaiting(env.DB, ledgerId, subject);
  }
}
