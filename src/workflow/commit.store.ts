/** The database side of a commit: reads what a group of commands touches, writes a plan in one batch. */

import { parseFrontier, serializeFrontier } from "../ledger/frontier.ts";
import { EMPTY_HEAD, type Head, rootHexOf } from "../ledger/head.ts";
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

const SELECT_REQUESTS = `SELECT r.* FROM json_each(?1) AS k
  CROSS JOIN requests AS r ON r.ledger_id = ?2 AND r.tenant_id = k.value ->> 0 AND r.request_id = k.value ->> 1`;

const SELECT_CLAIMS = `SELECT c.* FROM json_each(?1) AS k
  CROSS JOIN claims AS c ON c.ledger_id = ?2 AND c.tenant_id = k.value ->> 0 AND c.claim_id = k.value ->> 1`;

// The insurers concerned: those of new requests, handed in, and those of requests that exist.
const SELECT_DESTINATIONS = `SELECT d.destination_id, d.tenant_id, d.kind, d.insurer_address, d.deliver_after, d.event_types
  FROM destinations AS d
  WHERE d.tenant_id IN (SELECT value FROM json_each(?1)) AND (d.kind = 'MEDLINK'
    OR d.insurer_address COLLATE NOCASE IN (SELECT value FROM json_each(?2))
    OR d.insurer_address IN (SELECT r.insurer_address FROM json_each(?3) AS k
      CROSS JOIN requests AS r ON r.ledger_id = ?4 AND r.tenant_id = k.value ->> 0 AND r.request_id = k.value ->> 1))
  ORDER BY d.destination_id`;

/** One round trip, whatever the number of commands. */
export async function loadContext(
  db: D1Database,
  ledgerId: string,
  commands: readonly Command[],
): Promise<CommitContext> {
  const requestKeys = new Map<string, readonly [string, string]>();
  const claimKeys = new Map<string, readonly [string, string]>();
  const tenants = new Set<string>();
  const insurers = new Set<string>();
  for (const command of commands) {
    tenants.add(command.tenantId);
    if ("requestId" in command) {
      requestKeys.set(aggregateKey(command.tenantId, command.requestId), [command.tenantId, command.requestId]);
      if (command.type === "SubmitRequest") insurers.add(command.insurerAddress);
    } else {
      claimKeys.set(aggregateKey(command.tenantId, command.claimId), [command.tenantId, command.claimId]);
    }
  }
  const requestKeysJson = JSON.stringify([...requestKeys.values()]);
  const claimKeysJson = JSON.stringify([...claimKeys.values()]);
  // Only what is asked for: most groups touch requests alone, and every statement costs.
  const statements: D1PreparedStatement[] = [];
  if (requestKeys.size > 0) {
    statements.push(
      db.prepare(SELECT_REQUESTS).bind(requestKeysJson, ledgerId),
      db
        .prepare(SELECT_DESTINATIONS)
        .bind(JSON.stringify([...tenants]), JSON.stringify([...insurers]), requestKeysJson, ledgerId),
    );
  }
  if (claimKeys.size > 0) statements.push(db.prepare(SELECT_CLAIMS).bind(claimKeysJson, ledgerId));
  const results = await db.batch(statements);
  if (results.length !== statements.length) throw new Error("the database answered fewer statements than were asked");
  const [requests, destinations] = requestKeys.size > 0 ? results : [];
  const claims = claimKeys.size > 0 ? results.at(-1) : undefined;
  return {
    requests: new Map(
      rowsOf<RequestRow>(requests).map((row) => [aggregateKey(row.tenant_id, row.request_id), requestFromRow(row)]),
    ),
    claims: new Map(
      rowsOf<ClaimRow>(claims).map((row) => [aggregateKey(row.tenant_id, row.claim_id), claimFromRow(row)]),
    ),
    destinations: rowsOf<DestinationRow>(destinations).map(destinationFromRow),
  };
}

/** A result's rows, none of what was not asked; a result without rows is a failed read, not an empty one. */
function rowsOf<Row>(result: D1Result<unknown> | undefined): readonly Row[] {
  if (result === undefined) return [];
  if (!result.success || result.results === undefined) throw new Error("a read failed");
  return result.results as readonly Row[];
}

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
   decision_hash, submitted_seq, acknowledged_seq, adjudicated_seq, amount_minor, currency)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14
  FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, tenant_id, request_id) DO UPDATE SET state = excluded.state, round = excluded.round,
    decision_hash = excluded.decision_hash, acknowledged_seq = excluded.acknowledged_seq,
    adjudicated_seq = excluded.adjudicated_seq`;

const UPSERT_CLAIMS = `INSERT INTO claims
  (ledger_id, tenant_id, claim_id, claim_id_hash, submitter, payload_hash, state, created_seq, finalized_seq,
   settlement_seq, amount_minor, currency)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10
  FROM json_each(?2) WHERE true
  ON CONFLICT (ledger_id, tenant_id, claim_id) DO UPDATE SET state = excluded.state,
    finalized_seq = excluded.finalized_seq, settlement_seq = excluded.settlement_seq`;

const INSERT_PAYLOADS = `INSERT INTO payloads (ledger_id, subject, part, ciphertext, r2_key)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2)`;

const INSERT_PAYLOAD_KEYS = `INSERT INTO payload_keys (ledger_id, subject, master_key_id, wrapped)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)`;

const INSERT_OUTBOX = `INSERT INTO outbox
  (event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at, body, correlation_id, created_at)
  SELECT value ->> 0, value ->> 1, ?1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, ?3, value ->> 7,
    value ->> 8, ?3 FROM json_each(?2)
  RETURNING outbox_id, state`;

/** What became due with the commit, for the hint that wakes the relay. */
export interface CommitReceipt {
  readonly dueOutboxIds: readonly number[];
}

/**
 * Writes a plan in one transaction: the head first, whose trigger refuses any version but the next; then entries,
 * projections, payloads, keys and outbox rows.
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
  addRows(UPSERT_REQUESTS, plan.requests.map(requestColumns));
  addRows(UPSERT_CLAIMS, plan.claims.map(claimColumns));
  addRows(
    INSERT_PAYLOADS,
    plan.payloads.map(({ subject, part, ciphertext }) => [
      subject,
      part,
      ciphertext.type === "inline" ? ciphertext.sealed : null,
      ciphertext.type === "object" ? ciphertext.key : null,
    ]),
  );
  addRows(
    INSERT_PAYLOAD_KEYS,
    plan.payloadKeys.map(({ subject, wrappedKey }) => [subject, wrappedKey.keyId, wrappedKey.sealed]),
  );
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
  };
}

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
];
