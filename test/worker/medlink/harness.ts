/** The hub with a core that the test writes, on a fresh database. */
import {
  applyD1Migrations,
  createExecutionContext,
  createMessageBatch,
  getQueueResult,
  waitOnExecutionContext,
} from "cloudflare:test";
import { env } from "cloudflare:workers";
import { sessionInsert, userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { newSession, SESSION_COOKIE } from "../../../src/medlink/accounts/session.ts";
import { consumeAutoSubmit } from "../../../src/medlink/auto-submit/auto-submit.consumer.ts";
import { sweepAutoSubmit } from "../../../src/medlink/auto-submit/auto-submit.cron.ts";
import { forgetAll } from "../../../src/medlink/cache/record-cache.edge.ts";
import type { AutoSubmitHint, HubEnv } from "../../../src/medlink/env.ts";
import { type Hub, startHub } from "../../../src/medlink/hub.edge.ts";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { SEED_TOKEN_HEADER, seedToken } from "../../../src/medlink/seed/seed-token.ts";
import worker from "../../../src/medlink/worker.ts";
import { signRelayBody } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";

declare global {
  namespace Cloudflare {
    interface Env extends HubEnv {
      readonly TEST_MIGRATIONS: Parameters<typeof applyD1Migrations>[1];
    }
  }
}

export const ORIGIN = "http://hub.test";
export const ADMIN = { email: "admin@clinic.test", password: "correct horse battery" };
export const INSURER_ADDRESS = "0x00000000000000000000000000000000000000aa";

export type CoreStub = (request: Request) => Response | Promise<Response>;

export interface SentHint {
  readonly jobId: string;
  readonly delaySeconds: number;
  readonly sentAt: number;
}

/** As wrangler.medlink.toml says. */
const HINTS_A_BATCH = 10;

/** A hub whose core is `core.answer` and whose queue only remembers what was sent. */
export class TestHub {
  readonly calls: { method: string; path: string; headers: Headers; body: string }[] = [];
  readonly hints: SentHint[] = [];
  /** The consumers' and the sweep's clock; undefined: the real one. Requests always have the real one. */
  clock: number | undefined;
  answer: CoreStub = () => new Response("{}", { status: 503 });
  readonly env: { -readonly [Name in keyof HubEnv]: HubEnv[Name] } & Record<string, unknown>;

  constructor(overrides: Record<string, unknown> = {}) {
    const core = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
      const request = new Request(input, init);
      const body = await request.clone().text();
      const { pathname: path } = new URL(request.url);
      this.calls.push({ method: request.method, path, headers: request.headers, body });
      return this.answer(request);
    };
    const queue = {
      send: async ({ jobId }: AutoSubmitHint, { delaySeconds }: { readonly delaySeconds: number }) => {
        this.hints.push({ jobId, delaySeconds, sentAt: this.now() });
      },
      sendBatch: async (messages: readonly { readonly body: AutoSubmitHint }[]) => {
        for (const { body } of messages) this.hints.push({ jobId: body.jobId, delaySeconds: 0, sentAt: this.now() });
      },
    };
    // Tests say themselves when the jobs run.
    const held = { LOG_LEVEL: "error", ITRANS_AUTO_SUBMIT_AT_ONCE: "false" };
    this.env = { ...env, ...held, CORE: { fetch: core }, AUTO_SUBMIT_QUEUE: queue, ...overrides };
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return worker.fetch(new Request(ORIGIN + path, init), this.bindings(), createExecutionContext());
  }

  /** As of now: a worker reads its bindings once. */
  bindings(): HubEnv {
    return { ...this.env };
  }

  /** Until what goes on after the answer has ended, too. */
  async fetchToTheEnd(path: string, init: RequestInit = {}): Promise<Response> {
    const context = createExecutionContext();
    const response = await worker.fetch(new Request(ORIGIN + path, init), this.bindings(), context);
    await waitOnExecutionContext(context);
    return response;
  }

  now(): number {
    return this.clock ?? Date.now();
  }

  /** The hub as an invocation has it, under this test's clock. */
  async hub(): Promise<Hub> {
    const started = await startHub(this.bindings(), () => undefined);
    if (!started.ok) throw new Error(started.detail);
    return { ...started.hub, now: () => this.now() };
  }

  /** Delivers the hints sent so far, due or not, in one batch; returns how many. */
  async runQueue(): Promise<number> {
    const hints = this.hints.splice(0);
    if (hints.length > 0) await this.deliver(hints);
    return hints.length;
  }

  async deliver(hints: readonly Pick<SentHint, "jobId">[]): Promise<void> {
    const batch = createMessageBatch(
      "auto-submit",
      hints.map(({ jobId }, i) => ({ id: `m${i}`, timestamp: new Date(), attempts: 1, body: { jobId } })),
    );
    if (this.clock === undefined) await worker.queue(batch, this.bindings());
    else await consumeAutoSubmit(await this.hub(), batch);
  }

  /**
   * Lets the clock run: hints come when they are due, ten a batch, and the sweep every minute.
   * @returns once `until` says so, or when the time is over.
   */
  async live(forMs: number, until: () => boolean = () => false): Promise<void> {
    const end = this.now() + forMs;
    let sweepAt = this.now() + 60_000;
    while (this.now() < end && !until()) {
      const now = this.now();
      const dueAt = (hint: SentHint): number => hint.sentAt + hint.delaySeconds * 1_000;
      const due = this.hints.filter((hint) => dueAt(hint) <= now).slice(0, HINTS_A_BATCH);
      if (due.length > 0) {
        for (const hint of due) this.hints.splice(this.hints.indexOf(hint), 1);
        await this.deliver(due);
        continue;
      }
      const next = Math.min(sweepAt, ...this.hints.map(dueAt));
      this.clock = Math.max(now, next);
      if (this.clock >= sweepAt) {
        sweepAt += 60_000;
        await this.sweep();
      }
    }
  }

  async deadLetter(body: unknown): Promise<readonly string[]> {
    const batch = createMessageBatch("auto-submit-dead-letters", [
      { id: "dead", timestamp: new Date(), attempts: 1, body },
    ]);
    const context = createExecutionContext();
    await worker.queue(batch, this.bindings());
    return (await getQueueResult(batch, context)).explicitAcks;
  }

  async sweep(): Promise<void> {
    if (this.clock !== undefined) {
      await sweepAutoSubmit(await this.hub());
      return;
    }
    await worker.scheduled({ cron: "* * * * *", scheduledTime: 0, noRetry: () => undefined }, this.bindings());
  }

  async seed(): Promise<Response> {
    return this.fetch("/api/dev/seed", {
      method: "POST",
      headers: { "content-type": "application/json", [SEED_TOKEN_HEADER]: seedToken(TEST_SECRETS.hub.SESSION_SECRET) },
      body: JSON.stringify({
        adminEmail: ADMIN.email,
        adminPassword: ADMIN.password,
        insurerAddress: INSURER_ADDRESS,
      }),
    });
  }

  /** A session made without the sign-in, whose password hash takes its time by design. */
  async signInAs(userId: string): Promise<Session> {
    const { db, random, sessionSecrets, now } = await this.hub();
    const { hash, cookie } = newSession(random, sessionSecrets[0]);
    const sessionId = `ses_${hash.slice(0, 24)}`;
    await sessionInsert(db, { hash, sessionId, userId, secondFactor: false, device: "test" }, now()).run();
    return new Session(this, `${SESSION_COOKIE}=${cookie}`);
  }

  async signIn(email: string = ADMIN.email, password: string = ADMIN.password): Promise<Session> {
    const response = await this.fetch("/api/auth/login", json("POST", { email, password }));
    if (response.status !== 200) throw new Error(`sign-in answered ${response.status}`);
    const cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    return new Session(this, cookie);
  }
}

/** The fields that tests take out of answers and use further. */
export interface ApiBody {
  readonly claimId: string;
  readonly patientId: string;
  readonly nextCursor: string | null;
  readonly claims: readonly { readonly claimId: string }[];
  readonly patients: readonly { readonly firstName: string }[];
  readonly timeline: readonly { readonly kind: string }[];
  readonly itransSubmission: { readonly jobId: string };
  readonly [field: string]: unknown;
}

export class Session {
  readonly hub: TestHub;
  readonly cookie: string;

  constructor(hub: TestHub, cookie: string) {
    this.hub = hub;
    this.cookie = cookie;
  }

  async call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    return this.hub.fetch(path, { ...init, headers: { ...init.headers, cookie: this.cookie, ...headers } });
  }

  /** Sends bytes or text that is not JSON. */
  async send(method: string, path: string, body: BodyInit, headers: Record<string, string>): Promise<Response> {
    return this.hub.fetch(path, { method, body, headers: { cookie: this.cookie, ...headers } });
  }

  async read(method: string, path: string, body?: unknown): Promise<{ status: number; body: ApiBody }> {
    const response = await this.call(method, path, body);
    return { status: response.status, body: await response.json<ApiBody>() };
  }
}

export const json = (method: string, body: unknown): RequestInit & { headers: Record<string, string> } => ({
  method,
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

/** Jobs, switches and what is known of core. */
export const forgetJobs = async (): Promise<void> => {
  await env.DB.exec(
    "DELETE FROM auto_submit_jobs; DELETE FROM settings; DELETE FROM hub_settings; DELETE FROM breakers;",
  );
};

export const forgetClaims = async (): Promise<void> => {
  await forgetJobs();
  await env.DB.exec("DELETE FROM attachments; DELETE FROM bulk_rows; DELETE FROM claim_events; DELETE FROM claims;");
};

/** Files share a worker and its database: each begins with an empty one. */
export async function migrate(): Promise<void> {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
  const tables = await env.DB.prepare(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'd1\\_%' ESCAPE '\\'
       AND name NOT LIKE '\\_cf%' ESCAPE '\\'`,
  ).all<{ name: string }>();
  await env.DB.batch([
    env.DB.prepare("PRAGMA defer_foreign_keys = ON"),
    ...tables.results.map(({ name }) => env.DB.prepare(`DELETE FROM "${name}"`)),
  ]);
  forgetAll();
}

export const CLAIM = {
  patientId: "pat_demo_1",
  providerId: "prv_demo_1",
  insurerId: "ins_demo_1",
  type: "claim",
  amount: "120.00",
  codes: ["01202", "11101"],
  notes: "planted-note-4711",
};

export const hashFor = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`;

let events = 0;

export interface EventOptions {
  readonly eventId?: string;
  readonly eventType?: string;
  readonly seq?: number;
  readonly decision?: string;
  readonly secret?: string;
  readonly timestamp?: number;
  readonly headers?: Record<string, string | undefined>;
  readonly body?: string;
}

/** A second clinic with its administrator, made without a sign-in. */
export async function otherClinic(hub: TestHub): Promise<Session> {
  const { db, fields, now } = await hub.hub();
  const user = { userId: "usr_x", clinicId: "cln_x", role: "admin", email: "x@other.test", name: "X" } as const;
  await db.batch([clinicUpsert(db, "cln_x", "Another clinic", 1), await userUpsert(db, fields, user, "none", now())]);
  return hub.signInAs("usr_x");
}

/** Posts an event as the relay does; every part can be spoiled. */
export async function postEvent(hub: TestHub, requestIdHash: string, options: EventOptions = {}): Promise<Response> {
  const eventType = options.eventType ?? "REQUEST_SUBMITTED";
  const eventId = options.eventId ?? `31337:0x${(++events).toString(16).padStart(64, "0")}:0:MEDLINK`;
  const seq = options.seq ?? events;
  const body =
    options.body ??
    JSON.stringify({
      eventId,
      eventType,
      chainId: null,
      contractAddress: null,
      blockNumber: null,
      blockHash: null,
      txHash: null,
      logIndex: null,
      requestIdHash,
      occurredAt: 1_800_000_000 + seq,
      data: {
        insurer: INSURER_ADDRESS,
        ...(options.decision === undefined ? {} : { decisionHash: "0x00", decision: options.decision }),
      },
      ledger: { id: "main", seq, entryHash: "ab".repeat(32) },
    });
  const timestamp = options.timestamp ?? Date.now();
  const headers: Record<string, string | undefined> = {
    "content-type": "application/json",
    "idempotency-key": eventId,
    "x-itrans-relay-event-id": eventId,
    "x-itrans-relay-event-type": eventType,
    "x-itrans-relay-timestamp": String(timestamp),
    "x-itrans-relay-signature": signRelayBody(
      timestamp,
      body,
      options.secret ?? TEST_SECRETS.hub.ITRANS_WEBHOOK_SIGNING_SECRET,
    ),
    ...options.headers,
  };
  const sent = Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  return hub.fetch("/api/itrans/webhooks/workflow", { method: "POST", headers: sent, body });
}
