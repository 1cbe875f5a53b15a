import { createHmac } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { type Answer, call } from "../../scripts/lib/http.ts";
import { signIn } from "../../scripts/lib/lifecycle.ts";
import { type Stack, startStack } from "../../scripts/lib/stack.ts";
import { type Receiver, startReceiver } from "./support/receiver.ts";
import {
  ANY_PORT,
  expectStatus,
  INSURER_ADDRESS,
  KEYS,
  post,
  secrets,
  signedSubmit,
  tappedWorker,
  temporaryDirectory,
  WIRE,
} from "./support/stack.ts";

/** Each occurs nowhere but where a person wrote it. */
const PLANTED = {
  firstName: "Quillonia",
  lastName: "Zwartendijk",
  birthDate: "1931-02-27",
  healthNumber: "8273-645-918",
  patientNotes: "allergic to xylotrimene",
  claimNotes: "fractured at the Glimmerdown ferry",
  description: "osseous vantrabulation, upper left",
  amount: "8462931.57",
  acknowledgeNotes: "file of the widow Brackenthwaite",
  adjudicateNotes: "denied for lack of pellucidity",
  typo: "the misspelt Mr Hufflebrandt",
  invitee: "Ophrydia Camberwick",
  inviteeEmail: "o.camberwick@trescothick.invalid",
} as const;

/** Every way in which a value might lie in a file or a message without being encrypted. */
function formsOf(value: string): readonly string[] {
  const bytes = Buffer.from(value, "utf8");
  const base64 = [0, 1, 2].map((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    // The first and the last characters mix with neighbours.
    return shifted.slice(offset === 0 ? 0 : offset + 1, -1);
  });
  const amount = /^\d+\.\d\d$/.test(value) ? [value.replace(".", "")] : [];
  return [value, encodeURIComponent(value), bytes.toString("hex"), ...base64, ...amount];
}

const NEEDLES = Object.entries(PLANTED).flatMap(([name, value]) =>
  [...new Set(formsOf(value))].map((form) => ({ name, form, bytes: Buffer.from(form, "utf8") })),
);

const foundIn = (text: string | Buffer): readonly string[] => {
  const bytes = Buffer.from(text);
  return NEEDLES.filter((needle) => bytes.includes(needle.bytes)).map(({ name, form }) => `${name} as ${form}`);
};

/** Nothing when it was replaced since it was listed: what replaced it is listed by the next search. */
function contentsOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

function filesUnder(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const submittedSchema = z.looseObject({ requestId: z.string(), requestIdHash: z.string() });
const claimSchema = z.looseObject({ claimId: z.string(), status: z.string() });
const actionsSchema = z.looseObject({
  actions: z.array(z.looseObject({ seq: z.number(), actor: z.string(), target: z.string(), entryHash: z.string() })),
});
const seededSchema = z.looseObject({ providerIds: z.tuple([z.string()]), insurerIds: z.tuple([z.string()]) });

describe("personal data, planted through the hub's API and an insurer's notes", () => {
  const directory = temporaryDirectory();
  const logged: string[] = [];
  const urlsCalled: string[] = [];
  let stack: Stack;
  let medlink: Receiver;
  let insurer: Receiver;
  let cookie = "";

  const hub = (path: string, body?: unknown): Promise<Answer> => {
    urlsCalled.push(path);
    const method = body === undefined ? "GET" : "POST";
    return call(`${stack.urls.hub}${path}`, { method, headers: { cookie }, ...(body === undefined ? {} : { body }) });
  };

  /** By the demo clinic's operator, who signs in for it. */
  const asOperator = async (password: string, path: string, body: unknown): Promise<Answer> => {
    const operator = { hubUrl: stack.urls.hub, email: "operator@demo.invalid", password };
    const signedIn = await signIn({ ...operator, patientId: "", providerId: "", insurerId: "" });
    return call(`${stack.urls.hub}${path}`, { method: "POST", headers: { cookie: signedIn }, body });
  };

  const untilStatus = async (claimId: string, status: string): Promise<void> => {
    for (let i = 0; ; i++) {
      const claim = claimSchema.parse(await expectStatus(200, hub(`/api/claims/${claimId}`)));
      if (claim.status === status) return;
      if (i === 300) throw new Error(`claim ${claimId} is ${claim.status}, not ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };

  const decide = async (requestIdHash: string, decision: string): Promise<void> => {
    const url = `${stack.urls.core}/workflow/requests/${requestIdHash}`;
    await expectStatus(200, post(`${url}/acknowledge`, KEYS.workflow, { notes: PLANTED.acknowledgeNotes }));
    await expectStatus(200, post(`${url}/adjudicate`, KEYS.workflow, { decision, notes: PLANTED.adjudicateNotes }));
  };

  beforeAll(async () => {
    // Stands before the hub, to see what it is sent.
    medlink = await startReceiver(async ({ headers, body }) => {
      const passed = Object.fromEntries(
        Object.entries(headers).filter(([name]) => /^(idempotency-key|x-|content-type)/.test(name)),
      );
      const answer = await fetch(`${stack.urls.hub}/api/itrans/webhooks/workflow`, {
        method: "POST",
        headers: { ...z.record(z.string(), z.string()).parse(passed), connection: "close" },
        body,
      });
      return { afterMs: 0, status: answer.status, body: await answer.json() };
    });
    insurer = await startReceiver();
    stack = await startStack({
      dataDir: directory.path,
      ports: ANY_PORT,
      secrets,
      script: (_worker, entry, facts) => tappedWorker(entry, facts),
      cronEveryMs: 500,
      onLog: (line) => logged.push(line),
      settings: () => ({
        "itrans-core": {
          LOG_LEVEL: "debug",
          API_RATE_LIMIT_MAX_REQUESTS: "100000",
          RELAY_MEDLINK_WEBHOOK_URL: `${medlink.url}/hooks`,
          RELAY_INITIAL_BACKOFF_MS: "100",
        },
        // Submitted by the queue's consumer, not by the invocation that files: its messages are looked at too.
        "medlink-hub": {
          LOG_LEVEL: "debug",
          ITRANS_AUTO_SUBMIT_ENABLED: "true",
          ITRANS_AUTO_SUBMIT_AT_ONCE: "false",
        },
      }),
    });
    const destination = {
      kind: "INSURER",
      insurerAddress: INSURER_ADDRESS,
      url: `${insurer.url}/insurer`,
      secret: "insurer-webhook-for-tests-5d1f0c77a2",
      deliverAfter: "commit",
    };
    await expectStatus(
      201,
      call(`${stack.urls.core}/relay/destinations/test-insurer`, {
        method: "PUT",
        headers: { "x-api-key": KEYS.operator },
        body: destination,
      }),
    );
  });

  afterAll(async () => {
    await stack.dispose();
    await medlink.dispose();
    await insurer.dispose();
    directory.remove();
  });

  it("goes through whole lives: auto-submit, the bridge, a direct claim, refused and misspelt bodies", async () => {
    const account = { email: "admin@demo.invalid", password: "a-password-for-this-test" };
    const seedToken = createHmac("sha256", secrets.SESSION_SECRET ?? "")
      .update("medlink seed")
      .digest("hex");
    const seeded = await call(`${stack.urls.hub}/api/dev/seed`, {
      method: "POST",
      headers: { "x-seed-token": seedToken },
      body: { adminEmail: account.email, adminPassword: account.password, insurerAddress: INSURER_ADDRESS },
    });
    const { providerIds, insurerIds } = seededSchema.parse(seeded.body);
    const clinic = { hubUrl: stack.urls.hub, ...account, patientId: "", providerId: "", insurerId: "" };
    cookie = await signIn(clinic);

    const { firstName, lastName, birthDate, healthNumber, patientNotes, claimNotes, description, amount } = PLANTED;
    const patient = await expectStatus(
      201,
      hub("/api/patients", { firstName, lastName, birthDate, healthNumber, notes: patientNotes }),
    );
    const { patientId } = z.looseObject({ patientId: z.string() }).parse(patient);
    const parties = { patientId, providerId: providerIds[0], insurerId: insurerIds[0] };
    const services = [{ code: "11101", description, quantity: 1, unitPrice: Number(amount) }];

    // Through auto-submit, to the end.
    const filed = { ...parties, type: "claim", amount, currency: "CAD", codes: [{ code: "11101", description }] };
    const created = await expectStatus(201, hub("/api/claims", { ...filed, notes: claimNotes }));
    const { claimId } = claimSchema.parse(created);
    await medlink.waitFor(1, 30_000);
    await decide(medlink.posts[0]?.requestIdHash ?? "", "APPROVED");
    await untilStatus(claimId, "paid");

    // Through the bridge, with people's names in the payload as well: extra keys are legal and signed.
    const offchainPayload = {
      ...parties,
      patient: { firstName, lastName, birthDate, healthNumber },
      services,
      totalAmount: Number(amount),
      notes: claimNotes,
      // Over 16 kB sealed: kept as an object.
      attachment: description.repeat(1_000),
    };
    const workflow = { insurerAddress: INSURER_ADDRESS, offchainPayload };
    const bridged = submittedSchema.parse(await expectStatus(201, hub("/api/itrans/workflow/preauths", workflow)));
    await decide(bridged.requestIdHash, "DENIED");
    const direct = z
      .looseObject({ claimId: z.string() })
      .parse(await expectStatus(201, hub("/api/itrans/claims", { offchainPayload })));
    await expectStatus(200, hub(`/api/itrans/claims/${direct.claimId}/finalize`, {}));
    await expectStatus(200, hub(`/api/itrans/claims/${direct.claimId}/settle`, {}));

    // What is refused must leave no more behind than what is taken.
    const broken = `{"offchainPayload": {"notes": "${PLANTED.typo}", ${PLANTED.typo}`;
    for (const [url, headers] of [
      [`${stack.urls.core}/workflow/claims`, { "x-api-key": KEYS.workflow }],
      [`${stack.urls.hub}/api/claims`, { cookie }],
    ] as const) {
      const json = { "content-type": "application/json", connection: "close", ...headers };
      expect((await fetch(url, { method: "POST", headers: json, body: broken })).status).toBe(400);
    }
    const submitUrl = `${stack.urls.core}/workflow/claims`;
    const forged = { ...signedSubmit(offchainPayload), providerSignature: "0".repeat(64) };
    await expectStatus(401, post(submitUrl, KEYS.workflow, forged));
    await expectStatus(400, post(submitUrl, KEYS.workflow, signedSubmit({ ...offchainPayload, totalAmount: "much" })));
    const other = signedSubmit({ ...offchainPayload, type: "preauth" }, bridged.requestId);
    await expectStatus(400, post(submitUrl, KEYS.workflow, other));
    const undated = { firstName, lastName: PLANTED.typo, birthDate: PLANTED.typo };
    await expectStatus(400, hub("/api/patients", undated));
    await expectStatus(409, hub("/api/patients", { firstName, lastName, birthDate, healthNumber }));

    // What an operator does to the hub alone goes into the ledger as well.
    const invitation = { email: PLANTED.inviteeEmail, name: PLANTED.invitee, role: "billing", clinicId: "cln_demo" };
    await expectStatus(201, asOperator(account.password, "/api/invitations", invitation));

    // Three events of two requests, to each of two destinations.
    await medlink.waitFor(6, 30_000);
    await insurer.waitFor(6, 30_000);
    await expectStatus(200, hub(`/api/claims/${claimId}`));
  });

  it("is in no ledger entry, no outbox row and nothing else that core's tables show", async () => {
    const database = await stack.database("itrans-core");
    const tables = [
      ...["ledger_entries", "outbox", "delivery_attempts", "payloads", "requests", "claims"],
      "operator_actions",
    ];
    for (const table of tables) {
      const { results } = await database.prepare(`SELECT * FROM ${table}`).all();
      // Only posts that were not taken are rows of their own.
      if (table !== "delivery_attempts") expect(results.length, table).toBeGreaterThan(0);
      // The amount as an integer is a column of the projections, and of nothing that leaves.
      const text = JSON.stringify(results, (key, value) => (key === "amount_minor" ? undefined : value));
      expect(foundIn(text), table).toEqual([]);
    }
  });

  it("is not in the trail either, where an operator's action on the hub is an entry of the ledger", async () => {
    const ask = (path: string) => call(`${stack.urls.core}${path}`, { headers: { "x-api-key": KEYS.operator } });
    const listed = await expectStatus(200, ask("/operations/actions?action=HUB_INVITATION_CREATE"));
    const { actions } = actionsSchema.parse(listed);
    expect(actions).toMatchObject([{ actor: "operator", target: "billing cln_demo by usr_demo_operator" }]);
    const entry = await expectStatus(200, ask(`/ledger/entries/${actions[0]?.seq}`));
    expect(entry).toMatchObject({
      entryHash: actions[0]?.entryHash,
      entry: { type: "OPERATOR_ACTION", data: { action: "HUB_INVITATION_CREATE", actor: "operator" } },
    });
    const hubs = await stack.database("medlink-hub");
    const { results } = await hubs.prepare("SELECT action, sent_at FROM operator_actions").all();
    expect(results).toEqual([{ action: "HUB_INVITATION_CREATE", sent_at: expect.any(Number) }]);
    expect(foundIn(JSON.stringify([listed, entry, results]))).toEqual([]);
  });

  it("is in no message of a queue", () => {
    const messages = logged.filter((line) => line.startsWith(`${WIRE}{"queue"`));
    for (const queue of ["relay", "auto-submit"]) {
      expect(messages.some((line) => line.includes(`"queue":"${queue}"`))).toBe(true);
    }
    expect(messages.flatMap(foundIn)).toEqual([]);
  });

  it("is in no URL, called from outside or between the workers", () => {
    const urls = logged.filter((line) => line.startsWith(`${WIRE}{"method"`));
    expect(urls.some((line) => line.includes("/workflow/claims"))).toBe(true);
    expect([...urls, ...urlsCalled, ...medlink.posts.map(({ url }) => url)].flatMap(foundIn)).toEqual([]);
  });

  it("is in no line of a log", () => {
    for (const worker of ["itrans-core", "itrans-relay", "medlink-hub"]) {
      expect(logged.some((line) => line.includes(`"worker":"${worker}"`))).toBe(true);
    }
    expect(logged.some((line) => line.includes('"status":400'))).toBe(true);
    expect(logged.flatMap(foundIn)).toEqual([]);
  });

  it("is in no webhook, neither body nor header", () => {
    const posts = [...medlink.posts, ...insurer.posts];
    expect(posts.length).toBeGreaterThanOrEqual(12);
    expect(posts.flatMap(({ body, headers }) => foundIn(`${body}${JSON.stringify(headers)}`))).toEqual([]);
  });

  it("is in no public answer", async () => {
    const headers = { "x-api-key": KEYS.workflow };
    for (const path of ["/ledger/verify", "/health", "/relay/workflow/status", "/relay/workflow/dead-letters"]) {
      const answer = await call(`${stack.urls.core}${path}`, { headers });
      expect(foundIn(JSON.stringify(answer.body)), path).toEqual([]);
    }
  });

  it("lies unencrypted in no file: databases, their write-ahead logs, objects", async () => {
    const search = () => {
      const files = filesUnder(directory.path);
      for (const kind of ["d1", "r2", "do"]) {
        expect(files.some((file) => file.startsWith(join(directory.path, kind)))).toBe(true);
      }
      expect(files.some((file) => file.endsWith(".sqlite-wal"))).toBe(true);
      return files.flatMap((file) => foundIn(contentsOf(file)).map((what) => `${file}: ${what}`));
    };
    expect(search()).toEqual([]);
    // The search itself works: what is kept in the open is found.
    const database = await stack.database("medlink-hub");
    await database
      .prepare("INSERT INTO clinics (clinic_id, name, created_at) VALUES ('control', ?, 0)")
      .bind(PLANTED.lastName)
      .run();
    // A page may stand in the database and in its write-ahead log.
    const found = search();
    expect(found.length).toBeGreaterThan(0);
    for (const line of found) expect(line).toMatch(/: lastName as Zwartendijk$/);
  });
});
