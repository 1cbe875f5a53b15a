/** Everything a hub operation works with, made once for each isolate from the bindings. */

import type { SnapshotParts } from "../backup/snapshot.edge.ts";
import { flushNow, measureOf, metricSink } from "../operations/meter.edge.ts";
import type { Measure } from "../operations/metrics-buffer.ts";
import { mayScrape } from "../operations/scrape-token.ts";
import { newUuid, systemNow, systemRandomBytes } from "../platform/clock.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import type { Log } from "../platform/log.ts";
import type { RandomBytes } from "../platform/seal.ts";
import { acceptedValues, overlappingSecrets, secretFaults, secretsOf } from "../platform/secrets.ts";
import { parseSettings } from "../platform/settings.ts";
import { hubBackupParts } from "./backup/backup-parts.edge.ts";
import { type CoreClient, makeCoreClient } from "./core.client.ts";
import type { ConnectorName } from "./edi/connector.ts";
import type { HubEnv } from "./env.ts";
import { type Fields, makeFields } from "./fields.ts";
import { type HubSettings, hubSettingsSchema } from "./settings.ts";

export interface Hub {
  readonly db: D1Database;
  readonly attachments: R2Bucket;
  /** Undefined: nothing is backed up. */
  readonly backup: SnapshotParts | undefined;
  readonly queue: HubEnv["AUTO_SUBMIT_QUEUE"];
  readonly core: CoreClient;
  readonly fields: Fields;
  readonly settings: HubSettings;
  readonly sessionSecrets: readonly [string, ...string[]];
  readonly webhookSecrets: readonly string[];
  /** Keys of the operator of the whole hub; none: there is no such caller. */
  readonly operatorKeys: readonly string[];
  /** What is wrong with the worker's secrets, by name, as strictly as outside development. */
  readonly secretFaults: () => readonly string[];
  /** Names of secrets of which a second value is accepted: a rotation is under way. */
  readonly overlappingSecrets: () => readonly string[];
  /** The way out to EDI networks. */
  readonly edi: {
    readonly send: (request: Request) => Promise<Response>;
    readonly keys: Readonly<Record<ConnectorName, string | undefined>>;
    readonly wait: (ms: number) => Promise<void>;
  };
  /** For work that outlasts the answer, as long as the platform lets it; undefined where there is no answer to give. */
  readonly later: ((work: Promise<unknown>) => void) | undefined;
  readonly log: Log;
  readonly measure: Measure;
  /** Whether this Authorization header may read `/metrics`. */
  readonly mayScrape: (authorization: string | null) => boolean;
  /** Hands on what this isolate has measured. */
  readonly flushMetrics: () => Promise<void>;
  readonly random: RandomBytes;
  readonly now: () => number;
  readonly newUuid: () => string;
  readonly development: boolean;
}

function makeFieldsOf(env: HubEnv): Promise<Fields> {
  const [, ...previousHashKeys] = acceptedValues({ ...env }, "HASH_KEY");
  return makeKeyring(acceptedValues({ ...env }, "ENCRYPTION_KEY"), "field").then((keyring) =>
    makeFields(keyring, [env.HASH_KEY, ...previousHashKeys], systemRandomBytes),
  );
}

/** The faults that stop the worker: in development only what is missing, elsewhere also what is weak. */
function faultsOf(env: HubEnv, development: boolean): readonly string[] {
  const values: Readonly<Record<string, unknown>> = { ...env };
  if (!development) return secretFaults("medlink-hub", values);
  return secretsOf("medlink-hub")
    .filter(({ name, optional }) => optional !== true && (typeof values[name] !== "string" || values[name] === ""))
    .map(({ name }) => `${name} is not set`);
}

export type HubStart = { readonly ok: true; readonly hub: Hub } | { readonly ok: false; readonly detail: string };

/** What all invocations of an isolate have in common. */
type HubParts = Omit<Hub, "log" | "later">;

type Parts = { readonly ok: true; readonly parts: HubParts } | { readonly ok: false; readonly detail: string };

/** Reading settings and importing keys costs more than a request; an isolate sees one set of them. */
let held: { readonly env: HubEnv; readonly parts: HubParts } | undefined;

/** @returns the hub, or one sentence that names each setting or secret to mend; never a value. */
export async function startHub(env: HubEnv, log: Log, later?: Hub["later"]): Promise<HubStart> {
  if (held?.env !== env) {
    const made = await partsOf(env);
    if (!made.ok) return made;
    // The value is kept, not the promise: a promise belongs to the request that made it, and can die with it.
    held = { env, parts: made.parts };
  }
  return { ok: true, hub: { ...held.parts, log, later } };
}

async function partsOf(env: HubEnv): Promise<Parts> {
  const parsed = parseSettings(hubSettingsSchema, env);
  if (!parsed.ok) return { ok: false, detail: parsed.problem.detail };
  const { settings } = parsed;
  const development = settings.ENVIRONMENT === "development";
  const faults = faultsOf(env, development);
  if (faults.length > 0) return { ok: false, detail: `Secrets: ${faults.join("; ")}. Mend them and deploy again.` };
  const measure = measureOf("medlink-hub", env);
  const external = settings.ITRANS_API_URL;
  return {
    ok: true,
    parts: {
      db: env.DB,
      attachments: env.ATTACHMENTS,
      backup: hubBackupParts(env, settings),
      queue: env.AUTO_SUBMIT_QUEUE,
      core: makeCoreClient({
        fetcher: external === undefined ? env.CORE : { fetch: (request) => fetch(request) },
        baseUrl: external ?? "http://itrans-core",
        workflowKey: env.ITRANS_WORKFLOW_API_KEY,
        claimsKey: env.ITRANS_CLAIMS_API_KEY,
        operatorKey: acceptedValues({ ...env }, "ITRANS_OPERATOR_API_KEY")[0],
        providerSecret: env.ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET,
        timeoutMs: settings.ITRANS_API_TIMEOUT_MS,
        measure,
        now: systemNow,
      }),
      fields: await makeFieldsOf(env),
      settings,
      sessionSecrets: [env.SESSION_SECRET, ...acceptedValues({ ...env }, "SESSION_SECRET").slice(1)],
      webhookSecrets: acceptedValues({ ...env }, "ITRANS_WEBHOOK_SIGNING_SECRET"),
      operatorKeys: acceptedValues({ ...env }, "HUB_OPERATOR_API_KEY"),
      secretFaults: () => secretFaults("medlink-hub", { ...env }),
      overlappingSecrets: () => overlappingSecrets("medlink-hub", { ...env }),
      edi: {
        send: (request) => env.EDI_CLIENT_CERTIFICATE?.fetch(request) ?? fetch(request),
        keys: { cdanet: env.EDI_CDANET_API_KEY, eclaims: env.EDI_ECLAIMS_API_KEY, portal: env.EDI_PORTAL_API_KEY },
        wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      },
      measure,
      mayScrape: (authorization) => mayScrape(authorization, { ...env }),
      flushMetrics: () => flushNow("medlink-hub", env, metricSink(env)),
      random: systemRandomBytes,
      now: systemNow,
      newUuid,
      development,
    },
  };
}
