/** Settings are parsed once, at the edge of each worker; everything behind it takes them as typed values. */
import * as z from "zod";
import { LOG_LEVELS } from "./log.ts";
import type { Problem } from "./problem.ts";

export const integer = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);

/** A switch in the environment: true, 1 or on; false, 0 or off. */
export const flag = (fallback: boolean) =>
  z
    .enum(["true", "false", "1", "0", "on", "off"])
    .default(fallback ? "true" : "false")
    .transform((value) => value === "true" || value === "1" || value === "on");

export const optionalText = z
  .string()
  .optional()
  .transform((value) => (value === undefined || value === "" ? undefined : value));

export const environment = z.enum(["development", "staging", "production"]).default("production");

/** The least level that is written; `makeLog` reads it. */
export const logLevel = z.enum(LOG_LEVELS).default("info");

/** Of every worker. */
export const metricsSettingsSchema = z.object({
  /** Off: nothing is measured, and `/metrics` has only what is read from the database. */
  METRICS: flag(true),
  /** How long measurements gather in an isolate before they are handed on together. */
  METRICS_FLUSH_MS: integer(10_000, 0, 25_000),
});

/** Of the workers that have a database. */
export const backupSettingsSchema = z.object({
  /** The hour, UTC, from which on the night's snapshot begins. */
  BACKUP_HOUR_UTC: integer(2, 0, 23),
  /** How long one turn of a snapshot or of a restore drill may take; the next cron goes on. */
  BACKUP_TURN_MS: integer(15_000, 0, 120_000),
  /** A turn that has told nothing of itself for this long is taken for dead, and another takes its run up. */
  BACKUP_LEASE_MS: integer(120_000, 100, 600_000),
});

/** Of the workers that tell people of alerts: core of all, the hub of core's evaluator going silent. */
export const alertSettingsSchema = z.object({
  /** How many times shorter than real every duration of the alerts is: for a rehearsal. */
  ALERT_TIME_SCALE: z.coerce.number().min(1).max(1_000_000).default(1),
  /** JSON list of {"role", "name", "email", "phone", "slack"}: who is told. */
  ALERT_CONTACTS: optionalText,
  /** Base of links to the runbook, such as https://docs.example/runbook; empty: its path in the repository. */
  ALERT_RUNBOOK_URL: optionalText,
  /** From which grade on an alert goes to PagerDuty as well; Slack and e-mail are told of all. */
  PAGERDUTY_FROM_GRADE: z.enum(["info", "warning", "critical"]).default("critical"),
  PAGERDUTY_EVENTS_URL: z.url().default("https://events.pagerduty.com/v2/enqueue"),
  /** An API that takes {from, to, subject, text} for EMAIL_API_KEY as the Bearer token; empty: no e-mail. */
  EMAIL_API_URL: optionalText,
  EMAIL_FROM: z.string().default("itrans@localhost"),
});

export type AlertSettings = z.output<typeof alertSettingsSchema>;

export const coreSettingsSchema = z.object({
  ENVIRONMENT: environment,
  LOG_LEVEL: logLevel,
  ...metricsSettingsSchema.shape,
  ...backupSettingsSchema.shape,
  /** Names the sequencer, every row and every path. */
  LEDGER_ID: z
    .string()
    .regex(/^[a-z0-9-]{1,32}$/)
    .default("main"),

  /** Commits and the waiting list are bounded by count and bytes (a D1 parameter holds at most 2 MB). */
  LEDGER_COMMIT_MAX_COMMANDS: integer(128, 1, 500),
  LEDGER_COMMIT_MAX_BYTES: integer(1_000_000, 10_000, 1_500_000),
  LEDGER_COMMIT_GATHER_MS: integer(2, 0, 1_000),
  LEDGER_WAITING_MAX_COMMANDS: integer(4_096, 1, 100_000),
  LEDGER_WAITING_MAX_BYTES: integer(32_000_000, 10_000, 64_000_000),
  LEDGER_VERIFY_CACHE_MS: integer(2_000, 0, 60_000),
  /** Work of the scrub, whose round passes each entry about twice: at 3,000 a million entries take 11 hours. 0: no scrub. */
  LEDGER_SCRUB_ENTRIES_PER_MINUTE: integer(3_000, 0, 60_000),
  /** Verifier keys that signed checkpoints before the present one and its predecessor, separated by spaces or commas. */
  LEDGER_RETIRED_KEYS: optionalText,

  /** Base URL at which auditors reach the log, such as https://ledger.example/ledger/log. */
  LEDGER_LOG_URL: optionalText,
  /** The log's name, signed into every checkpoint; empty: LEDGER_LOG_URL without its scheme. It never changes. */
  LEDGER_ORIGIN: optionalText,
  /** Whether the log is open to all; else it is read with AUDITOR_TOKEN. */
  LEDGER_LOG_PUBLIC: flag(false),
  /** From a commit to the round that publishes it, so that commits share one. */
  LEDGER_PUBLISH_DELAY_MS: integer(400, 0, 60_000),
  /** Between two checkpoints; R2 takes one write a second to one name. */
  LEDGER_PUBLISH_INTERVAL_MS: integer(1_000, 0, 3_600_000),
  /** Entries of one round when there is much to catch up. */
  LEDGER_PUBLISH_MAX_ENTRIES: integer(8_192, 256, 65_536),
  /** JSON list of {"url", "key"}: witnesses asked to cosign, `key` their verifier key. */
  LEDGER_WITNESSES: optionalText,
  LEDGER_WITNESS_TIMEOUT_MS: integer(3_000, 100, 30_000),

  API_RATE_LIMIT_WINDOW_MS: integer(60_000, 1_000, 3_600_000),
  API_RATE_LIMIT_MAX_REQUESTS: integer(6_000, 1, 10_000_000),

  /** The default tenant's MedLink; empty: no destination of that kind. */
  RELAY_MEDLINK_WEBHOOK_URL: optionalText,
  RELAY_MEDLINK_REQUESTS_PER_MINUTE: integer(240, 1, 1_000_000),
  RELAY_WEBHOOK_TIMEOUT_MS: integer(8_000, 100, 60_000),
  RELAY_MAX_RETRIES: integer(8, 0, 100),
  RELAY_INITIAL_BACKOFF_MS: integer(1_000, 1, 3_600_000),
  RELAY_MAX_BACKOFF_MS: integer(60_000, 1, 86_400_000),
  RELAY_NOT_YET_KNOWN_WINDOW_MS: integer(600_000, 0, 86_400_000),
  RELAY_AFTER_TIMEOUT_WAIT_MS: integer(30_000, 0, 600_000),
  /** How long delivered and discarded rows are kept, and dead letters; then they are pruned. */
  RELAY_DELIVERED_RETENTION_DAYS: integer(30, 1, 3_650),
  RELAY_DEAD_LETTER_RETENTION_DAYS: integer(30, 1, 3_650),

  /** Whether an approval asks for the payment at once. */
  SETTLE_ON_APPROVAL: flag(false),
  /** How long the answer to an Idempotency-Key is kept. */
  IDEMPOTENCY_RETENTION_HOURS: integer(24, 1, 168),

  /** One node, or up to five separated by commas: the next is asked when one is down, and they must not disagree. */
  EVM_RPC_URL: optionalText,
  CHAIN_ID: integer(31_337, 1, Number.MAX_SAFE_INTEGER),
  /** Empty until the contract is deployed; events then carry it once they are anchored. */
  ANCHOR_CONTRACT_ADDRESS: optionalText,
  ANCHOR_POLL_MS: integer(5_000, 100, 600_000),
  /** 0: final by the node's `finalized` tag; else this many blocks. */
  ANCHOR_CONFIRMATIONS: integer(0, 0, 10_000),
  /** At least this long between a confirmed anchor and the next submission: what anchoring costs a day. */
  ANCHOR_INTERVAL_MS: integer(0, 0, 86_400_000),
  /** A transaction not mined after this is replaced with a higher fee. */
  ANCHOR_STUCK_AFTER_MS: integer(90_000, 1_000, 86_400_000),
  ANCHOR_MAX_FEE_GWEI: integer(500, 1, 1_000_000),
  /** An anchor takes about 35,000 gas, the first 52,000; chains that charge for data in gas need more room. */
  ANCHOR_GAS_LIMIT: integer(120_000, 60_000, 10_000_000),
  /** The signer's balance, in wei as decimal text, below which a warning is given; empty: not watched. */
  ANCHOR_MIN_BALANCE_WEI: z
    .string()
    .regex(/^\d{0,30}$/, "is not wei as decimal text")
    .optional()
    .transform((digits) => (digits === undefined || digits === "" ? undefined : BigInt(digits))),

  /** Between two evaluations of the alerts. 0: none. */
  ALERT_INTERVAL_MS: integer(30_000, 0, 600_000),
  ...alertSettingsSchema.shape,
  /** A monitor elsewhere that raises the alarm when this address is not called any more; called after every evaluation. */
  ALERT_HEARTBEAT_URL: optionalText,
  /** What a D1 database can hold; alerts open at 85 % of it. */
  D1_LIMIT_BYTES: integer(10_000_000_000, 1, Number.MAX_SAFE_INTEGER),
  /** What a bucket may grow by in a day before its growth is held against the usual. */
  BUCKET_DAILY_BYTES: integer(5_000_000_000, 1, Number.MAX_SAFE_INTEGER),
  /** Where the hub and the relay answer; empty: they are not watched. */
  MEDLINK_HUB_URL: optionalText,
  RELAY_URL: optionalText,
  /** The payer's operator (docs/operator-api.md); empty: nothing is settled and nothing reconciled. */
  OPERATOR_API_URL: optionalText,
  /** Of all isolates together, in any 60 seconds as the operator counts them. */
  OPERATOR_CALLS_PER_MINUTE: integer(60, 1, 100_000),
  OPERATOR_TIMEOUT_MS: integer(10_000, 100, 60_000),
  /** How long a call waits for its turn before its caller is told to come back. */
  OPERATOR_PERMIT_WAIT_MS: integer(20_000, 0, 60_000),
  /** For how long our side and the operator's may differ after a change of ours, and how long after midnight a day is compared. */
  RECONCILIATION_TOLERANCE_MINUTES: integer(60, 0, 1_440),
});

export type CoreSettings = z.output<typeof coreSettingsSchema>;

export const relaySettingsSchema = z.object({
  ENVIRONMENT: environment,
  LOG_LEVEL: logLevel,
  ...metricsSettingsSchema.shape,
  /** Deliveries leased in one database round trip. */
  RELAY_LEASE_LIMIT: integer(200, 1, 500),
  /** Posts under way at once in one invocation; a worker has six connections. */
  RELAY_SLOTS: integer(6, 1, 64),
  /** Time after which an invocation leases no more and leaves the rest to the next one. */
  RELAY_INVOCATION_MS: integer(25_000, 1_000, 600_000),
  /** While RELAY_WEBHOOK_SIGNING_SECRET_PREVIOUS is set: which of the two makes the one signature of the iTrans header. */
  RELAY_ITRANS_SIGNATURE: z.enum(["current", "previous"]).default("current"),
});

export type RelaySettings = z.output<typeof relaySettingsSchema>;

/**
 * The names and faults of settings that do not parse; never their values.
 * @returns the settings, or the problem that every route answers with until it is mended.
 */
export function parseSettings<Schema extends z.ZodType>(
  schema: Schema,
  values: unknown,
): { readonly ok: true; readonly settings: z.output<Schema> } | { readonly ok: false; readonly problem: Problem } {
  const parsed = schema.safeParse(values);
  if (parsed.success) return { ok: true, settings: parsed.data };
  const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message }));
  const names = [...new Set(issues.map((issue) => issue.path))].join(", ");
  return {
    ok: false,
    problem: { code: "internal", detail: `These settings are wrong: ${names}. Mend them and deploy again.`, issues },
  };
}
