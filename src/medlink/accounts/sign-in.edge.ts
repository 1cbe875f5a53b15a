/** What signing in, and proving again who one is, have in common: bounded attempts, their audit, and new sessions. */
import { type AuditEvent, auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { newId } from "../ids.ts";
import { type Answer, refuse } from "../operation.edge.ts";
import { oldestSessionsDelete, sessionInsert } from "./accounts.store.ts";
import { deviceOf } from "./device.ts";
import { ACCOUNT_FAILURES, addressKey, refusalOf } from "./lockout.ts";
import { findSecondFactor, pendingDelete, spendBackupCode, spendStep } from "./second-factor.store.ts";
import { newSession, pendingCookie, SESSION_LIFETIME_MS, SESSIONS_OF_USER, sessionCookie } from "./session.ts";
import {
  attemptDelete,
  attemptFailed,
  countFailures,
  failuresDelete,
  reserveAttempt,
} from "./sign-in-attempts.store.ts";
import { matchTotp } from "./totp.ts";
import type { Account } from "./user.ts";

/** How long an attempt waits for others of its account, whose passwords may be right. */
const BUSY_POLLS = 40;
const BUSY_POLL_MS = 250;

export type Admission =
  | { readonly ok: true; readonly attemptId: number }
  | { readonly ok: false; readonly answer: Answer };

/** Whether a password or code may be looked at now. @param account the keyed hash of the e-mail address. */
export async function admitAttempt(hub: Hub, request: Request, account: string): Promise<Admission> {
  const address = hub.fields.hash("address", "", addressKey(request.headers.get("cf-connecting-ip") ?? undefined));
  for (let poll = 0; poll < BUSY_POLLS; poll++) {
    const now = hub.now();
    const reserved = await reserveAttempt(hub.db, { account, address }, now);
    if (reserved.type === "reserved") return { ok: true, attemptId: reserved.attemptId };
    const refusal = refusalOf(reserved.account, reserved.address, now);
    if (refusal.type === "locked") {
      const retryAfterSeconds = Math.ceil(refusal.retryAfterMs / 1_000);
      const detail = "Too many attempts failed. Wait as Retry-After says, then try again.";
      return { ok: false, answer: refuse("locked_out", detail, { retryAfterSeconds }) };
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_POLL_MS));
  }
  const detail = "Many sign-ins are under way for this account. Try again in a moment.";
  return { ok: false, answer: refuse("rate_limited", detail, { retryAfterSeconds: 2 }) };
}

export const clinicOf = (account: Pick<Account, "clinicId"> | undefined): string => account?.clinicId ?? WHOLE_HUB;

type Event = Pick<AuditEvent, "action" | "detail" | "correlationId"> & { readonly subject?: string };

/** An account's own doing. */
export const accountAudit = (hub: Hub, account: Account, event: Event, at: number): D1PreparedStatement =>
  auditInsert(hub.db, {
    clinicId: clinicOf(account),
    actor: account.userId,
    subject: account.userId,
    ...event,
    at,
  });

export type FailureDetail = "password" | "code" | "backup_code";

/** Counts an attempt as failed. What locks an account is on record as such; what comes while it is locked is not counted. */
export async function failAttempt(
  hub: Hub,
  attempt: { readonly attemptId: number; readonly account: string },
  who: Account | undefined,
  detail: FailureDetail,
  correlationId: string,
): Promise<void> {
  const now = hub.now();
  const event = (action: string, code: string) =>
    auditInsert(hub.db, {
      clinicId: clinicOf(who),
      actor: "nobody",
      action,
      subject: who?.userId ?? "unknown",
      detail: code,
      correlationId,
      at: now,
    });
  await hub.db.batch([attemptFailed(hub.db, attempt.attemptId), event("auth.failure", detail)]);
  if ((await countFailures(hub.db, attempt.account, now)) >= ACCOUNT_FAILURES) {
    await event("auth.lockout", detail).run();
  }
}

/** The attempt was right; nothing else is said about the account's other failures. */
export const passAttempt = (hub: Hub, attemptId: number): D1PreparedStatement => attemptDelete(hub.db, attemptId);

export type Proof = { readonly code: string } | { readonly backupCode: string };

/** Spends a code of the second factor in force, or a backup code. */
export async function spendProof(hub: Hub, userId: string, proof: Proof): Promise<boolean> {
  const now = hub.now();
  if ("backupCode" in proof) return spendBackupCode(hub.db, hub.fields, userId, proof.backupCode, now);
  const factor = await findSecondFactor(hub.db, hub.fields, userId);
  if (factor === undefined || !factor.enabled) return false;
  const step = matchTotp(factor.secret, proof.code, now, factor.lastStep);
  return step !== undefined && spendStep(hub.db, userId, step);
}

export interface StartedSession {
  readonly statements: readonly D1PreparedStatement[];
  readonly cookie: string;
}

/** A session under a new id. The statements are for the batch that records why there is one. */
export function startSession(
  hub: Hub,
  request: Request,
  session: { readonly userId: string; readonly secondFactor: boolean },
): StartedSession {
  const { hash, cookie } = newSession(hub.random, hub.sessionSecrets[0]);
  const device = deviceOf(request.headers.get("user-agent") ?? undefined);
  const sessionId = newId("ses", hub.random);
  return {
    statements: [
      sessionInsert(hub.db, { hash, sessionId, device, ...session }, hub.now()),
      oldestSessionsDelete(hub.db, session.userId, SESSIONS_OF_USER),
    ],
    cookie: sessionCookie(cookie, SESSION_LIFETIME_MS / 1_000, !hub.development),
  };
}

/** A whole sign-in: the account's failures are forgotten, its waiting sign-ins end. */
export const signInStatements = (
  hub: Hub,
  found: { readonly user: Account; readonly emailHash: string },
  attemptId: number,
): readonly D1PreparedStatement[] => [
  passAttempt(hub, attemptId),
  failuresDelete(hub.db, found.emailHash),
  pendingDelete(hub.db, found.user.userId),
];

/** Answers' headers that set these cookies. A `Headers` object, since there may be two of the name. */
export function cookieHeaders(...cookies: readonly string[]): Headers {
  const headers = new Headers({ "cache-control": "no-store" });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return headers;
}

export const noPending = (hub: Hub): string => pendingCookie("", 0, !hub.development);
