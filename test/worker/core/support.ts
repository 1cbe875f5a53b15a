/** What worker tests of core share: the migrated database, keys, a signed submit. */
import { applyD1Migrations, SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { CoreEnv } from "../../../src/core/env.ts";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";

type D1Migrations = Parameters<typeof applyD1Migrations>[1];

interface TestEnv extends CoreEnv {
  readonly TEST_MIGRATIONS: D1Migrations;
}

export const testEnv = env as unknown as TestEnv;

export const KEYS = TEST_SECRETS.core;
export const INSURER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

export const migrate = (): Promise<void> => applyD1Migrations(testEnv.DB, testEnv.TEST_MIGRATIONS);

export interface CallOptions {
  readonly method?: string;
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly rawBody?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One HTTP call to core; `json` is the parsed answer. */
export async function call(path: string, options: CallOptions = {}) {
  const { method = "GET", key = KEYS.WORKFLOW_API_KEY, body, rawBody, headers = {} } = options;
  const response = await SELF.fetch(`http://core${path}`, {
    method,
    headers: {
      ...(key === "" ? {} : { "x-api-key": key }),
      ...(body === undefined && rawBody === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(rawBody === undefined ? {} : { body: rawBody }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith("{") ? JSON.parse(text) : {},
  };
}

export const payloadOf = (overrides: Readonly<Record<string, unknown>> = {}) => ({
  patientId: "patient-1",
  providerId: "provider-1",
  services: [{ code: "11101", description: "Examination", quantity: 1, unitPrice: 120 }],
  totalAmount: 120,
  type: "claim",
  ...overrides,
});

export const signed = (offchainPayload: unknown, rest: Readonly<Record<string, unknown>> = {}) => ({
  insurerAddress: INSURER,
  offchainPayload,
  providerSignature: signProviderPayload(offchainPayload, KEYS.PROVIDER_SIGNATURE_HMAC_SECRET),
  ...rest,
});

export const submit = (body: unknown, path = "/workflow/claims") => call(path, { method: "POST", body });

/** How many rows the tables that a write touches hold. */
export async function rowCounts(): Promise<Readonly<Record<string, number>>> {
  const tables = ["ledger_entries", "requests", "claims", "payloads", "payload_keys", "outbox"];
  const results = await testEnv.DB.batch<{ n: number }>(
    tables.map((table) => testEnv.DB.prepare(`SELECT COUNT(*) AS n FROM ${table}`)),
  );
  return Object.fromEntries(tables.map((table, i) => [table, results[i]?.results[0]?.n ?? -1]));
}
