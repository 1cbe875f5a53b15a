/** Whatever comes in wrong is answered with a 4xx that says so, and leaves no trace in the database. */
import { beforeAll, describe, expect, it } from "vitest";
import { type CallOptions, call, KEYS, migrate, payloadOf, rowCounts, signed, submit, testEnv } from "./support.ts";

const MEGABYTE = 1_000_000;
let claimId = "";

beforeAll(async () => {
  await migrate();
  await submit(signed(payloadOf(), { externalRequestId: "THERE" }));
  claimId = (await call("/claims", { method: "POST", key: KEYS.CLAIMS_API_KEY, body: signed(payloadOf()) })).json
    .claimId;
});

/** Everything that a refused call must leave as it was. */
async function traces() {
  const { objects } = await testEnv.LEDGER.list();
  const head = await testEnv.DB.prepare("SELECT * FROM ledger_heads").all();
  return { rows: await rowCounts(), head: head.results, objects: objects.length };
}

async function refused(path: string, options: CallOptions, statuses: readonly number[]) {
  const before = await traces();
  await answersProblem(path, options, statuses);
  expect(await traces()).toEqual(before);
}

async function answersProblem(path: string, options: CallOptions, statuses: readonly number[]) {
  const answer = await call(path, options);
  expect(statuses).toContain(answer.status);
  expect(answer.headers.get("content-type")).toMatch(/^application\/problem\+json/);
  expect(answer.json).toMatchObject({
    status: answer.status,
    error: expect.stringMatching(/^[a-z_]+$/),
    message: expect.stringMatching(/\S+ \S+/),
    correlationId: answer.headers.get("x-correlation-id"),
  });
}

const without = (key: string) =>
  Object.fromEntries(Object.entries(signed(payloadOf())).filter(([name]) => name !== key));
const payloadWithout = (key: string) =>
  signed(Object.fromEntries(Object.entries(payloadOf()).filter(([name]) => name !== key)));
const service = (over: Readonly<Record<string, unknown>>) =>
  signed(payloadOf({ services: [{ code: "1", description: "x", quantity: 1, unitPrice: 1, ...over }] }));
const signedText = (payloadText: string) => {
  const { providerSignature, insurerAddress } = signed(JSON.parse(payloadText));
  return `{"insurerAddress":"${insurerAddress}","offchainPayload":${payloadText},"providerSignature":"${providerSignature}"}`;
};
const payloadText = (extra: string) => JSON.stringify(payloadOf()).replace("{", `{${extra},`);

describe("a submit", () => {
  const BODIES: readonly [what: string, body: unknown, status: number][] = [
    ["without insurerAddress", without("insurerAddress"), 400],
    ["without offchainPayload", without("offchainPayload"), 400],
    ["without providerSignature", without("providerSignature"), 400],
    ...["patientId", "providerId", "services", "totalAmount"].map((key): [string, unknown, number] => [
      `without ${key}`,
      payloadWithout(key),
      400,
    ]),
    ["that is null", null, 400],
    ["that is an array", [signed(payloadOf())], 400],
    ["that is a string", "claim", 400],
    ["that is a number", 7, 400],
    ["whose payload is a string", { ...signed(payloadOf()), offchainPayload: "p" }, 400],
    ["whose payload is an array", { ...signed([payloadOf()]) }, 400],
    ["whose payload is null", { ...signed(null) }, 400],
    ["whose patientId is a number", signed(payloadOf({ patientId: 7 })), 400],
    ["whose patientId is empty", signed(payloadOf({ patientId: "" })), 400],
    ["whose services are an object", signed(payloadOf({ services: {} })), 400],
    ["with a service that is null", signed(payloadOf({ services: [null] })), 400],
    ["with a service without code", service({ code: undefined }), 400],
    ["with a quantity in text", service({ quantity: "1" }), 400],
    ["with a negative quantity", service({ quantity: -1 }), 400],
    ["with a negative unit price", service({ unitPrice: -0.01 }), 400],
    ["with a unit price past safe integer cents", service({ unitPrice: 90071992547409.95 }), 400],
    ["whose amount is text", signed(payloadOf({ totalAmount: "120.00" })), 400],
    ["whose amount is null", signed(payloadOf({ totalAmount: null })), 400],
    ["whose amount is negative", signed(payloadOf({ totalAmount: -1 })), 400],
    ["whose amount is a cent below nothing", signed(payloadOf({ totalAmount: -0.01 })), 400],
    ["whose amount is finer than a cent", signed(payloadOf({ totalAmount: 1.005 })), 400],
    ["whose amount is past safe integer cents", signed(payloadOf({ totalAmount: 90071992547409.95 })), 400],
    ["whose amount is enormous", signed(payloadOf({ totalAmount: 1e300 })), 400],
    ["of half a yen", signed(payloadOf({ totalAmount: 0.5, currency: "JPY" })), 400],
    ["of a currency that is none", signed(payloadOf({ currency: "dollars" })), 400],
    ["whose type is unknown", signed(payloadOf({ type: "invoice" })), 400],
    ["with a lone surrogate", signed(payloadOf({ patientId: "\ud800" })), 400],
    ["with an address without 0x", { ...signed(payloadOf()), insurerAddress: "7".repeat(42) }, 400],
    ["with a short address", { ...signed(payloadOf()), insurerAddress: `0x${"7".repeat(39)}` }, 400],
    ["with a long address", { ...signed(payloadOf()), insurerAddress: `0x${"7".repeat(41)}` }, 400],
    ["with an address that is no hex", { ...signed(payloadOf()), insurerAddress: `0x${"g".repeat(40)}` }, 400],
    ["with an address that is a number", { ...signed(payloadOf()), insurerAddress: 7 }, 400],
    ["with a wrong signature", { ...signed(payloadOf()), providerSignature: "0".repeat(64) }, 401],
    [
      "with a signature in upper case",
      { ...signed(payloadOf()), providerSignature: signed(payloadOf()).providerSignature.toUpperCase() },
      401,
    ],
    [
      "with another payload's signature",
      { ...signed(payloadOf()), providerSignature: signed(payloadOf({ totalAmount: 1 })).providerSignature },
      401,
    ],
    ["with an empty signature", { ...signed(payloadOf()), providerSignature: "" }, 400],
    ["with a signature that is a number", { ...signed(payloadOf()), providerSignature: 7 }, 400],
    ["with a signature with odd characters", { ...signed(payloadOf()), providerSignature: "\u0000é\ud800" }, 401],
    ...[
      "",
      ".",
      "..",
      "a b",
      "a/b",
      "a%2Fb",
      "%00",
      "\u0000",
      "é",
      "😀",
      "\ud800",
      "a?b",
      "a#b",
      "a:b",
      "x".repeat(129),
      `0x${"a".repeat(64)}`,
      7,
      {},
      true,
    ].map((id): [string, unknown, number] => [
      `with the id ${JSON.stringify(id).slice(0, 30)}`,
      signed(payloadOf(), { externalRequestId: id }),
      400,
    ]),
  ];

  it.each(BODIES)("%s is refused", async (_what, body, status) => {
    await refused("/workflow/claims", { method: "POST", body }, [status]);
  });

  const TEXTS: readonly [what: string, rawBody: string, status: number][] = [
    ["of nothing", "", 400],
    ["of blanks", " \n ", 400],
    ["cut short", JSON.stringify(signed(payloadOf())).slice(0, -1), 400],
    ["cut in a string", JSON.stringify(signed(payloadOf())).slice(0, 60), 400],
    ["with more after it", `${JSON.stringify(signed(payloadOf()))}}`, 400],
    ["that is no JSON", "insurerAddress=0x&offchainPayload=", 400],
    ["with NaN", `{"offchainPayload": NaN}`, 400],
    ["with a number that overflows, signed", signedText(payloadText(`"x":1e400`)), 400],
    [
      "with an amount that overflows",
      signedText(JSON.stringify(payloadOf()).replace(`"totalAmount":120`, `"totalAmount":1e400`)),
      400,
    ],
    ["nested 65 deep, signed", signedText(payloadText(`"x":${"[".repeat(65)}${"]".repeat(65)}`)), 400],
    [
      "nested 200,000 deep in the payload",
      JSON.stringify({ ...signed(payloadOf()), offchainPayload: 0 }).replace(
        `"offchainPayload":0`,
        `"offchainPayload":${payloadText(`"x":${"[".repeat(200_000)}${"]".repeat(200_000)}`)}`,
      ),
      400,
    ],
    ["nested 400,000 deep", "[".repeat(400_000), 400],
    ["over a megabyte", JSON.stringify(signed(payloadOf({ notes: "x".repeat(MEGABYTE) }))), 413],
    ["of ten megabytes that are no JSON", "x".repeat(10 * MEGABYTE), 413],
  ];

  it.each(TEXTS)("%s is refused", async (_what, rawBody, status) => {
    await refused("/workflow/claims", { method: "POST", rawBody }, [status]);
    await refused("/claims", { method: "POST", key: KEYS.CLAIMS_API_KEY, rawBody }, [status]);
  });

  it("over a megabyte without content-length is refused", async () => {
    const chunk = new TextEncoder().encode("x".repeat(100_000));
    let left = 11;
    const rawBody = new ReadableStream<Uint8Array>({
      pull(controller) {
        left -= 1;
        if (left < 0) controller.close();
        else controller.enqueue(chunk);
      },
    });
    await refused("/workflow/claims", { method: "POST", rawBody }, [413]);
  });

  it("of just under a megabyte is not too large", async () => {
    const body = JSON.stringify(signed(payloadOf({ x: "" })));
    const filled = JSON.stringify(signed(payloadOf({ x: "x".repeat(MEGABYTE - body.length) })));
    expect(filled).toHaveLength(MEGABYTE);
    expect((await call("/workflow/claims", { method: "POST", rawBody: filled })).status).toBe(201);
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "text/json",
    "",
  ])("of content type '%s' is refused", async (contentType) => {
    const rawBody = JSON.stringify(signed(payloadOf()));
    await refused("/workflow/claims", { method: "POST", rawBody, headers: { "content-type": contentType } }, [415]);
  });

  it.each([
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/json;",
    "application/problem+json",
    "application/vnd.x2+json",
  ])("of content type '%s' is taken", async (contentType) => {
    const rawBody = JSON.stringify(signed(payloadOf()));
    expect(
      (await call("/workflow/claims", { method: "POST", rawBody, headers: { "content-type": contentType } })).status,
    ).toBe(201);
  });
});

describe("an insurer's call", () => {
  const at = (call: string) => `/workflow/requests/THERE/${call}`;

  it.each<[string, unknown]>([
    ["of nothing", undefined],
    ["without decision", { notes: "x" }],
    ["of an unknown decision", { decision: "MAYBE" }],
    ["of a decision in small letters", { decision: "approved" }],
    ["of null", null],
    ["of notes that are a number", { decision: "APPROVED", notes: 7 }],
    ["of notes that never end", { decision: "APPROVED", notes: "x".repeat(20_001) }],
    ["of notes with a lone surrogate", { decision: "APPROVED", notes: "\ud800" }],
  ])("to decide %s is refused", async (_what, body) => {
    await refused(at("adjudicate"), { method: "POST", ...(body === undefined ? { rawBody: "" } : { body }) }, [400]);
  });

  it.each<[string, CallOptions, number]>([
    ["with an array", { body: [] }, 400],
    ["with null", { body: null }, 400],
    ["with notes that are a number", { body: { notes: 7 } }, 400],
    ["with half a body", { rawBody: `{"notes": "x` }, 400],
    ["with notes in plain text", { rawBody: "fine", headers: { "content-type": "text/plain" } }, 415],
    ["with a megabyte", { body: { notes: "x".repeat(MEGABYTE) } }, 413],
  ])("to acknowledge %s is refused", async (_what, options, status) => {
    await refused(at("acknowledge"), { method: "POST", ...options }, [status]);
  });

  it("keeps its notes whatever JSON its body is called", async () => {
    for (const contentType of ["application/json;", "application/vnd.x2+json"]) {
      const { json } = await submit(signed(payloadOf()));
      const path = `/workflow/requests/${json.requestId}`;
      const rawBody = `{"notes":"said"}`;
      await call(`${path}/acknowledge`, { method: "POST", rawBody, headers: { "content-type": contentType } });
      expect((await call(path)).json.notes).toEqual([{ part: "ack", text: "said" }]);
    }
  });

  it("to acknowledge may be empty, whatever its content type says", async () => {
    for (const headers of [
      { "content-type": "application/json", "content-length": "0" },
      { "content-type": "text/plain" },
    ]) {
      expect((await call(at("acknowledge"), { method: "POST", rawBody: "", headers })).status).toBe(200);
    }
    expect((await call(at("acknowledge"), { method: "POST" })).status).toBe(200);
  });
});

describe("an id in a path", () => {
  const IDS = [
    "nobody",
    "%20",
    "a%20b",
    "%",
    "%zz",
    "%ff",
    "%c3%28",
    "%00",
    "a%00b",
    "THERE%00",
    "a%2Fb",
    "%2e%2e",
    "...",
    "é",
    "😀",
    "%F0%9F%98%80",
    "'; DROP TABLE requests; --",
    '"',
    "\\",
    "[]",
    "a:b",
    "0x",
    `0x${"0".repeat(64)}`,
    `0x${"A".repeat(64)}`,
    "x".repeat(129),
    "x".repeat(8_000),
    "%25",
    "null",
    "-1",
    "*",
  ];

  it.each(IDS)("that is not known is a 404: %s", async (id) => {
    const paths: readonly [string, CallOptions][] = [
      [`/workflow/requests/${id}`, {}],
      [`/workflow/requests/${id}/acknowledge`, { method: "POST" }],
      [`/workflow/requests/${id}/adjudicate`, { method: "POST", body: { decision: "APPROVED" } }],
      [`/claims/${id}`, { key: KEYS.CLAIMS_API_KEY }],
      [`/claims/${id}/finalize`, { method: "POST", key: KEYS.CLAIMS_API_KEY }],
      [`/claims/${id}/settle`, { method: "POST", key: KEYS.CLAIMS_API_KEY }],
      [`/claims/${id}/anchor/status`, { key: KEYS.CLAIMS_API_KEY }],
    ];
    const before = await traces();
    for (const [path, options] of paths) await answersProblem(path, options, [404]);
    expect(await traces()).toEqual(before);
  });

  it("is a known one also when it came encoded", async () => {
    expect((await call("/workflow/requests/%54HERE")).status).toBe(200);
    expect((await call(`/claims/${encodeURIComponent(claimId)}`, { key: KEYS.CLAIMS_API_KEY })).status).toBe(200);
  });

  it("made of dots leads nowhere", async () => {
    for (const path of [
      "/workflow/requests/..",
      "/workflow/requests/%2e%2e/adjudicate",
      "/workflow/requests/",
      "/claims/.",
    ]) {
      const { status, json } = await call(path);
      expect([status, json.error]).toEqual([404, "not_found"]);
    }
  });
});

describe("other addresses", () => {
  it.each<[string, CallOptions]>([
    ["/", {}],
    ["/workflow", {}],
    ["/workflow/claims", {}],
    ["/workflow/requests/THERE", { method: "DELETE" }],
    ["/ledger/verify", { method: "POST" }],
    ["/claims/x/y/z", {}],
  ])("%s is a problem document too", async (path, options) => {
    await refused(path, options, [404, 405]);
  });

  it.each(["limit=0", "limit=201", "limit=x", "limit=1.5", "limit="])(
    "dead letters with %s are a 400",
    async (query) => {
      await refused(`/relay/workflow/dead-letters?${query}`, {}, [400]);
    },
  );
});

describe("the operator's calls", () => {
  const key = KEYS.OPERATOR_API_KEY;
  it.each<[string, string, unknown, number]>([
    ["a tenant of odd letters", "/tenants", { tenantId: "Clinic B", name: "x" }, 400],
    ["a tenant that exists", "/tenants", { tenantId: "default", name: "x" }, 409],
    ["a key for no tenant", "/tenants/nobody/keys", { surface: "workflow", scopes: ["read"] }, 404],
    ["a key with the operator's scope", "/tenants/default/keys", { surface: "workflow", scopes: ["operate"] }, 400],
    ["an operator's key that files", "/tenants/default/keys", { surface: "operator", scopes: ["submit"] }, 400],
    ["a key without scopes", "/tenants/default/keys", { surface: "workflow", scopes: [] }, 400],
    [
      "a key for a bad address",
      "/tenants/default/keys",
      { surface: "workflow", scopes: ["read"], insurerAddress: "0x1" },
      400,
    ],
  ])("make no %s", async (_what, path, body, status) => {
    await refused(path, { method: "POST", key, body }, [status]);
  });
});
