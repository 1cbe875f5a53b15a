/** Statements that run with every request, delivery or minute, for `db:slow-queries` and for a look at their plans. */
import type { DatabaseName } from "./migration-files.ts";

export interface HotQuery {
  readonly what: string;
  readonly sql: string;
}

export const HOT_QUERIES: Readonly<Record<DatabaseName, readonly HotQuery[]>> = {
  itrans: [
    {
      what: "the head of the ledger",
      sql: "SELECT version, size, head_hash, frontier, last_at FROM ledger_heads WHERE ledger_id = 'main'",
    },
    {
      what: "the newest entries",
      sql: "SELECT seq, entry_hash, body FROM ledger_entries WHERE ledger_id = 'main' ORDER BY seq DESC LIMIT 256",
    },
    {
      what: "the entries of one subject",
      sql: "SELECT seq, body FROM ledger_entries WHERE ledger_id = 'main' AND subject = '0x00' ORDER BY seq",
    },
    {
      what: "a request by its id",
      sql: "SELECT * FROM requests WHERE ledger_id = 'main' AND tenant_id = 'default' AND request_id = 'x'",
    },
    { what: "an API key by its hash", sql: "SELECT key_id, tenant_id, scopes FROM api_keys WHERE key_hash = '00'" },
    {
      what: "deliveries that are due",
      sql: "SELECT outbox_id FROM outbox WHERE destination_id = 'medlink' AND open = 1 AND due_at <= 9e15 ORDER BY due_at LIMIT 100",
    },
    {
      what: "what is before a delivery in its lane",
      sql: "SELECT outbox_id FROM outbox WHERE destination_id = 'medlink' AND subject = '0x00' AND outbox_id < 9e15 AND open = 1",
    },
    {
      what: "dead letters",
      sql: "SELECT outbox_id FROM outbox WHERE state = 'dead' ORDER BY settled_at DESC LIMIT 100",
    },
    {
      what: "the newest anchor",
      sql: "SELECT * FROM anchors WHERE ledger_id = 'main' AND state = 'confirmed' ORDER BY size DESC LIMIT 1",
    },
    {
      what: "operators' actions",
      sql: "SELECT seq FROM operator_actions WHERE ledger_id = 'main' AND seq < 9e15 ORDER BY seq DESC LIMIT 100",
    },
  ],
  medlink: [
    {
      what: "a clinic's newest claims",
      sql: "SELECT claim_id FROM claims WHERE clinic_id = 'x' ORDER BY created_at DESC, claim_id DESC LIMIT 50",
    },
    {
      what: "a clinic's claims in one state",
      sql: "SELECT claim_id FROM claims WHERE clinic_id = 'x' AND status = 'submitted' ORDER BY created_at DESC, claim_id DESC LIMIT 50",
    },
    {
      what: "jobs that are due",
      sql: "SELECT job_id FROM auto_submit_jobs WHERE state IN ('queued', 'retrying') AND next_attempt_at <= 9e15 LIMIT 50",
    },
    {
      what: "jobs that run",
      sql: "SELECT COUNT(*) FROM auto_submit_jobs WHERE state = 'running' AND lease_until > 0",
    },
    { what: "a session", sql: "SELECT * FROM sessions WHERE session_hash = 'x'" },
    {
      what: "a webhook that came before",
      sql: "SELECT MAX(event_id = 'x') FROM claim_events WHERE claim_id = (SELECT claim_id FROM claims WHERE request_id_hash = '0x00')",
    },
    {
      what: "a clinic's audit",
      sql: "SELECT audit_event_id, at FROM audit_events WHERE clinic_id = 'x' AND is_view = 0 UNION ALL SELECT audit_event_id, at FROM audit_events WHERE clinic_id = 'x' AND is_view = 1 ORDER BY at DESC, audit_event_id DESC LIMIT 50",
    },
    {
      what: "patients by a word of their name",
      sql: "SELECT patient_id FROM patient_terms WHERE term_hash = 'x' LIMIT 50",
    },
  ],
};
