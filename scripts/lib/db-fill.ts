/** Grows a copy of core's database to a real size through the code that commits: what a migration costs shows only on many rows. */
import type { DatabaseSync } from "node:sqlite";
import { loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { type Command, planCommit } from "../../src/workflow/commit-plan.ts";
import { d1On } from "./d1-sqlite.ts";

const hex = (n: number, of: string): string => `0x${of}${n.toString(16).padStart(64 - of.length, "0")}`;

const COMMIT = 500;

/** @param claims how many more requests, each submitted, with payload and key. @returns entries the ledger then has. */
export async function fillWithRequests(sqlite: DatabaseSync, ledgerId: string, claims: number): Promise<number> {
  const db = d1On(sqlite);
  // Settling the disk after each commit is not what is measured; a copy that is lost is made again.
  sqlite.exec("PRAGMA synchronous = OFF");
  let head = await loadHead(db, ledgerId);
  const from = head.frontier.size;
  for (let begun = 0; begun < claims; begun += COMMIT) {
    const commands: Command[] = Array.from({ length: Math.min(COMMIT, claims - begun) }, (_, i) => {
      const n = from + begun + i;
      return {
        type: "SubmitRequest",
        tenantId: "default",
        requestId: `fill-${n}`,
        lookup: hex(n, "f1").slice(2),
        requestIdHash: hex(n, "f2"),
        requestType: "CLAIM",
        insurerAddress: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        submitter: "fill",
        payloadHash: hex(n, "f3"),
        amountMinor: 12_000,
        currency: "CAD",
        payload: { type: "inline", sealed: "A".repeat(900) },
        wrappedKey: { keyId: "00000000", sealed: "B".repeat(132) },
        correlationId: `fill-${n}`,
      };
    });
    const destinations = [
      {
        destinationId: "fill",
        tenantId: "default",
        kind: "MEDLINK",
        insurerAddress: undefined,
        deliverAfter: "commit",
        eventTypes: ["REQUEST_SUBMITTED"],
      } as const,
    ];
    const plan = planCommit(
      head,
      { requests: new Map(), claims: new Map(), settlements: new Map(), destinations },
      commands,
      Date.now(),
      {
        ledgerId,
        chainId: 31_337,
      },
    );
    await writeCommit(db, ledgerId, plan);
    head = plan.head;
  }
  return head.frontier.size;
}

/** Rows for each claim, as a hub that is used has them; every one is made from its number `i`. */
const HUB_ROWS: readonly {
  readonly table: string;
  readonly every: number;
  readonly columns: string;
  readonly values: string;
}[] = [
  {
    table: "clinics",
    every: Number.MAX_SAFE_INTEGER,
    columns: "clinic_id, name, created_at",
    values: "'fill', 'Fill', 1",
  },
  {
    table: "users",
    every: 1_000,
    columns: "user_id, clinic_id, role, email_hash, profile_sealed, password_hash, created_at, updated_at",
    values: "'fill-u' || i, 'fill', 'billing', 'fill-u' || i, hex(zeroblob(60)), 'none', i, i",
  },
  {
    table: "patients",
    every: 4,
    columns: "patient_id, clinic_id, personal_sealed, health_number_hash, name_hash, created_at, updated_at",
    values: "'fill-p' || i, 'fill', hex(zeroblob(200)), 'fill-h' || i, 'fill-n' || i, i, i",
  },
  {
    table: "patient_terms",
    every: 4,
    columns: "clinic_id, term_hash, patient_id",
    values: "'fill', 'fill-t' || (i % 5000), 'fill-p' || i",
  },
  {
    table: "providers",
    every: 1_000,
    columns: "provider_id, clinic_id, name, created_at, updated_at",
    values: "'fill-v' || i, 'fill', 'Fill', i, i",
  },
  {
    table: "insurers",
    every: 1_000,
    columns: "insurer_id, clinic_id, name, insurer_address, created_at, updated_at",
    values: "'fill-i' || i, 'fill', 'Fill', '0x70997970C51812dc3A010C7d01b50e0d17dc79C8', i, i",
  },
  {
    table: "claims",
    every: 1,
    columns: `claim_id, clinic_id, patient_id, provider_id, insurer_id, type, status, amount_minor, currency, details_sealed, request_id,
      request_id_hash, created_by, version, created_at, updated_at`,
    values: `'fill-c' || i, 'fill', 'fill-p' || (i - i % 4), 'fill-v' || (i - i % 1000), 'fill-i' || (i - i % 1000), 'claim', 'submitted',
      12000, 'CAD', hex(zeroblob(150)), 'fill-c' || i, 'fill-r' || i, 'fill-u0', 0, i, i`,
  },
  ...["created", "queued", "submissionAccepted"].map((kind, at) => ({
    table: "claim_events",
    every: 1,
    columns: "claim_event_id, claim_id, clinic_id, kind, status, actor, at",
    values: `(SELECT base FROM filled) + i * 3 + ${at}, 'fill-c' || i, 'fill', '${kind}', 'submitted', 'fill-u0', i + ${at}`,
  })),
  {
    table: "auto_submit_jobs",
    every: 1,
    columns: `job_id, clinic_id, claim_id, claim_type, state, attempt, max_attempts, correlation_id, requested_by, version, created_at,
      updated_at`,
    values: "'fill-j' || i, 'fill', 'fill-c' || i, 'claim', 'succeeded', 1, 4, 'fill', 'fill-u0', 1, i, i",
  },
  {
    table: "bridge_requests",
    every: 1,
    columns: "core_id, clinic_id, kind, request_id_hash, created_by, created_at",
    values: "'fill-c' || i, 'fill', 'workflow', 'fill-r' || i, 'fill-u0', i",
  },
  {
    table: "webhook_events",
    every: 1,
    columns: "event_id, event_type, clinic_id, claim_id, request_id_hash, effect, received_at",
    values: "'fill-e' || i, 'REQUEST_SUBMITTED', 'fill', 'fill-c' || i, 'fill-r' || i, 'moved', i",
  },
  {
    table: "audit_events",
    every: 1,
    columns: "clinic_id, actor, action, subject, correlation_id, at",
    values: "'fill', 'fill-u0', 'claims.create', 'fill-c' || i, 'fill', i",
  },
  {
    table: "attachments",
    every: 10,
    columns:
      "attachment_id, clinic_id, claim_id, name_sealed, content_type, size, sha256, state, created_by, created_at, updated_at",
    values: `'fill-a' || i, 'fill', 'fill-c' || i, hex(zeroblob(40)), 'application/pdf', 1, 'fill', 'stored', 'fill-u0', i, i`,
  },
  {
    table: "remittances",
    every: 20,
    columns: "remittance_id, clinic_id, insurer_id, reference, paid_on, total_minor, currency, created_by, created_at",
    values: "'fill-m' || i, 'fill', 'fill-i' || (i - i % 1000), 'fill-' || i, '2026-01-01', 100, 'CAD', 'fill-u0', i",
  },
  {
    table: "remittance_lines",
    every: 20,
    columns: "remittance_id, claim_id, clinic_id, paid_minor",
    values: "'fill-m' || i, 'fill-c' || i, 'fill', 100",
  },
  {
    table: "edi_exchanges",
    every: 2,
    columns: "connector, mode, clinic_id, direction, kind, message_type, outcome, ok, size_bytes, correlation_id, at",
    values: "'cdanet', 'sandbox', 'fill', 'in', 'submit', 'fill', 'fill', 1, 1, 'fill', i",
  },
  {
    table: "sign_in_attempts",
    every: 10,
    columns: "account_hash, address_hash, state, at",
    values: "'fill-u' || i, 'fill', 'failed', i",
  },
];

/**
 * Grows a copy of the hub's database, at the newest migration.
 * @param claims how many there are then, each with what belongs to it. @param from how many an earlier call made.
 * @returns rows that were written.
 */
export function fillHub(sqlite: DatabaseSync, claims: number, from = 0): number {
  sqlite.exec("PRAGMA synchronous = OFF");
  sqlite.exec(
    "CREATE TEMP TABLE filled AS SELECT COALESCE(MAX(claim_event_id), 0) + 1 AS base FROM claim_events WHERE claim_event_id < 1000000000000",
  );
  sqlite.exec("BEGIN");
  let written = 0;
  try {
    for (const { table, every, columns, values } of HUB_ROWS) {
      const done = sqlite
        .prepare(
          `WITH RECURSIVE n (i) AS (SELECT ?1 WHERE ?1 < ?2 UNION ALL SELECT i + ${every} FROM n WHERE i + ${every} < ?2)
           INSERT INTO ${table} (${columns}) SELECT ${values} FROM n`,
        )
        .run(Math.ceil(from / every) * every, claims);
      written += Number(done.changes);
    }
    sqlite.exec("COMMIT");
  } catch (error) {
    sqlite.exec("ROLLBACK");
    throw error;
  } finally {
    sqlite.exec("DROP TABLE temp.filled");
  }
  return written;
}
