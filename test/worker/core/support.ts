/** What worker tests of core share: the migrated database, keys, a signed submit. */
import { applyD1Migrations, createExecutionContext, SELF, waitOnExecutionContext } from "cloudflare:test";
import worker from "../../../src/core/worker.ts";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { testEnv } from "./test-env.ts";

export { testEnv };

export const KEYS = TEST_SECRETS.core;
export const INSURER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

export const migrate = (): Promise<void> => applyD1Migrations(testEnv.DB, testEnv.TEST_MIGRATIONS);

export interface CallOptions {
  readonly method?: string;
  readonly key?: string | undefined;
  readonly body?: unknown;
  /** Without `content-length` when it is a stream. */
  readonly rawBody?: string | ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
}

function requestOf(path: string, options: CallOptions): Request<unknown, IncomingRequestCfProperties> {
  const { method = "GET", key = KEYS.WORKFLOW_API_KEY, body, rawBody, headers = {} } = options;
  return new Request(`http://core${path}`, {
    method,
    headers: {
      ...(key === "" ? {} : { "x-api-key": key }),
      ...(body === undefined && rawBody === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(rawBody === undefined ? {} : { body: rawBody }),
  });
}

const isLines = ({ headers }: Response): boolean => headers.get("content-type")?.includes("ndjson") === true;

async function answerOf(response: Response) {
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: text.startsWith("{") && !isLines(response) ? JSON.parse(text) : {},
  };
}

/** One HTTP call to core; `json` is the parsed answer. */
export const call = async (path: string, options: CallOptions = {}) =>
  answerOf(await SELF.fetch(requestOf(path, options)));

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

/** Every table that the migrations made. */
export async function tableNames(): Promise<readonly string[]> {
  const { results } = await testEnv.DB.prepare(
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'
       AND name <> 'd1_migrations' ORDER BY name`,
  ).all<{ name: string }>();
  return results.map(({ name }) => name);
}

/** How many rows each table holds. */
export async function rowCounts(): Promise<Readonly<Record<string, number>>> {
  const tables = await tableNames();
  const results = await testEnv.DB.batch<{ n: number }>(
    tables.map((table) => testEnv.DB.prepare(`SELECT COUNT(*) AS n FROM ${table}`)),
  );
  return Object.fromEntries(tables.map((table, i) => [table, results[i]?.results[0]?.n ?? -1]));
}

/** The same worker under another environment: settings, secrets or bindings of its own. */
export async function callWith(over: Readonly<Record<string, unknown>>, path: string, options: CallOptions = {}) {
  const ctx = createExecutionContext();
  const answered = await answerOf(await worker.fetch(requestOf(path, options), { ...testEnv, ...over }, ctx));
  await waitOnExecutionContext(ctx);
  return answered;
}

/** A key of a tenant, made by the operator; the tenant too, when there is none yet. */
export async function makeKey(tenantId: string, body: Readonly<Record<string, unknown>>): Promise<string> {
  const key = KEYS.OPERATOR_API_KEY;
  await call("/tenants", { method: "POST", key, body: { tenantId, name: "A clinic" } });
  const { status, json } = await call(`/tenants/${tenantId}/keys`, { method: "POST", key, body });
  if (status !== 201) throw new Error(`the key was not made: ${JSON.stringify(json)}`);
  return json.key;
}

/** What clients send to calls without a body: nothing, called JSON. */
export const EMPTY = { method: "POST", rawBody: "", headers: { "content-type": "application/json" } } as const;
