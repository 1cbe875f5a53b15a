/**
 * Every secret the system knows: which worker holds it and how strong it must be. Nothing here sees a value except the
 * check, which names what is wrong and never prints what it saw.
 */
export type WorkerName = "itrans-core" | "itrans-relay" | "medlink-hub";

export interface SecretSpec {
  readonly name: string;
  readonly workers: readonly WorkerName[];
  /** In characters. */
  readonly minLength: number;
  /** `ed25519-jwk-d`: the 32-byte seed as in the `d` of a JWK (RFC 8037), 43 characters of base64url. */
  readonly form: "text" | "evm-private-key" | "ed25519-jwk-d";
  /** A service runs without it. */
  readonly optional?: true;
  /** Another party gives it: it is never made here. */
  readonly external?: true;
  /** Holds the same value as this other secret: the two ends of one shared key. Every other pair must differ. */
  readonly sameAs?: string;
}

const core = ["itrans-core"] as const;
const relay = ["itrans-relay"] as const;
const hub = ["medlink-hub"] as const;
const coreAndHub = ["itrans-core", "medlink-hub"] as const;

export const SECRETS: readonly SecretSpec[] = [
  { name: "WORKFLOW_API_KEY", workers: core, minLength: 16, form: "text" },
  { name: "CLAIMS_API_KEY", workers: core, minLength: 16, form: "text" },
  { name: "OPERATOR_API_KEY", workers: core, minLength: 16, form: "text", optional: true },
  { name: "PROVIDER_SIGNATURE_HMAC_SECRET", workers: core, minLength: 32, form: "text" },
  { name: "PAYLOAD_MASTER_KEY", workers: core, minLength: 32, form: "text" },
  { name: "BACKUP_ENCRYPTION_KEY", workers: ["itrans-core", "medlink-hub"], minLength: 32, form: "text" },
  { name: "EVM_PRIVATE_KEY", workers: core, minLength: 66, form: "evm-private-key" },
  { name: "LEDGER_SIGNING_KEY", workers: core, minLength: 43, form: "ed25519-jwk-d" },
  { name: "OPERATOR_HMAC_SECRET", workers: core, minLength: 32, form: "text", optional: true },
  { name: "AUDITOR_TOKEN", workers: core, minLength: 16, form: "text", optional: true },
  { name: "PAGERDUTY_ROUTING_KEY", workers: coreAndHub, minLength: 16, form: "text", optional: true, external: true },
  { name: "SLACK_WEBHOOK_URL", workers: coreAndHub, minLength: 16, form: "text", optional: true, external: true },
  { name: "EMAIL_API_KEY", workers: coreAndHub, minLength: 16, form: "text", optional: true, external: true },
  {
    name: "METRICS_SCRAPE_TOKEN",
    workers: ["itrans-core", "itrans-relay", "medlink-hub"],
    minLength: 16,
    form: "text",
    optional: true,
  },
  { name: "DESTINATION_WRAPPING_KEY", workers: ["itrans-core", "itrans-relay"], minLength: 32, form: "text" },
  { name: "RELAY_WEBHOOK_SIGNING_SECRET", workers: relay, minLength: 32, form: "text" },
  { name: "SESSION_SECRET", workers: hub, minLength: 32, form: "text" },
  { name: "ENCRYPTION_KEY", workers: hub, minLength: 32, form: "text" },
  { name: "HASH_KEY", workers: hub, minLength: 32, form: "text" },
  { name: "HUB_OPERATOR_API_KEY", workers: hub, minLength: 32, form: "text", optional: true },
  { name: "EDI_CDANET_API_KEY", workers: hub, minLength: 16, form: "text", optional: true, external: true },
  { name: "EDI_ECLAIMS_API_KEY", workers: hub, minLength: 16, form: "text", optional: true, external: true },
  { name: "EDI_PORTAL_API_KEY", workers: hub, minLength: 16, form: "text", optional: true, external: true },
  { name: "ITRANS_WORKFLOW_API_KEY", workers: hub, minLength: 16, form: "text", sameAs: "WORKFLOW_API_KEY" },
  { name: "ITRANS_CLAIMS_API_KEY", workers: hub, minLength: 16, form: "text", sameAs: "CLAIMS_API_KEY" },
  {
    name: "ITRANS_OPERATOR_API_KEY",
    workers: hub,
    minLength: 16,
    form: "text",
    optional: true,
    sameAs: "OPERATOR_API_KEY",
  },
  {
    name: "ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET",
    workers: hub,
    minLength: 32,
    form: "text",
    sameAs: "PROVIDER_SIGNATURE_HMAC_SECRET",
  },
  {
    name: "ITRANS_WEBHOOK_SIGNING_SECRET",
    workers: hub,
    minLength: 32,
    form: "text",
    sameAs: "RELAY_WEBHOOK_SIGNING_SECRET",
  },
];

export const secretsOf = (worker: WorkerName): readonly SecretSpec[] =>
  SECRETS.filter((secret) => secret.workers.includes(worker));

const PLACEHOLDER = /change[-_ ]?me|placeholder|example|secret123|password|^(.)\1*$/i;

/** Looks like a value that was never meant to protect anything. */
export const isPlaceholderSecret = (value: string): boolean => PLACEHOLDER.test(value);

/** Fewer different characters than this are no random value of 16 characters or more. */
const MIN_DIFFERENT_CHARACTERS = 8;

function valueFaults({ minLength, form }: SecretSpec, name: string, value: string): readonly string[] {
  const faults: string[] = [];
  if (value.length < minLength) faults.push(`${name} is shorter than ${minLength} characters`);
  if (form === "evm-private-key" && !/^0x[0-9a-fA-F]{64}$/.test(value)) {
    faults.push(`${name} is not 0x and 64 hex digits`);
  }
  if (form === "ed25519-jwk-d" && !/^[A-Za-z0-9_-]{43}$/.test(value)) {
    faults.push(`${name} is not 32 bytes as 43 characters of base64url`);
  }
  if (isPlaceholderSecret(value)) faults.push(`${name} looks like a placeholder`);
  else if (form === "text" && value.length >= minLength && new Set(value).size < MIN_DIFFERENT_CHARACTERS) {
    faults.push(`${name} has fewer than ${MIN_DIFFERENT_CHARACTERS} different characters`);
  }
  return faults;
}

/**
 * @param values a worker's environment; only this worker's secrets are looked at, and their `_PREVIOUS`: what is accepted must be as
 *   strong as what is used.
 * @returns one line for each fault, naming the secret and what it needs; empty when all is well.
 */
export function secretFaults(worker: WorkerName, values: Readonly<Record<string, unknown>>): readonly string[] {
  const faults: string[] = [];
  const seen = new Map<string, string>();
  for (const spec of secretsOf(worker)) {
    for (const name of [spec.name, `${spec.name}_PREVIOUS`]) {
      const value = values[name];
      if (typeof value !== "string" || value === "") {
        if (name === spec.name && spec.optional !== true) faults.push(`${name} is not set`);
        continue;
      }
      faults.push(...valueFaults(spec, name, value));
      const twin = seen.get(value);
      // Between two steps of a rotation a value may stand in both places of its own secret.
      if (twin !== undefined && twin !== spec.name) {
        faults.push(`${name} has the same value as ${twin}; they must differ`);
      }
      seen.set(value, spec.name);
    }
  }
  return faults;
}

/** Names of a worker's secrets beside which `<NAME>_PREVIOUS` is set. */
export const overlappingSecrets = (worker: WorkerName, values: Readonly<Record<string, unknown>>): readonly string[] =>
  secretsOf(worker)
    .map(({ name }) => name)
    .filter((name) => (values[`${name}_PREVIOUS`] ?? "") !== "");

/** The current value and, during a rotation, `<NAME>_PREVIOUS`: what is accepted now, current first. */
export function acceptedValues(values: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  return [values[name], values[`${name}_PREVIOUS`]].filter(
    (value): value is string => typeof value === "string" && value !== "",
  );
}
