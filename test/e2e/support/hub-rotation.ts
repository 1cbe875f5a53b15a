/**
 * The hub's secrets, and those of core's that its claims and their money rest on, rotated in the real stack: claims are filed through
 * the hub, submitted to core, decided, called back and paid all the while.
 */
import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Answer, call, summaryOf } from "../../../scripts/lib/http.ts";
import { signIn } from "../../../scripts/lib/lifecycle.ts";
import { startSimulator } from "../../../scripts/lib/operator-simulator/server.ts";
import { changesOf, endsOf, STEPS } from "../../../scripts/lib/rotation.ts";
import { startStack } from "../../../scripts/lib/stack.ts";
import { ANY_PORT, bundledOnce, INSURER_ADDRESS, secrets } from "./stack.ts";

export const HUB_ROTATED = [
  "SESSION_SECRET",
  "ENCRYPTION_KEY",
  "HASH_KEY",
  "HUB_OPERATOR_API_KEY",
  "ITRANS_WORKFLOW_API_KEY",
  "ITRANS_CLAIMS_API_KEY",
  "ITRANS_OPERATOR_API_KEY",
  "ITRANS_PROVIDER_SIGNATURE_HMAC_SECRET",
  "ITRANS_WEBHOOK_SIGNING_SECRET",
  "BACKUP_ENCRYPTION_KEY",
  "OPERATOR_HMAC_SECRET",
] as const;

export interface HubRotated {
  readonly faults: readonly string[];
  readonly filed: number;
  readonly paid: number;
  readonly settled: number;
  readonly snapshots: number;
}

const CONNECTION_TRIES = 100;
const PATIENCE_MS = 120_000;

const seededSchema = z.looseObject({ providerIds: z.tuple([z.string()]), insurerIds: z.tuple([z.string()]) });
const claimSchema = z.looseObject({ claimId: z.string(), status: z.string() });
const runSchema = z.looseObject({ name: z.string(), state: z.string(), reason: z.string().nullable() });
const renewalSchema = z.looseObject({ state: z.string() });

/** @param filedPerStep claims between two restarts. */
export async function rotateHubUnderLoad(
  names: readonly string[],
  dataDir: string,
  filedPerStep: number,
): Promise<HubRotated> {
  const faults: string[] = [];
  const values: Record<string, string> = { ...secrets };
  const fresh = new Map(names.map((name) => [name, randomBytes(32).toString("base64url")]));
  const accepted = [secrets.OPERATOR_HMAC_SECRET, fresh.get("OPERATOR_HMAC_SECRET")].filter((one) => one !== undefined);
  // The payer's operator takes both, as it says before such a rotation begins.
  const operator = await startSimulator({
    port: 0,
    secrets: accepted,
    store: ":memory:",
    controlToken: "control",
    behaviour: { callsPerMinute: 1_000_000 },
  });
  const stack = await startStack({
    dataDir,
    ports: ANY_PORT,
    secrets: values,
    cronEveryMs: 500,
    script: bundledOnce(),
    settings: (ports) => ({
      "itrans-core": {
        API_RATE_LIMIT_MAX_REQUESTS: "1000000",
        RELAY_MEDLINK_WEBHOOK_URL: `http://127.0.0.1:${ports.hub}/api/itrans/webhooks/workflow`,
        RELAY_MEDLINK_REQUESTS_PER_MINUTE: "100000",
        RELAY_INITIAL_BACKOFF_MS: "100",
        RELAY_MAX_BACKOFF_MS: "1000",
        OPERATOR_API_URL: operator.url,
        OPERATOR_CALLS_PER_MINUTE: "6000",
        LEDGER_LOG_URL: "https://ledger.example/ledger/log",
        BACKUP_LEASE_MS: "300",
      },
      "medlink-hub": { ITRANS_AUTO_SUBMIT_ENABLED: "true" },
    }),
  });
  /** What clients hold: they learn of new values some time after the switch. */
  const client = { ...secrets };
  /** A restart breaks what is under way; what is asked again here may be asked twice. */
  const untilAnswered = async <Found>(ask: () => Promise<Found>): Promise<Found> => {
    for (let i = 1; ; i++) {
      try {
        return await ask();
      } catch (error) {
        if (i === CONNECTION_TRIES) throw error;
        await sleep(100);
      }
    }
  };
  const again = (url: string, options: Parameters<typeof call>[1]): Promise<Answer> =>
    untilAnswered(() => call(url, options));
  const core = (path: string, key: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) =>
    again(`${stack.urls.core}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "x-api-key": key, ...headers },
      body,
    });
  const expectOk = (what: string, answer: Answer, statuses: readonly number[] = [200, 201, 202]): unknown => {
    if (!statuses.includes(answer.status)) faults.push(`${what}: ${summaryOf(answer)}`);
    return answer.body;
  };
  const account = { email: "admin@demo.invalid", password: "a-password-for-this-test" };
  try {
    const seedToken = createHmac("sha256", secrets.SESSION_SECRET ?? "")
      .update("medlink seed")
      .digest("hex");
    const seeded = await again(`${stack.urls.hub}/api/dev/seed`, {
      method: "POST",
      headers: { "x-seed-token": seedToken },
      body: { adminEmail: account.email, adminPassword: account.password, insurerAddress: INSURER_ADDRESS },
    });
    const { providerIds, insurerIds } = seededSchema.parse(expectOk("seeding", seeded));
    const who = { hubUrl: stack.urls.hub, ...account, patientId: "", providerId: "", insurerId: "" };
    let cookie = await signIn(who);
    const hub = (path: string, body?: unknown, session = cookie): Promise<Answer> =>
      again(`${stack.urls.hub}${path}`, {
        method: body === undefined ? "GET" : "POST",
        headers: { cookie: session },
        ...(body === undefined ? {} : { body }),
      });
    const person = { firstName: "Anna", lastName: "Rotated", birthDate: "1980-02-03", healthNumber: "1111-222-333" };
    const made = expectOk("a patient", await hub("/api/patients", person));
    const { patientId } = z.looseObject({ patientId: z.string() }).parse(made);

    const filed: string[] = [];
    const file = async (): Promise<void> => {
      const claim = {
        ...{ patientId, providerId: providerIds[0], insurerId: insurerIds[0], type: "claim" },
        ...{ amount: "120.00", currency: "CAD", notes: "", codes: [{ code: "11101", description: "Examination" }] },
      };
      const body = expectOk("filing", await hub("/api/claims", claim));
      const parsed = claimSchema.safeParse(body);
      if (parsed.success) filed.push(parsed.data.claimId);
    };
    /** Decides what was submitted, and asks for its payment. */
    const asked = new Set<string>();
    const decide = async (): Promise<void> => {
      const { results } = await untilAnswered(async () =>
        (await stack.database("itrans-core"))
          .prepare("SELECT request_id AS id, request_id_hash AS hash FROM requests ORDER BY submitted_seq")
          .all<{ id: string; hash: string }>(),
      );
      for (const { id, hash } of results.filter((one) => !asked.has(one.hash))) {
        const key = client.WORKFLOW_API_KEY ?? "";
        expectOk("acknowledging", await core(`/workflow/requests/${hash}/acknowledge`, key, { notes: "seen" }));
        expectOk("deciding", await core(`/workflow/requests/${hash}/adjudicate`, key, { decision: "APPROVED" }));
        const payment = { requestId: id, type: "payment" };
        const headers = { "idempotency-key": `pay-${hash.slice(2, 30)}` };
        // 409: the connection broke while the first was being answered.
        const paid = await core("/settlements", client.OPERATOR_API_KEY ?? "", payment, headers);
        expectOk("settling", paid, [200, 201, 202, 409]);
        asked.add(hash);
      }
    };
    const renew = async (word: "re-encrypt" | "re-hash"): Promise<void> => {
      for (let turn = 0; turn < 1_000; turn++) {
        const answer = await again(`${stack.urls.hub}/api/admin/${word}`, {
          method: "POST",
          headers: { "x-api-key": client.HUB_OPERATOR_API_KEY ?? "" },
          body: turn === 0 ? { start: true, rows: 0 } : { rows: 1_000 },
        });
        if (renewalSchema.parse(expectOk(word, answer)).state === "complete") return;
      }
      faults.push(`${word} does not end`);
    };
    let snapshots = 0;
    const snapshot = async (): Promise<void> => {
      const key = client.OPERATOR_API_KEY ?? "";
      const begun = await core("/operations/backups", key, {});
      // 409: the night's own is under way, which is as good.
      if (begun.status === 409) return;
      let run = runSchema.parse(expectOk("a snapshot", begun));
      for (let turn = 0; run.state === "running" && turn < 200; turn++) {
        run = runSchema.parse(expectOk("its turn", await core(`/operations/backups/${run.name}/advance`, key, {})));
        await sleep(50);
      }
      if (run.state !== "good") faults.push(`a snapshot is ${run.state}: ${run.reason ?? ""}`);
      snapshots += 1;
    };

    for (let i = 0; i < filedPerStep; i++) await file();
    await snapshot();
    for (const step of STEPS) {
      if (step === "retire") {
        await renew("re-encrypt");
        await renew("re-hash");
      }
      for (const name of names) {
        const [own] = endsOf(name);
        for (const { set } of changesOf(step, name, secrets[own?.name ?? name] ?? "", fresh.get(name) ?? "")) {
          for (const [key, value] of Object.entries(set)) {
            if (value === null) delete values[key];
            else values[key] = value;
          }
        }
      }
      let reloading = true;
      const load = (async () => {
        for (let i = 0; i < filedPerStep || reloading; i++) {
          await file();
          await decide();
          await sleep(20);
        }
      })();
      await stack.reload();
      reloading = false;
      await load;
      expectOk("a session from before", await hub("/api/claims"));
      if (step === "switch") {
        for (const name of names) for (const end of endsOf(name)) client[end.name] = fresh.get(name) ?? "";
        // Sessions live twelve hours, and so does the old value's part.
        cookie = await signIn(who);
      }
      const claim = await hub(`/api/claims/${filed[0] ?? ""}`);
      expectOk("what was sealed before", claim);
      expectOk("a health number that is known", await hub("/api/patients", person), [409]);
      await snapshot();
    }

    const statuses = new Map<string, string>();
    const unpaid = async (): Promise<number> => {
      await decide();
      for (const id of filed.filter((one) => statuses.get(one) !== "paid")) {
        const { status } = claimSchema.parse((await hub(`/api/claims/${id}`)).body);
        statuses.set(id, status);
      }
      return filed.filter((id) => statuses.get(id) !== "paid").length;
    };
    const underWay = async (): Promise<number> => {
      const database = await stack.database("itrans-core");
      const { n } = (await database
        .prepare("SELECT COUNT(*) AS n FROM settlements WHERE status <> 'COMPLETED'")
        .first<{ n: number }>()) ?? { n: 0 };
      return n;
    };
    let open = [await unpaid(), await underWay()];
    for (const end = performance.now() + PATIENCE_MS; Math.max(...open) > 0 && performance.now() < end; ) {
      await sleep(250);
      open = [await unpaid(), await underWay()];
    }
    if ((open[0] ?? 0) > 0) faults.push(`${open[0]} of ${filed.length} claims were never called back about`);
    if ((open[1] ?? 0) > 0) faults.push(`${open[1]} settlements are not completed`);
    const status = await call(`${operator.url}/control/status`, { headers: { "x-control-token": "control" } });
    const { badSignatures, repeats } = z.looseObject({ badSignatures: z.int(), repeats: z.int() }).parse(status.body);
    if (badSignatures > 0) faults.push(`${badSignatures} calls to the operator had a signature that it does not take`);
    if (repeats > 0) faults.push(`${repeats} payments were sent twice`);
    const paid = [...statuses.values()].filter((one) => one === "paid").length;
    return { faults, filed: filed.length, paid, settled: operator.books.count(), snapshots };
  } finally {
    await stack.dispose();
    await operator.close();
  }
}
