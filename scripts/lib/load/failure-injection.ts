/**
 * Failures on purpose, each with what must hold in spite of it. What only refuses a call is tried anywhere; a receiver that fails, and
 * the runtime killed with claims under way, only on a system of its own.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import { exampleBody } from "../events-doc.ts";
import { Failure } from "../fail.ts";
import { call, summaryOf } from "../http.ts";
import { type System, startSystem } from "../system.ts";
import { durationMs } from "./settings.ts";

export interface Check {
  readonly name: string;
  readonly pass: boolean;
  readonly saw: string;
}

export interface InjectedFailures {
  readonly checks: readonly Check[];
}

export interface InjectionOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly elsewhere: { readonly coreUrl: string; readonly hubUrl: string } | undefined;
  readonly say: (line: string) => void;
}

interface Site {
  readonly coreUrl: string;
  readonly hubUrl: string;
  readonly workflowKey: string;
  readonly providerSecret: string;
}

/** Of the load's own, so that nobody's MedLink is called about it. */
const TENANT = "load";
const INSURER = "0x00000000000000000000000000000000000000f1";
const PATIENCE_MS = 120_000;

const submittedSchema = z.looseObject({ requestIdHash: z.string() });
const eventSchema = z.looseObject({ eventId: z.string(), eventType: z.string(), requestIdHash: z.string() });

function submission(providerSecret: string, externalRequestId: string) {
  const offchainPayload = {
    patientId: "patient-1",
    providerId: "provider-1",
    services: [{ code: "11101", description: "Scaling", quantity: 1, unitPrice: 120 }],
    totalAmount: 120,
    insurerId: "insurer-1",
    notes: "",
    type: "claim",
  };
  return {
    insurerAddress: INSURER,
    externalRequestId,
    offchainPayload,
    providerSignature: signProviderPayload(offchainPayload, providerSecret),
  };
}

export async function injectFailures({ environment, elsewhere, say }: InjectionOptions): Promise<InjectedFailures> {
  const checks: Check[] = [];
  const check = (name: string, pass: boolean, saw: string): void => {
    checks.push({ name, pass, saw });
    say(`${pass ? "pass" : "FAIL"}  ${name}: ${saw}`);
  };
  if (elsewhere !== undefined) {
    const given = (name: string): string => {
      const value = environment[name] ?? "";
      if (value === "") throw new Failure(`set ${name}: the system that is named needs it`);
      return value;
    };
    await refusals({ ...elsewhere, workflowKey: given("WORKFLOW_API_KEY"), providerSecret: "not the secret" }, check);
    return { checks };
  }
  const claims = Number(environment.FAILURE_CLAIMS ?? "20");
  const outageMs = durationMs(environment.FAILURE_OUTAGE ?? "5s");
  if (!Number.isInteger(claims) || claims < 1 || claims > 1_000) throw new Failure("FAILURE_CLAIMS: 1 to 1000");
  if (outageMs === undefined) throw new Failure("FAILURE_OUTAGE is no duration such as 5s");
  const directory = mkdtempSync(join(tmpdir(), "failures-"));
  const start = () =>
    startSystem({
      dataDir: join(directory, "data"),
      secretsFile: join(directory, "secrets"),
      environment: { LOG_LEVEL: "error", ...environment },
      ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
    });
  let system = await start();
  const receiver = await startReceiver();
  try {
    const { stack, secrets } = system;
    const workflowKey = secrets.WORKFLOW_API_KEY ?? "";
    await refusals(
      { coreUrl: stack.urls.core, hubUrl: stack.urls.hub, workflowKey, providerSecret: "not the secret" },
      check,
    );
    const access = await prepare(system, receiver.url);
    receiver.failing = true;
    const first = await submitAll(system, access.submitKey, claims, check);
    await sleep(outageMs);
    check(
      "a receiver that is out is tried, and takes nothing",
      receiver.refused > 0,
      `${receiver.refused} posts refused`,
    );
    receiver.failing = false;
    await decideAll(system, access.insurerKey, first);
    await delivered(receiver, first, 3);
    check("after the outage every event arrives, once and in order", ...receiver.verdict(first, 3));

    say("killing the runtime with claims under way");
    const answered: string[] = [];
    const cutOff = submitAll(
      system,
      access.submitKey,
      claims,
      () => {},
      (hash) => answered.push(hash),
    );
    cutOff.catch(() => {});
    // In the middle: some are answered, and some are not.
    for (let looks = 0; looks < 200 && answered.length < claims / 4; looks++) await sleep(10);
    process.kill(stack.workerdPid(), "SIGKILL");
    await cutOff.catch(() => []);
    await system.dispose();
    system = await start();
    const again = await submitAll(system, access.submitKey, claims, check);
    await decideAll(system, access.insurerKey, again);
    await delivered(receiver, [...first, ...again], 3);
    check(
      "after a kill every answered claim is called back, once and in order",
      ...receiver.verdict([...first, ...again], 3),
    );
    const verified = await call(`${system.stack.urls.core}/ledger/verify`);
    check("after a kill the ledger verifies", verified.status === 200, summaryOf(verified).slice(0, 80));
  } finally {
    await system.dispose();
    await receiver.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
  return { checks };
}

type SayCheck = (name: string, pass: boolean, saw: string) => void;

/** Calls that must change nothing. */
async function refusals(site: Site, check: SayCheck): Promise<void> {
  const post = (url: string, headers: Readonly<Record<string, string>>, body: unknown) =>
    call(url, { method: "POST", headers, body });
  const url = `${site.coreUrl}/workflow/claims`;
  const body = submission(site.providerSecret, `refused-${randomUUID()}`);
  const noKey = await post(url, {}, body);
  check("a call without a key is refused", noKey.status === 401, `${noKey.status}`);
  const wrongKey = await post(url, { "x-api-key": "not-a-key-of-this-system" }, body);
  check("a wrong key is refused", wrongKey.status === 401, `${wrongKey.status}`);
  const forged = await post(url, { "x-api-key": site.workflowKey }, body);
  check("a forged provider signature is refused", forged.status === 400 || forged.status === 401, `${forged.status}`);
  const broken = await post(url, { "x-api-key": site.workflowKey }, { insurerAddress: "nobody" });
  check("a body that is none is refused", broken.status === 400, `${broken.status}`);
  const webhook = await post(
    `${site.hubUrl}/api/itrans/webhooks/workflow`,
    {
      "x-itrans-relay-timestamp": String(Date.now()),
      "x-itrans-relay-signature": `hmac-sha256=${"0".repeat(64)}`,
      "x-itrans-relay-event-id": "forged",
      "x-itrans-relay-event-type": "REQUEST_SUBMITTED",
    },
    JSON.parse(exampleBody("REQUEST_SUBMITTED")),
  );
  check("a forged webhook is refused", webhook.status === 401 || webhook.status === 400, `${webhook.status}`);
}

interface Access {
  readonly submitKey: string;
  readonly insurerKey: string;
}

async function prepare({ stack, secrets }: System, receiverUrl: string): Promise<Access> {
  const headers = { "x-api-key": secrets.OPERATOR_API_KEY ?? "" };
  const ask = async (method: "POST" | "PUT", path: string, body: unknown): Promise<unknown> => {
    const answer = await call(`${stack.urls.core}${path}`, { method, headers, body });
    if (answer.status !== 200 && answer.status !== 201) throw new Failure(`${path}: ${summaryOf(answer)}`);
    return answer.body;
  };
  await ask("POST", "/tenants", { tenantId: TENANT, name: "Load tests" });
  const key = async (scopes: readonly string[]): Promise<string> =>
    z
      .looseObject({ key: z.string() })
      .parse(await ask("POST", `/tenants/${TENANT}/keys`, { surface: "workflow", scopes })).key;
  const access = { submitKey: await key(["submit", "read"]), insurerKey: await key(["read", "adjudicate"]) };
  await ask("PUT", "/relay/destinations/failures", {
    kind: "INSURER",
    tenantId: TENANT,
    insurerAddress: INSURER,
    url: receiverUrl,
    secret: randomUUID() + randomUUID(),
    deliverAfter: "commit",
    requestsPerMinute: 100_000,
  });
  return access;
}

/** Each twice: a resend is the same request. @param onAnswered told of each as soon as it was answered. */
async function submitAll(
  { stack, secrets }: System,
  key: string,
  count: number,
  check: SayCheck,
  onAnswered: (hash: string) => void = () => {},
): Promise<readonly string[]> {
  const headers = { "x-api-key": key };
  const url = `${stack.urls.core}/workflow/claims`;
  const twice = await Promise.all(
    Array.from({ length: count }, async () => {
      const body = submission(secrets.PROVIDER_SIGNATURE_HMAC_SECRET ?? "", randomUUID());
      const post = async (): Promise<string> => {
        const answer = await call(url, { method: "POST", headers, body });
        const parsed = submittedSchema.safeParse(answer.body);
        if (!parsed.success) throw new Failure(`a submit failed: ${summaryOf(answer)}`);
        return parsed.data.requestIdHash;
      };
      const hash = await post();
      onAnswered(hash);
      return { hash, same: (await post()) === hash };
    }),
  );
  const same = twice.filter((each) => each.same).length;
  check("a resend is the same request", same === count, `${same} of ${count}`);
  return twice.map(({ hash }) => hash);
}

async function decideAll({ stack }: System, key: string, hashes: readonly string[]): Promise<void> {
  const headers = { "x-api-key": key };
  for (const hash of hashes) {
    for (const [action, body] of [
      ["acknowledge", {}],
      ["adjudicate", { decision: "APPROVED" }],
    ] as const) {
      const answer = await call(`${stack.urls.core}/workflow/requests/${hash}/${action}`, {
        method: "POST",
        headers,
        body,
      });
      if (answer.status !== 200) throw new Failure(`${action}: ${summaryOf(answer)}`);
    }
  }
}

interface Receiver {
  readonly url: string;
  failing: boolean;
  refused: number;
  /** How many events of these requests were taken. */
  taken(hashes: readonly string[]): number;
  verdict(hashes: readonly string[], events: number): readonly [boolean, string];
  dispose(): Promise<void>;
}

const ORDER = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"];

async function startReceiver(): Promise<Receiver> {
  const seen = new Map<string, string[]>();
  const known = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (receiver.failing) {
        receiver.refused += 1;
        response.writeHead(503).end();
        return;
      }
      const event = eventSchema.safeParse(JSON.parse(Buffer.concat(chunks).toString("utf8")));
      if (event.success && !known.has(event.data.eventId)) {
        known.add(event.data.eventId);
        seen.set(event.data.requestIdHash, [...(seen.get(event.data.requestIdHash) ?? []), event.data.eventType]);
      }
      response.writeHead(200).end();
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
    });
  });
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/`,
    failing: false,
    refused: 0,
    taken: (hashes) => hashes.reduce((sum, hash) => sum + (seen.get(hash)?.length ?? 0), 0),
    verdict(hashes, events) {
      const right = hashes.filter((hash) => (seen.get(hash) ?? []).join() === ORDER.slice(0, events).join());
      return [right.length === hashes.length, `${right.length} of ${hashes.length} requests`];
    },
    dispose: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return receiver;
}

async function delivered(receiver: Receiver, hashes: readonly string[], events: number): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  while (receiver.taken(hashes) < hashes.length * events && performance.now() < until) await sleep(200);
}
