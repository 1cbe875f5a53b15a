/** The database side of a commit: reads what a group of commands touches, writes a plan in one batch. */
import type { OperatorActionRow } from "../audit/operator-action.ts";
import { parseFrontier, serializeFrontier } from "../ledger/frontier.ts";
import { EMPTY_HEAD, type Head, rootHexOf } from "../ledger/head.ts";
import { firstSeqOf } from "../ledger/subject.store.ts";
import { rowsOf } from "../platform/rows.store.ts";
import { WAITS_FROM } from "../relay/lanes.store.ts";
import type { SettlementState } from "../settlement/settlement.ts";
import { isSettlementCommand } from "../settlement/settlement.ts";
import { type SettlementRow, settlementColumns, settlementFromRow } from "../settlement/settlement-row.ts";
import type { ClaimState } from "./claim.ts";
import {
  aggregateKey,
  type Command,
  type CommitContext,
  type CommitPlan,
  type EventDestination,
} from "./commit-plan.ts";
import { type ClaimRow, claimFromRow, type RequestRow, requestFromRow } from "./projection-rows.ts";
import type { RequestState } from "./request.ts";

interface HeadRow {
  readonly version: number;
  readonly size: number;
  readonly head_hash: string;
  readonly frontier: string;
  readonly last_at: string;
}

const SELECT_HEAD = "SELECT version, size, head_hash, frontier, last_at FROM ledger_heads WHERE ledger_id = ?";

/**
 * The head as the primary has it. A ledger that was never written gets its empty head row here; the database refuses that
 * row when entries exist, so a missing row is never taken for an empty ledger.
 * @throws when the database can not be read, or the row does not hold together.
 */
export async function loadHead(db: D1Database, ledgerId: string): Promise<Head> {
  const row = await db.prepare(SELECT_HEAD).bind(ledgerId).first<HeadRow>();
  if (row === null) {
    await db
      .prepare(
        `INSERT INTO ledger_heads (ledger_id, version, size, head_hash, root_hash, frontier, last_at)
         VALUES (?, 0, 0, ?, ?, '[]', ?)`,
      )
      .bind(ledgerId, EMPTY_HEAD.headHash, rootHexOf(EMPTY_HEAD), EMPTY_HEAD.lastAt)
      .run();
    return EMPTY_HEAD;
  }
  return {
    version: row.version,
    headHash: row.head_hash,
    frontier: parseFrontier(row.size, row.frontier),
    lastAt: row.last_at,
  };
}

interface DestinationRow {
  readonly destination_id: string;
  readonly tenant_id: string;
  readonly kind: "MEDLINK" | "INSURER";
  readonly insurer_address: string | null;
  readonly deliver_after: "commit" | "anchor";
  readonly event_types: string;
}

// By the id asked for, or, where that id was erased, by its lookup.
const SELECT_REQUESTS = `SELECT k.value ->> 1 AS asked_id, r.* FROM json_each(?1) AS k
  CROSS JOIN requests AS r ON r.ledger_id = ?2 AND r.tenant_id = k.value ->> 0 AND r.request_id = k.value ->> 1
  UNION ALL SELECT k.value ->> 1, r.* FROM json_each(?1) AS k
  CROSS JOIN erased_ids AS e ON e.ledger_id = ?2 AND e.lookup = k.value ->> 2
  CROSS JOIN requests AS r ON r.ledger_id = ?2 AND r.submitted_seq = ${firstSeqOf("?2", "e.subject")}`;

const SELECT_CLAIMS = `SELECT k.value ->> 1 AS asked_id, c.* FROM json_each(?1) AS k
  CROSS JOIN claims AS c ON c.ledger_id = ?2 AND c.tenant_id = k.value ->> 0 AND c.claim_id = k.value ->> 1
  UNION ALL SELECT k.value ->> 1, c.* FROM json_each(?1) AS k
  CROSS JOIN erased_ids AS e ON e.ledger_id = ?2 AND e.lookup = k.value ->> 2
  CROSS JOIN claims AS c ON c.ledger_id = ?2 AND c.created_seq = ${firstSeqOf("?2", "e.subject")}`;

interface Asked {
  readonly asked_id: string;
}

// Of settlement commands, which know the subject alone: it stands for the id then.
const SELECT_REQUESTS_BY_HASH = `SELECT r.request_id_hash AS asked_id, r.* FROM json_each(?1) AS k
  CROSS JOIN requests AS r ON r.ledger_id = ?2 AND r.submitted_seq = ${firstSeqOf("?2", "k.value")}`;

const SELECT_CLAIMS_BY_HASH = `SELECT c.claim_id_hash AS asked_id, c.* FROM json_each(?1) AS k
  CROSS JOIN claims AS c ON c.ledger_id = ?2 AND c.created_seq = ${firstSeqOf("?2", "k.value")}`;

// Of subjects by their hashes, of claims that are settled and of requests that are corrected by their ids.
const SELECT_SETTLEMENTS = `WITH asked(subject) AS (
    SELECT value FROM json_each(?1)
    UNION SELECT c.claim_id_hash FROM json_each(?2) AS k
      CROSS JOIN claims AS c ON c.ledger_id = ?4 AND c.tenant_id = k.value ->> 0 AND c.claim_id = k.value ->> 1
    UNION SELECT r.request_id_hash FROM json_each(?3) AS k
      CROSS JOIN requests AS r ON r.ledger_id = ?4 AND r.tenant_id = k.value ->> 0 AND r.request_id = k.value ->> 1
    UNION SELECT e.subject FROM json_each(?3) AS k
      CROSS JOIN erased_ids AS e ON e.ledger_id = ?4 AND e.lookup = k.value ->> 2)
  SELECT s.* FROM asked CROSS JOIN settlements AS s ON s.ledger_id = ?4 AND s.subject = asked.subject
  ORDER BY s.created_seq`;

// The insurers concerned: those of new requests, handed in, and those of requests that exist.
const SELECT_DESTINATIONS = `SELECT d.destination_id, d.tenant_id, d.kind, d.insurer_address, d.deliver_after, d.event_types
  FROM destinations AS d
  WHERE d.tenant_id IN (SELECT value FROM json_each(?1)) AND (d.kind = 'MEDLINK'
    OR d.insurer_address COLLATE NOCASE IN (SELECT value FROM json_each(?2))
    OR d.insurer_address IN (SELECT r.insurer_address FROM json_each(?3) AS k
      CROSS JOIN requests AS r ON r.ledger_id = ?4 AND r.tenant_id = k.value ->> 0 AND r.request_id = k.value ->> 1)
    OR d.insurer_address IN (SELECT r.insurer_address FROM json_each(?5) AS k
      CROSS JOIN requests AS r ON r.ledger_id = ?4 AND r.submitted_seq = ${firstSeqOf("?4", "k.value")}))
  ORDER BY d.destination_id`;

const SELECT_ACTIONS = `SELECT a.subject FROM json_each(?1) AS k
  CROSS JOIN operator_actions AS a ON a.ledger_id = ?2 AND a.subject = k.value`;

/** Tenant, id and, where it is known, the id's lookup. */
type AskedKeys = Map<string, readonly [string, string, string | null]>;

/** One round trip, whatever the number of commands. */
export async function loadContext(
  db: D1Database,
  ledgerId: string,
  commands: readonly Command[],
): Promise<CommitContext> {
  const requestKeys: AskedKeys = new Map();
  const claimKeys: AskedKeys = new Map();
  const corrected: AskedKeys = new Map();
  const settledClaims: AskedKeys = new Map();
  const claimHashes = new Set<string>();
  const requestHashes = new Set<string>();
  const tenants = new Set<string>();
  const insurers = new Set<string>();
  const ask = (keys: AskedKeys, tenantId: string, id: string, lookup: string | undefined): void => {
    const key = aggregateKey(tenantId, id);
    // A command that knows no lookup must not hide one that does.
    if (lookup !== undefined || !keys.has(key)) keys.set(key, [tenantId, id, lookup ?? null]);
  };
  const actions: string[] = [];
  for (const command of commands) {
    if (command.type === "RecordOperatorAction") {
      actions.push(command.subject);
      continue;
    }
    const { tenantId } = command;
    tenants.add(tenantId);
    if (isSettlementCommand(command)) {
      if (command.type === "SettleClaim") {
        ask(claimKeys, tenantId, command.claimId, command.lookup);
        ask(settledClaims, tenantId, command.claimId, undefined);
      } else (command.subjectKind === "claim" ? claimHashes : requestHashes).add(command.subject);
    } else if ("requestId" in command) {
      ask(requestKeys, tenantId, command.requestId, command.lookup);
      if (command.type === "SubmitRequest") {
        insurers.add(command.insurerAddress);
        const { corrects } = command;
        if (corrects !== undefined) {
          ask(requestKeys, tenantId, corrects.requestId, corrects.lookup);
          ask(corrected, tenantId, corrects.requestId, corrects.lookup);
        }
      }
    } else {
      ask(claimKeys, tenantId, command.claimId, command.lookup);
    }
  }
  const requestKeysJson = JSON.stringify([...requestKeys.values()]);
  const claimKeysJson = JSON.stringify([...claimKeys.values()]);
  const requestHashesJson = JSON.stringify([...requestHashes]);
  const claimHashesJson = JSON.stringify([...claimHashes]);
  const hashes = requestHashes.size + claimHashes.size;
  // Only what is asked for: most groups touch requests alone, and every statement costs.
  const statements: D1PreparedStatement[] = [];
  const statement = (wanted: boolean, sql: string, ...values: readonly string[]): number | undefined =>
    wanted ? statements.push(db.prepare(sql).bind(...values)) - 1 : undefined;
  const asked = {
    requests: statement(requestKeys.size > 0, SELECT_REQUESTS, requestKeysJson, ledgerId),
    requestsByHash: statement(requestHashes.size > 0, SELECT_REQUESTS_BY_HASH, requestHashesJson, ledgerId),
    claims: statement(claimKeys.size > 0, SELECT_CLAIMS, claimKeysJson, ledgerId),
    claimsByHash: statement(claimHashes.size > 0, SELECT_CLAIMS_BY_HASH, claimHashesJson, ledgerId),
    destinations: statement(
      requestKeys.size + hashes > 0,
      SELECT_DESTINATIONS,
      JSON.stringify([...tenants]),
      JSON.stringify([...insurers]),
      requestKeysJson,
      ledgerId,
      requestHashesJson,
    ),
    actions: statement(actions.length > 0, SELECT_ACTIONS, JSON.stringify(actions), ledgerId),
    settlements: statement(
      hashes + settledClaims.size + corrected.size > 0,
      SELECT_SETTLEMENTS,
      JSON.stringify([...requestHashes, ...claimHashes]),
      JSON.stringify([...settledClaims.values()]),
      JSON.stringify([...corrected.values()]),
      ledgerId,
    ),
  };
  const results = await db.batch(statements);
  if (results.length !== statements.length) throw new Error("the database answered fewer statements than were asked");
  const resultOf = (index: number | undefined) => (index === undefined ? undefined : results[index]);
  const requests = [asked.requests, asked.requestsByHash].flatMap((at) =>
    askedRowsOf<RequestRow & Asked>(resultOf(at)),
  );
  const claims = [asked.claims, asked.claimsByHash].flatMap((at) => askedRowsOf<ClaimRow & Asked>(resultOf(at)));
  return {
    requests: new Map(requests.map((row) => [aggregateKey(row.tenant_id, row.asked_id), requestFromRow(row)])),
    claims: new Map(claims.map((row) => [aggregateKey(row.tenant_id, row.asked_id), claimFromRow(row)])),
    settlements: bySubject(askedRowsOf<SettlementRow>(resultOf(asked.settlements)).map(settlementFromRow)),
    destinations: askedRowsOf<DestinationRow>(resultOf(asked.destinations)).map(destinationFromRow),
    operatorActions: new Set(askedRowsOf<{ subject: string }>(resultOf(asked.actions)).map(({ subject }) => subject)),
  };
}

function bySubject(settlements: readonly SettlementState[]): ReadonlyMap<string, readonly SettlementState[]> {
  const subjects = new Map<string, SettlementState[]>();
  for (const one of settlements) {
    const own = subjects.get(one.subject);
    if (own === undefined) subjects.set(one.subject, [one]);
    else own.push(one);
  }
  return subjects;
}

/** None of what was not asked. */
const askedRowsOf = <Row>(result: D1Result<unknown> | undefined): readonly Row[] =>
  result === undefined ? [] : rowsOf<Row>(result);

function destinationFromRow(row: DestinationRow): EventDestination {
  const eventTypes: unknown = JSON.parse(row.event_types);
  return {
    destinationId: row.destination_id,
    tenantId: row.tenant_id,
    kind: row.kind,
    insurerAddress: row.insurer_address ?? undefined,
    deliverAfter: row.deliver_after,
    eventTypes: Array.isArray(eventTypes) ? eventTypes.filter((type) => typeof type === "string") : [],
  };
}

const UPDATE_HEAD = `UPDATE ledger_heads
  SET version = ?2, size = ?3, head_hash = ?4, root_hash = ?5, frontier = ?6, last_at = ?7 WHERE ledger_id = ?1`;

const INSERT_ENTRIES = `INSERT INTO ledger_entries
  (ledger_id, seq, entry_hash, prev, subject, command_id, command_index, body)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?2)`;

const UPSERT_REQUESTS = `INSERT INTO requests
  (ledger_id, tenant_id, request_id, request_id_hash, request_type, insurer_address, submitter, payload_hash, state, round,
   decision_hash, submitted_seq, acknowledged_seq, adjudicated_seq, amount_minor, currency, corrects, incident_ticket,
   superseded_by, erased_seq)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15,
    value ->> 16, value ->> 17, value ->> 18
  FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, submitted_seq) DO UPDATE SET
    request_id = excluded.request_id, state = excluded.state, round = excluded.round,
    decision_hash = excluded.decision_hash, acknowledged_seq = excluded.acknowledged_seq,
    adjudicated_seq = excluded.adjudicated_seq, amount_minor = excluded.amount_minor, currency = excluded.currency,
    superseded_by = excluded.superseded_by, erased_seq = excluded.erased_seq`;

const UPSERT_CLAIMS = `INSERT INTO claims
  (ledger_id, tenant_id, claim_id, claim_id_hash, submitter, payload_hash, state, created_seq, finalized_seq,
   settlement_seq, amount_minor, currency, erased_seq)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11
  FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, created_seq) DO UPDATE SET claim_id = excluded.claim_id, state = excluded.state,
    finalized_seq = excluded.finalized_seq, settlement_seq = excluded.settlement_seq,
    amount_minor = excluded.amount_minor, currency = excluded.currency, erased_seq = excluded.erased_seq`;

const UPSERT_SETTLEMENTS = `INSERT INTO settlements
  (ledger_id, ref_id, tenant_id, subject, subject_kind, type, amount_cents, currency, reverses, status, reason,
   operator_transaction_id, round, created_seq, started_seq, ended_seq, created_at, updated_at)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16
  FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, ref_id) DO UPDATE SET status = excluded.status, reason = excluded.reason,
    operator_transaction_id = excluded.operator_transaction_id, round = excluded.round,
    started_seq = excluded.started_seq, ended_seq = excluded.ended_seq, updated_at = excluded.updated_at`;

// A replay begins anew. The token goes on rising: whoever drove it before must not write any more.
const UPSERT_DRIVES = `INSERT INTO settlement_drives (ledger_id, ref_id, tenant_id, correlation_id, due_at)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, ref_id) DO UPDATE SET due_at = excluded.due_at, correlation_id = excluded.correlation_id,
    lease_token = lease_token + 1, in_doubt = 1, sends = 0, waits = 0, last_answer = NULL`;

const END_DRIVES = `UPDATE settlement_drives SET due_at = NULL, lease_token = lease_token + 1
  WHERE ledger_id = ?1 AND ref_id IN (SELECT value ->> 0 FROM json_each(?2))`;

// After payloads and keys are written: what the same commit brought goes too.
const ERASE = [
  `INSERT INTO erased_ids (ledger_id, lookup, subject) SELECT ?1, value ->> 1, value ->> 0 FROM json_each(?2)`,
  `INSERT INTO pending_erasures (ledger_id, subject, erased_at, due_at)
    SELECT ?1, value ->> 0, value ->> 2, value ->> 2 FROM json_each(?2)`,
  `DELETE FROM payloads WHERE ledger_id = ?1 AND subject_seq IN (SELECT value ->> 3 FROM json_each(?2))`,
  `DELETE FROM payload_keys WHERE ledger_id = ?1 AND subject_seq IN (SELECT value ->> 3 FROM json_each(?2))`,
];

const INSERT_PAYLOADS = `INSERT INTO payloads (ledger_id, subject_seq, subject, part, ciphertext, r2_key)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?2)`;

const INSERT_PAYLOAD_KEYS = `INSERT INTO payload_keys (ledger_id, subject_seq, subject, master_key_id, wrapped)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)`;

const INSERT_ACTIONS = `INSERT INTO operator_actions (ledger_id, subject, seq, action, actor, reason, details, salt)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?2)`;

const INSERT_OUTBOX = `INSERT INTO outbox
  (event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at, body, correlation_id, created_at)
  SELECT value ->> 0, value ->> 1, ?1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
    CASE value ->> 6 WHEN 'waiting' THEN ${WAITS_FROM} + (value ->> 2) ELSE ?3 END, value ->> 7, value ->> 8, ?3 FROM json_each(?2)
  RETURNING outbox_id, state`;

/** What became due with the commit, for the hint that wakes the relay. */
export interface CommitReceipt {
  readonly dueOutboxIds: readonly number[];
  /** For the hint that wakes those who drive settlements. */
  readonly dueSettlements: readonly { readonly refId: string; readonly tenantId: string }[];
}

/**
 * Writes a plan in one transaction: the head first, whose trigger refuses any version but the next; then entries,
 * projections, payloads, keys, erasures and outbox rows.
 * @throws when the batch did not commit, or when it is not known whether it did.
 */
export async function writeCommit(db: D1Database, ledgerId: string, plan: CommitPlan): Promise<CommitReceipt> {
  const { head } = plan;
  const statements = [
    db
      .prepare(UPDATE_HEAD)
      .bind(
        ledgerId,
        head.version,
        head.frontier.size,
        head.headHash,
        rootHexOf(head),
        serializeFrontier(head.frontier),
        head.lastAt,
      ),
  ];
  const addRows = (sql: string, rows: readonly (readonly unknown[])[]): void => {
    if (rows.length > 0) statements.push(db.prepare(sql).bind(ledgerId, JSON.stringify(rows)));
  };
  addRows(
    INSERT_ENTRIES,
    plan.entries.map(({ encoded, commandId, commandIndex }) => [
      encoded.entry.seq,
      encoded.hashHex,
      encoded.entry.prev,
      encoded.entry.subject,
      commandId,
      commandIndex,
      encoded.body,
    ]),
  );
  const erasures = plan.erasures.map(({ subjectSeq, subject, lookup }) => [subject, lookup, plan.nowMs, subjectSeq]);
  addRows(UPSERT_REQUESTS, plan.requests.map(requestColumns));
  addRows(UPSERT_CLAIMS, plan.claims.map(claimColumns));
  addRows(UPSERT_SETTLEMENTS, plan.settlements.map(settlementColumns));
  addRows(
    UPSERT_DRIVES,
    plan.drives.map(({ refId, tenantId, correlationId }) => [refId, tenantId, correlationId, plan.nowMs]),
  );
  addRows(
    END_DRIVES,
    plan.undriven.map((refId) => [refId]),
  );
  addRows(
    INSERT_PAYLOADS,
    plan.payloads.map(({ subjectSeq, subject, part, ciphertext }) => [
      subjectSeq,
      subject,
      part,
      ciphertext.type === "inline" ? ciphertext.sealed : null,
      ciphertext.type === "object" ? ciphertext.key : null,
    ]),
  );
  addRows(
    INSERT_PAYLOAD_KEYS,
    plan.payloadKeys.map(({ subjectSeq, subject, wrappedKey }) => [
      subjectSeq,
      subject,
      wrappedKey.keyId,
      wrappedKey.sealed,
    ]),
  );
  for (const sql of ERASE) addRows(sql, erasures);
  addRows(INSERT_ACTIONS, plan.operatorActions.map(actionColumns));
  if (plan.outbox.length > 0) {
    const rows = plan.outbox.map((row) => [
      row.eventId,
      row.eventType,
      row.seq,
      row.subject,
      row.tenantId,
      row.destinationId,
      row.state,
      row.body,
      row.correlationId,
    ]);
    statements.push(db.prepare(INSERT_OUTBOX).bind(ledgerId, JSON.stringify(rows), plan.nowMs));
  }
  const results = await db.batch<{ outbox_id?: number; state?: string }>(statements);
  const outboxRows = plan.outbox.length > 0 ? (results.at(-1)?.results ?? []) : [];
  return {
    dueOutboxIds: outboxRows.flatMap((row) =>
      row.state === "due" && row.outbox_id !== undefined ? [row.outbox_id] : [],
    ),
    dueSettlements: plan.drives.map(({ refId, tenantId }) => ({ refId, tenantId })),
  };
}

const actionColumns = (row: OperatorActionRow): readonly unknown[] => [
  row.subject,
  row.seq,
  row.action,
  row.actor,
  row.reason ?? null,
  row.details,
  row.salt,
];

const requestColumns = (request: RequestState): readonly unknown[] => [
  request.tenantId,
  request.requestId,
  request.requestIdHash,
  request.requestType,
  request.insurerAddress,
  request.submitter,
  request.payloadHash,
  request.status,
  request.round,
  request.decisionHash ?? null,
  request.submittedSeq,
  request.acknowledgedSeq ?? null,
  request.adjudicatedSeq ?? null,
  request.amountMinor,
  request.currency,
  request.corrects ?? null,
  request.incidentTicket ?? null,
  request.supersededBy ?? null,
  request.erasedSeq ?? null,
];

const claimColumns = (claim: ClaimState): readonly unknown[] => [
  claim.tenantId,
  claim.claimId,
  claim.claimIdHash,
  claim.submitter,
  claim.payloadHash,
  claim.status,
  claim.createdSeq,
  claim.finalizedSeq ?? null,
  claim.settlementSeq ?? null,
  claim.amountMinor,
  claim.currency,
  claim.erasedSeq ?? null,
];

/** Projections as they are written beside entries, for whoever has made them again from the entries. */
export const projectionStatements = (
  db: D1Database,
  ledgerId: string,
  projections: {
    readonly requests: readonly RequestState[];
    readonly claims: readonly ClaimState[];
    readonly settlements?: readonly SettlementState[];
  },
): readonly D1PreparedStatement[] => [
  db.prepare(UPSERT_REQUESTS).bind(ledgerId, JSON.stringify(projections.requests.map(requestColumns))),
  db.prepare(UPSERT_CLAIMS).bind(ledgerId, JSON.stringify(projections.claims.map(claimColumns))),
  db.prepare(UPSERT_SETTLEMENTS).bind(ledgerId, JSON.stringify((projections.settlements ?? []).map(settlementColumns))),
];
