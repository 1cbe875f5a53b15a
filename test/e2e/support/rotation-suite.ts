/**
 * Secrets rotated while claims are filed and webhooks go out, in the real stack: each step gives the workers the next values one after
 * the other, so that between two of them one has them and the other has not. The workers are one process here, so each such change
 * restarts them both. All that a client has a secret for is called all the while. A connection that a restart breaks is tried again;
 * an answer that refuses, or a delivery that is missing or signed by a value that is not accepted, is a fault.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, type CallOptions, call, summaryOf } from "../../../scripts/lib/http.ts";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { changesOf, endsOf, STEPS } from "../../../scripts/lib/rotation.ts";
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

const WORKERS = ["itrans-core", "itrans-relay"] as const;

/** A tenth of a second apart: a restart on a busy machine takes its time. */
const CONNECTION_TRIES = 900;

export interface Rotated {
  readonly faults: readonly string[];
  readonly filed: number;
  readonly delivered: number;
  /** Answers to calls that came with a client's value, by the secret. */
  readonly used: Readonly<Record<string, number>>;
}

/** Of a receiver that has a secret of its own, which is sealed in the database. */
const OWN_SECRET = "a-secret-of-the-insurer-0123456789-abcdef";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function verifierKey(coreUrl: string): Promise<string> {
  const { body } = await call(`${coreUrl}/ledger/log/key`, { headers: bearer(secrets.AUDITOR_TOKEN ?? "") });
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
  const accepted = new Set([secrets.RELAY_WEBHOOK_SIGNING_SECRET ?? ""]);
  const receiver = await startReceiver();
  const coreSettings: Record<string, string> = {
    RELAY_MEDLINK_WEBHOOK_URL: `${receiver.url}/hook`,
    RELAY_MEDLINK_REQUESTS_PER_MINUTE: "100000",
    LEDGER_LOG_URL: "https://ledger.example/ledger/log",
    // Whoever reads the log comes with the auditor's token.
    LEDGER_LOG_PUBLIC: "false",
  };
  const relaySettings: Record<string, string> = {};
  /** What each worker is given over the secrets it began with; an empty value is none. */
  const given = { "itrans-core": coreSettings, "itrans-relay": relaySettings };
  const stack = await startStack({
    dataDir,
    ports: ANY_PORT,
    workers: ["itrans-core", "itrans-relay"],
    secrets,
    cronEveryMs: 500,
    script: bundledOnce(),
    settings: () => given,
  });
  /** What a client holds: it learns of the new value some time after the switch. */
  const client = { ...secrets };
  const filed: string[] = [];
  const ask = (method: "GET" | "POST" | "PUT", path: string, key: string, body?: unknown): Promise<Answer> =>
    send(`${stack.urls.core}${path}`, { method, headers: { "x-api-key": key }, body });
  const send = async (url: string, options: CallOptions): Promise<Answer> => {
    for (let i = 1; ; i++) {
      try {
        return await call(url, options);
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
  const used: Record<string, number> = {};
  /** A call for each secret that a client holds, with what the client holds now. */
  const useEach = async (): Promise<void> => {
    const core = stack.urls.core;
    const token = (name: string) => ({ headers: bearer(client[name] ?? "") });
    const calls: readonly (readonly [string, number, () => Promise<Answer>])[] = [
      ["CLAIMS_API_KEY", 404, () => ask("GET", "/claims/not-there", client.CLAIMS_API_KEY ?? "")],
      ["OPERATOR_API_KEY", 200, () => ask("GET", "/tenants", client.OPERATOR_API_KEY ?? "")],
      ["AUDITOR_TOKEN", 200, () => send(`${core}/ledger/entries/0`, token("AUDITOR_TOKEN"))],
      ["METRICS_SCRAPE_TOKEN", 200, () => send(`${core}/metrics`, token("METRICS_SCRAPE_TOKEN"))],
      ["METRICS_SCRAPE_TOKEN", 200, () => send(`${stack.urls.relay}/metrics`, token("METRICS_SCRAPE_TOKEN"))],
    ];
    for (const [name, expected, asked] of calls) {
      const answer = await asked();
      if (answer.status !== expected) faults.push(`using ${name}: ${summaryOf(answer)}`);
      else used[name] = (used[name] ?? 0) + 1;
    }
  };
  const readAll = async (): Promise<void> => {
    for (const id of filed) {
      const answer = await ask("GET", `/workflow/requests/${id}`, client.WORKFLOW_API_KEY ?? "");
      if (answer.status !== 200) faults.push(`reading ${id}: ${summaryOf(answer)}`);
    }
  };
  try {
    const put = await ask("PUT", "/relay/destinations/insurer", client.OPERATOR_API_KEY ?? "", {
      kind: "INSURER",
      insurerAddress: INSURER_ADDRESS,
      url: `${receiver.url}/insurer`,
      secret: OWN_SECRET,
      deliverAfter: "commit",
      requestsPerMinute: 60_000,
    });
    if (put.status !== 201) faults.push(`the insurer's destination: ${summaryOf(put)}`);
    for (let i = 0; i < filedPerStep; i++) await file();
    await useEach();
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
      // One worker after the other: core first, but for the switch, which the relay makes first.
      for (const worker of step === "switch" ? WORKERS.toReversed() : WORKERS) {
        const held = names.filter((name) => endsOf(name).some(({ workers }) => workers.includes(worker)));
        if (held.length === 0) continue;
        for (const name of held) {
          for (const change of changesOf(step, name, secrets[name] ?? "", fresh.get(name) ?? "")) {
            if (change.worker !== worker) continue;
            for (const [key, value] of Object.entries(change.set)) given[worker][key] = value ?? "";
          }
        }
        // Filing goes on while the workers restart.
        let reloading = true;
        const load = (async () => {
          for (let i = 0; i < filedPerStep || reloading; i++) {
            await file();
            if (i % 5 === 0) await useEach();
            await sleep(20);
          }
        })();
        await stack.reload();
        reloading = false;
        await load;
      }
      if (step === "switch") for (const name of names) client[name] = fresh.get(name) ?? "";
      await readAll();
    }
    await useEach();
    accepted.add(client.RELAY_WEBHOOK_SIGNING_SECRET ?? "");
    const seen = (path: string) =>
      new Set(
        receiver.posts
          .filter(({ status, url }) => status === 200 && url === path)
          .map(({ requestIdHash }) => requestIdHash),
      ).size;
    const delivered = () => Math.min(seen("/hook"), seen("/insurer"));
    for (const until = performance.now() + 60_000; delivered() < filed.length && performance.now() < until; )
      await sleep(100);
    for (const path of ["/hook", "/insurer"])
      if (seen(path) !== filed.length) faults.push(`${seen(path)} of ${filed.length} requests were posted to ${path}`);
    for (const { url, headers, body, eventId } of receiver.posts) {
      const timestamp = Number(headers["x-itrans-relay-timestamp"]);
      const signed = (url === "/insurer" ? [OWN_SECRET] : [...accepted]).some(
        (secret) => signRelayBody(timestamp, body, secret) === headers["x-itrans-relay-signature"],
      );
      if (!signed) faults.push(`event ${eventId} is signed by none of the accepted values`);
    }
    const verified = await call(`${stack.urls.core}/ledger/verify`);
    if (verified.status !== 200) faults.push(`the ledger: ${summaryOf(verified)}`);
    return { faults, filed: filed.length, delivered: delivered(), used };
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
      const { faults, filed, delivered, used } = await rotateUnderLoad([name], dataDir, 100);
      say(`${name}: ${filed} filed, ${delivered} called back, ${used[name] ?? 0} other uses, ${faults.length} faults`);
      return { faults, counts: { name, filed, delivered, used: used[name] ?? 0 } };
    }
    const { faults, ...counts } = await rotateHubUnderLoad([name], dataDir, 10);
    say(`${name}: ${counts.filed} filed, ${counts.paid} paid, ${faults.length} faults`);
    return { faults, counts: { name, ...counts } };
  },
  summarize: (counts) => ({ rotations: counts }),
};
