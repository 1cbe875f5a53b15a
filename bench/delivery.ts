/**
 * `npm run bench -- --only delivery`: deliveries a second of the real relay, with its leases and records, beside a worker that does
 * nothing but sign and post: the same events, as many at once, to the same receiver, in turn. The data is kept in memory where
 * the machine has a file system for it: D1 is no disk of the machine that posts, and here each commit would stop the posts for one.
 */
import { fork } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Log, LogLevel, Miniflare } from "miniflare";
import * as z from "zod";
import { bundleWorker } from "../scripts/lib/bundle.ts";
import { call, summaryOf } from "../scripts/lib/http.ts";
import type { Database } from "../scripts/lib/migrate.ts";
import { claimPorts } from "../scripts/lib/ports.ts";
import { completeSecrets } from "../scripts/lib/secrets-file.ts";
import { type Stack, startStack, workerSite } from "../scripts/lib/stack.ts";
import { relaySettingsSchema } from "../src/platform/settings.ts";
import { webhookBody } from "../src/relay/events.ts";

export const DELIVERY_MUST = 0.5;

const EVENTS = 2_000;
const ROWS_A_STATEMENT = 1_000;
const MEMORY = "/dev/shm";
const PATIENCE_MS = 60_000;

export interface DeliveryFigures {
  readonly events: number;
  /** Posts under way at once. */
  readonly slots: number;
  readonly relayPerSecond: number;
  readonly barePerSecond: number;
  readonly rounds: readonly { readonly relay: number; readonly bare: number }[];
  readonly ratio: number;
  readonly held: boolean;
}

interface Receiver {
  readonly url: string;
  seen(): Promise<{ readonly posts: number; readonly lastAt: number }>;
  end(): void;
}

const seenSchema = z.object({ posts: z.number(), lastAt: z.number() });

async function startReceiver(): Promise<Receiver> {
  const child = fork(join(import.meta.dirname, "receiver.ts"), { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout?.once("data", (line: Buffer) => resolve(Number(line.toString())));
    child.once("exit", (code) => reject(new Error(`the receiver ended with ${code}`)));
  });
  const url = `http://127.0.0.1:${port}/`;
  return {
    url,
    seen: async () => seenSchema.parse((await call(url)).body),
    end: () => child.kill(),
  };
}

const bodyOf = (event: string): string =>
  webhookBody(
    {
      eventId: `31337:0x${event}:0:MEDLINK`,
      eventType: "REQUEST_SUBMITTED",
      requestIdHash: `0x${event.padStart(64, "0")}`,
      occurredAt: 1_790_000_000,
      data: {
        payloadHash: `0x${"ab".repeat(32)}`,
        submitter: "workflow",
        insurer: "0x00000000000000000000000000000000000000b1",
        requestType: "CLAIM",
      },
      ledger: { id: "main", seq: 1, entryHash: "cd".repeat(32) },
    },
    undefined,
  );

/** Due rows, each a lane of its own, as commits would have left them. */
async function fillOutbox(database: Database, round: number): Promise<void> {
  for (let from = 0; from < EVENTS; from += ROWS_A_STATEMENT) await fillPart(database, round, from);
}

async function fillPart(database: Database, round: number, from: number): Promise<void> {
  const rows = Array.from({ length: ROWS_A_STATEMENT }, (_, i) => {
    const event = `${round}f${from + i}`;
    return [`31337:0x${event}:0:MEDLINK`, event, bodyOf(event)];
  });
  await database
    .prepare(
      `INSERT INTO outbox (event_id, event_type, ledger_id, seq, subject, tenant_id, destination_id, state, due_at, body,
         correlation_id, created_at)
       SELECT value ->> 0, 'REQUEST_SUBMITTED', 'main', 1, value ->> 1, 'default', 'medlink', 'due', 0, value ->> 2,
         'correlation', 0 FROM json_each(?)`,
    )
    .bind(JSON.stringify(rows))
    .run();
}

/** @returns events a second, from the sweep that finds the rows to the last arrival. */
async function relayRound(stack: Stack, receiver: Receiver, round: number): Promise<number> {
  const database = await stack.database("itrans-core");
  await fillOutbox(database, round);
  const before = await receiver.seen();
  const startedAt = Date.now();
  await stack.scheduled("itrans-core");
  for (const until = startedAt + PATIENCE_MS; ; await sleep(100)) {
    if ((await receiver.seen()).posts >= before.posts + EVENTS) break;
    if (Date.now() > until) throw new Error("the relay did not deliver everything");
  }
  const { lastAt, posts } = await receiver.seen();
  if (posts !== before.posts + EVENTS) throw new Error("an event was delivered twice");
  const left = "SELECT COUNT(*) AS n FROM outbox WHERE state <> 'delivered'";
  for (let look = 0; (await database.prepare(left).first("n")) !== 0; look++) {
    if (look === 50) throw new Error("deliveries were not recorded");
    await sleep(100);
  }
  return (1_000 * EVENTS) / (lastAt - startedAt);
}

async function bareRound(url: string, receiver: Receiver, slots: number): Promise<number> {
  const startedAt = Date.now();
  const query = new URLSearchParams({ count: String(EVENTS), slots: String(slots), url: receiver.url });
  const answer = await call(`${url}/?${query}`, {
    method: "POST",
    body: JSON.parse(bodyOf("bare")),
    timeoutMs: PATIENCE_MS,
  });
  if (answer.status !== 200) throw new Error(summaryOf(answer));
  const { lastAt } = await receiver.seen();
  return (1_000 * EVENTS) / (lastAt - startedAt);
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

export async function benchDelivery(rounds: number, progress: (text: string) => void): Promise<DeliveryFigures> {
  const dataDir = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "bench-delivery-"));
  const slots = relaySettingsSchema.parse({}).RELAY_SLOTS;
  const receiver = await startReceiver();
  const { bare: port } = await claimPorts({ bare: 0 });
  const relay = workerSite("itrans-relay");
  progress("delivery: starting");
  const stack = await startStack({
    dataDir,
    ports: { core: 0, relay: 0, hub: 0 },
    secrets: completeSecrets([{}]),
    settings: () => ({
      "itrans-core": {
        LOG_LEVEL: "warn",
        RELAY_MEDLINK_WEBHOOK_URL: receiver.url,
        RELAY_MEDLINK_REQUESTS_PER_MINUTE: "1000000",
      },
      "itrans-relay": { LOG_LEVEL: "warn" },
    }),
  });
  const bare = new Miniflare({
    name: "bare",
    compatibilityDate: relay.options.compatibilityDate,
    compatibilityFlags: relay.options.compatibilityFlags,
    modules: [
      {
        type: "ESModule",
        path: "bare.js",
        contents: await bundleWorker(join(import.meta.dirname, "workers", "sign-and-post.ts")),
      },
    ],
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
    cf: false,
    log: new Log(LogLevel.NONE),
  });
  try {
    await bare.ready;
    await makeDestination(stack, receiver.url);
    const url = `http://127.0.0.1:${port}`;
    const measured: { relay: number; bare: number }[] = [];
    // Round 0 warms both.
    for (let round = 0; round <= rounds; round++) {
      const one = { bare: await bareRound(url, receiver, slots), relay: await relayRound(stack, receiver, round) };
      if (round > 0) measured.push(one);
      progress(
        `delivery: round ${round} of ${rounds}: relay ${Math.round(one.relay)}/s, bare ${Math.round(one.bare)}/s`,
      );
    }
    const relayPerSecond = median(measured.map((one) => one.relay));
    const barePerSecond = median(measured.map((one) => one.bare));
    const ratio = median(measured.map((one) => one.relay / one.bare));
    return {
      events: EVENTS,
      slots,
      relayPerSecond,
      barePerSecond,
      rounds: measured.map((one) => ({ relay: Math.round(one.relay), bare: Math.round(one.bare) })),
      ratio,
      held: ratio >= DELIVERY_MUST,
    };
  } finally {
    await Promise.all([stack.dispose(), bare.dispose()]);
    receiver.end();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** The destination of the settings is written with the first commit; this bench commits nothing. */
async function makeDestination(stack: Stack, url: string): Promise<void> {
  const database = await stack.database("itrans-core");
  await database
    .prepare(
      `INSERT INTO destinations (destination_id, tenant_id, kind, url, deliver_after, event_types, requests_per_minute, timeout_ms,
         state, created_at, updated_at)
       VALUES ('medlink', 'default', 'MEDLINK', ?, 'commit', '["REQUEST_SUBMITTED"]', 1000000, 8000, 'active', 0, 0)`,
    )
    .bind(url)
    .run();
}

export function deliveryReport({ relayPerSecond, barePerSecond, slots, ratio }: DeliveryFigures): string {
  const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString("en").padStart(12);
  return [
    `deliveries, ${slots} posts at once   per second`,
    `relay                       ${rate(relayPerSecond)}`,
    `bare signed POST            ${rate(barePerSecond)}`,
    `relay of the bare loop: ${(100 * ratio).toFixed(0)} % (at least ${100 * DELIVERY_MUST} %)`,
  ].join("\n");
}
