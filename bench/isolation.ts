/**
 * `npm run bench -- --only isolation`: what one dead destination costs the others, on the real thing. Two systems side by side get the
 * same claims at the same moments, at a steady rate for three insurers; in one the third insurer's endpoint is dead, in the other it
 * answers. Measured is the time from commit to arrival at the other two. What else the machine does meets both alike.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { completeSecrets } from "../scripts/lib/secrets-file.ts";
import { startStack } from "../scripts/lib/stack.ts";
import { signProviderPayload } from "../src/platform/signature.ts";

export const ISOLATION_MUST = 1.2;

const SECONDS = 40;
const PER_SECOND = 20;
/** Every so manieth claim is followed by one for the third insurer. */
const THIRD_EVERY = 4;

const THIRD = "0x00000000000000000000000000000000000000dd";
const OTHERS = ["0x00000000000000000000000000000000000000a1", "0x00000000000000000000000000000000000000a2"] as const;

/** How the third insurer's endpoint is. */
export type Third = "answers" | "hangs" | "refuses" | "fails";

interface Listening {
  readonly url: string;
  close(): void;
}

async function listen(handle: (body: string, response: ServerResponse) => void): Promise<Listening> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handle(Buffer.concat(chunks).toString(), response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return {
    url: `http://127.0.0.1:${address.port}/webhooks`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function listenAs(third: Third): Promise<Listening> {
  const listening = await listen((_, response) => {
    if (third === "fails") response.writeHead(500);
    if (third !== "hangs") response.end("{}");
  });
  if (third === "refuses") listening.close();
  return listening;
}

interface System {
  submit(insurerAddress: string): Promise<void>;
  /** Resolves when everything for the other two has arrived, or after a while. */
  arrived(): Promise<void>;
  /** From commit to arrival at the other two, ms. */
  delays(): readonly number[];
  dispose(): Promise<void>;
}

const eventSchema = z.looseObject({ requestIdHash: z.string() });

async function startSystem(state: Third): Promise<System> {
  const dataDir = mkdtempSync(join(tmpdir(), "isolation-"));
  const secrets = completeSecrets([{}]);
  const arrivals = new Map<string, number>();
  const committed = new Map<string, number>();
  const receiver = await listen((body, response) => {
    arrivals.set(eventSchema.parse(JSON.parse(body)).requestIdHash, performance.now());
    response.end("{}");
  });
  const third = await listenAs(state);
  const stack = await startStack({
    dataDir,
    ports: { core: 0, relay: 0, hub: 0 },
    workers: ["itrans-core", "itrans-relay"],
    secrets,
    cronEveryMs: 1_000,
    settings: () => ({
      "itrans-core": { API_RATE_LIMIT_MAX_REQUESTS: "1000000", LOG_LEVEL: "warn" },
      "itrans-relay": { LOG_LEVEL: "warn" },
    }),
  });
  const { core } = stack.urls;
  const put = async (id: string, insurerAddress: string, url: string): Promise<void> => {
    const body = {
      kind: "INSURER",
      insurerAddress,
      url,
      secret: randomBytes(24).toString("hex"),
      deliverAfter: "commit",
      requestsPerMinute: 100_000,
    };
    const headers = { "x-api-key": secrets.OPERATOR_API_KEY ?? "" };
    const answer = await call(`${core}/relay/destinations/${id}`, { method: "PUT", headers, body });
    if (answer.status !== 201) throw new Error(summaryOf(answer));
  };
  await put("one", OTHERS[0], receiver.url);
  await put("two", OTHERS[1], receiver.url);
  await put("third", THIRD, third.url);
  // A connection that the runtime closed as the call was made: sent again, as clients do.
  const post = async (body: unknown) => {
    for (let tries = 1; ; tries++) {
      try {
        const headers = { "x-api-key": secrets.WORKFLOW_API_KEY ?? "" };
        return await call(`${core}/workflow/claims`, { method: "POST", headers, body });
      } catch (error) {
        if (tries === 4) throw error;
      }
    }
  };
  let submits = 0;
  return {
    async submit(insurerAddress) {
      submits += 1;
      const externalRequestId = `isolation-${submits}`;
      const offchainPayload = { patientId: "p", providerId: "d", services: [], totalAmount: 1, type: "claim" };
      const providerSignature = signProviderPayload(offchainPayload, secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "");
      const answer = await post({ insurerAddress, offchainPayload, providerSignature, externalRequestId });
      const { requestIdHash } = eventSchema.parse(answer.body);
      if (insurerAddress !== THIRD) committed.set(requestIdHash, performance.now());
    },
    async arrived() {
      for (let i = 0; i < 200 && [...committed.keys()].some((hash) => !arrivals.has(hash)); i++) await sleep(100);
    },
    // The webhook can overtake the answer to the submit: that is no delay at all.
    delays: () =>
      [...committed].map(([hash, at]) => Math.max(0, (arrivals.get(hash) ?? Number.POSITIVE_INFINITY) - at)),
    async dispose() {
      await stack.dispose();
      receiver.close();
      third.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The first seconds warm both. */
const WARM_SECONDS = 3;

async function runSideBySide(dead: Exclude<Third, "answers">): Promise<Pair> {
  const systems = [await startSystem("answers"), await startSystem(dead)] as const;
  try {
    const warmed = systems.map(() => 0);
    const calls: Promise<void>[] = [];
    const startedAt = performance.now();
    const total = (WARM_SECONDS + SECONDS) * PER_SECOND;
    for (let i = 0; i < total; i++) {
      if (i === WARM_SECONDS * PER_SECOND) {
        await Promise.all(calls);
        for (const [s, system] of systems.entries()) warmed[s] = system.delays().length;
      }
      const order = i % 2 === 0 ? systems : systems.toReversed();
      for (const system of order) {
        calls.push(system.submit(OTHERS[i % 2] ?? OTHERS[0]));
        if (i % THIRD_EVERY === 0) calls.push(system.submit(THIRD));
      }
      await sleep(Math.max(0, startedAt + ((i + 1) * 1_000) / PER_SECOND - performance.now()));
    }
    await Promise.all(calls);
    for (const system of systems) await system.arrived();
    const [without, beside] = systems.map((system, s) => figures(system.delays().slice(warmed[s])));
    if (without === undefined || beside === undefined) throw new Error("two systems give two figures");
    return { without, beside, ratio: beside.p95Ms / without.p95Ms };
  } finally {
    await Promise.all(systems.map((system) => system.dispose()));
  }
}

interface Delays {
  readonly deliveries: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

function figures(delays: readonly number[]): Delays {
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number) => {
    const ms = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
    return Math.round(ms * 10) / 10;
  };
  return { deliveries: sorted.length, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

interface Pair {
  readonly without: Delays;
  readonly beside: Delays;
  /** Of the p95. */
  readonly ratio: number;
}

export interface IsolationFigures {
  /** Beside a destination that is dead in this way. */
  readonly hangs: Pair;
  readonly refuses: Pair;
  readonly fails: Pair;
  readonly held: boolean;
}

export async function benchIsolation(progress: (text: string) => void): Promise<IsolationFigures> {
  progress("isolation: beside a destination that hangs");
  const hangs = await runSideBySide("hangs");
  progress("isolation: beside a destination that refuses connections");
  const refuses = await runSideBySide("refuses");
  progress("isolation: beside a destination that answers 500");
  const fails = await runSideBySide("fails");
  const held = [hangs, refuses, fails].every(({ ratio }) => ratio <= ISOLATION_MUST);
  return { hangs, refuses, fails, held };
}

export function isolationReport({ hangs, refuses, fails }: IsolationFigures): string {
  const line = (name: string, { p50Ms, p95Ms, p99Ms }: Delays, ratio = ""): string =>
    `${name.padEnd(38)}${[p50Ms, p95Ms, p99Ms].map((ms) => ms.toFixed(1).padStart(9)).join("")}${ratio.padStart(8)}`;
  const lines = ({ without, beside, ratio }: Pair, how: string): readonly string[] => [
    line("others, while the third answers", without),
    line(`others, while the third ${how}`, beside, ratio.toFixed(2)),
  ];
  return [
    `${"from commit to arrival, ms".padEnd(38)}${["p50", "p95", "p99"].map((name) => name.padStart(9)).join("")}${"ratio".padStart(8)}`,
    ...lines(hangs, "hangs"),
    ...lines(refuses, "refuses"),
    ...lines(fails, "answers 500"),
    `the ratio of each p95 is at most ${ISOLATION_MUST}`,
  ].join("\n");
}
