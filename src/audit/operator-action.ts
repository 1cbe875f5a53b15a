/** What an operator did, as an entry of the ledger: the codes there are, the command that records one, and its rule. */
import { canonicalJson } from "../ledger/canonical.ts";
import type { Draft } from "../ledger/chain.ts";
import { commitmentOf, subjectOf } from "../ledger/commitment.ts";
import { toHex } from "../platform/encoding.ts";

/** Everything an operator can do to core. An erasure is not here: it has an entry of its own, ERASED. */
const CORE_ACTIONS = [
  "RELAY_PAUSE",
  "RELAY_RESUME",
  "DESTINATION_PUT",
  "DESTINATION_DELETE",
  "DESTINATION_PAUSE",
  "DESTINATION_RESUME",
  "DESTINATION_PING",
  "DESTINATION_SECRET_ROTATE",
  "DEAD_LETTER_REPLAY",
  "DEAD_LETTERS_REPLAY",
  "DEAD_LETTER_DISCARD",
  "ANCHOR_RETRY",
  "ANCHOR_SUPERSEDE",
  "TENANT_CREATE",
  "TENANT_CLOSE",
  "KEY_CREATE",
  "KEY_REVOKE",
  "SECRET_ROTATE",
  "REWRAP_START",
  "SETTLEMENT_RESOLVE",
  "IDEMPOTENCY_RESOLVE",
  "RECONCILIATION_RUN",
  "RECONCILIATION_OWN",
  "RECONCILIATION_RESOLVE",
  "BACKUP_CREATE",
  "BACKUP_EXPORT",
  "RESTORE_DRILL",
  "MAINTENANCE_ON",
  "MAINTENANCE_OFF",
  "ALERT_SILENCE",
  "ALERT_CONTACTS_PUT",
  "ALERT_UNSILENCE",
  "ALERT_ACKNOWLEDGE",
  "ALERT_TEST",
  "INCIDENT_OPEN",
  "INCIDENT_NOTE",
  "INCIDENT_CLOSE",
] as const;

/** Everything an operator can do to the hub alone, which the hub tells core of. What it does to core through the hub is core's. */
export const HUB_ACTIONS = [
  "HUB_FLAG_UPDATE",
  "HUB_CLINIC_CREATE",
  "HUB_USER_UPDATE",
  "HUB_PASSWORD_RESET",
  "HUB_SECOND_FACTOR_REMOVE",
  "HUB_INVITATION_CREATE",
  "HUB_INVITATION_WITHDRAW",
  "HUB_SESSIONS_CLEAR",
  "HUB_RENEWAL_START",
  "HUB_SEED",
  "HUB_BACKUP_CREATE",
  "HUB_BACKUP_EXPORT",
  "HUB_MAINTENANCE_ON",
  "HUB_MAINTENANCE_OFF",
  "HUB_CONTACTS_PUT",
  "HUB_AUTO_SUBMIT_SETTINGS",
  "HUB_AUTO_SUBMIT_ENQUEUE",
  "HUB_AUTO_SUBMIT_REQUEUE",
  "HUB_CONNECTOR_TEST",
  "HUB_SANDBOX_RESET",
] as const;
export type HubActionCode = (typeof HUB_ACTIONS)[number];

export const OPERATOR_ACTIONS = [...CORE_ACTIONS, ...HUB_ACTIONS] as const;
export type CoreActionCode = (typeof CORE_ACTIONS)[number];
export type OperatorActionCode = (typeof OPERATOR_ACTIONS)[number];

/**
 * Actions that only stop something, save what there is, or see to what is wrong. They are done even while the ledger takes no entries,
 * which may be why they are wanted; their entry follows. Every other action waits for its entry.
 */
const MAY_PRECEDE_ENTRY: readonly CoreActionCode[] = [
  "RELAY_PAUSE",
  "DESTINATION_PAUSE",
  "KEY_REVOKE",
  "TENANT_CLOSE",
  "MAINTENANCE_ON",
  "BACKUP_CREATE",
  "BACKUP_EXPORT",
  "RESTORE_DRILL",
  "ALERT_UNSILENCE",
  "ALERT_ACKNOWLEDGE",
  "ALERT_TEST",
  "INCIDENT_OPEN",
  "INCIDENT_NOTE",
];
export const mayPrecedeEntry = (action: CoreActionCode): boolean => MAY_PRECEDE_ENTRY.includes(action);

/** Of these, the ones that the database itself being away may be the reason for, and that do without it. */
const WITHOUT_DATABASE: readonly CoreActionCode[] = [
  "BACKUP_EXPORT",
  "ALERT_UNSILENCE",
  "ALERT_ACKNOWLEDGE",
  "ALERT_TEST",
];
export const needsNoDatabase = (action: CoreActionCode): boolean => WITHOUT_DATABASE.includes(action);

export interface RecordOperatorAction {
  readonly type: "RecordOperatorAction";
  readonly tenantId: string;
  readonly subject: string;
  readonly commitment: string;
  readonly action: OperatorActionCode;
  /** Opaque key id. */
  readonly actor: string;
  /** `[A-Z0-9-]{1,40}`. */
  readonly reason: string | undefined;
  /** Canonical JSON of ActionDetails. */
  readonly details: string;
  /** 64 hex. */
  readonly salt: string;
  readonly correlationId: string;
}

/** What the entry commits to and does not say. A type, not an interface: it is hashed as plain JSON. */
export type ActionDetails = {
  readonly actionId: string;
  readonly correlationId: string;
  /** What it was done to: a destination's id, a key's id, a size. Never a secret, never a person. */
  readonly target: string | null;
};

export interface OperatorActionRow {
  readonly subject: string;
  readonly seq: number;
  readonly action: OperatorActionCode;
  readonly actor: string;
  readonly reason: string | undefined;
  readonly details: string;
  readonly salt: string;
}

export const MAX_TARGET_LENGTH = 200;

/** A hub action's target: words of ids, flag names and switch values. Nothing that an address or a sentence could be written in. */
export const HUB_TARGET = /^[A-Za-z0-9_-]+( [A-Za-z0-9_-]+)*$/;

/** @param salt 32 random bytes, drawn for this action alone. */
export function operatorActionCommand(
  done: {
    readonly tenantId: string;
    readonly action: OperatorActionCode;
    readonly actor: string;
    readonly target?: string | undefined;
    readonly reason?: string | undefined;
    readonly correlationId: string;
  },
  actionId: string,
  salt: Uint8Array,
): RecordOperatorAction {
  const { tenantId, action, actor, reason, correlationId } = done;
  const details: ActionDetails = { actionId, correlationId, target: done.target?.slice(0, MAX_TARGET_LENGTH) ?? null };
  return {
    type: "RecordOperatorAction",
    tenantId,
    subject: subjectOf(salt, actionId),
    commitment: commitmentOf(salt, details),
    action,
    actor,
    reason,
    details: canonicalJson(details),
    salt: toHex(salt),
    correlationId,
  };
}

export const operatorActionCommandId = (subject: string): string => `op:${subject}`;

/** Recorded once, however often the command comes. */
export const decideOperatorAction = (
  recorded: boolean,
  command: RecordOperatorAction,
): { readonly type: "unchanged" } | { readonly type: "accepted"; readonly commandId: string } =>
  recorded ? { type: "unchanged" } : { type: "accepted", commandId: operatorActionCommandId(command.subject) };

export const operatorActionDraft = ({ subject, commitment, action, actor, reason }: RecordOperatorAction): Draft => ({
  type: "OPERATOR_ACTION",
  subject,
  commitment,
  data: { action, actor, ...(reason === undefined ? {} : { reason }) },
});
