/** The calls into core, as clients in the field make them. */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { LedgerSequencer } from "../../../durable-objects/ledger-sequencer.ts";
import { makeCoreApp } from "../../../src/core/entry.edge.ts";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import type { RelayHint } from "../../../src/relay/port.ts";
import type { Command } from "../../../src/workflow/commit-plan.ts";
import {
  type CallOptions,
  call,
  callWith,
  EMPTY,
  INSURER,
  KEYS,
  makeKey,
  migrate,
  payloadOf,
  rowCounts,
  signed,
  submit,
  tableNames,
  testEnv,
} from "./support.ts";

declare global {
  interface ImportMeta {
    /** Vite's: every module that matches, by path. */
    glob(
      pattern: string,
      options: { readonly eager: true },
    ): Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  }
}

const OTHER_INSURER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const HASH = /^0x[0-9a-f]{64}$/;
const { WORKFLOW_API_KEY: WORKFLOW, CLAIMS_API_KEY: CLAIMS, OPERATOR_API_KEY: OPERATOR } = KEYS;

const adjudicate = (idOrHash: string, body: unknown, key: string = WORKFLOW) =>
  call(`/workflow/requests/${idOrHash}/adjudicate`, { method: "POST", key, body });
const acknowledge = (idOrHash: string, body: unknown = {}, key: string = WORKFLOW) =>
  call(`/workflow/requests/${idOrHash}/acknowledge`, { method: "POST", key, body });
const shown = (idOrHash: string, key: string = WORKFLOW) => call(`/workflow/requests/${idOrHash}`, { key });

/** Submits and gives the hash. */
async function submitted(externalRequestId: string, rest: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const { status, json } = await submit(signed(payloadOf(), { externalRequestId, ...rest }));
  expect(status).toBe(201);
  return json.requestIdHash;
}

let claimId = "";

beforeAll(async () => {
  await migrate();
  await submitted("KEYS");
  claimId = (await call("/claims", { method: "POST", key: CLAIMS, body: signed(payloadOf()) })).json.claimId;
});

describe("keys", () => {
  const CALLS: readonly [
    name: string,
    path: string,
    own: string,
    other: string,
    options: CallOptions,
    status: number,
  ][] = [
    ["POST /workflow/claims", "/workflow/claims", WORKFLOW, CLAIMS, { method: "POST", body: signed(payloadOf()) }, 201],
    [
      "POST /workflow/preauths",
      "/workflow/preauths",
      WORKFLOW,
      CLAIMS,
      { method: "POST", body: signed(payloadOf({ type: "preauth" })) },
      201,
    ],
    ["GET request", "/workflow/requests/KEYS", WORKFLOW, CLAIMS, {}, 200],
    ["POST acknowledge", "/workflow/requests/KEYS/acknowledge", WORKFLOW, CLAIMS, EMPTY, 200],
    [
      "POST adjudicate",
      "/workflow/requests/KEYS/adjudicate",
      WORKFLOW,
      CLAIMS,
      { method: "POST", body: { decision: "DENIED" } },
      200,
    ],
    ["POST /claims", "/claims", CLAIMS, WORKFLOW, { method: "POST", body: signed(payloadOf()) }, 201],
    ["GET claim", "/claims/:claim", CLAIMS, WORKFLOW, {}, 200],
    ["POST finalize", "/claims/:claim/finalize", CLAIMS, WORKFLOW, EMPTY, 200],
    ["POST settle", "/claims/:claim/settle", CLAIMS, WORKFLOW, EMPTY, 200],
    ["GET anchor status", "/claims/:claim/anchor/status", CLAIMS, WORKFLOW, {}, 200],
    ["GET relay status", "/relay/workflow/status", WORKFLOW, CLAIMS, {}, 200],
    ["GET dead letters", "/relay/workflow/dead-letters?limit=50", WORKFLOW, CLAIMS, {}, 200],
    [
      "POST /tenants",
      "/tenants",
      OPERATOR,
      WORKFLOW,
      { method: "POST", body: { tenantId: "keys", name: "Keys" } },
      201,
    ],
  ];

  it.each(CALLS)(
    "%s: none or a wrong one is 401, the other kind's 403, its own is let in",
    async (_name, path, own, other, options, status) => {
      const at = path.replace(":claim", claimId);
      const before = await rowCounts();
      const refused: readonly [number, CallOptions][] = [
        [401, { key: "" }],
        [401, { key: "not-a-key-of-anyone" }],
        [401, { key: "", headers: { ...options.headers, authorization: "Bearer not-a-key-of-anyone" } }],
        [401, { key: "", headers: { ...options.headers, authorization: `Basic ${own}` } }],
        [403, { key: other }],
        [403, { key: "", headers: { ...options.headers, authorization: `Bearer ${other}` } }],
      ];
      for (const [expected, change] of refused) {
        const answer = await call(at, { ...options, ...change });
        expect([answer.status, answer.headers.get("content-type")]).toEqual([expected, "application/problem+json"]);
        expect(answer.json).toMatchObject({ error: expect.any(String), message: expect.any(String) });
      }
      expect(await rowCounts()).toEqual(before);
      expect((await call(at, { ...options, key: own })).status).toBe(status);
      const bearer = await call(at, {
        ...options,
        key: "",
        headers: { ...options.headers, authorization: `Bearer ${own}` },
      });
      expect(bearer.status).toBeLessThan(own === OPERATOR ? 410 : 300);
    },
  );

  it.each(["/ledger/verify", "/health", "/version", "/openapi.json", "/docs"])(
    "%s needs none, and takes any",
    async (path) => {
      expect((await call(path, { key: "" })).status).toBe(200);
      expect((await call(path, { key: "whatever" })).status).toBe(200);
    },
  );

  it("of the previous secret are let in during a rotation", async () => {
    const rotated = { WORKFLOW_API_KEY: "a-new-workflow-key-4c1d77", WORKFLOW_API_KEY_PREVIOUS: WORKFLOW };
    expect((await callWith(rotated, "/workflow/requests/KEYS")).status).toBe(200);
    expect((await callWith(rotated, "/workflow/requests/KEYS", { key: rotated.WORKFLOW_API_KEY })).status).toBe(200);
    const over = { WORKFLOW_API_KEY: rotated.WORKFLOW_API_KEY };
    expect((await callWith(over, "/workflow/requests/KEYS")).status).toBe(401);
  });
});

describe("submitting", () => {
  it.each(["/workflow/claims", "/workflow/preauths"])(
    "%s answers 201 with both ids as top-level strings; an id of ours is a UUID",
    async (path) => {
      const { type: _none, ...payload } = payloadOf();
      const { status, json } = await submit(signed(payload), path);
      expect(status).toBe(201);
      expect(json.requestId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(json.requestIdHash).toMatch(HASH);
      expect(json.requestType).toBe(path.endsWith("claims") ? "CLAIM" : "PREAUTH");
      expect((await shown(json.requestIdHash)).json.requestId).toBe(json.requestId);
    },
  );

  it("takes what real clients send: extra keys, services that do not add up, none at all", async () => {
    const payloads = [
      payloadOf({ clinic: { branch: 7 }, tooth: null, insurerId: null, notes: null, ["__proto__"]: { x: 1 } }),
      payloadOf({ totalAmount: 99.99 }),
      payloadOf({ services: [] }),
      payloadOf({ services: [{ code: "1", quantity: 0.5, unitPrice: 1.005, surface: "M" }] }),
    ];
    for (const payload of payloads) {
      const { status, json } = await submit(signed(payload));
      expect(status).toBe(201);
      expect((await shown(json.requestId)).json.offchainPayload).toEqual(payload);
    }
  });

  it("verifies the signature over the payload as it came: extra keys are signed, and type added after signing is refused", async () => {
    const { type: _none, ...payload } = payloadOf({ extra: 1 });
    const before = await rowCounts();
    const body = signed(payload);
    for (const changed of [{ ...payload, type: "claim" }, { ...payload, extra: 2 }, payloadOf()]) {
      const { status, json } = await submit({ ...body, offchainPayload: changed });
      expect([status, json.error]).toEqual([401, "bad_signature"]);
    }
    expect(await rowCounts()).toEqual(before);
    expect((await submit(body)).status).toBe(201);
  });

  it("takes numbers and escapes in any spelling: what is signed is JSON.stringify of what was parsed", async () => {
    const payload = payloadOf({ patientId: "é/1" });
    const spelled = JSON.stringify(signed(payload)).replaceAll(":120", ":1.20e2").replaceAll("é/1", "\\u00e9\\/1");
    expect((await call("/workflow/claims", { method: "POST", rawBody: spelled })).status).toBe(201);
  });

  it("refuses a payload whose type is the other kind's", async () => {
    expect((await submit(signed(payloadOf({ type: "claim" })), "/workflow/preauths")).status).toBe(400);
  });
});

describe("a resend", () => {
  it("is the same content with top-level keys in another order, though it is signed otherwise", async () => {
    const { patientId, ...rest } = payloadOf();
    const reordered = { ...rest, patientId };
    const first = await submit(signed(payloadOf(), { externalRequestId: "ORDER" }));
    const again = signed(reordered, { externalRequestId: "ORDER" });
    expect(again.providerSignature).not.toBe(signed(payloadOf()).providerSignature);
    const second = await submit(again);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.json.requestIdHash).toBe(first.json.requestIdHash);
  });

  it("is recognized after the provider's secret was rotated", async () => {
    const hash = await submitted("ROTATED");
    const secret = "a-new-provider-secret-5d2e81f09b";
    const body = {
      ...signed(payloadOf(), { externalRequestId: "ROTATED" }),
      providerSignature: signProviderPayload(payloadOf(), secret),
    };
    const answer = await callWith({ PROVIDER_SIGNATURE_HMAC_SECRET: secret }, "/workflow/claims", {
      method: "POST",
      body,
    });
    expect([answer.status, answer.json.requestIdHash]).toEqual([200, hash]);
  });

  it("is recognized after the payload's master key was rotated", async () => {
    const hash = await submitted("REKEYED");
    const rotated = {
      PAYLOAD_MASTER_KEY: "a-new-payload-master-key-93be17ac5502d4",
      PAYLOAD_MASTER_KEY_PREVIOUS: KEYS.PAYLOAD_MASTER_KEY,
    };
    const body = signed(payloadOf(), { externalRequestId: "REKEYED" });
    const answer = await callWith(rotated, "/workflow/claims", { method: "POST", body });
    expect([answer.status, answer.json.requestIdHash]).toEqual([200, hash]);
    expect((await callWith(rotated, "/workflow/requests/REKEYED")).json.offchainPayload).toEqual(payloadOf());
  });

  it("is 503 and says what to set when the master key was replaced, not rotated", async () => {
    await submitted("KEYLOST");
    const replaced = { PAYLOAD_MASTER_KEY: "quite-another-master-key-4e2d9a7716cc" };
    const body = signed(payloadOf(), { externalRequestId: "KEYLOST" });
    const answer = await callWith(replaced, "/workflow/claims", { method: "POST", body });
    expect([answer.status, answer.json.code]).toEqual([503, "unavailable"]);
    expect(answer.json.detail).toContain("PAYLOAD_MASTER_KEY_PREVIOUS");
  });

  it("is answered with the same ids while the first is still running", async () => {
    const body = signed(payloadOf(), { externalRequestId: "RUNNING" });
    const [first, second] = await Promise.all([submit(body), submit(body)]);
    expect([first.status, second.status].sort()).toEqual([200, 201]);
    expect(second.json.requestIdHash).toBe(first.json.requestIdHash);
  });

  it("is answered 2xx after the request went on", async () => {
    const hash = await submitted("WENT-ON");
    await adjudicate(hash, { decision: "APPROVED" });
    const again = await submit(signed(payloadOf(), { externalRequestId: "WENT-ON" }));
    expect(again).toMatchObject({ status: 200, json: { requestIdHash: hash, status: "APPROVED" } });
  });

  it("for another insurer or of another kind is 409; the insurer's address in other letters is the same", async () => {
    const { type: _none, ...payload } = payloadOf();
    const body = signed(payload, { externalRequestId: "TAKEN" });
    expect((await submit(body)).status).toBe(201);
    const before = await rowCounts();
    expect((await submit({ ...body, insurerAddress: OTHER_INSURER })).status).toBe(409);
    expect((await submit(body, "/workflow/preauths")).status).toBe(409);
    expect((await submit({ ...body, insurerAddress: INSURER.toLowerCase() })).status).toBe(200);
    expect(await rowCounts()).toEqual(before);
  });

  it("with content of its own each: of 200 at once exactly one wins, the others are 409", async () => {
    const before = await rowCounts();
    const bodies = Array.from({ length: 200 }, (_, i) =>
      signed(payloadOf({ totalAmount: i }), { externalRequestId: "RACE" }),
    );
    const answers = await Promise.all(bodies.map((body) => submit(body)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(199);
    const winner = answers.findIndex(({ status }) => status === 201);
    expect((await shown("RACE")).json.offchainPayload.totalAmount).toBe(winner);
    const after = await rowCounts();
    for (const table of ["ledger_entries", "requests", "payloads", "payload_keys"]) {
      expect([table, after[table]]).toEqual([table, (before[table] ?? 0) + 1]);
    }
  });
});

describe("deciding", () => {
  it("again the same is 200 and records nothing; another decision is 409", async () => {
    const hash = await submitted("DECIDED");
    expect((await adjudicate(hash, { decision: "APPROVED" })).json).toMatchObject({
      changed: true,
      decision: "APPROVED",
    });
    const before = await rowCounts();
    expect(await adjudicate("DECIDED", { decision: "APPROVED" })).toMatchObject({
      status: 200,
      json: { changed: false },
    });
    for (const decision of ["DENIED", "NEEDS_INFO"]) {
      expect(await adjudicate(hash, { decision })).toMatchObject({ status: 409, json: { error: "already_decided" } });
    }
    expect(await acknowledge(hash)).toMatchObject({ status: 409 });
    expect(await rowCounts()).toEqual(before);
  });

  it("anew is allowed after NEEDS_INFO, and each round keeps its notes", async () => {
    const hash = await submitted("ASKED");
    expect((await acknowledge(hash, { notes: "seen" })).json).toMatchObject({ status: "ACKNOWLEDGED", changed: true });
    expect((await acknowledge(hash, { notes: "seen twice" })).json).toMatchObject({ changed: false });
    await adjudicate(hash, { decision: "NEEDS_INFO", notes: "which tooth?" });
    expect((await adjudicate(hash, { decision: "APPROVED", notes: "fine" })).json).toMatchObject({
      status: "APPROVED",
    });
    expect((await adjudicate(hash, { decision: "DENIED" })).status).toBe(409);
    expect((await shown(hash)).json.notes).toEqual([
      { part: "ack", text: "seen" },
      { part: "adj:0", text: "which tooth?" },
      { part: "adj:1", text: "fine" },
    ]);
  });

  it("twice at once leaves notes that open and a decision hash that is theirs, whichever came first", async () => {
    for (let i = 0; i < 8; i++) {
      const hash = await submitted(`AT-ONCE-${i}`);
      const answers = await Promise.all([
        adjudicate(hash, { decision: "NEEDS_INFO", notes: "which tooth?" }),
        adjudicate(hash, { decision: "APPROVED", notes: "fine" }),
      ]);
      expect(answers[1].status).toBe(200);
      const { status, json } = await shown(hash);
      expect(status).toBe(200);
      expect(json).toMatchObject({ status: "APPROVED", decisionHash: answers[1].json.decisionHash });
      expect(json.notes.at(-1).text).toBe("fine");
    }
  });

  it("keeps long notes as they were recorded when a later call with others changes nothing", async () => {
    const hash = await submitted("LONG-NOTES");
    const [first, second] = ["first ".repeat(3_000), "second ".repeat(2_500)];
    await acknowledge(hash, { notes: first });
    expect((await acknowledge(hash, { notes: second })).json.changed).toBe(false);
    const [won, lost] = await Promise.all([
      adjudicate(hash, { decision: "APPROVED", notes: first }),
      adjudicate(hash, { decision: "DENIED", notes: second }),
    ]);
    expect([won.status, lost.status].sort()).toEqual([200, 409]);
    const decided = won.status === 200 ? first : second;
    expect((await shown(hash)).json.notes).toEqual([
      { part: "ack", text: first },
      { part: "adj:0", text: decided },
    ]);
  });
});

describe("tenants", () => {
  it("have ids of their own, and none reads, acknowledges or decides another's request", async () => {
    const key = await makeKey("clinic-b", { surface: "workflow", scopes: ["submit", "read", "adjudicate"] });
    const mine = await submitted("SHARED-ID");
    const payload = payloadOf({ patientId: "patient-of-b" });
    const theirs = await call("/workflow/claims", {
      method: "POST",
      key,
      body: signed(payload, { externalRequestId: "SHARED-ID" }),
    });
    expect(theirs.status).toBe(201);
    expect(theirs.json.requestIdHash).not.toBe(mine);
    expect((await shown("SHARED-ID", key)).json.offchainPayload).toEqual(payload);
    expect((await shown("SHARED-ID")).json.offchainPayload).toEqual(payloadOf());
    expect((await shown(mine, key)).status).toBe(404);
    expect((await shown(theirs.json.requestIdHash)).status).toBe(404);
    expect((await acknowledge(mine, {}, key)).status).toBe(404);
    expect((await adjudicate(mine, { decision: "APPROVED" }, key)).status).toBe(404);
    expect((await shown(mine)).json.status).toBe("SUBMITTED");
  });

  it("have claims of their own", async () => {
    const key = await makeKey("clinic-c", { surface: "claims", scopes: ["submit", "read"] });
    for (const [path, options] of [
      ["", {}],
      ["/anchor/status", {}],
      ["/finalize", EMPTY],
      ["/settle", EMPTY],
    ] as const) {
      expect((await call(`/claims/${claimId}${path}`, { ...options, key })).status).toBe(404);
    }
  });

  it("have keys that may do what their scopes say", async () => {
    const key = await makeKey("default", { surface: "workflow", scopes: ["submit"] });
    expect((await call("/workflow/claims", { method: "POST", key, body: signed(payloadOf()) })).status).toBe(201);
    expect((await shown("KEYS", key)).status).toBe(403);
    expect((await acknowledge("KEYS", {}, key)).status).toBe(403);
  });
});

describe("an insurer's key", () => {
  it("acts on its insurer's requests only, and sees the payload and notes of those alone", async () => {
    const key = await makeKey("default", {
      surface: "workflow",
      scopes: ["read", "adjudicate"],
      insurerAddress: INSURER.toLowerCase(),
    });
    const own = await submitted("OWN");
    const other = await submitted("OTHERS", { insurerAddress: OTHER_INSURER });
    await acknowledge(other, { notes: "between others" });
    expect((await shown(own, key)).json.offchainPayload).toEqual(payloadOf());
    const seen = await shown(other, key);
    expect(seen.status).toBe(200);
    expect(seen.json).not.toHaveProperty("offchainPayload");
    expect(seen.json).not.toHaveProperty("notes");
    expect((await acknowledge(own, {}, key)).status).toBe(200);
    expect((await adjudicate(own, { decision: "DENIED" }, key)).status).toBe(200);
    const before = await rowCounts();
    expect((await acknowledge(other, {}, key)).status).toBe(403);
    expect((await adjudicate(other, { decision: "DENIED" }, key)).status).toBe(403);
    expect((await call("/workflow/claims", { method: "POST", key, body: signed(payloadOf()) })).status).toBe(403);
    expect(await rowCounts()).toEqual(before);
  });

  it("for the claims surface sees no payload: a direct claim was sent to no insurer", async () => {
    const key = await makeKey("default", {
      surface: "claims",
      scopes: ["read", "adjudicate"],
      insurerAddress: INSURER,
    });
    const seen = await call(`/claims/${claimId}`, { key });
    expect(seen.status).toBe(200);
    expect(seen.json).not.toHaveProperty("offchainPayload");
    expect((await call(`/claims/${claimId}`, { key: CLAIMS })).json.offchainPayload).toEqual(payloadOf());
  });
});

describe("payloads over 16 kB", () => {
  it("go to R2, encrypted, and are read back", async () => {
    const payload = payloadOf({ notes: "A long story. ".repeat(1_200) });
    const { json } = await submit(signed(payload, { externalRequestId: "LARGE" }));
    const { objects } = await testEnv.LEDGER.list({ prefix: `payloads/main/${json.requestIdHash}/` });
    expect(objects).toHaveLength(1);
    const stored = await (await testEnv.LEDGER.get(objects[0]?.key ?? ""))?.text();
    expect(stored).not.toContain("A long story");
    expect((await shown("LARGE")).json.offchainPayload).toEqual(payload);
    expect((await submit(signed(payload, { externalRequestId: "LARGE" }))).status).toBe(200);
  });
});

describe("personal values", () => {
  const PLANTED = [
    "Zebulon-Quackenbush",
    "Dr-Thaddeus-Plimsoll",
    "Apicoectomy-of-tooth-41",
    "whispered-secretly",
    "98765.43",
    "Wrote-the-insurer",
  ];
  const [patientId, providerId, description, notes, , insurerNotes] = PLANTED;

  it("reach no entry, outbox body, log line, queue message or R2 name, and stand nowhere in plain text", async () => {
    const lines: string[] = [];
    for (const method of ["log", "warn", "error", "info", "debug"] as const) {
      vi.spyOn(console, method).mockImplementation((...words) => void lines.push(words.join(" ")));
    }
    const hints: RelayHint[] = [];
    const queue = new Proxy(testEnv.RELAY_QUEUE, {
      get: (target, name) =>
        name === "send" ? async (hint: RelayHint) => void hints.push(hint) : Reflect.get(target, name),
    });
    const env = {
      ...testEnv,
      RELAY_QUEUE: queue,
      RELAY_MEDLINK_WEBHOOK_URL: "http://127.0.0.1:1/hook",
      LOG_LEVEL: "debug",
    };
    const sequencer = testEnv.SEQUENCER.getByName("main");
    const append = (command: Command) =>
      runInDurableObject(sequencer, (_instance, state) => new LedgerSequencer(state, env).append(command));
    const watched = new Proxy(testEnv.SEQUENCER, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name === "getByName") return () => ({ append });
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const over = { ...env, SEQUENCER: watched };
    const payload = payloadOf({
      patientId,
      providerId,
      notes,
      services: [{ code: "34111", description, quantity: 1, unitPrice: 98765.43 }],
      totalAmount: 98765.43,
      insuredAs: patientId,
    });
    const submitting = { method: "POST", body: signed(payload, { externalRequestId: "PLANTED-CLM-77" }) };
    expect((await callWith(over, "/workflow/claims", submitting)).status).toBe(201);
    expect((await callWith(over, "/workflow/claims", submitting)).status).toBe(200);
    const conflicting = { ...payload, patientId: `${patientId}-2` };
    expect(
      (
        await callWith(over, "/workflow/claims", {
          method: "POST",
          body: signed(conflicting, { externalRequestId: "PLANTED-CLM-77" }),
        })
      ).status,
    ).toBe(409);
    const path = "/workflow/requests/PLANTED-CLM-77";
    const noted = { method: "POST", body: { notes: insurerNotes } };
    expect((await callWith(over, `${path}/acknowledge`, noted)).status).toBe(200);
    expect(
      (
        await callWith(over, `${path}/adjudicate`, {
          method: "POST",
          body: { decision: "DENIED", notes: insurerNotes },
        })
      ).status,
    ).toBe(200);
    expect((await callWith(over, "/claims", { ...submitting, key: CLAIMS, body: signed(payload) })).status).toBe(201);
    // What is refused is not logged either, nor shown back.
    for (const body of [
      signed({ ...payload, totalAmount: patientId }),
      { ...signed(payload), providerSignature: patientId },
      { ...signed(payload), insurerAddress: patientId },
    ]) {
      const refused = await callWith(over, "/workflow/claims", { method: "POST", body });
      expect(refused.status).toBeLessThan(500);
      expect(refused.status).toBeGreaterThan(399);
      for (const value of PLANTED) expect(refused.text).not.toContain(value);
    }
    const failing = new Proxy(testEnv.SEQUENCER, {
      get: () => () => {
        throw new Error("the platform is lost");
      },
    });
    expect(
      (await callWith({ ...env, SEQUENCER: failing }, "/workflow/claims", { method: "POST", body: signed(payload) }))
        .status,
    ).toBe(503);
    vi.restoreAllMocks();

    expect(lines.filter((line) => line.includes(`"event":"request"`)).length).toBeGreaterThan(8);
    expect(hints.length).toBeGreaterThan(0);
    const dumped: Record<string, unknown[]> = {};
    for (const table of await tableNames()) {
      dumped[table] = (await testEnv.DB.prepare(`SELECT * FROM ${table}`).all()).results;
    }
    expect(JSON.stringify(dumped.outbox)).toContain("REQUEST_ADJUDICATED");
    const { objects } = await testEnv.LEDGER.list();
    const places = { lines, hints, dumped, names: objects.map(({ key }) => key) };
    for (const [place, content] of Object.entries(places)) {
      for (const value of PLANTED) expect(JSON.stringify(content), place).not.toContain(value);
    }
    // The total is a column of the projection by design, and nothing else's; the clinic's own id is in no entry's bytes.
    const { requests: _requests, claims: _claims, ledger_entries, outbox, ...rest } = dumped;
    expect(JSON.stringify({ rest, lines, hints, outbox, ledger_entries })).not.toContain("9876543");
    const bodies = (ledger_entries ?? []).map((row) => JSON.stringify(row).replace(/"command_id":"[^"]*"/, ""));
    expect(JSON.stringify({ bodies, outbox, lines, hints, names: places.names })).not.toContain("PLANTED-CLM-77");
  });
});

describe("the API document", () => {
  it("lists every registered route and is OpenAPI 3.1", async () => {
    const modules = import.meta.glob(
      "../../../src/{anchor,audit,backup,keys,ledger,operations,relay,settlement,tenants,workflow}/**/*.route.ts",
      {
        eager: true,
      },
    );
    const app = makeCoreApp();
    for (const exported of Object.values(modules)) {
      for (const [name, register] of Object.entries(exported)) {
        if (name.startsWith("register") && typeof register === "function") register(app);
      }
    }
    const registered = new Set(
      app.routes
        .filter(({ method }) => method !== "ALL")
        .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`)
        // A tile's index has slashes in it, which the document can not say.
        .flatMap((route) =>
          route.endsWith("/tile/*")
            ? ["{level}/{index}", "entries/{index}"].map((tile) => route.replace(/\*$/, tile))
            : [route],
        ),
    );
    expect(registered.size).toBeGreaterThan(15);

    const { json: document } = await call("/openapi.json", { key: "" });
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    const listed = new Set<string>();
    for (const [path, item] of Object.entries<Record<string, unknown>>(document.paths)) {
      expect(path).toMatch(/^\//);
      for (const [method, operation] of Object.entries(item)) {
        listed.add(`${method.toUpperCase()} ${path}`);
        checkOperation(path, operation, document);
      }
    }
    expect([...listed].sort()).toEqual([...registered].sort());
    for (const reference of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(document.components.schemas).toHaveProperty(reference[1] ?? "");
    }
  });

  interface OpenApiOperation {
    readonly responses: Readonly<
      Record<string, { readonly description: string; readonly content?: Readonly<Record<string, object>> }>
    >;
    readonly parameters?: readonly {
      readonly name: string;
      readonly in: string;
      readonly required?: boolean;
      readonly schema: object;
    }[];
    readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
    readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  }

  function checkOperation(
    path: string,
    value: unknown,
    document: { readonly components: { readonly securitySchemes: object } },
  ): void {
    const operation = value as OpenApiOperation;
    expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
    for (const [status, { description, content = {} }] of Object.entries(operation.responses)) {
      expect(status).toMatch(/^[2-5]\d\d$/);
      expect(description).toEqual(expect.any(String));
      for (const media of Object.values(content)) expect(media).toHaveProperty("schema");
      if (/^4/.test(status)) expect(Object.keys(content)).toEqual(["application/problem+json"]);
    }
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
    expect(declared.map(({ name }) => name).sort()).toEqual([...inPath].sort());
    for (const parameter of declared) expect(parameter).toMatchObject({ required: true, schema: expect.any(Object) });
    if (operation.requestBody !== undefined) {
      expect(operation.requestBody.content["application/json"]?.schema).toBeDefined();
    }
    for (const requirement of operation.security ?? []) {
      for (const scheme of Object.keys(requirement)) expect(document.components.securitySchemes).toHaveProperty(scheme);
    }
  }
});
