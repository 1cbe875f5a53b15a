/** How each secret is rotated: what an overlap means for it, and what must hold before the old value may go. */

export type RotationKind =
  /** Both values are accepted while they overlap. */
  | "accepted"
  /** Both sign while they overlap. */
  | "signs"
  /** What is stored was sealed under the old value: it is wrapped again before that goes. */
  | "seals"
  /** The chain knows one address: the contract's role is handed over. */
  | "handover"
  /** Another party gives it, and says when the old one ends. */
  | "replaced";

/** The job that wraps or hashes anew, by the name under which core and hub show it. */
export type RenewalOf =
  | { readonly worker: "itrans-core"; readonly job: "payload-keys" | "destinations" }
  | { readonly worker: "medlink-hub"; readonly job: "re-encrypt" | "re-hash" };

export interface RotationPlan {
  readonly kind: RotationKind;
  /** What stands between the switch and the end of the old value. */
  readonly beforeRetiring: string;
  /** The old value is needed for this long after the switch, whatever quiet time is asked for. */
  readonly leastMs?: number;
  /** Finished after the switch, and in a snapshot that began after that, before the old value goes. */
  readonly renewal?: RenewalOf;
  /** Nothing that can be asked tells when this holds: a person says so. */
  readonly askPerson?: true;
}

const HOUR_MS = 3_600_000;

const QUIET = "nobody has come with the old value for the quiet time";
const AND_SAVED = ", and a good snapshot began after that";

const PLANS: Readonly<Record<string, RotationPlan>> = {
  WORKFLOW_API_KEY: { kind: "accepted", beforeRetiring: QUIET },
  CLAIMS_API_KEY: { kind: "accepted", beforeRetiring: QUIET },
  OPERATOR_API_KEY: { kind: "accepted", beforeRetiring: QUIET },
  PROVIDER_SIGNATURE_HMAC_SECRET: {
    kind: "accepted",
    beforeRetiring: "every MedLink signs with the new value; ours does from the switch on",
    askPerson: true,
  },
  AUDITOR_TOKEN: { kind: "accepted", beforeRetiring: "auditors have the new token", askPerson: true },
  METRICS_SCRAPE_TOKEN: { kind: "accepted", beforeRetiring: "the scraper has the new token", askPerson: true },
  HUB_OPERATOR_API_KEY: {
    kind: "accepted",
    beforeRetiring: "the scripts and the people who use it have the new key",
    askPerson: true,
  },
  SESSION_SECRET: {
    kind: "accepted",
    beforeRetiring: "12 hours have passed: no session lives longer",
    leastMs: 12 * HOUR_MS,
  },
  RELAY_WEBHOOK_SIGNING_SECRET: {
    kind: "signs",
    beforeRetiring: "every receiver of the settings' secret verifies with the new value",
    askPerson: true,
  },
  LEDGER_SIGNING_KEY: {
    kind: "signs",
    beforeRetiring: "auditors have the new verifier key, and LEDGER_RETIRED_KEYS has the old one",
  },
  PAYLOAD_MASTER_KEY: {
    kind: "seals",
    beforeRetiring: `the re-wrap of payload keys has finished${AND_SAVED}`,
    renewal: { worker: "itrans-core", job: "payload-keys" },
  },
  DESTINATION_WRAPPING_KEY: {
    kind: "seals",
    beforeRetiring: `the re-wrap of destinations has finished${AND_SAVED}`,
    renewal: { worker: "itrans-core", job: "destinations" },
  },
  ENCRYPTION_KEY: {
    kind: "seals",
    beforeRetiring: `npm run fields:re-encrypt says that nothing is left${AND_SAVED}`,
    renewal: { worker: "medlink-hub", job: "re-encrypt" },
  },
  HASH_KEY: {
    kind: "seals",
    beforeRetiring: `npm run fields:re-hash says that nothing is left${AND_SAVED}`,
    renewal: { worker: "medlink-hub", job: "re-hash" },
  },
  BACKUP_ENCRYPTION_KEY: {
    kind: "seals",
    beforeRetiring:
      "the old value is kept offline beside the backups: files of segments and attachments are written once, so every later snapshot still has some that only it opens",
    askPerson: true,
  },
  OPERATOR_HMAC_SECRET: {
    kind: "replaced",
    beforeRetiring: "the payer's operator says that it takes the new one",
    askPerson: true,
  },
  EVM_PRIVATE_KEY: { kind: "handover", beforeRetiring: "an anchor of the new signer is confirmed" },
};

/** Of a secret that has no plan of its own: another party's, which is put in place of the old one. */
const REPLACED: RotationPlan = {
  kind: "replaced",
  beforeRetiring: "whoever gave it has ended the old one",
  askPerson: true,
};

/** @param name of a secret, or of the other end of a shared one. */
export const rotationOf = (name: string, sharedName: string = name): RotationPlan =>
  PLANS[name] ?? PLANS[sharedName] ?? REPLACED;

/** Rotation is due after this. */
export const SECRET_MAX_AGE_DAYS = 90;
