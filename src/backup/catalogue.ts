/**
 * What becomes of each table in a backup. A test holds the lists against the migrations, so a new table must be classed.
 * The order is that of a restore: a table comes after those it refers to. A snapshot copies the other way round, so that whatever
 * a copied row refers to was there after it; what was deleted meanwhile takes its rows along when they are restored.
 */
export type TableClass =
  /** The ledger's own rows, in segments. */
  | { readonly class: "entries" }
  /** Ciphertext of the entries of a segment, beside it. */
  | { readonly class: "payloads" }
  /** What opens ciphertext and names people: apart, and for at most 30 days. */
  | { readonly class: "keys" }
  /** Made again from entries, payloads and keys. */
  | { readonly class: "rebuilt" }
  /** Row by row. `within`: only rows about entries of the snapshot; a null is about none. `seeded`: rows that the migrations bring. */
  | { readonly class: "copied"; readonly within?: Within; readonly seeded?: number }
  | { readonly class: "never"; readonly because: string };

export interface Within {
  readonly column: string;
  /** `seq` of an entry, or `size` of a tree. */
  readonly is: "seq" | "size";
}

export type Catalogue = Readonly<Record<string, TableClass>>;

const copied: TableClass = { class: "copied" };
const rebuilt: TableClass = { class: "rebuilt" };
const upTo = (column: string, is: Within["is"]): TableClass => ({ class: "copied", within: { column, is } });
const never = (because: string): TableClass => ({ class: "never", because });

const MEASURED = never("measurements: a restored system measures anew");
const MAINTENANCE = never("whether maintenance is under way: an operator says so of the restored system");
const OWN = never("what backups know of themselves: a restored system begins its own");

export const CORE_TABLES: Catalogue = {
  ledger_heads: { class: "entries" },
  ledger_entries: { class: "entries" },
  requests: rebuilt,
  claims: rebuilt,
  payloads: { class: "payloads" },
  payload_keys: { class: "keys" },
  erased_ids: rebuilt,
  pending_erasures: rebuilt,
  id_lookup_keys: copied,
  tenants: { class: "copied", seeded: 1 },
  api_keys: copied,
  destinations: copied,
  // Before the rows that it hands out: copied after them, its token is never behind one of theirs.
  relay_leases: { class: "copied", seeded: 1 },
  relay_rates: copied,
  relay_counters: copied,
  relay_pings: copied,
  // Its amounts; what becomes of each is told by the entries, and made anew at the end.
  settlements: upTo("created_seq", "seq"),
  settlement_drives: never("made anew by a restore: of what is under way the operator is asked first"),
  idempotency_keys: copied,
  outbox: upTo("seq", "seq"),
  delivery_attempts: copied,
  checkpoints: upTo("size", "size"),
  anchors: upTo("size", "size"),
  anchor_events: upTo("size", "size"),
  operator_actions: upTo("seq", "seq"),
  operator_actions_waiting: copied,
  secret_sightings: copied,
  rewraps: copied,
  reconciliation_runs: copied,
  reconciliation_items: copied,
  incidents: copied,
  incident_notes: copied,
  maintenance: MAINTENANCE,
  metric_minutes: MEASURED,
  metric_hours: MEASURED,
  metric_totals: MEASURED,
  metric_flushes: MEASURED,
  metric_marks: MEASURED,
  bucket_counts: MEASURED,
  backup_runs: OWN,
  backup_objects: OWN,
  backup_files: OWN,
  backup_progress: OWN,
  backup_drills: OWN,
};

const SHORT_LIVED = never("ends within hours by itself: people sign in again");

export const HUB_TABLES: Catalogue = {
  clinics: copied,
  users: copied,
  second_factors: copied,
  backup_codes: copied,
  invitations: copied,
  api_tokens: copied,
  patients: copied,
  providers: copied,
  insurers: copied,
  claims: copied,
  claim_events: copied,
  auto_submit_jobs: copied,
  bridge_requests: copied,
  settings: copied,
  hub_settings: copied,
  webhook_events: copied,
  audit_events: copied,
  operator_actions: copied,
  patient_terms: copied,
  attachments: copied,
  remittances: copied,
  remittance_lines: copied,
  bulk_rows: copied,
  erasures: copied,
  erased_requests: copied,
  tasks: copied,
  flags: copied,
  flag_exposures: copied,
  edi_transactions: copied,
  edi_exchanges: copied,
  edi_counters: copied,
  edi_sandbox_claims: copied,
  fhir_claims: copied,
  filed_sources: copied,
  maintenance: MAINTENANCE,
  sessions: SHORT_LIVED,
  pending_sign_ins: SHORT_LIVED,
  sign_in_attempts: SHORT_LIVED,
  password_resets: SHORT_LIVED,
  breakers: never("what is known of core's reachability: learned again at the first call"),
  metric_minutes: MEASURED,
  metric_hours: MEASURED,
  metric_totals: MEASURED,
  metric_flushes: MEASURED,
  metric_marks: MEASURED,
  bucket_counts: MEASURED,
  backup_runs: OWN,
  backup_objects: OWN,
  backup_files: OWN,
  backup_progress: OWN,
  backup_drills: OWN,
};

export interface CopiedTable {
  readonly name: string;
  readonly within: Within | undefined;
}

/** In the order of a restore. */
export const copiedTables = (catalogue: Catalogue): readonly CopiedTable[] =>
  Object.entries(catalogue).flatMap(([name, table]) =>
    table.class === "copied" ? [{ name, within: table.within }] : [],
  );

/** Recovery point of each class of data when the databases are lost and the bucket is not; measured by the restore drill. */
export const LOST_AT_MOST: Readonly<Record<"entries" | "payloads" | "keys" | "deliveries" | "records", string>> = {
  entries: "since the last minute's tail; what was published is within the log's tiles",
  payloads: "since the last minute's tail",
  keys: "since the last minute's tail",
  deliveries: "nothing: rows come with the tail and are sent again under their event id",
  records: "since the last snapshot",
};
