/**
 * Secrets rotated while claims are filed and webhooks go out, in the real stack: each step restarts the workers with the next values.
 * A connection that the restart breaks is tried again; an answer that refuses, or a delivery that is missing or signed by a value
 * that is not accepted, is a fault.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, call, summaryOf } from "../../../scripts/lib/http.ts";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { changesOf, STEPS } from "../../../scripts/lib/rotation.ts";
import { startStack } from "../../../scripts/lib/stack.ts";
import { signProviderPayload, signRelayBody } from "../../../src/platform/signature.ts";
import { HUB_ROTATED, rotateHubUnderLoad } from "./hub-rotation.ts";
import { startReceiver } from "./receiver.ts";
import { ANY_PORT, bundledOnce, INSURER_ADDRESS, plainPayload, secrets } from "./stack.ts";

/** Those of core and relay that a request, a delivery or what is stored rests on. */
export const ROTATED = [
  "WORKFLOW_API_KEY",
  "CLAIMS_API_KEY",
  "OPERATOR_API_KEY",
  "PROVIDER_SIGNATURE_HMAC_SECRET",
  "RELAY_WEBHOOK_SIGNING_SECRET",
  "PAYLOAD_MASTER_KEY",
  "DESTINATION_WRAPPING_KEY",
  "LEDGER_SIGNING_KEY",
  "AUDITOR_TOKEN",
  "METRICS_SCRAPE_TOKEN",
] as const;

const CONNECTION_TRIES = 100;

export interface Rotated {
  readonly faults: readonly string[];
  readonly filed: number;
  readonly delivered: number;
}

async function verifierKey(coreUrl: string): Promise<string> {
  const { body } = await call(`${coreUrl}/ledger/log/key`);
  const [key] =
    /[^\s"]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/.exec(typeof body === "string" ? body : JSON.stringify(body)) ?? [];
  if (key === undefined) throw new Error("the log names no key");
  return key;
}

/** @param filedPerStep claims between two restarts. */
export async function rotateUnderLoad(
  names: readonly string[],
  dataDir: string,
  filedPerStep: number,
): Promise<Rotated> {
  const faults: string[] = [];
  const values: Record<string, string> = { ...secrets };
  const receiver = await startReceiver();
  const coreSettings: Record<string, string> = {
    RELAY_MEDLINK_WEBHOOK_URL: `${receiver.url}/hook`,
    RELAY_MEDLINK_REQUESTS_PER_MINUTE: "100000",
    LEDGER_LOG_URL: "https://ledger.example/ledger/log",
  };
  const stack = await startStack({
    dataDir,
    ports: ANY_PORT,
    workers: ["itrans-core", "itrans-relay"],
    secrets: values,
    cronEveryMs: 500,
    script: bundledOnce(),
    settings: () => ({ "itrans-core": coreSettings }),
  });
  /** What a client holds: it learns of the new value some time after the switch. */
  const client = { ...secrets };
  const filed: string[] = [];
  const ask = async (method: "GET" | "POST", path: string, key: string, body?: unknown): Promise<Answer> => {
    for (let i = 1; ; i++) {
      try {
        return await call(`${stack.urls.core}${path}`, { method, headers: { "x-api-key": key }, body });
      } catch (error) {
        if (i === CONNECTION_TRIES) throw error;
        await sleep(100);
      }
    }
  };
  const file = async (): Promise<void> => {
    const id = `rotated-${filed.length}`;
    const offchainPayload = plainPayload(`patient-${filed.length}`);
    filed.push(id);
    const providerSignature = signProviderPayload(offchainPayload, client.PROVIDER_SIGNATURE_HMAC_SECRET ?? "");
    const body = { insurerAddress: INSURER_ADDRESS, offchainPayload, providerSignature, externalRequestId: id };
    const answer = await ask("POST", "/workflow/claims", client.WORKFLOW_API_KEY ?? "", body);
    // 200: it was taken before the connection broke.
    if (answer.status !== 201 && answer.status !== 200) faults.push(`filing ${id}: ${summaryOf(answer)}`);
  };
  const readAll = async (): Promise<void> => {
    for (const id of filed) {
      const answer = await ask("GET", `/workflow/requests/${id}`, client.WORKFLOW_API_KEY ?? "");
      if (answer.status !== 200) faults.push(`reading ${id}: ${summaryOf(answer)}`);
    }
  };
  try {
    for (let i = 0; i < filedPerStep; i++) await file();
    const oldKey = await verifierKey(stack.urls.core);
    const fresh = new Map(names.map((name) => [name, randomBytes(32).toString("base64url")]));
    for (const step of STEPS) {
      if (step === "retire") {
        for (let turn = 0, open = true; open && turn < 200; turn++) {
          const { body } = await ask("POST", "/operations/rewrap", client.OPERATOR_API_KEY ?? "");
          open = JSON.stringify(body).includes('"finished":false');
        }
      }
      // Checkpoints from before the overlap have the old key's signature alone.
      if (step === "retire" && names.includes("LEDGER_SIGNING_KEY")) coreSettings.LEDGER_RETIRED_KEYS = oldKey;
      for (const name of names) {
        const changes = changesOf(step, name, secrets[name] ?? "", fresh.get(name) ?? "");
        for (const [key, value] of changes.flatMap(({ set }) => Object.entries(set))) {
          if (value === null) delete values[key];
          else values[key] = value;
        }
      }
      // Filing goes on while the workers restart.
      let reloading = true;
      const load = (async () => {
        for (let i = 0; i < filedPerStep || reloading; i++) {
          await file();
          await sleep(20);
        }
      })();
      await stack.reload();
      reloading = false;
      await load;
      if (step === "switch") for (const name of names) client[name] = fresh.get(name) ?? "";
      await readAll();
    }
    const accepted = [secrets, values].map((one) => one.RELAY_WEBHOOK_SIGNING_SECRET ?? "");
    const seen = () =>
      new Set(receiver.posts.filter(({ status }) => status === 200).map((post) => post.requestIdHash)).size;
    for (const until = performance.now() + 60_000; seen() < filed.length && performance.now() < until; )
      await sleep(100);
    if (seen() !== filed.length) faults.push(`${seen()} of ${filed.length} requests were called back`);
    for (const { headers, body, eventId } of receiver.posts) {
      const timestamp = Number(headers["x-itrans-relay-timestamp"]);
      const signed = accepted.some(
        (secret) => signRelayBody(timestamp, body, secret) === headers["x-itrans-relay-signature"],
      );
      if (!signed) faults.push(`event ${eventId} is signed by none of the accepted values`);
    }
    const verified = await call(`${stack.urls.core}/ledger/verify`);
    if (verified.status !== 200) faults.push(`the ledger: ${summaryOf(verified)}`);
    return { faults, filed: filed.length, delivered: seen() };
  } finally {
    await stack.dispose();
    await receiver.dispose();
  }
}

const ALL = [...ROTATED, ...HUB_ROTATED];

export const rotationSuite: LongSuite = {
  name: "rotation",
  about: "each secret rotated by itself under load: no failed request, no lost delivery",
  pieces: ALL.length,
  async run({ seed, dataDir, say }) {
    const place = seed % ALL.length;
    const name = ALL[place] ?? ROTATED[0];
    if (place < ROTATED.length) {
      const { faults, filed, delivered } = await rotateUnderLoad([name], dataDir, 100);
      say(`${name}: ${filed} filed, ${delivered} called back, ${faults.length} faults`);
      return { faults, counts: { name, filed, delivered } };
    }
    const { faults, ...counts } = await rotateHubUnderLoad([name], dataDir, 10);
    say(`${name}: ${counts.filed} filed, ${counts.paid} paid, ${faults.length} faults`);
    return { faults, counts: { name, ...counts } };
  },
  summarize: (counts) => ({ rotations: counts }),
};
