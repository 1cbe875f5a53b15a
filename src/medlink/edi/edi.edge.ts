/**
 * Claims on their way through EDI networks. A change of a transaction, what the claim's timeline tells of it and the log row of
 * the message that caused it are one batch. The claim's own status is iTrans's to move, never a network's.
 */
import { reasonOf } from "../../platform/log.ts";
import { auditInsert } from "../audit/audit.store.ts";
import { isTaken, isVersionMoved } from "../batch.store.ts";
import type { Claim } from "../claims/claim.ts";
import { findClaim, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { newId } from "../ids.ts";
import { EDI_GIVE_UP_AFTER_MS, EDI_LEASE_MARGIN_MS, EDI_MAX_CHECK_DELAY_MS } from "../settings.ts";
import { type Channel, channelOf, type Exchanged, exchange, isAdmitted, type Subject } from "./channel.edge.ts";
import { CONNECTORS, type EdiReference, type Finding, type Outgoing } from "./connector.ts";
import type { EdiContent } from "./edi-claim.ts";
import { pruneExchanges } from "./exchanges.store.ts";
import {
  applyFinding,
  type Change,
  type EdiTransaction,
  nextStep,
  startSending,
  type TransactionLimits,
} from "./transaction.ts";
import {
  findByReference,
  findTransaction,
  listDue,
  listOfClaim,
  nextNumber,
  transactionInsert,
  transactionUpdate,
} from "./transactions.store.ts";

const MAX_REFERENCE = 999_999;
/** How long a person waits for the network at most, beyond the message that is under way. */
const CALL_BUDGET_MS = 20_000;
const MAX_STEPS = 12;
/** A mailbox may hold answers to others before the one that is looked for. */
const MAX_MAILBOX = 10;
const SWEEP_LIMIT = 20;
const PRUNE_LIMIT = 1_000;

const limitsOf = ({ settings }: Hub): TransactionLimits => ({
  checkDelayMs: settings.EDI_RETRY_DELAY_MS,
  maxCheckDelayMs: EDI_MAX_CHECK_DELAY_MS,
  giveUpAfterMs: EDI_GIVE_UP_AFTER_MS,
  leaseMs: settings.EDI_TIMEOUT_MS + EDI_LEASE_MARGIN_MS,
});

const subjectOf = ({ clinicId, claimId, transactionId, correlationId }: EdiTransaction): Subject => ({
  clinicId,
  claimId,
  transactionId,
  correlationId,
});

const referenceOf = ({ transactionId, reference, licenceNumber }: EdiTransaction): EdiReference => ({
  transactionId,
  reference,
  licenceNumber,
});

async function tellTimeline(
  hub: Hub,
  { transaction, told }: Change,
  actor: string,
): Promise<readonly D1PreparedStatement[]> {
  if (told === undefined) return [];
  const { clinicId, claimId, connector, mode, outcome, updatedAt } = transaction;
  const claim = await findClaim(hub.db, hub.fields, clinicId, claimId);
  if (claim === undefined) return [];
  const detail = [connector, mode, ...(outcome === undefined ? [] : [outcome])].join(":");
  return [
    timelineInsert(hub.db, { claimId, clinicId, kind: told, status: claim.status, actor, detail, at: updatedAt }),
  ];
}

/** Writes what an answer says. @returns the transaction as it is then; when another writer was faster, theirs. */
async function apply(
  hub: Hub,
  transaction: EdiTransaction,
  { kind, reply, logged }: Exchanged,
): Promise<EdiTransaction> {
  const { about } = reply;
  const isOurs = about === undefined || about === transaction.reference;
  const finding: Finding = isOurs ? reply.finding : { type: "unknown", code: "answer_to_another" };
  const change = applyFinding(transaction, kind, finding, limitsOf(hub), hub.now());
  if (change === undefined) {
    await logged.run();
    return transaction;
  }
  try {
    const told = await tellTimeline(hub, change, "edi");
    await batchWithEvents(hub, [transactionUpdate(hub.db, change.transaction), ...told, logged]);
    return change.transaction;
  } catch (thrown) {
    if (!isVersionMoved(thrown)) throw thrown;
    await logged.run();
    return (await findTransaction(hub.db, transaction.transactionId)) ?? transaction;
  }
}

/** An answer out of a mailbox may be about another transaction: it is applied there, for it will not come again. */
export async function applyElsewhere(hub: Hub, channel: Channel, exchanged: Exchanged): Promise<void> {
  const { about } = exchanged.reply;
  const other = about === undefined ? undefined : await findByReference(hub.db, channel.connector.name, about);
  if (other === undefined || other.mode !== channel.mode) await exchanged.logged.run();
  else await apply(hub, other, exchanged);
}

async function ask(hub: Hub, channel: Channel, transaction: EdiTransaction): Promise<EdiTransaction> {
  const prepared = channel.connector.status(referenceOf(transaction));
  if (!prepared.ok) throw new Error(`a question could not be written: ${prepared.code}`);
  for (let taken = 0; taken < MAX_MAILBOX; taken++) {
    const exchanged = await exchange(hub, channel, prepared.outgoing, subjectOf(transaction));
    const { about } = exchanged.reply;
    if (about === undefined || about === transaction.reference) {
      const now = await apply(hub, transaction, exchanged);
      if (now.state === "adjudicated") await confirm(hub, channel, now);
      return now;
    }
    await applyElsewhere(hub, channel, exchanged);
  }
  return transaction;
}

/** Says that the decision arrived. When that fails the network gives it again, which changes nothing. */
async function confirm(hub: Hub, channel: Channel, transaction: EdiTransaction): Promise<void> {
  const prepared = channel.connector.acknowledge?.(referenceOf(transaction));
  if (prepared === undefined || !prepared.ok) return;
  const { logged } = await exchange(hub, channel, prepared.outgoing, subjectOf(transaction));
  await logged.run();
}

async function sendAgain(
  hub: Hub,
  channel: Channel,
  transaction: EdiTransaction,
  outgoing: Outgoing,
): Promise<EdiTransaction> {
  const sending = startSending(transaction, limitsOf(hub), hub.now());
  let exchanged: Exchanged;
  try {
    exchanged = await exchange(hub, channel, outgoing, subjectOf(sending), [transactionUpdate(hub.db, sending)]);
  } catch (thrown) {
    if (!isVersionMoved(thrown)) throw thrown;
    return (await findTransaction(hub.db, transaction.transactionId)) ?? transaction;
  }
  return apply(hub, sending, exchanged);
}

/**
 * Takes a transaction on: asks where its fate is not known, sends again where that is safe, and waits between, within a bound.
 * @param outgoing the claim's message, the same as ever; undefined: nothing is sent again.
 * @param sent how often the same call has sent it already.
 */
async function advance(
  hub: Hub,
  channel: Channel,
  from: EdiTransaction,
  outgoing: Outgoing | undefined,
  sent = 0,
): Promise<EdiTransaction> {
  const deadline = hub.now() + CALL_BUDGET_MS;
  let transaction = from;
  let sends = sent;
  for (let step = 0; step < MAX_STEPS; step++) {
    const now = hub.now();
    switch (nextStep(transaction, now)) {
      case "done":
        return transaction;
      case "wait": {
        const at = transaction.state === "unknown" ? transaction.nextCheckAt : undefined;
        if (outgoing === undefined || at === undefined || at > deadline) return transaction;
        await hub.edi.wait(at - now);
        break;
      }
      case "ask":
        if (!(await isAdmitted(hub, channel))) return transaction;
        transaction = await ask(hub, channel, transaction);
        if (outgoing === undefined || transaction.state === "acknowledged") return transaction;
        break;
      case "send": {
        if (outgoing === undefined || sends >= hub.settings.EDI_MAX_SENDS) return transaction;
        const pause = sends === 0 ? 0 : hub.settings.EDI_RETRY_DELAY_MS * 2 ** (sends - 1);
        if (now + pause > deadline) return transaction;
        await hub.edi.wait(pause);
        if (!(await isAdmitted(hub, channel))) return transaction;
        transaction = await sendAgain(hub, channel, transaction, outgoing);
        sends++;
        if (transaction.state === "acknowledged") return transaction;
        break;
      }
    }
  }
  return transaction;
}

export type SendResult =
  | { readonly type: "sent"; readonly transaction: EdiTransaction; readonly isNew: boolean }
  /** The message cannot be written; `code` names the field. */
  | { readonly type: "unwritable"; readonly code: string }
  /** The network was out too often a moment ago. */
  | { readonly type: "held" };

export async function sendClaim(
  hub: Hub,
  channel: Channel,
  claim: Claim,
  content: EdiContent,
  by: { readonly userId: string; readonly correlationId: string },
): Promise<SendResult> {
  const { mode, connector } = channel;
  if (mode === "refused") return { type: "held" };
  const existing = (await listOfClaim(hub.db, claim.clinicId, claim.claimId)).find(
    (each) => each.connector === connector.name && each.mode === mode && each.state !== "rejected",
  );
  if (existing !== undefined) return takeOn(hub, channel, existing, content);
  if (!(await isAdmitted(hub, channel))) return { type: "held" };
  const now = hub.now();
  const fresh = startSending(
    {
      transactionId: newId("edi", hub.random),
      clinicId: claim.clinicId,
      claimId: claim.claimId,
      claimType: claim.type,
      connector: connector.name,
      mode,
      reference: await nextNumber(hub.db, `reference:${connector.name}`, MAX_REFERENCE),
      licenceNumber: content.provider.licenceNumber,
      state: "unsent",
      outcome: undefined,
      benefitMinor: undefined,
      currency: claim.amount.currency,
      carrierReference: undefined,
      sends: 0,
      checks: 0,
      nextCheckAt: undefined,
      leaseUntil: undefined,
      correlationId: by.correlationId,
      sentBy: by.userId,
      version: 0,
      createdAt: now,
      updatedAt: now,
    },
    limitsOf(hub),
    now,
  );
  const prepared = connector.submit({ ...content, transactionId: fresh.transactionId, reference: fresh.reference });
  if (!prepared.ok) return { type: "unwritable", code: prepared.code };
  const { userId: actor, correlationId } = by;
  const { clinicId, claimId } = claim;
  const before = [
    transactionInsert(hub.db, fresh),
    ...(await tellTimeline(hub, { transaction: fresh, told: "ediSent" }, actor)),
    auditInsert(hub.db, {
      clinicId,
      actor,
      action: "edi.send",
      subject: claimId,
      detail: `${connector.name}:${mode}`,
      correlationId,
      at: now,
    }),
  ];
  let exchanged: Exchanged;
  try {
    exchanged = await exchange(hub, channel, prepared.outgoing, subjectOf(fresh), before);
  } catch (thrown) {
    if (!isTaken(thrown, "edi_transactions.claim_id")) throw thrown;
    const [other] = await listOfClaim(hub.db, clinicId, claimId);
    if (other === undefined) throw thrown;
    return { type: "sent", transaction: other, isNew: false };
  }
  const sent = await apply(hub, fresh, exchanged);
  const transaction = sent.state === "acknowledged" ? sent : await advance(hub, channel, sent, prepared.outgoing, 1);
  return { type: "sent", transaction, isNew: true };
}

async function takeOn(
  hub: Hub,
  channel: Channel,
  transaction: EdiTransaction,
  content: EdiContent,
): Promise<SendResult> {
  const { transactionId, reference } = transaction;
  const prepared = channel.connector.submit({ ...content, transactionId, reference });
  if (!prepared.ok) return { type: "unwritable", code: prepared.code };
  return { type: "sent", transaction: await advance(hub, channel, transaction, prepared.outgoing), isNew: false };
}

/**
 * Asks about what is due, network by network: one that is out holds up no other. Sends nothing: what a message says of a person
 * is not kept. @returns how many were asked about.
 */
export async function sweepEdi(hub: Hub): Promise<number> {
  let asked = 0;
  for (const name of CONNECTORS) {
    const channel = channelOf(hub, name);
    if (channel.mode === "refused" || channel.fault !== undefined) continue;
    for (const transaction of await listDue(hub.db, name, channel.mode, hub.now(), SWEEP_LIMIT)) {
      try {
        // An answer to an earlier one may have been about this one.
        const current = await findTransaction(hub.db, transaction.transactionId);
        if (current === undefined || nextStep(current, hub.now()) !== "ask") continue;
        await advance(hub, channel, current, undefined);
        asked++;
      } catch (thrown) {
        hub.log("error", "edi.not-asked", { destinationId: name, reason: reasonOf(thrown) });
      }
    }
  }
  return asked;
}

export const pruneEdi = (hub: Hub): Promise<number> =>
  pruneExchanges(hub.db, hub.now() - hub.settings.EDI_EXCHANGE_RETENTION_DAYS * 86_400_000, PRUNE_LIMIT);
