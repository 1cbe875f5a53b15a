/**
 * Drives settlements at the operator: whatever is due, whichever hint came. Order of what is written for one: leased, begun in the
 * ledger (SETTLEMENT_STARTED), marked as sent under the lease's token, sent, recorded in the ledger. After a crash anywhere the row
 * says whether a send may have taken effect, and then the operator is asked before anything is sent.
 */
import { type Log, reasonOf } from "../platform/log.ts";
import type { Sequenced } from "../workflow/sequencer.client.ts";
import { beginCall, endDrive, type LeasedDrive, leaseDrives, nextDriveDue, saveDrive } from "./drive.store.ts";
import { afterAnswer, type Drive, type DriveStep, nextSettlementAction } from "./drive.ts";
import type { OperatorAnswer, OperatorGateway } from "./operator/gateway.ts";
import type { SettlementCommand, SettlementState } from "./settlement.ts";

export interface DriveParts {
  readonly db: D1Database;
  readonly ledgerId: string;
  readonly gateway: Pick<OperatorGateway, "send" | "find">;
  readonly append: (command: SettlementCommand) => Promise<Sequenced>;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

export interface DriveLimits {
  /** Settlements in hand at once; an invocation has six connections. */
  readonly slots: number;
  /** After which nothing more is leased. */
  readonly invocationMs: number;
  /** How long to wait in place for what comes due. */
  readonly idleMs: number;
}

export const DRIVE_LIMITS: DriveLimits = { slots: 6, invocationMs: 45_000, idleMs: 10_000 };

/** The actor of what the driver records. */
const ACTOR = "settlement-driver";
/** Begun, sent, found absent, sent again; what takes more comes due again. */
const MAX_STEPS = 6;
const LEDGER_RETRY_MS = 5_000;
/** A recorded outcome that can not be: a person must look. */
const REFUSED_RETRY_MS = 3_600_000;

/** @returns epoch ms until which the operator takes nothing; undefined: it does. */
export async function driveOne(parts: DriveParts, leased: LeasedDrive): Promise<number | undefined> {
  const { db, ledgerId, now } = parts;
  let { drive } = leased;
  let status = leased.settlement.status;
  const { tenantId, subject, subjectKind, refId } = leased.settlement;
  const common = { tenantId, subject, subjectKind, refId, actor: ACTOR, correlationId: drive.correlationId };
  const later = async (change: Partial<Drive>, dueAt: number): Promise<void> => {
    drive = { ...drive, ...change };
    await saveDrive(db, ledgerId, drive, dueAt);
  };
  /** @returns whether it is recorded; else it is left for later. */
  const record = async (command: SettlementCommand): Promise<boolean> => {
    const appended = await parts.append(command);
    if (appended.type === "done") return true;
    const { rejection } = appended;
    parts.log(rejection === undefined ? "warn" : "error", "settlement.not-recorded", {
      refId,
      correlationId: drive.correlationId,
      code: command.type,
      reason: rejection?.code ?? appended.problem.code,
    });
    const delay = rejection === undefined ? LEDGER_RETRY_MS : REFUSED_RETRY_MS;
    await later({ lastAnswer: drive.lastAnswer ?? "ledger-unavailable" }, now() + delay);
    return false;
  };
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    const action = nextSettlementAction(status, drive, undefined, now());
    switch (action.type) {
      case "done":
        await endDrive(db, ledgerId, drive);
        return undefined;
      case "wait":
        await later({}, action.until);
        return undefined;
      case "start":
        if (!(await record({ ...common, type: "StartSettlement" }))) return undefined;
        status = "PROCESSING";
        continue;
      case "fail":
        await record({ ...common, type: "FailSettlement", reason: action.reason });
        return undefined;
      case "send":
      case "ask": {
        if (!(await beginCall(db, ledgerId, drive, action.type, now()))) return undefined;
        const answer = await callOperator(parts, action.type, leased.settlement, drive);
        const step = afterAnswer(action.type, answer, drive, now(), parts.random());
        logStep(parts, action.type, drive, answer, step);
        // From here on a send may have taken effect, unless the answer says that it did not.
        if (step.type === "complete") {
          drive = { ...drive, inDoubt: true };
          const { operatorTransactionId } = step;
          await record({ ...common, type: "CompleteSettlement", operatorTransactionId });
          return undefined;
        }
        if (step.type === "reject") {
          drive = { ...drive, inDoubt: true };
          await record({ ...common, type: "RejectSettlement", reason: step.reason });
          return undefined;
        }
        const { inDoubt, sends, waits, answer: lastAnswer, dueAt, holdUntil } = step;
        const goesOn = lastAnswer === "absent" && steps < MAX_STEPS - 1;
        const change = { inDoubt, sends, waits, lastAnswer };
        if (!goesOn) {
          await later(change, dueAt);
          return holdUntil;
        }
        // Not there for sure: it is sent again by the next step, under the same lease.
        drive = { ...drive, ...change };
        continue;
      }
    }
  }
  await later({}, now());
  return undefined;
}

/** Never throws: a call that broke is one whose outcome is not known. */
async function callOperator(
  { gateway, log }: DriveParts,
  call: "send" | "ask",
  { refId, type, amountCents, currency, reverses, tenantId }: SettlementState,
  { correlationId }: Drive,
): Promise<OperatorAnswer> {
  try {
    return call === "ask"
      ? await gateway.find(refId, correlationId)
      : await gateway.send({ refId, type, amountCents, currency, reverses, correlationId, clinicKey: tenantId });
  } catch (thrown) {
    log("error", "settlement.call-broke", { refId, correlationId, reason: reasonOf(thrown) });
    return { kind: "unknown" };
  }
}

function logStep(parts: DriveParts, call: "send" | "ask", drive: Drive, answer: OperatorAnswer, step: DriveStep): void {
  const fields = { refId: drive.refId, correlationId: drive.correlationId, method: call, code: answer.kind };
  const isVanished = step.type === "later" && step.answer === "vanished";
  parts.log(isVanished ? "error" : "info", isVanished ? "settlement.vanished" : "settlement.called", fields);
}

export interface Drained {
  readonly driven: number;
  /** More is due now: another invocation should go on. */
  readonly more: boolean;
}

/**
 * Drives what is due until nothing is, or time is up.
 * @throws when the database does not answer; what was leased comes back when its lease runs out.
 */
export async function drainSettlements(parts: DriveParts, limits: DriveLimits = DRIVE_LIMITS): Promise<Drained> {
  const { db, ledgerId, now } = parts;
  const until = now() + limits.invocationMs;
  const running = new Set<Promise<void>>();
  let holdUntil: number | undefined;
  let driven = 0;
  const run = (leased: LeasedDrive): void => {
    const work = driveOne(parts, leased)
      .then((hold) => {
        if (hold !== undefined) holdUntil = Math.max(holdUntil ?? 0, hold);
      })
      .catch((thrown: unknown) =>
        parts.log("error", "settlement.not-driven", { refId: leased.drive.refId, reason: reasonOf(thrown) }),
      )
      .finally(() => running.delete(work));
    running.add(work);
    driven += 1;
  };
  while (now() < until) {
    if (holdUntil !== undefined && holdUntil > now()) {
      if (holdUntil >= until) break;
      await parts.sleep(holdUntil - now());
      continue;
    }
    const free = limits.slots - running.size;
    const leased = free === 0 ? [] : await leaseDrives(db, ledgerId, now(), free);
    for (const one of leased) run(one);
    if (leased.length > 0) continue;
    if (running.size > 0) {
      await Promise.race(running);
      continue;
    }
    const nextDue = await nextDriveDue(db, ledgerId);
    if (nextDue === undefined || nextDue - now() > limits.idleMs || nextDue >= until) return { driven, more: false };
    await parts.sleep(Math.max(1, nextDue - now()));
  }
  await Promise.all(running);
  // While the operator takes nothing, the sweep comes back soon enough.
  if (holdUntil !== undefined && holdUntil > now()) return { driven, more: false };
  const nextDue = await nextDriveDue(db, ledgerId);
  return { driven, more: nextDue !== undefined && nextDue <= now() };
}
