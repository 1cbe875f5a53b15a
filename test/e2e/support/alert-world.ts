/**
 * The whole system with its alerts compressed, and everything around it in the test's hands: the chain, the payer's operator, the
 * receiver of callbacks, the way from the hub to core, the crons. The hub runs apart from core and the relay, so that either can stop.
 */
import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Anvil, startAnvil } from "../../../scripts/lib/anvil.ts";
import { ensureContract } from "../../../scripts/lib/contract.ts";
import { type Answer, call } from "../../../scripts/lib/http.ts";
import { type Clinic, signIn } from "../../../scripts/lib/lifecycle.ts";
import { type Simulator, startSimulator } from "../../../scripts/lib/operator-simulator/server.ts";
import { claimPorts } from "../../../scripts/lib/ports.ts";
import { type Settings, type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { type AlertReceivers, startAlertReceivers } from "./alert-receivers.ts";
import { type Front, startFront } from "./front.ts";
import {
  ANY_PORT,
  bundledOnce,
  INSURER_ADDRESS,
  KEYS,
  plainPayload,
  post,
  signedSubmit,
  temporaryDirectory,
  secrets as testSecrets,
} from "./stack.ts";

const ALERT_INTERVAL_MS = 250;
const AT_ONCE = 4;
/** Filling it to more than 85 % takes some rows; what the system itself makes of a test does not come near. */
export const D1_LIMIT_BYTES = 24_000_000;

/** Much for a test, and little to write. */
export const BUCKET_DAILY_BYTES = 2_000_000;

export interface WorldOptions {
  readonly scale: number;
  readonly withHub?: boolean;
  readonly withChain?: boolean;
  readonly withOperator?: boolean;
  readonly settings?: Settings;
  readonly hubSettings?: Settings;
  /** Of core, at its first start, over those of tests. */
  readonly secrets?: Settings;
  /** Whether the hub's cron runs from the start. */
  readonly hubCron?: boolean;
}

export interface World {
  readonly receivers: AlertReceivers;
  readonly operator: Simulator;
  readonly anvil: Anvil;
  /** Hub to core, core to the operator, relay to who is called back. */
  readonly fronts: { readonly core: Front; readonly operator: Front; readonly callbacks: Front };
  core(): Stack;
  hub(): Stack;
  startCore(change?: { readonly settings?: Settings; readonly secrets?: Settings }): Promise<void>;
  stopCore(): Promise<void>;
  startHub(change?: { readonly secrets?: Settings }): Promise<void>;
  stopHub(): Promise<void>;
  /** Crons of core, of the hub, run once a second while they may. */
  readonly crons: { core: boolean; hub: boolean };
  readonly clinic: Clinic;
  readonly cookie: string;
  /** Claims that arrive at core by themselves; their number a second. */
  traffic(perSecond: number): void;
  submit(count: number): Promise<readonly Answer[]>;
  ask(path: string, options?: Parameters<typeof call>[1]): Promise<Answer>;
  status(): Promise<AlertsView>;
  /** Runs until `stop`, again and again. */
  keepDoing(work: () => Promise<unknown>, everyMs: number): () => void;
  readonly log: readonly string[];
  readonly coreDataDir: string;
  readonly scale: number;
  /** Since its first start. */
  upForMs(): number;
  readonly secrets: Settings;
  dispose(): Promise<void>;
}

const alertsSchema = z.looseObject({
  evaluatedAt: z.string().nullable(),
  alerts: z.array(z.looseObject({ name: z.string(), phase: z.string(), value: z.number().nullable() })),
  incidents: z.array(z.looseObject({ alert: z.string(), resolvedAt: z.string().nullable() })),
  notifications: z.array(z.looseObject({ id: z.string(), state: z.string(), error: z.string().nullable() })),
});
export type AlertsView = z.output<typeof alertsSchema>;

const seededSchema = z.looseObject({
  patientIds: z.array(z.string()).min(1),
  providerIds: z.array(z.string()).min(1),
  insurerIds: z.array(z.string()).min(1),
});

const ACCOUNT = { email: "admin@clinic.test", password: "alerts-for-tests-5512" };
/** Bundled once for all worlds of a process. */
const script = bundledOnce();
let lastId = 0;

export async function startWorld(options: WorldOptions): Promise<World> {
  const { scale, withHub = true, withChain = true, withOperator = true } = options;
  const directory = temporaryDirectory();
  const disposals: (() => Promise<unknown> | unknown)[] = [];
  const log: string[] = [];
  const onLog = (line: string) => {
    log.push(line);
    if (log.length > 5_000) log.splice(0, 1_000);
  };
  let core: Stack | undefined;
  let hub: Stack | undefined;
  const receivers = await startAlertReceivers();
  const secrets: Settings = { ...testSecrets, ...receivers.secrets };
  const fronts = {
    core: await startFront(() => core?.urls.core ?? "http://127.0.0.1:1"),
    operator: await startFront(() => operator.url),
    callbacks: await startFront(() => undefined),
  };
  const operator = await startSimulator({
    port: 0,
    secrets: [TEST_SECRETS.core.OPERATOR_HMAC_SECRET],
    store: ":memory:",
    behaviour: { callsPerMinute: 1_000_000 },
  });
  const claimed = await claimPorts({ core: 0, relay: 0, hub: 0, anvil: 0 });
  const [corePort, relayPort, hubPort, anvilPort] = [claimed.core, claimed.relay, claimed.hub, claimed.anvil].map(
    (port) => port ?? 0,
  );
  let anvil: Anvil | undefined;
  let contract = "";
  if (withChain) {
    anvil = await startAnvil({ port: anvilPort ?? 0, blockTimeS: 0.25, idleAfterMs: 0 });
    const dataDir = join(directory.path, "chain");
    mkdirSync(dataDir, { recursive: true });
    const signerKey = TEST_SECRETS.core.EVM_PRIVATE_KEY;
    contract = (await ensureContract({ anvil, dataDir, signerKey, say: () => {} })).address;
  }

  const startCore: World["startCore"] = async (change = {}) => {
    core = await startStack({
      dataDir: join(directory.path, "core"),
      ports: { core: corePort ?? 0, relay: relayPort ?? 0 },
      workers: ["itrans-core", "itrans-relay"],
      secrets: { ...secrets, ...change.secrets },
      script,
      onLog,
      settings: (ports) => ({
        "itrans-core": {
          ALERT_INTERVAL_MS: String(ALERT_INTERVAL_MS),
          ALERT_TIME_SCALE: String(scale),
          ...receivers.settings,
          METRICS_FLUSH_MS: "150",
          LEDGER_VERIFY_CACHE_MS: "0",
          LEDGER_SCRUB_ENTRIES_PER_MINUTE: "0",
          API_RATE_LIMIT_MAX_REQUESTS: "1000000",
          RELAY_URL: `http://127.0.0.1:${ports.relay}`,
          RELAY_MEDLINK_WEBHOOK_URL: `${fronts.callbacks.url}/webhooks`,
          RELAY_MEDLINK_REQUESTS_PER_MINUTE: "1000000",
          RELAY_INITIAL_BACKOFF_MS: "50",
          RELAY_MAX_BACKOFF_MS: "200",
          RELAY_AFTER_TIMEOUT_WAIT_MS: "100",
          ANCHOR_POLL_MS: "200",
          ANCHOR_CONFIRMATIONS: "1",
          ANCHOR_STUCK_AFTER_MS: "400000",
          OPERATOR_CALLS_PER_MINUTE: "100000",
          D1_LIMIT_BYTES: String(D1_LIMIT_BYTES),
          BUCKET_DAILY_BYTES: String(BUCKET_DAILY_BYTES),
          ...(withHub ? { MEDLINK_HUB_URL: `http://127.0.0.1:${hubPort}` } : {}),
          ...(anvil === undefined ? {} : { EVM_RPC_URL: anvil.url, ANCHOR_CONTRACT_ADDRESS: contract }),
          ...(withOperator ? { OPERATOR_API_URL: fronts.operator.url } : {}),
          ...options.settings,
          ...change.settings,
        },
        "itrans-relay": { METRICS_FLUSH_MS: "150" },
      }),
    });
  };
  const startHub: World["startHub"] = async (change = {}) => {
    hub = await startStack({
      dataDir: join(directory.path, "hub"),
      ports: { ...ANY_PORT, hub: hubPort ?? 0 },
      workers: ["medlink-hub"],
      secrets: { ...secrets, ...change.secrets },
      script,
      onLog,
      settings: () => ({
        "medlink-hub": {
          ...receivers.settings,
          ALERT_TIME_SCALE: String(scale),
          // Not what is proved here, and sooner than a busy machine is.
          ALERT_SILENT_AFTER_MS: String(Math.min(20_000 * scale, 86_400_000)),
          METRICS_FLUSH_MS: "150",
          ITRANS_API_URL: fronts.core.url,
          ITRANS_AUTO_SUBMIT_ENABLED: "true",
          ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS: "2",
          ITRANS_AUTO_SUBMIT_BASE_DELAY_MS: "50",
          ITRANS_AUTO_SUBMIT_PROBE_DELAY_MS: "200",
          ITRANS_AUTO_SUBMIT_MAX_PROBE_DELAY_MS: "400",
          FEATURE_FLAG_BULK_OPERATIONS: "true",
          ...options.hubSettings,
        },
      }),
    });
  };
  const stopCore = async () => {
    const stopping = core;
    core = undefined;
    await stopping?.dispose();
  };
  const stopHub = async () => {
    const stopping = hub;
    hub = undefined;
    await stopping?.dispose();
  };
  disposals.push(stopHub, stopCore);
  await Promise.all([startCore({ secrets: options.secrets ?? {} }), withHub ? startHub() : undefined]);

  let clinic: Clinic = { hubUrl: "", ...ACCOUNT, patientId: "", providerId: "", insurerId: "" };
  let cookie = "";
  if (withHub) {
    const hubUrl = `http://127.0.0.1:${hubPort}`;
    const seeded = await call(`${hubUrl}/api/dev/seed`, {
      method: "POST",
      headers: {
        "x-seed-token": createHmac("sha256", TEST_SECRETS.hub.SESSION_SECRET).update("medlink seed").digest("hex"),
      },
      body: { adminEmail: ACCOUNT.email, adminPassword: ACCOUNT.password, insurerAddress: INSURER_ADDRESS },
    });
    const { patientIds, providerIds, insurerIds } = seededSchema.parse(seeded.body);
    const [patientId = ""] = patientIds;
    const [providerId = ""] = providerIds;
    const [insurerId = ""] = insurerIds;
    clinic = { hubUrl, ...ACCOUNT, patientId, providerId, insurerId };
    cookie = await signIn(clinic);
  }

  const upAt = performance.now();
  const stops = new Set<() => void>();
  const keepDoing: World["keepDoing"] = (work, everyMs) => {
    let going = true;
    const stop = () => {
      going = false;
      stops.delete(stop);
    };
    stops.add(stop);
    void (async () => {
      while (going) {
        const next = performance.now() + everyMs;
        await work().catch(() => {});
        await sleep(Math.max(10, next - performance.now()));
      }
    })();
    return stop;
  };
  const crons = { core: true, hub: options.hubCron ?? true };
  keepDoing(async () => (crons.core ? core?.scheduled("itrans-core") : undefined), 1_000);
  keepDoing(async () => (crons.hub ? hub?.scheduled("medlink-hub") : undefined), 1_000);

  const coreUrl = () => `http://127.0.0.1:${corePort}`;
  const submitOne = () =>
    post(`${coreUrl()}/workflow/claims`, KEYS.workflow, signedSubmit(plainPayload("patient-1"), `alert-${++lastId}`));
  let stopTraffic = () => {};
  const ask: World["ask"] = (path, more = {}) =>
    call(`${coreUrl()}${path}`, { ...more, headers: { "x-api-key": KEYS.operator, ...more.headers } });
  return {
    receivers,
    operator,
    get anvil() {
      if (anvil === undefined) throw new Error("this world has no chain");
      return anvil;
    },
    fronts,
    core: () => running(core),
    hub: () => running(hub),
    startCore,
    stopCore,
    startHub,
    stopHub,
    crons,
    clinic,
    cookie,
    traffic(perSecond) {
      stopTraffic();
      // Several at a time: one after the other, they come as slowly as a busy machine answers.
      const some = () => Promise.all(Array.from({ length: AT_ONCE }, submitOne));
      stopTraffic = perSecond === 0 ? () => {} : keepDoing(some, (AT_ONCE * 1_000) / perSecond);
    },
    submit: (count) => Promise.all(Array.from({ length: count }, submitOne)),
    ask,
    status: async () => alertsSchema.parse((await ask("/operations/alerts")).body),
    keepDoing,
    log,
    secrets,
    scale,
    upForMs: () => performance.now() - upAt,
    coreDataDir: join(directory.path, "core"),
    async dispose() {
      for (const stop of stops) stop();
      for (const dispose of disposals) await dispose();
      for (const front of Object.values(fronts)) await front.dispose();
      await operator.close();
      await anvil?.dispose();
      await receivers.dispose();
      directory.remove();
    },
  };
}

function running(stack: Stack | undefined): Stack {
  if (stack === undefined) throw new Error("this worker is stopped");
  return stack;
}
