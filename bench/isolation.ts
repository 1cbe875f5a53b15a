/**
 * `node bench/isolation.ts`: what one dead destination costs the others, on the real thing. Claims go in at a steady rate for two
 * tenants' insurers; one run has a third whose endpoint never answers. Measured is the time from commit to arrival at the others.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import * as z from "zod";
import { call, summaryOf } from "../scripts/lib/http.ts";
import { completeSecrets } from "../scripts/lib/secrets-file.ts";
import { startStack } from "../scripts/lib/stack.ts";
import { signProviderPayload } from "../src/platform/signature.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "40" }, "per-second": { type: "string", default: "20" } },
});
const seconds = Number(values.seconds);
const perSecond = Number(values["per-second"]);
const MUST = 1.2;

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
    const submit = async (insurerAddress: string) => {
      const offchainPayload = { patientId: "p", providerId: "d", services: [], totalAmount: 1, type: "claim" };
      const providerSignature = signProviderPayload(offchainPayload, secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "");
      const answer = await call(`${core}/workflow/claims`, {
        method: "POST",
        headers: { "x-api-key": secrets.WORKFLOW_API_KEY ?? "" },
        body: { insurerAddress, offchainPayload, providerSignature },
      });
      const { requestIdHash } = submitted.parse(answer.body);
      if (insurerAddress !== DEAD) committed.set(requestIdHash, performance.now());
    };
    const startedAt = performance.now();
    const calls: Promise<void>[] = [];
    for (let i = 0; performance.now() - startedAt < seconds * 1_000; i++) {
      calls.push(submit(OTHERS[i % 2] ?? OTHERS[0]));
      if (withDead && i % 4 === 0) calls.push(submit(DEAD));
      await sleep(Math.max(0, startedAt + ((i + 1) * 1_000) / perSecond - performance.now()));
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

function figures(delays: readonly number[]) {
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN);
  return { deliveries: sorted.length, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
}

const alone = figures(await run(false));
const beside = figures(await run(true));
const again = figures(await run(false));
const reference = (alone.p95Ms + again.p95Ms) / 2;
console.log(JSON.stringify({ alone, beside, again, ratio: beside.p95Ms / reference }, null, 2));
process.exit(beside.p95Ms <= reference * MUST ? 0 : 1);
