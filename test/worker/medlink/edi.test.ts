import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { decode, encode } from "../../../src/medlink/edi/cdanet/codec.ts";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CLAIM, forgetClaims, hashFor, json, migrate, type Session, TestHub } from "./harness.ts";

let hub: TestHub;
let admin: Session;
let provider: Session;
let nextHash = 9_000_000;

interface Transaction {
  readonly transactionId: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly benefit: string | null;
  readonly sends: number;
  readonly mode: string;
  readonly carrierReference: string | null;
  readonly gaps: readonly string[];
}

interface Exchange {
  readonly direction: string;
  readonly kind: string;
  readonly messageType: string;
  readonly outcome: string;
  readonly sizeBytes: number;
  readonly messageHash: string | null;
  readonly ok: boolean;
}

const forgetEdi = () =>
  env.DB.exec(
    "DELETE FROM edi_transactions; DELETE FROM edi_exchanges; DELETE FROM edi_counters; DELETE FROM edi_sandbox_claims;",
  );

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
  await env.DB.batch([clinicUpsert(env.DB, "cln_other", "Other", 1)]);
  admin = await hub.signInAs("usr_demo_admin");
  provider = await hub.signInAs("usr_demo_provider");
});

const SANDBOX = {
  EDI_MODE: "sandbox",
  EDI_PRODUCTION_ENABLED: "false",
  EDI_RETRY_DELAY_MS: "1",
  EDI_SANDBOX_ERROR_PERCENT: "0",
  EDI_SANDBOX_REFUSAL_PERCENT: "0",
  EDI_SANDBOX_LATENCY_MS: "0",
  EDI_SANDBOX_ADJUDICATION_MS: "0",
  EDI_SANDBOX_SEED: "sandbox",
};

beforeEach(async () => {
  await forgetClaims();
  await forgetEdi();
  Object.assign(hub.env, SANDBOX, { ITRANS_AUTO_SUBMIT_ENABLED: "false", EDI_CLIENT_CERTIFICATE: undefined });
  hub.hints.length = 0;
  hub.answer = async (request) => {
    const { externalRequestId } = await request.json<{ externalRequestId: string }>();
    return Response.json({ requestId: externalRequestId, requestIdHash: hashFor(nextHash++) }, { status: 201 });
  };
});

async function submitted(over: Record<string, unknown> = {}): Promise<string> {
  const { claimId } = (await admin.read("POST", "/api/claims", { ...CLAIM, ...over })).body;
  await admin.call("POST", `/api/claims/${claimId}/submit`);
  await hub.runQueue();
  return claimId;
}

async function send(claimId: string, connector: string, more: Record<string, unknown> = {}) {
  const response = await provider.call("POST", `/api/claims/${claimId}/edi`, { connector, ...more });
  return {
    status: response.status,
    body: await response.json<Transaction & { detail: string; issues: { path: string }[] }>(),
  };
}

async function operator<Body = unknown>(method: string, path: string) {
  const init = method === "GET" ? { method } : json(method, {});
  const headers = { ...("headers" in init ? init.headers : {}), "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };
  const response = await hub.fetch(path, { ...init, headers });
  return { status: response.status, body: await response.json<Body>() };
}

const exchanges = async (claimId: string): Promise<readonly Exchange[]> =>
  (await (await admin.call("GET", `/api/edi/exchanges?claimId=${claimId}`)).json<{ exchanges: Exchange[] }>())
    .exchanges;

const transactions = async (claimId: string): Promise<readonly Transaction[]> =>
  (await (await admin.call("GET", `/api/claims/${claimId}/edi`)).json<{ transactions: Transaction[] }>()).transactions;

const kinds = async (claimId: string): Promise<readonly string[]> =>
  (await admin.read("GET", `/api/claims/${claimId}`)).body.timeline
    .map(({ kind }) => kind)
    .filter((kind) => kind.startsWith("edi"));

describe.each(["cdanet", "eclaims", "portal"])("a claim sent through %s in the sandbox", (connector) => {
  it("is acknowledged, then adjudicated, and its status stays what iTrans says", async () => {
    const claimId = await submitted();
    const sent = await send(claimId, connector);
    expect(sent.status).toBe(201);
    expect(sent.body).toMatchObject({ mode: "sandbox", sends: 1, carrierReference: "SBX000000001" });
    await vi.waitFor(async () => {
      await hub.sweep();
      expect(await transactions(claimId)).toMatchObject([
        { state: "adjudicated", outcome: "approved", benefit: "120.00" },
      ]);
    });
    expect((await admin.read("GET", `/api/claims/${claimId}`)).body).toMatchObject({ status: "submitted" });
    expect((await kinds(claimId))[0]).toBe("ediSent");
    expect((await kinds(claimId)).at(-1)).toBe("ediAdjudicated");
  });

  it("is sent once, however often one asks", async () => {
    const claimId = await submitted();
    const first = await send(claimId, connector);
    const again = await Promise.all([send(claimId, connector), send(claimId, connector)]);
    expect(again.map(({ status }) => status)).toEqual([200, 200]);
    for (const { body } of again) expect(body.transactionId).toBe(first.body.transactionId);
    const submits = (await exchanges(claimId)).filter(
      ({ kind, direction }) => kind === "submit" && direction === "out",
    );
    expect(submits).toHaveLength(1);
  });

  it("is one transaction when two people send it at once", async () => {
    const claimId = await submitted();
    await Promise.all([send(claimId, connector), send(claimId, connector), send(claimId, connector)]);
    expect(await transactions(claimId)).toHaveLength(1);
  });

  it("leaves rows that say how it went, and nothing of whom it is about", async () => {
    const claimId = await submitted();
    await send(claimId, connector);
    const rows = await exchanges(claimId);
    expect(rows.find(({ direction, kind }) => direction === "out" && kind === "submit")).toMatchObject({
      outcome: "sent",
      messageHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(rows.every(({ sizeBytes }) => Number.isInteger(sizeBytes))).toBe(true);
    for (const table of ["edi_exchanges", "edi_transactions", "edi_sandbox_claims", "claim_events", "audit_events"]) {
      const { results } = await env.DB.prepare(`SELECT * FROM ${table}`).all();
      expect(JSON.stringify(results)).not.toMatch(/Avery|Tremblay|1984-?03-?12|9990 ?001|planted|PLAN77|000111222/);
    }
  });
});

describe("the sandbox's faults", () => {
  const seeds = Array.from({ length: 12 }, (_, n) => `seed-${n}`);

  it("never make a claim arrive twice, and every claim is decided in the end", async () => {
    Object.assign(hub.env, { EDI_SANDBOX_ERROR_PERCENT: "60" });
    for (const seed of seeds) {
      Object.assign(hub.env, { EDI_SANDBOX_SEED: seed });
      const connector = seeds.indexOf(seed) % 2 === 0 ? "eclaims" : "cdanet";
      const claimId = await submitted();
      await send(claimId, connector);
      for (let again = 0; again < 8; again++) {
        const { body } = await send(claimId, connector);
        if (body.state === "adjudicated") break;
        await hub.sweep();
      }
      expect(await transactions(claimId)).toMatchObject([{ state: "adjudicated" }]);
    }
    const { results } = await env.DB.prepare("SELECT COUNT(*) AS claims FROM edi_sandbox_claims").all();
    expect(results).toEqual([{ claims: seeds.length }]);
  });

  it("are the same after a reset", async () => {
    Object.assign(hub.env, { EDI_SANDBOX_REFUSAL_PERCENT: "70" });
    const run = async (): Promise<readonly (string | null)[]> => {
      const outcomes: (string | null)[] = [];
      for (let i = 0; i < 6; i++) {
        const claimId = await submitted();
        await send(claimId, "eclaims");
        await vi.waitFor(async () => {
          await hub.sweep();
          expect(["adjudicated", "rejected"]).toContain((await transactions(claimId))[0]?.state);
        });
        outcomes.push((await transactions(claimId))[0]?.outcome ?? null);
      }
      return outcomes;
    };
    const first = await run();
    expect(new Set(first).size).toBeGreaterThan(1);
    expect((await operator("POST", "/api/edi/sandbox/reset")).body).toMatchObject({ claims: 6 });
    expect(await run()).toEqual(first);
  });

  it("end with a reset for claims that waited; they may be sent anew", async () => {
    Object.assign(hub.env, { EDI_SANDBOX_ADJUDICATION_MS: "3600000" });
    const claimId = await submitted();
    await send(claimId, "portal");
    expect(await (await admin.call("POST", "/api/edi/sandbox/reset")).json()).toEqual({ claims: 1, transactions: 1 });
    expect(await transactions(claimId)).toMatchObject([{ state: "rejected", outcome: "sandbox_reset" }]);
    expect((await send(claimId, "portal")).status).toBe(201);
  });
});

describe("what may not be sent", () => {
  it("is a claim that iTrans has not taken, one of nobody's, and one the network has no place for", async () => {
    const { claimId } = (await admin.read("POST", "/api/claims", CLAIM)).body;
    expect((await send(claimId, "cdanet")).status).toBe(409);
    expect((await send("clm_nobody", "cdanet")).status).toBe(404);
    const dollars = await send(await submitted({ currency: "USD" }), "cdanet");
    expect(dollars.status).toBe(400);
    expect(dollars.body.issues).toMatchObject([{ path: "currency" }]);
  });

  it("is anything at all, with one of the two switches of production", async () => {
    Object.assign(hub.env, { EDI_MODE: "production" });
    const claimId = await submitted();
    const refused = await send(claimId, "eclaims");
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toContain("production_not_enabled");
    expect(await transactions(claimId)).toEqual([]);
    const { body } = await operator("GET", "/api/edi/connectors");
    expect(body).toMatchObject([{ mode: "refused", ok: false }, { mode: "refused" }, { mode: "refused" }]);
  });
});

/** Production against a network that the test writes. */
class Network {
  readonly requests: { url: string; method: string; headers: Headers; body: string; redirect: string }[] = [];
  answer: (request: Request, body: string) => Response | Promise<Response> = () => new Response("", { status: 503 });

  readonly fetch = async (input: RequestInfo | URL): Promise<Response> => {
    const request = new Request(input);
    const bytes = new Uint8Array(await request.clone().arrayBuffer());
    const body = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    const { url, method, headers, redirect } = request;
    this.requests.push({ url, method, headers, body, redirect });
    return this.answer(request, body);
  };
}

const COVERAGE = {
  carrierId: "666666",
  policyNumber: "PLAN77",
  subscriberId: "000111222",
  relationship: "self",
  patientSex: "F",
  address: { line1: "1 rue Sainte-Élisabeth", city: "Québec", province: "QC", postalCode: "G1R 4S9" },
};

describe("production", () => {
  let network: Network;

  beforeEach(() => {
    network = new Network();
    Object.assign(hub.env, {
      EDI_MODE: "production",
      EDI_PRODUCTION_ENABLED: "true",
      EDI_ALLOWED_HOSTS: "edi.network.ca claims.network.ca",
      EDI_CDANET_URL: "https://edi.network.ca/cdanet",
      EDI_ECLAIMS_URL: "https://claims.network.ca/api",
      EDI_PORTAL_URL: "https://portal.elsewhere.ca",
      EDI_CDANET_OFFICE_NUMBER: "0007",
      EDI_ECLAIMS_API_KEY: "eclaims-key-for-tests-1f0a",
      EDI_MAX_SENDS: "2",
      EDI_CLIENT_CERTIFICATE: network,
    });
  });

  const received =
    (state: Record<string, unknown> = {}) =>
    (request: Request, body: string) => {
      const transactionId = request.method === "GET" ? request.url.split("/").at(-1) : JSON.parse(body).transactionId;
      return Response.json({ transactionId, status: "RECEIVED", claimNumber: "CN-1", ...state }, { status: 202 });
    };

  it("sends over https to the allowed host, with its key and one idempotency key, following no redirect", async () => {
    network.answer = received();
    const { status, body } = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect([status, body.state, body.mode]).toEqual([201, "acknowledged", "production"]);
    const [request] = network.requests;
    expect(request).toMatchObject({
      url: "https://claims.network.ca/api/v1/claims",
      method: "POST",
      redirect: "manual",
    });
    expect(request?.headers.get("authorization")).toBe("Bearer eclaims-key-for-tests-1f0a");
    expect(request?.headers.get("idempotency-key")).toBe(body.transactionId);
    expect(JSON.parse(request?.body ?? "")).toMatchObject({ total: "120.00", patient: { firstName: "Avery" } });
  });

  it("sends nothing to a host that is not allowed", async () => {
    const refused = await send(await submitted(), "portal", { coverage: COVERAGE });
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toContain("host_not_allowed");
    expect(network.requests).toEqual([]);
  });

  it("sends nothing while a carrier would miss something, and names it", async () => {
    const refused = await send(await submitted(), "eclaims");
    expect(refused.status).toBe(400);
    expect(refused.body.issues.map(({ path }) => path)).toEqual(["coverage.carrierId", "coverage.policyNumber"]);
    expect(network.requests).toEqual([]);
  });

  it("asks after a lost answer before it sends again", async () => {
    let lost = true;
    network.answer = (request, body) => {
      if (request.method === "POST" && lost) {
        lost = false;
        throw new Error("connection lost");
      }
      return received()(request, body);
    };
    const { body } = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect(body.state).toBe("acknowledged");
    expect(network.requests.map(({ method }) => method)).toEqual(["POST", "GET"]);
  });

  it("sends again, the same under the same key, when the network does not know it", async () => {
    let posts = 0;
    network.answer = (request, body) => {
      if (request.method === "GET") return new Response("", { status: 404 });
      posts++;
      return posts === 1 ? new Response("", { status: 502 }) : received()(request, body);
    };
    const { body } = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect(body).toMatchObject({ state: "acknowledged", sends: 2 });
    const [first, , second] = network.requests;
    expect(network.requests.map(({ method }) => method)).toEqual(["POST", "GET", "POST"]);
    expect(second?.body).toBe(first?.body);
    expect(second?.headers.get("idempotency-key")).toBe(first?.headers.get("idempotency-key"));
  });

  it("gives up for now after a bounded number of refusals, and says that it was not sent", async () => {
    const { body } = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect(body).toMatchObject({ state: "unsent", outcome: "http_503", sends: 2 });
    expect(network.requests).toHaveLength(2);
  });

  it("does not follow a redirect with a claim", async () => {
    network.answer = () => new Response(null, { status: 307, headers: { location: "https://evil.example/" } });
    const { body } = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect(body).toMatchObject({ state: "unsent", outcome: "redirected" });
    expect(network.requests.every(({ url }) => url.startsWith("https://claims.network.ca/"))).toBe(true);
  });

  it("lets nothing out while the breaker is open, and shows it", async () => {
    for (let i = 0; i < 3; i++) await send(await submitted(), "eclaims", { coverage: COVERAGE });
    const before = network.requests.length;
    const held = await send(await submitted(), "eclaims", { coverage: COVERAGE });
    expect(held.status).toBe(503);
    expect(network.requests).toHaveLength(before);
    const { body } = await operator("GET", "/api/edi/connectors");
    expect(body).toMatchObject([{ name: "cdanet", ok: true }, { name: "eclaims", breaker: "open", ok: false }, {}]);
  });

  it("speaks CDAnet in ISO-8859-1, one byte a character, and applies whatever the mailbox gives", async () => {
    const waiting: string[] = [];
    network.answer = (_, body) => {
      const asked = decode(body);
      if (!asked.ok) throw new Error(asked.fault.rule);
      const { code, fields } = asked.message;
      const head = { A01: fields.A01 ?? "", A02: fields.A02 ?? "", A05: fields.A05 ?? "", A11: "N" };
      const answer = (message: Parameters<typeof encode>[0]): string => {
        const encoded = encode(message);
        if (!encoded.ok) throw new Error(encoded.fault.field);
        return encoded.text;
      };
      if (code === "04")
        return new Response(waiting.shift() ?? answer({ code: "14", fields: { ...head, G05: "X" }, groups: {} }));
      waiting.push(
        answer({ code: "21", fields: { ...head, G01: `R${head.A02}`, G04: "12000", G28: "9600" }, groups: {} }),
      );
      return new Response(answer({ code: "11", fields: { ...head, G01: `R${head.A02}`, G05: "C" }, groups: {} }));
    };
    const [first, second] = [await submitted(), await submitted()];
    await send(first, "cdanet", { coverage: COVERAGE });
    await send(second, "cdanet", { coverage: COVERAGE });
    const body = network.requests[0]?.body ?? "";
    expect(body.length).toBe(500);
    expect(body).toContain("1 rue Sainte-Élisabeth");
    // The sweep asks about the second first, and gets the first one's answer.
    await env.DB.prepare("UPDATE edi_transactions SET next_check_at = 2, version = version + 1").run();
    await env.DB.prepare("UPDATE edi_transactions SET next_check_at = 1, version = version + 1 WHERE claim_id = ?")
      .bind(second)
      .run();
    await hub.sweep();
    for (const claimId of [first, second]) {
      expect(await transactions(claimId)).toMatchObject([
        { state: "adjudicated", outcome: "partial", benefit: "96.00" },
      ]);
    }
  });
});

describe("operators and administrators", () => {
  it("see the connectors and test them", async () => {
    const { body } = await operator("POST", "/api/edi/connectors/eclaims/test");
    expect(body).toMatchObject({ name: "eclaims", mode: "sandbox", ok: true, status: 200 });
    const connectors = await (await admin.call("GET", "/api/edi/connectors")).json();
    expect(connectors).toMatchObject([
      { name: "cdanet", mode: "sandbox", host: "sandbox", ok: true, errors: 0 },
      { name: "eclaims" },
      { name: "portal" },
    ]);
    for (const name of ["cdanet", "portal"]) {
      expect((await operator("POST", `/api/edi/connectors/${name}/test`)).body).toMatchObject({ ok: true });
    }
    expect((await operator("POST", "/api/edi/connectors/fax/test")).status).toBe(400);
  });

  it.each([
    ["GET", "/api/edi/connectors"],
    ["GET", "/api/edi/exchanges"],
    ["POST", "/api/edi/sandbox/reset"],
    ["POST", "/api/edi/connectors/cdanet/test"],
    ["GET", "/api/claims/x/edi"],
    ["POST", "/api/claims/x/edi"],
  ])("%s %s is nobody's who is not signed in", async (method, path) => {
    const init = method === "GET" ? {} : json(method, { connector: "cdanet" });
    expect((await hub.fetch(path, { ...init, method })).status).toBe(401);
  });

  it("page through the exchanges without seeing one twice", async () => {
    const claimId = await submitted();
    for (const connector of ["cdanet", "eclaims", "portal"]) await send(claimId, connector);
    const seen: number[] = [];
    let cursor = "";
    do {
      const { body: page } = await operator<{ exchanges: { exchangeId: number }[]; nextCursor: string | null }>(
        "GET",
        `/api/edi/exchanges?limit=2&cursor=${cursor}`,
      );
      seen.push(...page.exchanges.map(({ exchangeId }) => exchangeId));
      cursor = page.nextCursor ?? "";
    } while (cursor !== "");
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual([...seen].sort((a, b) => b - a));
  });

  it("lose exchanges after the time they are kept", async () => {
    await submitted().then((claimId) => send(claimId, "eclaims"));
    Object.assign(hub.env, { EDI_EXCHANGE_RETENTION_DAYS: "1" });
    await env.DB.prepare("UPDATE edi_exchanges SET at = at - 90000000").run();
    await env.DB.prepare("UPDATE edi_transactions SET next_check_at = NULL, version = version + 1").run();
    await hub.sweep();
    const { results } = await env.DB.prepare("SELECT COUNT(*) AS kept FROM edi_exchanges").all();
    expect(results).toEqual([{ kept: 0 }]);
  });
});
