/**
 * Everything that is stored about one subject against its entries: derived columns by replaying, committed ones by opening the
 * payload, which must be what the entry commits to. Erased subjects are counted: their committed columns can not be told.
 */
import { operatorActionFaults, type StoredOperatorAction } from "../audit/check-operator-action.ts";
import { operatorActionCommandId } from "../audit/operator-action.ts";
import { type ReadEntry, readEntry } from "../ledger/check-entry.ts";
import { CONTINUED_TYPE, continuedFaults } from "../ledger/continued.ts";
import type { Finding, FindingType } from "../ledger/finding.ts";
import type { SealedValue } from "../platform/keyring.ts";
import { DEFAULT_CURRENCY, isCurrency, type Money, parseMoney } from "../platform/money.ts";
import { committedTerms, type SettlementState } from "../settlement/settlement.ts";
import type { ClaimState } from "./claim.ts";
import { type CommittedFacts, replay, UNKNOWN_AMOUNT } from "./replay.ts";
import type { RequestState } from "./request.ts";
import type { StoredPart } from "./subject-rows.ts";
import type { OpenSubject } from "./vault.ts";

export interface SubjectRows {
  readonly subject: string;
  readonly entries: readonly {
    readonly seq: number;
    readonly prev: string;
    readonly commandId: string;
    readonly commandIndex: number;
    readonly body: string;
    /** Seq of the first entry of the same command. */
    readonly commandBegan: number | undefined;
    /** The subject of the erased id whose lookup ends the command's id. */
    readonly erasedId: string | undefined;
  }[];
  readonly request: RequestState | undefined;
  readonly claim: ClaimState | undefined;
  readonly settlements: readonly SettlementState[];
  readonly parts: readonly StoredPart[];
  readonly key: SealedValue | undefined;
  readonly operatorAction?: StoredOperatorAction | undefined;
}

export interface SubjectPort {
  /** @throws when the key does not open. */
  unwrap(subject: string, key: SealedValue): Promise<OpenSubject>;
  /** The keyed hash of an id; undefined when the ledger has no key for it. @throws when it does not open. */
  lookup(kind: "request" | "claim", tenantId: string, id: string): Promise<string | undefined>;
  /** Ciphertext kept in R2; undefined when there is none of that name. @throws when R2 can not be read. */
  readObject(key: string): Promise<string | undefined>;
}

export interface CheckedSubject {
  readonly findings: readonly Finding[];
  readonly erased: boolean;
}

class Check {
  readonly subject: string;
  readonly findings: Finding[] = [];
  constructor(subject: string) {
    this.subject = subject;
  }
  found(type: FindingType, place: string | undefined, detail: string): void {
    const { subject } = this;
    this.findings.push({ type, subject, ...(place === undefined ? {} : { place }), detail });
  }
}

export async function checkSubject(rows: SubjectRows, port: SubjectPort): Promise<CheckedSubject> {
  const check = new Check(rows.subject);
  const entries: ReadEntry[] = [];
  for (const { seq, prev, body } of rows.entries) {
    const entry = readEntry(body);
    if (entry === undefined) continue;
    entries.push(entry);
    if (entry.seq === seq && entry.prev === prev && entry.subject === rows.subject) continue;
    const detail = `a column of entry ${seq} differs from the entry`;
    check.findings.push({ type: "column-mismatch", seq, detail });
  }
  // Entries that can not be read are found where the log is gone through; nothing can be replayed over them.
  if (entries.length < rows.entries.length || entries.length === 0) {
    check.found(
      "replay-failed",
      undefined,
      "an entry of this subject can not be read, so its projection can not be told",
    );
    return { findings: check.findings, erased: false };
  }
  if (entries[0]?.type === CONTINUED_TYPE) return checkContinued(check, rows, entries);
  if (entries[0]?.type === "OPERATOR_ACTION") return checkAction(check, rows, entries);
  const erased = entries.some(({ type }) => type === "ERASED");
  const opened = erased ? undefined : await unwrap(check, rows, port);
  const payload = opened === undefined ? undefined : await checkParts(check, rows, entries, opened, port);
  checkPlaces(check, rows, entries, erased);
  await checkProjection(check, rows, entries, payload, opened, erased, port);
  return { findings: check.findings, erased };
}

/** The entry that names the ledger before this one is alone: no row stands behind it. */
function checkContinued(check: Check, rows: SubjectRows, entries: readonly ReadEntry[]): CheckedSubject {
  const [entry, ...more] = entries;
  const faults = entry === undefined || more.length > 0 ? ["it is not alone"] : continuedFaults(entry);
  for (const fault of faults)
    check.found("replay-failed", undefined, `the entry of the ledger before this one: ${fault}`);
  const hasRows =
    rows.request !== undefined || rows.claim !== undefined || rows.key !== undefined || rows.parts.length > 0;
  if (hasRows)
    check.found("projection-unexpected", undefined, "rows belong to the entry of the ledger before this one");
  return { findings: check.findings, erased: false };
}

/** An operator's action is one entry and its row, and nothing else. */
function checkAction(check: Check, rows: SubjectRows, entries: readonly ReadEntry[]): CheckedSubject {
  const [entry, ...more] = entries;
  if (entry === undefined || more.length > 0) {
    check.found("replay-failed", undefined, "an operator's action has one entry");
    return { findings: check.findings, erased: false };
  }
  if (rows.request !== undefined || rows.claim !== undefined)
    check.found("projection-unexpected", undefined, "an operator's action is no request and no claim");
  if (rows.key !== undefined) check.found("key-unexpected", undefined, "an operator's action has no key");
  for (const { part } of rows.parts) check.found("payload-unexpected", part, "an operator's action has no payload");
  if (rows.operatorAction === undefined) {
    check.found("projection-missing", "operator_actions", "the row of this operator's action is gone");
  } else {
    for (const column of operatorActionFaults(entry, rows.operatorAction))
      check.found("projection-mismatch", column, `${column} is not what the entry gives`);
  }
  const [stored] = rows.entries;
  if (stored?.commandId !== operatorActionCommandId(rows.subject) || stored.commandIndex !== 0) {
    const detail = `the command of entry ${entry.seq} is not the one that makes such an entry`;
    check.findings.push({ type: "column-mismatch", seq: entry.seq, place: "command", detail });
  }
  return { findings: check.findings, erased: false };
}

async function unwrap(check: Check, rows: SubjectRows, port: SubjectPort): Promise<OpenSubject | undefined> {
  if (rows.key === undefined) {
    check.found("key-missing", undefined, "the key is gone and no entry says that it was erased");
    return undefined;
  }
  try {
    return await port.unwrap(rows.subject, rows.key);
  } catch {
    check.found("key-unreadable", undefined, "the key does not open");
    return undefined;
  }
}

/** Which parts may be there, and which must. */
function checkPlaces(check: Check, rows: SubjectRows, entries: readonly ReadEntry[], erased: boolean): void {
  if (erased && rows.key !== undefined)
    check.found("key-unexpected", undefined, "the key of an erased subject is there");
  const allowed = new Set(["payload"]);
  for (const { type, data } of entries) {
    if (type === "REQUEST_ACKNOWLEDGED") allowed.add("ack");
    if (type === "REQUEST_ADJUDICATED") allowed.add(`adj:${String(data.round)}`);
  }
  for (const { part } of rows.parts) {
    if (erased) check.found("payload-unexpected", part, `the part ${part} of an erased subject is there`);
    else if (!allowed.has(part)) check.found("payload-unexpected", part, `no entry brought the part ${part}`);
  }
}

async function openPart(
  check: Check,
  stored: StoredPart,
  opened: OpenSubject,
  port: SubjectPort,
): Promise<string | undefined> {
  const { part, sealed, r2Key } = stored;
  const ciphertext = sealed ?? (r2Key === undefined ? undefined : await port.readObject(r2Key));
  if (ciphertext === undefined) {
    check.found("payload-missing", part, `the ciphertext of the part ${part} is gone`);
    return undefined;
  }
  try {
    return await opened.open(part, ciphertext);
  } catch {
    check.found("payload-unreadable", part, `the part ${part} does not open`);
    return undefined;
  }
}

/** Opens every part. @returns the money that the payload speaks of, when it is the one that was committed to. */
async function checkParts(
  check: Check,
  rows: SubjectRows,
  entries: readonly ReadEntry[],
  opened: OpenSubject,
  port: SubjectPort,
): Promise<Money | undefined> {
  const texts = new Map<string, string | undefined>();
  for (const stored of rows.parts) texts.set(stored.part, await openPart(check, stored, opened, port));
  for (const { type, data } of entries) {
    if (type !== "REQUEST_ADJUDICATED") continue;
    const part = `adj:${String(data.round)}`;
    if (texts.has(part) && texts.get(part) === undefined) continue;
    const notes = texts.get(part);
    // Empty notes are not stored, and neither are none.
    const possible = notes === undefined ? [null, ""] : [notes];
    if (possible.some((one) => opened.commit({ decision: data.decision, notes: one }) === data.decisionHash)) continue;
    if (notes === undefined) check.found("payload-missing", part, "the notes of the decision are gone");
    else check.found("payload-mismatch", part, "the notes are not those that the decision commits to");
  }
  const text = texts.get("payload");
  if (text === undefined) {
    if (!texts.has("payload")) check.found("payload-missing", "payload", "the payload is gone");
    return undefined;
  }
  const payload = parsed(text);
  if (payload === undefined || commitmentOf(opened, payload.value) !== entries[0]?.commitment) {
    check.found("payload-mismatch", "payload", "the payload is not the one that the entry commits to");
    return undefined;
  }
  const money = moneyOf(payload.value);
  if (money === undefined) check.found("payload-mismatch", "payload", "the payload has no amount");
  return money;
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function commitmentOf(opened: OpenSubject, value: unknown): string | undefined {
  try {
    return opened.commit(value);
  } catch {
    return undefined;
  }
}

function moneyOf(payload: unknown): Money | undefined {
  if (typeof payload !== "object" || payload === null || !("totalAmount" in payload)) return undefined;
  const { totalAmount } = payload;
  const currency = "currency" in payload && isCurrency(payload.currency) ? payload.currency : DEFAULT_CURRENCY;
  return typeof totalAmount === "number" ? parseMoney(totalAmount, currency) : undefined;
}

async function checkProjection(
  check: Check,
  rows: SubjectRows,
  entries: readonly ReadEntry[],
  money: Money | undefined,
  opened: OpenSubject | undefined,
  erased: boolean,
  port: SubjectPort,
): Promise<void> {
  const { request, claim } = rows;
  const isRequest = entries[0]?.type.startsWith("REQUEST_") === true;
  const row = isRequest ? request : claim;
  const other = isRequest ? claim : request;
  if (other !== undefined) {
    const place = isRequest ? "claims" : "requests";
    check.found("projection-unexpected", place, `the entries are not those of a row in ${place}`);
  }
  if (row === undefined) {
    check.found("projection-missing", undefined, "entries have no row that they are projected to");
    return;
  }
  const id = "requestId" in row ? row.requestId : row.claimId;
  if (opened !== undefined && !opened.isOf(id)) {
    check.found(
      "projection-mismatch",
      isRequest ? "requestId" : "claimId",
      "the id is not the one that the subject stands for",
    );
  }
  const facts: CommittedFacts = {
    amountOf: (refId) => rows.settlements.find((one) => one.refId === refId) ?? UNKNOWN_AMOUNT,
    id,
    lookup: (await lookupOf(check, rows, isRequest, row.tenantId, id, erased, port)) ?? "",
    amountMinor: money?.minor ?? row.amountMinor,
    currency: money?.currency ?? row.currency,
  };
  const replayed = replay(entries, facts);
  if (replayed.type === "failed") {
    check.found("replay-failed", String(replayed.seq), `entry ${replayed.seq} can not follow: ${replayed.reason}`);
    return;
  }
  for (const column of differences(replayed.state, row)) {
    check.found("projection-mismatch", column, `${column} is not what the entries give`);
  }
  checkSettlements(check, rows, entries, replayed.settlements, opened);
  for (const [i, stored] of rows.entries.entries()) {
    const expected = replayed.commandIds[i];
    const holds =
      expected === undefined
        ? stored.commandIndex > 0 && stored.commandBegan === stored.seq - stored.commandIndex
        : stored.commandId === expected && stored.commandIndex === 0;
    if (holds) continue;
    check.findings.push({
      type: "column-mismatch",
      seq: stored.seq,
      place: "command",
      detail: `the command of entry ${stored.seq} is not the one that makes such an entry`,
    });
  }
}

function checkSettlements(
  check: Check,
  rows: SubjectRows,
  entries: readonly ReadEntry[],
  expected: readonly SettlementState[],
  opened: OpenSubject | undefined,
): void {
  for (const settlement of expected) {
    const { refId, createdSeq } = settlement;
    const place = (column: string) => `settlements ${refId} ${column}`;
    const row = rows.settlements.find((one) => one.refId === refId);
    if (row === undefined) {
      check.found("projection-missing", place("row"), `the settlement ${refId} has no row`);
      continue;
    }
    for (const column of differences(settlement, row)) {
      check.found("projection-mismatch", place(column), `${column} of ${refId} is not what the entries give`);
    }
    const created = entries.find(({ seq }) => seq === createdSeq);
    if (opened !== undefined && opened.commit(committedTerms(row)) !== created?.commitment) {
      check.found("projection-mismatch", place("amount"), `${refId} is not of the terms that its entry commits to`);
    }
  }
  for (const { refId } of rows.settlements) {
    if (expected.some((one) => one.refId === refId)) continue;
    check.found("projection-unexpected", `settlements ${refId}`, `no entry made the settlement ${refId}`);
  }
}

/** The keyed hash of the id: made anew, or for an erased id the one that is kept to know it again. */
async function lookupOf(
  check: Check,
  rows: SubjectRows,
  isRequest: boolean,
  tenantId: string,
  id: string,
  erased: boolean,
  port: SubjectPort,
): Promise<string | undefined> {
  const first = rows.entries[0];
  if (erased) return first?.erasedId === rows.subject ? first.commandId.slice(-LOOKUP_LENGTH) : undefined;
  try {
    return await port.lookup(isRequest ? "request" : "claim", tenantId, id);
  } catch {
    check.found("key-unreadable", "lookup", "the key of the ids' lookups does not open");
    return undefined;
  }
}

/** Of a keyed hash of an id, in hex. */
const LOOKUP_LENGTH = 64;

/** Names of the fields in which two states differ. */
function differences(expected: object, stored: object): readonly string[] {
  const [a, b] = [new Map(Object.entries(expected)), new Map(Object.entries(stored))];
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name));
}
