/**
 * How each alert is caused and mended from outside. A proof may cause several alerts at once, where they have one cause; proofs of one
 * act do not disturb each other and run together.
 */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { call } from "../../../scripts/lib/http.ts";
import type { Database } from "../../../scripts/lib/migrate.ts";
import { secretsOf } from "../../../src/platform/secrets.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CHANNEL_NAMES, type Heard } from "./alert-receivers.ts";
import { BUCKET_DAILY_BYTES, D1_LIMIT_BYTES, type World } from "./alert-world.ts";
import { KEYS, plainPayload, post, signedSubmit } from "./stack.ts";

export interface Proof {
  readonly alerts: readonly string[];
  /** Brings the condition about and keeps it up. */
  readonly cause: (world: World) => Promise<unknown>;
  /** After that nothing is left of it but time. */
  readonly mend: (world: World) => Promise<unknown>;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Claims a second that come by themselves: enough of them to notice when they stop. */
export const USUAL_TRAFFIC = 12;

const running = new Map<string, () => void>();

/** What a cause goes on doing until it is mended. */
function begin(name: string, stop: () => void): void {
  running.set(name, stop);
}

function end(name: string): void {
  running.get(name)?.();
  running.delete(name);
}

/** @throws Error naming what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  for (const late = performance.now() + timeoutMs; ; await sleep(50)) {
    if (await holds()) return;
    if (performance.now() > late) throw new Error(`not within ${timeoutMs} ms: ${what}`);
  }
}

const run = async (database: Database, sql: string, ...values: readonly unknown[]): Promise<void> => {
  await database
    .prepare(sql)
    .bind(...values)
    .run();
};

/** More than 85 % of the limit, in rows that no worker knows. */
const FILLER_ROWS = 12;
const fill = async (database: Database): Promise<void> => {
  await run(database, "CREATE TABLE filler (content BLOB)");
  const size = Math.ceil((0.9 * D1_LIMIT_BYTES) / FILLER_ROWS);
  for (let row = 0; row < FILLER_ROWS; row++) await run(database, `INSERT INTO filler VALUES (zeroblob(${size}))`);
};
const empty = (database: Database): Promise<void> => run(database, "DROP TABLE filler");

/** A deployment that fails whatever it is asked. */
const BROKEN_WORKER = `const fail = () => { throw new Error("this deployment is broken"); };
export default { fetch: fail, queue: fail };`;

const bulkFile = ({ clinic }: World, rows: number, tag: string): string =>
  [
    "reference,patientId,providerId,insurerId,type,amount,currency,codes",
    ...Array.from(
      { length: rows },
      (_, row) => `${tag}-${row},${clinic.patientId},${clinic.providerId},${clinic.insurerId},claim,120.00,CAD,11101`,
    ),
  ].join("\n");

async function fileClaims(world: World, rows: number, tag: string): Promise<void> {
  const answer = await fetch(`${world.clinic.hubUrl}/api/claims/bulk?dryRun=false`, {
    method: "POST",
    headers: { cookie: world.cookie, "content-type": "text/csv", connection: "close" },
    body: bulkFile(world, rows, tag),
  });
  const text = await answer.text();
  if (answer.status !== 200 || !text.includes(`"queued":${rows}`))
    throw new Error(`${answer.status} ${text.slice(0, 300)}`);
}

const askHub = (world: World, path: string, body?: unknown) =>
  call(`${world.clinic.hubUrl}${path}`, {
    ...(body === undefined ? {} : { method: "POST", body }),
    headers: { cookie: world.cookie },
  });

const UPDATES = "ledger_entries_update";
const tampered = new Map<string, string>();

/** What the operator said on the phone: none of them was done. Without it they wait for its circuit, or are asked about. */
const endAll = (world: World): Promise<void> =>
  until(
    "nothing is under way",
    async () => {
      const open = await unfinished(world);
      await Promise.all(open.map((refId) => resolveSettlement(world, refId, "REJECTED")));
      return open.length === 0;
    },
    60_000,
  );

/** One request that was approved for much money. */
async function approvedRequest(world: World, name: string): Promise<string> {
  const [submitted] = await world.submit(1);
  const requestId = String(Object(submitted?.body).requestId);
  for (const [action, body] of [
    ["acknowledge", {}],
    ["adjudicate", { decision: "APPROVED" }],
  ] as const) {
    const answer = await world.ask(`/workflow/requests/${requestId}/${action}`, {
      method: "POST",
      headers: { "x-api-key": KEYS.workflow },
      body,
    });
    if (answer.status !== 200) throw new Error(`${name}: ${action} ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  return requestId;
}

let keys = 0;
const pay = (world: World, requestId: string, amountCents: number, key = `alerts-${++keys}`) =>
  world.ask("/settlements", {
    method: "POST",
    headers: { "x-api-key": KEYS.workflow, "idempotency-key": key },
    body: { requestId, type: "payment", amountCents },
  });

/** What may be settled of one request at most. */
const PAYMENTS = 16;

/** Payments of one request that was approved for them. */
async function payments(world: World, count = PAYMENTS): Promise<readonly string[]> {
  const requestId = await approvedRequest(world, "payments");
  const made = await Promise.all(Array.from({ length: count }, () => pay(world, requestId, 10)));
  return made.map((answer) => {
    if (answer.status !== 201) throw new Error(`settlement ${answer.status} ${JSON.stringify(answer.body)}`);
    return String(Object(answer.body).refId);
  });
}

async function unfinished(world: World): Promise<readonly string[]> {
  const { results } = await (await world.core().database("itrans-core"))
    .prepare("SELECT ref_id AS refId FROM settlements WHERE status IN ('PENDING', 'PROCESSING')")
    .bind()
    .all<{ refId: string }>();
  return results.map(({ refId }) => refId);
}

const resolveSettlement = (world: World, refId: string, outcome: "FAILED" | "REJECTED") =>
  world.ask(`/settlements/${refId}/resolve`, {
    method: "POST",
    headers: { "x-api-key": KEYS.operator },
    body: { outcome, reason: "TICKET-1" },
  });

/** Of every six calls the fourth is asked to come again and the sixth refused for good. */
const callbacks: Proof = {
  alerts: ["dead-letters", "dead-letters-accumulating", "callbacks", "callbacks-critical", "webhook-retries"],
  async cause(world) {
    const seen = new Map<string, number>();
    world.fronts.callbacks.behave(({ headers }) => {
      const event = String(headers["x-itrans-relay-event-id"]);
      const first = !seen.has(event);
      const nth = seen.get(event) ?? seen.size;
      seen.set(event, nth);
      if (nth % 12 === 11) return { type: "answer", status: 422 };
      return first && nth % 3 !== 2 && nth % 5 !== 0 ? { type: "answer", status: 500 } : { type: "pass" };
    });
    begin(
      "callbacks",
      world.keepDoing(() => world.submit(20), 500),
    );
  },
  async mend(world) {
    end("callbacks");
    world.fronts.callbacks.behave();
    await until(
      "no dead letter is left",
      async () => {
        const body = { destinationId: "medlink", limit: 1_000, perMinute: 60_000 };
        await world.ask("/relay/workflow/dead-letters/replay", { method: "POST", body });
        const status = await world.ask("/relay/workflow/status");
        return Object(status.body).deadLetterCount === 0;
      },
      30_000,
    );
  },
};

const intake: Proof = {
  alerts: ["webhook-intake"],
  async cause(world) {
    const forged = () =>
      call(`${world.clinic.hubUrl}/api/itrans/webhooks/workflow`, {
        method: "POST",
        headers: {
          "idempotency-key": "evt-1",
          "x-itrans-relay-event-id": "evt-1",
          "x-itrans-relay-event-type": "REQUEST_ACKNOWLEDGED",
          "x-itrans-relay-timestamp": String(Math.floor(Date.now() / 1_000)),
          "x-itrans-relay-signature": "0".repeat(64),
        },
        body: { eventId: "evt-1", eventType: "REQUEST_ACKNOWLEDGED" },
      });
    begin(
      "intake",
      world.keepDoing(() => Promise.all(Array.from({ length: 10 }, forged)), 300),
    );
  },
  mend: async () => end("intake"),
};

const sizes: Proof = {
  alerts: ["core-database-size", "hub-database-size"],
  async cause(world) {
    await fill(await world.core().database("itrans-core"));
    await fill(await world.hub().database("medlink-hub"));
  },
  async mend(world) {
    await empty(await world.core().database("itrans-core"));
    await empty(await world.hub().database("medlink-hub"));
  },
};

const collision: Proof = {
  alerts: ["idempotency-collision"],
  async cause(world) {
    const requestId = await approvedRequest(world, "collision");
    await pay(world, requestId, 10, "used-twice");
    begin(
      "collision",
      world.keepDoing(() => pay(world, requestId, 11, "used-twice"), 200),
    );
  },
  mend: async () => end("collision"),
};

/** Every fourth call to the operator fails. */
const operatorFails: Proof = {
  alerts: ["operator-errors"],
  async cause(world) {
    let calls = 0;
    world.fronts.operator.behave(() => (calls++ % 4 === 3 ? { type: "answer", status: 500 } : { type: "pass" }));
    begin(
      "operator",
      world.keepDoing(async () => {
        if ((await unfinished(world)).length < 25) await Promise.all([payments(world), payments(world)]);
      }, 500),
    );
  },
  async mend(world) {
    end("operator");
    world.fronts.operator.behave();
    await endAll(world);
  },
};

/** Whatever the operator is asked, it hangs up: what was sent is in doubt, is not sent again, and waits. */
const operatorGone: Proof = {
  alerts: ["settlements-stuck"],
  async cause(world) {
    world.fronts.operator.behave(() => ({ type: "break" }));
    await payments(world);
  },
  async mend(world) {
    world.fronts.operator.behave();
    await endAll(world);
  },
};

/** The operator says of some that they failed for technical reasons. */
const settlementsFail: Proof = {
  alerts: ["settlement-errors"],
  async cause(world) {
    begin(
      "failing",
      world.keepDoing(async () => {
        await payments(world);
        const open = await unfinished(world);
        await Promise.all(open.slice(0, 5).map((refId) => resolveSettlement(world, refId, "FAILED")));
      }, 700),
    );
  },
  async mend(world) {
    end("failing");
    await endAll(world);
  },
};

const operatorLimits: Proof = {
  alerts: ["operator-rate-limited"],
  async cause(world) {
    world.fronts.operator.behave(() => ({ type: "answer", status: 429, headers: { "retry-after": "0" } }));
    begin(
      "limited",
      world.keepDoing(() => payments(world), 300),
    );
  },
  async mend(world) {
    end("limited");
    world.fronts.operator.behave();
    await endAll(world);
  },
};

/** The operator's list can not be read, however often it is asked for; the hours between two questions are left out. */
const reconciliation: Proof = {
  alerts: ["reconciliation-failed"],
  async cause(world) {
    world.operator.behave({ down: true });
    const day = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
    const started = await world.ask("/settlements/reconciliation/runs", {
      method: "POST",
      body: { from: day, to: day },
    });
    if (started.status !== 202) throw new Error(`${started.status} ${JSON.stringify(started.body)}`);
    const runId = String(Object(started.body).runId);
    tampered.set("run", runId);
    await continueRun(world, runId, "failed");
  },
  async mend(world) {
    world.operator.behave({ callsPerMinute: 1_000_000 });
    await continueRun(world, tampered.get("run") ?? "", "completed");
  },
};

async function continueRun(world: World, runId: string, state: string): Promise<void> {
  const database = await world.core().database("itrans-core");
  await until(
    `the run is ${state}`,
    async () => {
      await run(database, "UPDATE reconciliation_runs SET due_at = 0 WHERE run_id = ?", runId);
      const path = `/settlements/reconciliation/runs/${runId}/continue`;
      // One that waits for the operator's circuit may take longer than a caller does.
      const answer = await world.ask(path, { method: "POST", body: {} }).catch(() => undefined);
      return Object(answer?.body).state === state;
    },
    180_000,
  );
}

/** To the hub, core is away: claims wait, and what needs core is answered 5xx. */
const coreAway: Proof = {
  alerts: ["auto-submit-backlog", "server-errors", "server-errors-critical"],
  async cause(world) {
    const created = await askHub(world, "/api/itrans/claims", { offchainPayload: plainPayload("patient-1") });
    const claimId = String(Object(created.body).claimId);
    if (created.status !== 201) throw new Error(`claim ${created.status} ${JSON.stringify(created.body)}`);
    tampered.set("claim", claimId);
    world.fronts.core.behave(() => ({ type: "break" }));
    await fileClaims(world, 110, "backlog");
    const read = () => askHub(world, `/api/itrans/claims/${claimId}`);
    begin(
      "away",
      world.keepDoing(() => Promise.all(Array.from({ length: 20 }, read)), 200),
    );
  },
  async mend(world) {
    end("away");
    world.fronts.core.behave();
  },
};

/** Core answers the hub, late. */
const coreSlow: Proof = {
  alerts: ["latency", "latency-critical"],
  async cause(world) {
    world.fronts.core.behave(({ path }) =>
      path.startsWith("/claims/") ? { type: "late", ms: 5_300 } : { type: "pass" },
    );
    const read = () => askHub(world, `/api/itrans/claims/${tampered.get("claim")}`);
    for (let wave = 0; wave < 6; wave++) {
      begin(
        `slow-${wave}`,
        world.keepDoing(() => Promise.all(Array.from({ length: 25 }, read)), 300),
      );
      await sleep(700);
    }
  },
  async mend(world) {
    for (let wave = 0; wave < 6; wave++) end(`slow-${wave}`);
    world.fronts.core.behave();
  },
};

const hubStopped: Proof = {
  alerts: ["hub-unhealthy", "hub-metrics-missing"],
  cause: (world) => world.stopHub(),
  // It comes back with another key than core has: what the next proof needs.
  mend: (world) => world.startHub({ secrets: { ITRANS_WORKFLOW_API_KEY: "not-the-key-that-core-has-1f" } }),
};

const submissionsFail: Proof = {
  alerts: ["auto-submit-failed", "auto-submit-failed-critical"],
  async cause(world) {
    let file = 0;
    begin(
      "submissions",
      world.keepDoing(() => fileClaims(world, 12, `refused-${++file}`), 1_000),
    );
  },
  async mend(world) {
    end("submissions");
    await world.stopHub();
    await world.startHub();
    await askHub(world, "/api/itrans/auto-submit/requeue", {});
  },
};

const hubCron: Proof = {
  alerts: ["hub-cron-silent"],
  cause: async ({ crons }) => {
    crons.hub = false;
  },
  mend: async ({ crons }) => {
    crons.hub = true;
  },
};

const CHANGE_BODY = "UPDATE ledger_entries SET body = ? WHERE seq = CAST(? AS INTEGER)";

const integrity: Proof = {
  alerts: ["ledger-integrity"],
  async cause(world) {
    const database = await world.core().database("itrans-core");
    // The newest: each answer of verification reads it again, the first ones of a longer ledger only the scrub does.
    const row = await database
      .prepare("SELECT seq, body FROM ledger_entries ORDER BY seq DESC LIMIT 1")
      .bind()
      .first<{ seq: number; body: string }>();
    const guard = await database
      .prepare("SELECT sql FROM sqlite_schema WHERE name = ?")
      .bind(UPDATES)
      .first<{ sql: string }>();
    const seq = String(row?.seq);
    tampered
      .set("seq", seq)
      .set("body", row?.body ?? "")
      .set("guard", guard?.sql ?? "");
    await run(database, `DROP TRIGGER ${UPDATES}`);
    await run(database, CHANGE_BODY, (row?.body ?? "").replace("T", " "), seq);
  },
  async mend(world) {
    const database = await world.core().database("itrans-core");
    await run(database, CHANGE_BODY, tampered.get("body") ?? "", tampered.get("seq") ?? "");
    await run(database, tampered.get("guard") ?? "");
  },
};

/** Claims arrive, signed with another secret than core has: all are refused, and nothing is appended. */
const noAppends: Proof = {
  alerts: ["ledger-stalled", "ledger-slow"],
  async cause(world) {
    // What is usual is known after an hour.
    await until("an hour was seen", () => world.upForMs() > HOUR_MS / world.scale + 3_000, 120_000);
    world.traffic(0);
    const unsigned = { ...signedSubmit(plainPayload("patient-1")), providerSignature: `0x${"0".repeat(64)}` };
    const refused = () => post(`${world.core().urls.core}/workflow/claims`, KEYS.workflow, unsigned);
    begin(
      "refused",
      world.keepDoing(() => Promise.all(Array.from({ length: 4 }, refused)), 150),
    );
  },
  async mend(world) {
    end("refused");
    // More than half of the usual, even where the machine is busier than before.
    world.traffic(4 * USUAL_TRAFFIC);
  },
};

const relayBroken: Proof = {
  alerts: ["relay-down"],
  cause: (world) => world.core().reload({ "itrans-relay": BROKEN_WORKER }),
  mend: (world) => world.core().reload(),
};

/** The chain makes no blocks. */
const chainStopped: Proof = {
  alerts: ["anchor-late", "anchor-stuck"],
  async cause(world) {
    await world.anvil.rpc("evm_setIntervalMining", [0]);
    await world.submit(20);
  },
  mend: ({ anvil }) => anvil.rpc("evm_setIntervalMining", [1]),
};

/** Entries come in the act alone: anchors that fall behind on a busy machine would open the alert by themselves. */
const noTraffic = async (world: World): Promise<void> => world.traffic(0);

/** As much as comes afterwards: what is usual then lies over the least that is compared, and no lower than before. */
async function muchTraffic(world: World): Promise<void> {
  world.traffic(4 * USUAL_TRAFFIC);
  await sleep(10_000);
}

const coreCron: Proof = {
  alerts: ["cron-silent"],
  cause: async ({ crons }) => {
    crons.core = false;
  },
  mend: async ({ crons }) => {
    crons.core = true;
  },
};

/** A database whose file is damaged: every query fails, whatever it asks. */
const databaseGone: Proof = {
  alerts: ["database-unreachable"],
  cause: async (world) =>
    damageFile(world, "UPDATE sqlite_schema SET sql = 'broken ' || sql WHERE name = 'ledger_heads'"),
  mend: async (world) => damageFile(world, "UPDATE sqlite_schema SET sql = substr(sql, 8) WHERE name = 'ledger_heads'"),
};

/** From beside the worker, as a fault of the disk would: the engine reads the schema again and can not make sense of it. */
function damageFile(world: World, statement: string): void {
  const directory = join(world.coreDataDir, "d1", "miniflare-D1DatabaseObject");
  const [name = ""] = readdirSync(directory).filter((file) => /^[0-9a-f]{64}\.sqlite$/.test(file));
  const file = new DatabaseSync(join(directory, name), { defensive: false });
  try {
    file.exec("PRAGMA writable_schema = ON");
    file.exec(statement);
    const { schema_version: version } = z
      .object({ schema_version: z.number() })
      .parse(file.prepare("PRAGMA schema_version").get());
    file.exec(`PRAGMA schema_version = ${version + 1}`);
  } finally {
    file.close();
  }
}

export interface Act {
  readonly name: string;
  /** What makes its alerts quiet where they would be open already. */
  readonly prepare?: (world: World) => Promise<unknown>;
  /** Of one act, only those whose causes do not touch each other's. */
  readonly proofs: readonly Proof[];
}

/** With minutes compressed. */
export const ACTS_OF_MINUTES: readonly Act[] = [
  { name: "strangers and sizes", proofs: [intake, sizes, collision] },
  { name: "a receiver that refuses", proofs: [callbacks] },
  { name: "the payer's operator fails", proofs: [operatorFails] },
  { name: "the payer's operator is gone", proofs: [operatorGone] },
  { name: "settlements that fail", proofs: [settlementsFail] },
  { name: "limits and lists", proofs: [operatorLimits] },
  { name: "a list that can not be read", proofs: [reconciliation] },
  { name: "core away from the hub", proofs: [coreAway] },
  { name: "core slow to the hub", proofs: [coreSlow] },
  { name: "the hub stopped", proofs: [hubStopped] },
  { name: "submissions refused", proofs: [submissionsFail] },
  { name: "the ledger", proofs: [integrity] },
  { name: "claims that are refused", prepare: muchTraffic, proofs: [noAppends] },
  { name: "the relay", proofs: [relayBroken] },
  { name: "the chain", prepare: noTraffic, proofs: [chainStopped] },
  { name: "the crons", proofs: [coreCron, hubCron] },
  { name: "the database", proofs: [databaseGone] },
];

type Holder = "itrans-core" | "medlink-hub";

const askHolder = (world: World, holder: Holder, path: string, body?: unknown) =>
  call(`${holder === "itrans-core" ? world.core().urls.core : `${world.hub().urls.hub}/api`}${path}`, {
    ...(body === undefined ? {} : { method: "POST", body }),
    headers: { "x-api-key": holder === "itrans-core" ? KEYS.operator : TEST_SECRETS.hub.HUB_OPERATOR_API_KEY },
  });

async function backUp(world: World, holder: Holder): Promise<void> {
  let name = "";
  await until(
    "a snapshot begins",
    async () => {
      const { status, body } = await askHolder(world, holder, "/operations/backups", {});
      // The night's own may be under way: one at a time.
      if (status === 409) return false;
      if (status !== 202) throw new Error(`${holder}: snapshot ${status} ${JSON.stringify(body)}`);
      name = String(Object(body).name);
      return true;
    },
    60_000,
  );
  await until(
    "the snapshot is good",
    async () => {
      await askHolder(world, holder, `/operations/backups/${name}/advance`, {});
      return Object((await askHolder(world, holder, `/operations/backups/${name}`)).body).state === "good";
    },
    60_000,
  );
}

const recordDrill = (world: World, startedAt: number) =>
  world.ask("/operations/restore-drills", {
    method: "POST",
    body: {
      snapshot: "snapshot-1",
      good: true,
      startedAt: new Date(startedAt).toISOString(),
      finishedAt: new Date(startedAt + 60_000).toISOString(),
      entries: 1,
      reason: null,
      report: {},
    },
  });

/** Nothing is done, and time goes by. */
const nothing = async (): Promise<void> => {};

/** Without a key to seal them under there are no snapshots. */
export const NO_BACKUP_KEY = { BACKUP_ENCRYPTION_KEY: "" };

const restartCore = async (world: World, secrets: Readonly<Record<string, string>> = {}): Promise<void> => {
  await world.stopCore();
  await world.startCore({ secrets });
};

const restartHub = async (world: World, secrets: Readonly<Record<string, string>> = {}): Promise<void> => {
  await world.stopHub();
  await world.startHub({ secrets });
};

const restart = { "itrans-core": restartCore, "medlink-hub": restartHub } as const;

/** The world was started without the key. */
const neverBackedUp: Proof = { alerts: ["backup-never"], cause: nothing, mend: (world) => restartCore(world) };
/** The world was started with the hub's cron at rest. */
const hubNeverBackedUp: Proof = { ...hubCron, alerts: ["hub-backup-never"] };

/** There is a snapshot, and it grows old. */
const backupsStopped: Proof = {
  alerts: ["backup-missing"],
  cause: (world) => restartCore(world, NO_BACKUP_KEY),
  async mend(world) {
    await restartCore(world);
    await backUp(world, "itrans-core");
  },
};

const hubBackupsStopped: Proof = {
  alerts: ["hub-backup-missing"],
  cause: hubCron.cause,
  async mend(world) {
    await hubCron.mend(world);
    await backUp(world, "medlink-hub");
  },
};

const noDrill: Proof = {
  alerts: ["restore-drill-old"],
  cause: (world) => recordDrill(world, Date.now() - 91 * DAY_MS),
  mend: (world) => recordDrill(world, Date.now()),
};

/** Somebody wrote over an object of a snapshot, which is found when its turn comes to be read again. */
const damagedBackup = (alert: string, holder: Holder): Proof => ({
  alerts: [alert],
  async cause(world) {
    const stack = holder === "itrans-core" ? world.core() : world.hub();
    const bucket = await stack.bucket(holder, "BACKUPS");
    const database = await stack.database(holder);
    const row = await database
      .prepare("SELECT path FROM backup_objects ORDER BY path")
      .bind()
      .first<{ path: string }>();
    const { objects } = await bucket.list();
    const damaged = objects.find(({ key }) => key.endsWith(row?.path ?? "no object"));
    if (damaged === undefined) throw new Error(`${row?.path} is not in the bucket`);
    await bucket.put(damaged.key, "not what was written");
    await run(database, "UPDATE backup_objects SET checked_at = ?", Date.now() - 31 * DAY_MS);
  },
  mend: nothing,
});

const STRAYS = 4;

/** Somebody fills a bucket with what is nobody's. */
const strayObjects: Proof = {
  alerts: ["bucket-growth"],
  async cause(world) {
    // What is usual is known after two days.
    await until("two days were seen", () => world.upForMs() > (2 * DAY_MS) / world.scale + 3_000, 120_000);
    const bucket = await world.core().bucket("itrans-core", "LEDGER");
    for (let n = 0; n < STRAYS; n++) await bucket.put(`stray/${n}`, new Uint8Array(BUCKET_DAILY_BYTES / 2));
  },
  async mend(world) {
    const bucket = await world.core().bucket("itrans-core", "LEDGER");
    for (let n = 0; n < STRAYS; n++) await bucket.delete(`stray/${n}`);
  },
};

/** With days compressed to seconds. */
export const ACTS_OF_DAYS: readonly Act[] = [
  { name: "no backup", proofs: [neverBackedUp, hubNeverBackedUp, noDrill] },
  { name: "an old backup", prepare: (world) => backUp(world, "itrans-core"), proofs: [backupsStopped] },
  { name: "a damaged backup", proofs: [damagedBackup("backup-damaged", "itrans-core")] },
  { name: "an old backup of the hub", prepare: (world) => backUp(world, "medlink-hub"), proofs: [hubBackupsStopped] },
  { name: "a damaged backup of the hub", proofs: [damagedBackup("hub-backup-damaged", "medlink-hub")] },
  { name: "a bucket that grows", proofs: [strayObjects] },
];

/** What core was rotated to. */
const heldByCore = new WeakMap<World, Readonly<Record<string, string>>>();

/**
 * Another value of the same form, and beside it the one that others still come with, as in the middle of a rotation: to core the
 * test does, with what the world began with; to the hub core does, with what it has now.
 */
function rotated(world: World, holder: Holder): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  // Core tells the age of the relay's too.
  const held = holder === "itrans-core" ? [...secretsOf(holder), ...secretsOf("itrans-relay")] : secretsOf(holder);
  for (const { name, form } of held) {
    const before = (holder === "medlink-hub" ? heldByCore.get(world)?.[name] : undefined) ?? world.secrets[name];
    if (before === undefined) continue;
    values[name] =
      form === "evm-private-key"
        ? `0x${randomBytes(32).toString("hex")}`
        : form === "ed25519-jwk-d"
          ? randomBytes(32).toString("base64url")
          : `${before.slice(0, -6)}${randomBytes(3).toString("hex")}`;
    values[`${name}_PREVIOUS`] = before;
  }
  if (holder === "itrans-core") heldByCore.set(world, values);
  return values;
}

const rotate = (holder: Holder) => (world: World) => restart[holder](world, rotated(world, holder));

/** Values that were new a moment ago grow old. */
const oldSecrets = (alert: string, holder: Holder): Act => ({
  name: `old secrets of ${holder}`,
  prepare: rotate(holder),
  proofs: [{ alerts: [alert], cause: nothing, mend: rotate(holder) }],
});

/** Nobody has rehearsed anything since the world began. */
const neverRehearsed: Proof = {
  alerts: ["restore-drill-never"],
  cause: nothing,
  mend: (world) => recordDrill(world, Date.now()),
};

/** With three months compressed to seconds. */
export const ACTS_OF_QUARTERS: readonly Act[] = [
  { name: "no drill", proofs: [neverRehearsed] },
  oldSecrets("secret-old", "itrans-core"),
  oldSecrets("hub-secret-old", "medlink-hub"),
];

export interface Transcript {
  readonly alert: string;
  /** What each receiver heard of it from its cause to its end, in order. */
  readonly heard: readonly Heard[];
  readonly faults: readonly string[];
}

/** What is not as it must be: each alert opens once, stays open, resolves once, at every receiver. */
export function faultsOf({ alert, heard, faults }: Transcript): readonly string[] {
  const found = faults.filter((fault) => fault.includes(alert) || fault.startsWith("standing"));
  for (const channel of CHANNEL_NAMES) {
    const kinds = heard.filter((one) => one.channel === channel && one.kind !== "escalated").map(({ kind }) => kind);
    if (kinds.join() !== "opened,resolved") found.push(`${alert}: ${channel} heard ${kinds.join() || "nothing"}`);
  }
  const keys = new Set(heard.flatMap(({ dedupKey }) => (dedupKey === undefined ? [] : [dedupKey])));
  if (keys.size !== 1) found.push(`${alert}: PagerDuty has ${keys.size} dedup keys for it`);
  return found;
}

const OPEN_MS = 120_000;
const RESOLVE_MS = 120_000;

async function areQuiet(world: World, names: readonly string[]): Promise<boolean> {
  // A core that is starting, or busy, says it the next time.
  const seen = await world.status().catch(() => undefined);
  if (seen === undefined) return false;
  const { alerts, notifications } = seen;
  const standing = alerts.filter(({ name, phase }) => names.includes(name) && phase !== "quiet");
  const waiting = notifications.filter(
    ({ id, state }) => state === "waiting" && names.some((name) => id.startsWith(`${name}/`)),
  );
  return standing.length === 0 && waiting.length === 0;
}

/** Causes, watches, mends, watches. What goes wrong is told by alert. */
export async function perform(world: World, act: Act, say: (line: string) => void): Promise<readonly Transcript[]> {
  const faults: string[] = [];
  const alerts = act.proofs.flatMap((proof) => proof.alerts);
  // What an act before this one left behind is over, and told, before this one begins.
  await act.prepare?.(world);
  await until(`${alerts.join()} are quiet`, () => areQuiet(world, alerts), RESOLVE_MS).catch((error: unknown) => {
    faults.push(String(error));
  });
  const from = world.receivers.heard.length;
  const startedAt = performance.now();
  const of = (alert: string) => world.receivers.heard.slice(from).filter((one) => one.alert === alert);
  const everywhere = (alert: string, kind: Heard["kind"]) =>
    CHANNEL_NAMES.every((channel) => of(alert).some((one) => one.channel === channel && one.kind === kind));
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  await Promise.all(act.proofs.map((proof) => attempt(`cause ${proof.alerts.join()}`, () => proof.cause(world))));
  const causedAt = performance.now();
  await Promise.all(
    alerts.map((alert) =>
      attempt(`open ${alert}`, () => until(`${alert} opens`, () => everywhere(alert, "opened"), OPEN_MS)),
    ),
  );
  const openedAt = performance.now();
  // Some evaluations more: it stays open and is not told again.
  await sleep(750);
  for (const proof of act.proofs) await attempt(`mend ${proof.alerts.join()}`, () => proof.mend(world));
  const mendedAt = performance.now();
  await Promise.all(
    alerts.map((alert) =>
      attempt(`resolve ${alert}`, () => until(`${alert} resolves`, () => everywhere(alert, "resolved"), RESOLVE_MS)),
    ),
  );
  const s = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  say(
    `${act.name}: caused in ${s(causedAt - startedAt)}, open after ${s(openedAt - causedAt)}, mended in ${s(mendedAt - openedAt)}, resolved after ${s(performance.now() - mendedAt)}`,
  );
  if (faults.length > 0) {
    const standing = await world.status().catch(() => undefined);
    const open = standing?.alerts
      .filter(({ phase }) => phase !== "quiet")
      .map(({ name, phase, value }) => `${name} ${phase} ${value}`);
    faults.push(`standing: ${open?.join("; ") ?? "core does not answer"}`);
  }
  return alerts.map((alert) => ({ alert, heard: of(alert), faults }));
}
