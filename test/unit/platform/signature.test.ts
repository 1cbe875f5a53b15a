import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import { correlationIdOf, isCorrelationId } from "../../../src/platform/correlation.ts";
import { fromBase64, fromUtf8, toBase64, utf8 } from "../../../src/platform/encoding.ts";
import { formatLogLine, isLogged, reasonOf } from "../../../src/platform/log.ts";
import { problemDocument, problemResponse, statusOf } from "../../../src/platform/problem.ts";
import {
  signProviderPayload,
  signRelayBody,
  signStandardWebhook,
  standardWebhookSecret,
  verifyProviderSignature,
} from "../../../src/platform/signature.ts";
import { timingSafeEqual } from "../../../src/platform/timing-safe.ts";
import { mayAdjudicateFor, maySeePayload, mayUse, type Principal, type Scope } from "../../../src/tenants/principal.ts";

const SECRET = "provider-signature-9f41c7";
const hmac = (text: string, encoding: "hex" | "base64", secret = SECRET) =>
  createHmac("sha256", secret).update(text).digest(encoding);

describe("a provider's signature", () => {
  const payload = { patientId: "p", note: "é😀\ud800", totalAmount: 1.5 };

  it("is lower-case hex of HMAC-SHA256 over JSON.stringify in the sender's order", () => {
    expect(signProviderPayload(payload, SECRET)).toBe(hmac(JSON.stringify(payload), "hex"));
    expect(signProviderPayload({ b: 1, a: 2 }, SECRET)).toBe(hmac(`{"b":1,"a":2}`, "hex"));
  });

  it("is accepted under the current and the previous secret and no other", () => {
    const signature = signProviderPayload(payload, "old");
    expect(verifyProviderSignature(payload, signature, [SECRET, "old"])).toBe(true);
    expect(verifyProviderSignature(payload, signature, [SECRET])).toBe(false);
    expect(verifyProviderSignature(payload, signature, [])).toBe(false);
  });

  it.each<[string, (signature: string) => string]>([
    ["in upper case", (signature) => signature.toUpperCase()],
    ["cut short", (signature) => signature.slice(0, -1)],
    ["with more after it", (signature) => `${signature}0`],
    ["with 0x before it", (signature) => `0x${signature}`],
    ["empty", () => ""],
  ])("is refused %s", (_what, change) => {
    expect(verifyProviderSignature(payload, change(signProviderPayload(payload, SECRET)), [SECRET])).toBe(false);
  });

  it("is of the payload in the order it came: the same keys in another order have another", () => {
    expect(verifyProviderSignature({ a: 2, b: 1 }, signProviderPayload({ b: 1, a: 2 }, SECRET), [SECRET])).toBe(false);
  });
});

describe("a webhook's signatures", () => {
  const body = `{"eventId":"31337:0xab:0:MEDLINK","note":"é"}`;

  it("has the relay's form over milliseconds and the raw body", () => {
    expect(signRelayBody(1_790_000_000_123, body, SECRET)).toBe(`hmac-sha256=${hmac(`1790000000123.${body}`, "hex")}`);
  });

  it("has the Standard Webhooks form, which that project's own library accepts", () => {
    const seconds = Math.floor(Date.now() / 1000);
    const signature = signStandardWebhook("event-1", seconds, body, SECRET);
    expect(signature).toBe(`v1,${hmac(`event-1.${seconds}.${body}`, "base64")}`);
    const headers = { "webhook-id": "event-1", "webhook-timestamp": String(seconds), "webhook-signature": signature };
    expect(new Webhook(standardWebhookSecret(SECRET)).verify(body, headers)).toEqual(JSON.parse(body));
  });
});

describe("comparing secrets", () => {
  it.each([
    ["same", "same", true],
    ["same", "samE", false],
    ["same", "same ", false],
    ["", "", true],
    ["", "x", false],
  ])("'%s' and '%s': %s", (a, b, equal) => {
    expect(timingSafeEqual(a, b)).toBe(equal);
  });
});

describe("a correlation id", () => {
  it.each(["a", "A-1.b_2", "x".repeat(64)])("is kept: %s", (id) => {
    expect(isCorrelationId(id)).toBe(true);
    expect(correlationIdOf(id, () => "new")).toBe(id);
  });

  it.each(["", "x".repeat(65), "a b", "a\n", "é", "a/b", "a%20b", `"`, undefined])("is replaced: %s", (id) => {
    expect(isCorrelationId(id)).toBe(false);
    expect(correlationIdOf(id, () => "new")).toBe("new");
  });
});

describe("a log line", () => {
  it("is one JSON object", () => {
    const line = formatLogLine(
      "itrans-core",
      "warn",
      "request",
      { status: 400, route: "/claims" },
      "2026-11-22T10:00:00.000Z",
    );
    expect(line).not.toContain("\n");
    expect(JSON.parse(line)).toEqual({
      at: "2026-11-22T10:00:00.000Z",
      level: "warn",
      worker: "itrans-core",
      event: "request",
      status: 400,
      route: "/claims",
    });
  });

  it("is written from the least level up", () => {
    expect(isLogged("info", "warn")).toBe(false);
    expect(isLogged("warn", "warn")).toBe(true);
    expect(isLogged("error", "debug")).toBe(true);
  });

  it("names an error in at most 300 characters, and nothing that is no error", () => {
    expect(reasonOf(new TypeError("no"))).toBe("TypeError: no");
    expect(reasonOf(new Error("x".repeat(1_000)))).toHaveLength(300);
    expect(reasonOf({ patient: "Jane" })).toBe("unknown");
  });
});

describe("a problem", () => {
  it("has the members of RFC 9457 and repeats code and detail as error and message", async () => {
    const problem = { code: "conflict", detail: "Taken.", retryAfterSeconds: 3 } as const;
    expect(problemDocument(problem, "c-1")).toEqual({
      type: "urn:itrans:problem:conflict",
      title: "Conflict",
      status: 409,
      detail: "Taken.",
      code: "conflict",
      error: "conflict",
      message: "Taken.",
      correlationId: "c-1",
    });
    const response = problemResponse(problem, "c-1");
    expect(response.status).toBe(statusOf("conflict"));
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/problem+json",
      "retry-after": "3",
      "x-correlation-id": "c-1",
    });
  });
});

describe("what a key may do", () => {
  const INSURER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  const principal = (scopes: readonly Scope[], insurerAddress?: string): Principal => ({
    keyId: "k",
    tenantId: "t",
    surface: "workflow",
    scopes: new Set(scopes),
    insurerAddress,
    requestsPerMinute: undefined,
  });

  it.each<[string, Principal, boolean, boolean]>([
    ["a tenant's reader", principal(["read"]), true, false],
    ["a tenant's key with every right", principal(["submit", "read", "adjudicate"]), true, true],
    ["a tenant's key that only submits", principal(["submit"]), false, false],
    ["the insurer's key", principal(["read", "adjudicate"], INSURER.toLowerCase()), true, true],
    ["the insurer's key without the right to decide", principal(["read"], INSURER), false, false],
    ["another insurer's key", principal(["read", "adjudicate"], `0x${"1".repeat(40)}`), false, false],
  ])("%s: sees the payload %s, decides %s", (_who, who, sees, decides) => {
    expect(maySeePayload(who, INSURER)).toBe(sees);
    expect(mayAdjudicateFor(who, INSURER)).toBe(decides);
  });

  it("is bound to its surface, an operator's to none", () => {
    expect(mayUse(principal([]), "workflow")).toBe(true);
    expect(mayUse(principal([]), "claims")).toBe(false);
    expect(mayUse({ ...principal([]), surface: "operator" }, "claims")).toBe(true);
    expect(mayUse(principal([]), "operator")).toBe(false);
  });
});

describe("encodings", () => {
  it("write base64 of long inputs as Node does, and read it back", () => {
    const bytes = new Uint8Array(100_003).map((_, i) => i % 251);
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
    expect(fromBase64(toBase64(bytes))).toEqual(bytes);
  });

  it("refuse bytes that are no UTF-8 and keep a byte order mark", () => {
    expect(() => fromUtf8(new Uint8Array([0xc3]))).toThrow();
    expect(fromUtf8(utf8("\ufeffx"))).toBe("\ufeffx");
  });
});
