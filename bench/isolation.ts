/**
 * `npm run bench -- --only isolation`: what one dead destination costs the others, on the real thing. Claims go in at a steady rate for two
 * tenants' insurers; one run has a third whose endpoint never answers. Measured is the time from commit to arrival at the others.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { completeSecrets } from "../scripts/lib/secrets-file.ts";
import { startStack } from "../scripts/lib/stack.ts";
import { signProviderPayload } from "../src/platform/signature.ts";

export const ISOLATION_MUST = 1.2;

const SECONDS = 30;
const PER_SECOND = 20;

const DEAD = "0x00000000000000000000000000000000000000dd";
const OTHERS = ["0x00000000000000000000000000000000000000a1", "0x00000000000000000000000000000000000000a2"] as const;

interface Listening {
  readonly url: string;
  readonly server: Server;
}

async function listen(handle: (body: string | undefined) => boolean): Promise<Listening> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (handle(Buffer.concat(chunks).toString())) response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return { url: `http://127.0.0.1:${address.port}/webhooks`, server };
}

async function run(withDead: boolean): Promise<readonly number[]> {
  const dataDir = mkdtempSync(join(tmpdir(), "isolation-"));
  const secrets = completeSecrets([{}]);
  const arrived = new Map<string, number>();
  const eventSchema = z.looseObject({ requestIdHash: z.string() });
  const receiver = await listen((body) => {
    arrived.set(eventSchema.parse(JSON.parse(body ?? "")).requestIdHash, performance.now());
    return true;
  });
  const dead = await listen(() => false);
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
  try {
    const { core } = stack.urls;
    const put = async (id: string, insurerAddress: string, url: string) => {
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
    await put("dead", DEAD, dead.url);
    const committed = new Map<string, number>();
    const submitted = z.looseObject({ requestIdHash: z.string() });
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
    const submit = async (insurerAddress: string) => {
      submits += 1;
      const externalRequestId = `isolation-${submits}`;
      const offchainPayload = { patientId: "p", providerId: "d", services: [], totalAmount: 1, type: "claim" };
      const providerSignature = signProviderPayload(offchainPayload, secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "");
      const answer = await post({ insurerAddress, offchainPayload, providerSignature, externalRequestId });
      const { requestIdHash } = submitted.parse(answer.body);
      if (insurerAddress !== DEAD) committed.set(requestIdHash, performance.now());
    };
    const startedAt = performance.now();
    const calls: Promise<void>[] = [];
    for (let i = 0; performance.now() - startedAt < SECONDS * 1_000; i++) {
      calls.push(submit(OTHERS[i % 2] ?? OTHERS[0]));
      if (withDead && i % 4 === 0) calls.push(submit(DEAD));
      await sleep(Math.max(0, startedAt + ((i + 1) * 1_000) / PER_SECOND - performance.now()));
    }
    await Promise.all(calls);
    for (let i = 0; i < 200 && [...committed.keys()].some((hash) => !arrived.has(hash)); i++) await sleep(100);
    // The webhook can overtake the answer to the submit: that is no delay at all.
    return [...committed].map(([hash, at]) => Math.max(0, (arrived.get(hash) ?? Number.POSITIVE_INFINITY) - at));
  } finally {
    await stack.dispose();
    for (const { server } of [receiver, dead]) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(dataDir, { recursive: true, force: true });
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
  const at = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN);
  return { deliveries: sorted.length, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

export interface IsolationFigures {
  /** Without the dead destination: before and after the run with it. */
  readonly alone: Delays;
  readonly again: Delays;
  readonly beside: Delays;
  /** Of the p95. */
  readonly ratio: number;
  readonly held: boolean;
}

export async function benchIsolation(progress: (text: string) => void): Promise<IsolationFigures> {
  progress("isolation: without a dead destination");
  const alone = figures(await run(false));
  progress("isolation: beside a dead destination");
  const beside = figures(await run(true));
  progress("isolation: without a dead destination, again");
  const again = figures(await run(false));
  const ratio = beside.p95Ms / ((alone.p95Ms + again.p95Ms) / 2);
  return { alone, again, beside, ratio, held: ratio <= ISOLATION_MUST };
}

export function isolationReport({ alone, again, beside, ratio }: IsolationFigures): string {
  const line = (name: string, { p50Ms, p95Ms, p99Ms }: Delays): string =>
    `${name.padEnd(30)}${[p50Ms, p95Ms, p99Ms].map((ms) => String(ms).padStart(9)).join("")}`;
  return [
    `${"from commit to arrival, ms".padEnd(30)}${["p50", "p95", "p99"].map((name) => name.padStart(9)).join("")}`,
    line("others, no dead destination", alone),
    line("others, beside a dead one", beside),
    line("others, no dead one, again", again),
    `p95 beside a dead destination over without: ${ratio.toFixed(2)} (at most ${ISOLATION_MUST})`,
  ].join("\n");
}
